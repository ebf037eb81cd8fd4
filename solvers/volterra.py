"""Volterra equations of the second kind, g(t) = h(t) - int_0^t Gamma(t, s) g(s) ds, on a grid of times."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def integration_weights(times: Array, width: int) -> Array:
    """W with int_0^(t_i) f ds = sum_j W[i, j] f(t_j), (T, T).

    In each interval f is interpolated by the polynomial through the `width` nearest points, so the rule is of order
    `width`; near both ends the points lie to one side, and W reaches up to width/2 - 1 points past t_i.
    """
    count = times.size
    width = min(width, count)
    powers = np.arange(width)
    increments = np.zeros((count, count))
    for j in range(count - 1):
        length = times[j + 1] - times[j]
        first = min(max(j - (width // 2 - 1), 0), count - width)
        points = (times[first : first + width] - times[j]) / length
        exact = length / (powers + 1.0)  # int_0^1 s^k ds
        increments[j + 1, first : first + width] = np.linalg.solve((points[:, None] ** powers).T, exact)
    return np.cumsum(increments, axis=0)


def euler_weights(times: Array) -> Array:
    """W of the same sum as Euler's scheme has it, the value at the start of each step for the whole step."""
    return np.tril(np.broadcast_to(np.append(np.diff(times), 0.0), (times.size, times.size)), -1)


def resolvent(kernel: Array, weights: Array) -> Array:
    """R with g = R h on the time grid: the inverse of 1 + [W_ts Gamma(t, s)].

    kernel : Gamma, (T, M, T, M).  weights : W, (T, T).  Returns (T, M, T, M).
    """
    T, M = kernel.shape[:2]
    system = np.eye(T * M) + (weights[:, None, :, None] * kernel).reshape(T * M, T * M)
    return np.linalg.inv(system).reshape(T, M, T, M)
