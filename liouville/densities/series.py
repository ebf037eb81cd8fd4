"""Fourier series of the run file."""

import numpy as np
from numpy.typing import NDArray

from liouville.model import Model, Number
from particles import trig

Array = NDArray[np.floating]


class FourierSeries(Model):
    """constant + sum_k cos_k cos(k y) + sin_k sin(k y), k = 1, 2, ..."""

    constant: Number = 0.0
    cos: tuple[Number, ...] = ()
    sin: tuple[Number, ...] = ()

    @property
    def degree(self) -> int:
        """The highest mode present."""
        present = [k for series in (self.cos, self.sin) for k, a in enumerate(series, 1) if a != 0]
        return max(present, default=0)

    @property
    def reach(self) -> tuple[float, float]:
        """An interval that holds all its values: the constant plus or minus the sum of the amplitudes."""
        count = max(len(self.cos), len(self.sin))
        cos, sin = (np.pad(series, (0, count - len(series))) for series in (self.cos, self.sin))
        size = float(np.hypot(cos, sin).sum())
        return self.constant - size, self.constant + size

    def __call__(self, y: Array) -> Array:
        """Its values at y (...,) in radians."""
        modes = max(len(self.cos), len(self.sin), 1)
        coefficients = np.zeros(2 * modes + 1)
        coefficients[0] = self.constant
        coefficients[1 : len(self.cos) + 1] = self.cos
        coefficients[modes + 1 : modes + len(self.sin) + 1] = self.sin
        return trig(np.asarray(y), modes) @ coefficients
