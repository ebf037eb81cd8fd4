"""The measure mu on Omega as nodes and weights."""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from liouville.model import Model, Number, Positive

Array = NDArray[np.floating]


class UniformMeasure(Model):
    """The uniform probability on the circle, by `nodes` equally spaced nodes (exact for fewer modes than nodes)."""

    kind: Literal["uniform"] = "uniform"
    nodes: Annotated[int, Field(ge=1, le=65536)] | None = None

    def quadrature(self, degree: int) -> tuple[Array, Array]:
        """Nodes x and weights w, each (N,); by default exact for products of four factors of `degree` modes."""
        count = self.nodes or 4 * (degree + 1)
        return np.arange(count) * (2 * np.pi / count), np.full(count, 1 / count)


class PointsMeasure(Model):
    """Point masses: x in radians and weights, scaled to sum 1 (equal if left out)."""

    kind: Literal["points"] = "points"
    x: Annotated[tuple[Number, ...], Field(min_length=1)]
    weights: tuple[Positive, ...] | None = None

    @model_validator(mode="after")
    def _as_many_weights(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.x):
            raise ValueError(f"weights must be {len(self.x)} numbers, one for each x")
        return self

    def quadrature(self, degree: int) -> tuple[Array, Array]:
        """The points and their weights, each (N,)."""
        x = np.array(self.x)
        weights = np.ones(x.size) if self.weights is None else np.array(self.weights)
        return x, weights / weights.sum()


Measure = Annotated[UniformMeasure | PointsMeasure, Field(discriminator="kind")]
