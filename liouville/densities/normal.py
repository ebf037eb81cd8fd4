"""Quadrature for the standard normal law."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TAIL = 8.2  # standard deviations that hold all but 3e-16 of a normal law


def normal_nodes(count: int) -> tuple[Array, Array]:
    """Trapezoid on [-R, R], weights summing to 1, R where the tails weigh about as much as what the nodes alias.

    12, 16, 20, 24 nodes integrate cos u to 3e-7, 3e-10, 3e-13, 1e-16; Gauss-Legendre on 8 standard deviations needs
    about twice as many. Never more nodes than asked for: who refines a rule until nothing moves must not be given the
    same one twice.
    """
    reach = min(TAIL, 0.9 * np.sqrt(np.pi * (count - 1)))
    u = np.linspace(-reach, reach, count)
    w = np.exp(-(u**2) / 2)
    return u, w / w.sum()
