"""Step lengths of the adaptive pair, chosen on the mean field and then shared by all who go with it.

The classical scheme of Kutta carries with it one of order 3 for nothing: with k_5 the slope at the end of the step,
which the next step needs anyway, b = (1/6, 1/3, 1/3, 1/6 - e, e) is of order 3 for every e, and the two differ by
e dt (k_4 - k_5). Particles of all replicas take the steps that the mean field asks for: the theory of their
fluctuations then knows them, and no replica's steps depend on its own noise.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from particles import RK4, Closure
from solvers.characteristics import Rule
from solvers.frames import SolverError
from solvers.linear import one_blas_thread

Array = NDArray[np.floating]

EMBEDDED = 0.1  # e
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
BITS = 12  # of a length: rounding on another machine then does not change it


def step_lengths(
    closure: Closure, rule: Rule, stops: Array, tolerance: float, first: float, most: int
) -> tuple[Array, NDArray[np.integer]]:
    """Lengths of the steps that meet all `stops`, ascending from 0, and the number of steps to each of them.

    In each step the estimated error of a particle, sqrt(int |dz_i / (1 + |z_i|)|^2 rho), is at most `tolerance`; that
    of Kutta's scheme, which the step is taken with, is one order smaller.
    first : the length that is tried first.  most : steps at most.

    Raises SolverError where so many do not suffice.
    """
    y, c, weights = rule
    z = np.concatenate([y, c[None]])
    lengths: list[float] = []
    reached = [0]
    proposed = first
    with one_blas_thread():
        slope = _velocity(closure, z, weights)
        for start, stop in pairwise(stops):
            left = stop - start
            while left > 0:
                if len(lengths) == most:
                    raise SolverError(f"more than {most} steps to t = {stops[-1]:g}: particles.tolerance is too small")
                # two equal steps rather than one of what is left and a rest
                dt = left if proposed >= left else left / 2 if proposed > left / 2 else _rounded(proposed)
                k = [slope]
                for ahead in RK4.a[1:]:
                    k.append(_velocity(closure, z + dt * ahead * k[-1], weights))
                end = z + dt * sum(b * v for b, v in zip(RK4.b, k, strict=True))
                last = _velocity(closure, end, weights)
                scaled = EMBEDDED * dt * (k[-1] - last) / (1 + np.maximum(np.abs(z), np.abs(end)))
                error = float(np.sqrt(np.sum(scaled**2, axis=0) @ weights))
                if np.isfinite(error) and error <= tolerance:
                    lengths.append(float(dt))
                    z, slope, left = end, last, left - dt
                    if left <= 1e-12 * stop:
                        left = 0.0
                factor = SAFETY * (tolerance / max(error, 1e-300)) ** (1 / RK4.order) if np.isfinite(error) else SHRINK
                proposed = dt * min(GROW, max(SHRINK, factor))
            reached.append(len(lengths))
    return np.array(lengths), np.array(reached)


def _velocity(closure: Closure, z: Array, weights: Array) -> Array:
    """-grad V of (12) at z (N + 1, Q): -c grad U, -U."""
    y, c = z[:-1], z[-1]
    values = closure.evaluate(y)
    residual = (weights * c) @ values - closure.target
    U = values @ residual
    if not closure.moving:
        return np.concatenate([np.zeros_like(y), -U[None]])
    return np.concatenate([-c * (closure.gradients(y) @ residual).T, -U[None]])


def _rounded(length: float) -> float:
    """The length with so few bits."""
    mantissa, exponent = np.frexp(length)
    return float(np.ldexp(np.floor(mantissa * 2**BITS) / 2**BITS, exponent))
