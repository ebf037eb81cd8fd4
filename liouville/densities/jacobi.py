"""Gauss-Jacobi quadrature for symmetric beta laws."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.floating]


@cache
def jacobi_nodes(count: int, exponent: float) -> tuple[Array, Array]:
    """Nodes on [-1, 1] and weights summing to 1 for the density proportional to (1 - u^2)^exponent, both read-only."""
    u, w = special.roots_jacobi(count, exponent, exponent)
    w = w / w.sum()
    u.setflags(write=False)
    w.setflags(write=False)
    return u, w
