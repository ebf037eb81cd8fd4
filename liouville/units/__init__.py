"""Units phi(x, y): on the circle, on the line, neurons on one or two inputs, and any function from Python."""

from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from liouville.units.circle import FourierUnit, ReluUnit, VonMisesUnit
from liouville.units.custom import Unit
from liouville.units.line import GaussianUnit, LinearUnit
from liouville.units.plane import ReluPlaneUnit, SigmoidUnit, TanhUnit
from particles import Ridge

Array = NDArray[np.floating]

UnitTable = Annotated[
    FourierUnit | VonMisesUnit | ReluUnit | GaussianUnit | LinearUnit | TanhUnit | SigmoidUnit | ReluPlaneUnit,
    Field(discriminator="kind"),
]


class AnyUnit(Protocol):
    """What a problem asks of a unit. x is (P,), or (P, 2) where there are two inputs; y is (N, n)."""

    @property
    def kind(self) -> str:
        """Its name in a run file."""
        ...

    @property
    def dimension(self) -> int:
        """N, the number of components of y."""
        ...

    @property
    def inputs(self) -> int:
        """Components of x, 1 or 2."""
        ...

    @property
    def circle(self) -> bool:
        """Whether x and y are angles; it then has a `degree` and a `series`, too."""
        ...

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y), (P, n)."""
        ...

    def gradient(self, x: Array, y: Array) -> Array:
        """Gradient in y, (N, P, n)."""
        ...

    def ridge(self, x: Array) -> Ridge | None:
        """phi at the nodes x as ridge functions of y, which the engine evaluates; None for a unit from Python."""
        ...


class CircleUnit(AnyUnit, Protocol):
    """A unit on the circle."""

    @property
    def degree(self) -> int:
        """Highest mode in y, at least 1."""
        ...

    def series(self, x: Array) -> Array:
        """P with phi(x, y) = P trig(y), (P, 2 degree + 1)."""
        ...


__all__ = [
    "AnyUnit",
    "CircleUnit",
    "FourierUnit",
    "GaussianUnit",
    "LinearUnit",
    "ReluPlaneUnit",
    "ReluUnit",
    "SigmoidUnit",
    "TanhUnit",
    "Unit",
    "UnitTable",
    "VonMisesUnit",
]
