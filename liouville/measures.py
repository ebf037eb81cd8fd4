"""The measure mu on Omega as nodes and weights; x is (P,), or (P, 2) where the unit has two inputs."""

from functools import reduce
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator
from scipy import special

from liouville.model import Componentwise, Model, Number, Numbers, Positive, Positives, one, ordered, shape

Array = NDArray[np.floating]
Nodes = Annotated[int, Field(ge=1, le=65536)]

NEGLIGIBLE = 1e-20  # Gauss-Hermite weights below this fraction of the largest are left out


class _Product(Componentwise):
    """The same rule along each input; `nodes` of them along each, or as many as the problem's integrals need."""

    nodes: Nodes | None = None

    def rule(self, count: int) -> tuple[Array, Array]:
        """Nodes and weights of one input."""
        raise NotImplementedError

    def quadrature(self, count: int, inputs: int = 1) -> tuple[Array, Array]:
        """Nodes x (P,) or (P, 2) and weights (P,), with `count` nodes along each input."""
        axes = [part.rule(count) for part in self.components(inputs)]
        weights = reduce(np.multiply.outer, (w for _, w in axes)).ravel()
        if inputs == 1:
            return axes[0][0], weights
        x = np.stack([part.ravel() for part in np.meshgrid(*(x for x, _ in axes), indexing="ij")], axis=1)
        return x, weights


class UniformMeasure(_Product):
    """The uniform probability, on the circle by equally spaced nodes, on [low, high] by Gauss-Legendre."""

    kind: Literal["uniform"] = "uniform"
    low: Numbers | None = None
    high: Numbers | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high must be given both, or neither on the circle")
        if self.low is not None and self.high is not None and not ordered(self.low, self.high):
            raise ValueError("low must be below high")
        return self

    @property
    def circle(self) -> bool:
        """Whether x is an angle."""
        return self.low is None

    def rule(self, count: int) -> tuple[Array, Array]:
        """Nodes and weights of one input."""
        if self.low is None or self.high is None:
            return np.arange(count) * (2 * np.pi / count), np.full(count, 1 / count)
        x, w = _legendre(count, one(self.low), one(self.high))
        return x, w / w.sum()


class NormalMeasure(_Product):
    """The normal law, by Gauss-Hermite nodes."""

    kind: Literal["normal"] = "normal"
    nodes: Annotated[int, Field(ge=1, le=256)] | None = None
    mean: Numbers = 0.0
    std: Positives = 1.0

    def rule(self, count: int) -> tuple[Array, Array]:
        """Nodes and weights of one input; those of weight below 1e-20 of the largest are left out."""
        u, w = special.roots_hermitenorm(count)
        u, w = u[w > NEGLIGIBLE * w.max()], w[w > NEGLIGIBLE * w.max()]
        return one(self.mean) + one(self.std) * u, w / w.sum()


class LebesgueMeasure(_Product):
    """dx on [low, high], which must hold all of phi(., y) where it is to stand for the whole line: Gauss-Legendre."""

    kind: Literal["lebesgue"] = "lebesgue"
    low: Numbers
    high: Numbers

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not ordered(self.low, self.high):
            raise ValueError("low must be below high")
        return self

    def rule(self, count: int) -> tuple[Array, Array]:
        """Nodes and weights of one input."""
        return _legendre(count, one(self.low), one(self.high))


class PointsMeasure(Model):
    """Point masses: x (radians on the circle; pairs where there are two inputs), and weights scaled to sum 1."""

    kind: Literal["points"] = "points"
    x: Annotated[
        tuple[
            Annotated[
                Annotated[Number, Tag("a number")] | Annotated[tuple[Number, Number], Tag("a list")],
                Discriminator(shape),
            ],
            ...,
        ],
        Field(min_length=1),
    ]
    weights: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.x):
            raise ValueError(f"weights must be {len(self.x)} numbers, one for each x")
        if len({isinstance(x, tuple) for x in self.x}) > 1:
            raise ValueError("x must be numbers, or pairs of numbers, but not both")
        return self

    @property
    def inputs(self) -> int:
        """Components of x."""
        return 2 if isinstance(self.x[0], tuple) else 1

    def points(self) -> tuple[Array, Array]:
        """The points, (P,) or (P, 2), and their weights, (P,)."""
        x = np.array(self.x)
        weights = np.ones(len(x)) if self.weights is None else np.array(self.weights)
        return x, weights / weights.sum()


def _legendre(count: int, low: float, high: float) -> tuple[Array, Array]:
    u, w = special.roots_legendre(count)
    return low + (high - low) * (u + 1) / 2, (high - low) * w / 2


Measure = Annotated[UniformMeasure | NormalMeasure | LebesgueMeasure | PointsMeasure, Field(discriminator="kind")]
