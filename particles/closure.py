"""What the engines know of unit, target and measure: features in a basis of functions and the target's coefficients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from particles.ridge import Ridge
from particles.splines import Splines
from particles.trigonometric import Trigonometric

Array = NDArray[np.floating]
Basis = Trigonometric | Splines | Ridge


@dataclass(frozen=True)
class Closure:
    """U(y) = psi(y) . r with psi(y) = T basis(y) in R^M and r = int c psi drho - b, for y in R^N.

    features : T, (M, L), such that phi(x, y) = sum_j e_j(x) psi_j(y) with e_j orthonormal in L^2(mu).
    target : b, (M,), the coefficients of f on the e_j.
    moving : whether y moves; if not, only c does (a random-feature model).

    Raises ValueError where the shapes do not fit.
    """

    basis: Basis
    features: Array
    target: Array
    moving: bool = True

    def __post_init__(self) -> None:
        if self.features.shape != (*self.target.shape, self.basis.size):
            raise ValueError(
                f"features {self.features.shape} do not fit {self.basis.size} functions and target {self.target.shape}"
            )

    @property
    def dimension(self) -> int:
        """N."""
        return self.basis.dimension

    def evaluate(self, y: Array) -> Array:
        """psi at y (N, n), as (n, M)."""
        return self._derivative(y)

    def gradients(self, y: Array) -> Array:
        """grad psi at y (N, n), as (n, N, M)."""
        return np.stack([self._derivative(y, a) for a in range(self.dimension)], axis=1)

    def hessians(self, y: Array) -> Array:
        """grad grad psi at y (N, n), as (n, N, N, M)."""
        N = self.dimension
        upper = {(a, b): self._derivative(y, a, b) for a in range(N) for b in range(a, N)}
        rows = [np.stack([upper[min(a, b), max(a, b)] for b in range(N)], axis=1) for a in range(N)]
        return np.stack(rows, axis=1)

    def potential(self, residuals: Array) -> Array:
        """u of U(y) = u . basis(y), (..., L), from residuals r (..., M)."""
        return residuals @ self.features

    def _derivative(self, y: Array, *axes: int) -> Array:
        order = tuple(axes.count(a) for a in range(self.dimension))
        return self.basis.combine(self.features, np.asarray(y), order)
