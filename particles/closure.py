"""What the engines know of unit, target and measure: features in trigonometric modes and the target's coefficients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Closure:
    """U(y) = psi(y) . r with psi(y) = T trig(y) in R^M and r = int c psi drho - b.

    features : T, (M, L), such that phi(x, y) = sum_j e_j(x) psi_j(y) with e_j orthonormal in L^2(mu).
    target : b, (M,), the coefficients of f on the e_j.
    """

    features: Array
    target: Array

    @property
    def modes(self) -> int:
        """K of trig(y), L = 2 K + 1."""
        return (self.features.shape[1] - 1) // 2

    @property
    def coupling(self) -> Array:
        """S of U(y) = (S m + q) . trig(y), (L, L); m the trigonometric moments of c."""
        return self.features.T @ self.features

    @property
    def field(self) -> Array:
        """q of U(y) = (S m + q) . trig(y), (L,)."""
        return -self.features.T @ self.target

    def coefficients(self, moments: Array) -> Array:
        """Coefficients of the representation, int c psi drho (..., M), from the moments (..., L)."""
        return moments @ self.features.T

    def potential(self, moments: Array) -> Array:
        """u of U(y) = u . trig(y), (..., L), from the moments (..., L)."""
        return moments @ self.coupling + self.field
