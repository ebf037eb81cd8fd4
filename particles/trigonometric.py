"""Trigonometric modes on the circle: trig(y) = (1, cos y, ..., cos K y, sin y, ..., sin K y), L = 2 K + 1 of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Trigonometric:
    """The basis trig(y) on the circle, K = `modes`."""

    modes: int

    dimension: ClassVar[int] = 1

    @property
    def size(self) -> int:
        """L, the number of functions."""
        return 2 * self.modes + 1

    def combine(self, features: Array, y: Array, order: tuple[int, ...] = (0,)) -> Array:
        """features (M, L) times the functions at y (1, P), differentiated `order` times, as (P, M)."""
        D = np.linalg.matrix_power(derivative_matrix(self.modes), order[0])
        return trig(y[0], self.modes) @ (features @ D).T


def trig(y: Array, modes: int) -> Array:
    """The modes at the angles y (...,) in radians, as (..., 2 modes + 1)."""
    phase = np.multiply.outer(y, np.arange(1, modes + 1))
    return np.concatenate([np.ones((*np.shape(y), 1)), np.cos(phase), np.sin(phase)], axis=-1)


def trig_derivative(y: Array, modes: int) -> Array:
    """d/dy of the modes at y (...,), as (..., 2 modes + 1)."""
    return trig(y, modes) @ derivative_matrix(modes).T


def derivative_matrix(modes: int) -> Array:
    """D with d/dy trig(y) = D trig(y), (2 modes + 1, 2 modes + 1)."""
    k = np.arange(1, modes + 1)
    D = np.zeros((2 * modes + 1, 2 * modes + 1))
    D[k, modes + k] = -k
    D[modes + k, k] = k
    return D
