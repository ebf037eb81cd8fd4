"""Units phi(x, y) of x and y on the line."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from liouville.model import Model, Positive
from particles import Ridge

Array = NDArray[np.floating]


class _LineUnit(Model):
    dimension: ClassVar[int] = 1
    inputs: ClassVar[int] = 1
    circle: ClassVar[bool] = False


class GaussianUnit(_LineUnit):
    """phi(x, y) = N(x; y, width^2), the normal density with standard deviation `width`."""

    kind: Literal["gaussian"] = "gaussian"
    width: Positive

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y) for x (P,), y (1, n): (P, n)."""
        u = (x[:, None] - y[0]) / self.width
        return np.exp(-(u**2) / 2) / (self.width * np.sqrt(2 * np.pi))

    def ridge(self, x: Array) -> Ridge:
        """phi at the nodes x (P,) as ridge functions."""
        return Ridge(-np.ones((len(x), 1)), x, "gaussian", (self.width, 1 / (self.width * np.sqrt(2 * np.pi))))

    def gradient(self, x: Array, y: Array) -> Array:
        """d phi/dy, (1, P, n)."""
        return ((x[:, None] - y[0]) / self.width**2 * self.phi(x, y))[None]


class LinearUnit(_LineUnit):
    """phi(x, y) = x y: rank one, and a Gaussian rho stays Gaussian."""

    kind: Literal["linear"] = "linear"

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y) for x (P,), y (1, n): (P, n)."""
        return np.multiply.outer(x, y[0])

    def ridge(self, x: Array) -> Ridge:
        """phi at the nodes x (P,) as ridge functions."""
        return Ridge(x[:, None], np.zeros(len(x)), "identity")

    def gradient(self, x: Array, y: Array) -> Array:
        """d phi/dy, (1, P, n)."""
        return np.repeat(x[:, None], y.shape[1], axis=1)[None]
