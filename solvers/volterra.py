"""Volterra equations of the second kind, g(t) = h(t) - int_0^t Gamma(t, s) g(s) ds, on a uniform grid of times."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def integration_weights(count: int, dt: float, width: int) -> Array:
    """W with int_0^(t_i) f ds = sum_j W[i, j] f(t_j) on t_j = j dt, (count, count).

    In each interval f is interpolated by the polynomial through the `width` nearest points, so the rule is of order
    `width`; near both ends the points lie to one side, and W reaches up to width/2 - 1 points past t_i.
    """
    width = min(width, count)
    powers = np.arange(width)
    increments = np.zeros((count, count))
    for j in range(count - 1):
        first = min(max(j - (width // 2 - 1), 0), count - width)
        points = np.arange(first, first + width) - j
        exact = 1.0 / (powers + 1.0)  # int_0^1 s^k ds
        increments[j + 1, first : first + width] = np.linalg.solve((points[:, None] ** powers).T.astype(float), exact)
    return dt * np.cumsum(increments, axis=0)


def resolvent(kernel: Array, dt: float, width: int) -> Array:
    """R with g = R h on the time grid: the inverse of 1 + [W_ts Gamma(t, s)].

    kernel : Gamma, (T, M, T, M).  Returns (T, M, T, M).
    """
    T, M = kernel.shape[:2]
    W = integration_weights(T, dt, width)
    system = np.eye(T * M) + (W[:, None, :, None] * kernel).reshape(T * M, T * M)
    return np.linalg.inv(system).reshape(T, M, T, M)
