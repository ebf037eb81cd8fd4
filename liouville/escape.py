"""Fixed points that are not minima (section 3.1 of the paper): rho = delta_(y*, 0) with F(y*) = 0, and how it is left.

There f_0 = 0 and U = -F, so the point stays for ever. Near it eta = y - y* and c obey d(eta, c)/dt = (c F', eta . F'),
F' = grad F(y*): u = (eta . F'/|F'| + c)/2^(1/2) grows at the rate |F'|, what is perpendicular decays or rests. From a
spread s the time until the loss has fallen to a given share grows like log(1/s)/|F'|, and all of full support leave.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy
from numpy.typing import NDArray

from liouville.densities.normal import normal_nodes
from liouville.errors import InputError
from liouville.problem import Problem
from particles import RK4, descend

Array = NDArray[np.floating]

SPREADS = tuple(10.0**-k for k in range(1, 7))  # of y and of c
NODES = 48  # along y and along c
STEPS = 12  # to a time 1/|F'|
SHARE = 0.9  # of the loss of the fixed point, at which it counts as left
LINEAR = (4.0, 1e-2)  # the growth is fitted from so many starting rms of u on, up to this rms
SMALL = 1e-3  # spreads up to which the time to leave is fitted


@dataclass(frozen=True)
class Escape:
    """What left a fixed point, for each spread.

    y : (N,), the fixed point.  rate : |F'| there.  residual : |F(y*)|.
    times : (T,).  growth : (spreads, T), rms of u.  loss : (spreads, T), over that of the fixed point.
    rates : (spreads,), measured growth rates of u, NaN where it has no linear phase.
    left : (spreads,), when the loss passed SHARE, NaN where it did not.
    slope, error : of `left` in log(1/spread) for small spreads, and its standard error; 1/rate is predicted.
    """

    y: Array
    rate: float
    residual: float
    times: Array
    spreads: Array
    growth: Array
    loss: Array
    rates: Array
    left: Array
    slope: float
    error: float


def zeros(problem: Problem, count: int = 720) -> list[Array]:
    """Zeros y* of F with N = 1, between points of a scan of the box, steepest first. Raises InputError for N > 1."""
    if problem.dimension != 1:
        raise InputError("escape: fixed points are looked for with one component of y only")
    low, high = (float(end[0]) for end in problem.box)
    y = np.linspace(low, high, count + 1)
    F = problem.F(y[None])
    between = np.flatnonzero((F[:-1] * F[1:] < 0) | (F[:-1] == 0))
    found = [
        np.array([scipy.optimize.brentq(lambda at: problem.F(np.array([[at]]))[0], y[k], y[k + 1], xtol=1e-16)])
        for k in between
    ]
    return sorted(found, key=lambda at: -abs(slope_of(problem, at)))


def slope_of(problem: Problem, y: Array) -> float:
    """F'(y) for y (1,): the rate of escape from (y, 0) where F vanishes."""
    return float(problem.gradients(y[:, None])[0, 0] @ problem.projection)


def escape(problem: Problem, y: Array | None = None, spreads: tuple[float, ...] = SPREADS) -> Escape:
    """Leave the fixed point at a zero y (1,) of F, by default the steepest, from normal starts of so many spreads.

    Characteristics of (12), RK4. Raises InputError where F has no zero.
    """
    if y is None:
        candidates = zeros(problem)
        if not candidates:
            raise InputError("escape: F has no zero where y may be, hence no such fixed point")
        y = candidates[0]
    rate = slope_of(problem, y)
    sign = np.sign(rate)
    u, p = normal_nodes(NODES)
    weights = np.outer(p, p).ravel()
    steps = int(STEPS * (np.log(1 / min(spreads)) + 5))
    dt = 1 / abs(rate) / STEPS
    stuck = 0.5 * float(problem.projection @ problem.projection)
    growth, loss = [], []
    for spread in spreads:
        start_y = np.repeat(y[0] + spread * u, NODES)[None, None].copy()
        start_c = np.tile(spread * u, NODES)[None].copy()
        run = descend(
            problem.closure, start_y, start_c, weights, dt, steps, RK4, record=RK4.stages, every=1, keep=weights.size
        )
        grown = (sign * (run.y[0, :, 0] - y[0]) + run.c[0]) / np.sqrt(2)
        growth.append(np.sqrt(grown**2 @ weights))
        loss.append(0.5 * np.sum((run.coefficients[0] - problem.projection) ** 2, axis=-1) / stuck)
    times = dt * np.arange(steps + 1)
    left = np.array([_first_below(times, values, SHARE) for values in loss])
    small = np.array(spreads) <= SMALL
    slope, error = _line(np.log(1 / np.array(spreads))[small], left[small])
    rates = np.array([_growth_rate(times, values) for values in growth])
    residual = abs(float(problem.F(y[:, None])[0]))
    return Escape(
        y, abs(rate), residual, times, np.array(spreads), np.array(growth), np.array(loss), rates, left, slope, error
    )


def _growth_rate(times: Array, rms: Array) -> float:
    """Slope of log rms in time where it is linear: well above its start, still small."""
    early = np.flatnonzero((rms >= LINEAR[0] * rms[0]) & (rms <= LINEAR[1]))
    if early.size < 4 or np.any(np.diff(early) != 1):
        return float("nan")
    return float(np.polyfit(times[early], np.log(rms[early]), 1)[0])


def _first_below(times: Array, values: Array, level: float) -> float:
    """When `values` pass `level`, between two times by an exponential of 1 - value; NaN where they do not."""
    below = np.flatnonzero(values < level)
    if not below.size or below[0] == 0:
        return float("nan")
    k = int(below[0])
    before, after, wanted = (np.log(max(1 - value, 1e-300)) for value in (values[k - 1], values[k], level))
    return float(times[k - 1] + (wanted - before) / (after - before) * (times[k] - times[k - 1]))


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope of a line through the points that are there, and its standard error."""
    known = np.isfinite(y)
    if known.sum() < 3:
        return float("nan"), float("nan")
    fit, covariance = cast(tuple[Array, Array], np.polyfit(x[known], y[known], 1, cov=True))
    return float(fit[0]), float(np.sqrt(covariance[0, 0]))
