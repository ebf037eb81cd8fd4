"""Units phi(x, y) on the circle, as the trigonometric series in y that the engines work with."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from liouville.model import Model, Number
from particles import trig

Array = NDArray[np.floating]


class FourierUnit(Model):
    """phi(x, y) = a_0 + 2 sum_k a_k cos k(x - y), band-limited."""

    kind: Literal["fourier"] = "fourier"
    coefficients: Annotated[tuple[Number, ...], Field(min_length=1)]

    @field_validator("coefficients")
    @classmethod
    def _some(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not 1e-50 <= max(map(abs, value)) <= 1e50:
            raise ValueError("the largest coefficient must be between 1e-50 and 1e50 in size")
        return value

    @property
    def modes(self) -> int:
        """Highest mode in y (at least 1)."""
        return max(1, len(self.coefficients) - 1)

    def series(self, x: Array) -> Array:
        """P with phi(x, y) = P trig(y) for x (N,) in radians: (N, 2 modes + 1)."""
        a = np.zeros(self.modes + 1)
        a[: len(self.coefficients)] = self.coefficients
        return trig(x, self.modes) * np.concatenate([a[:1], 2 * a[1:], 2 * a[1:]])


Unit = FourierUnit
