"""The central limit theorem (Prop. 3.2), computed: n^(1/2) (f_n - f_0) -> a Gaussian process with covariance C.

Particles carried by the mean field alone are independent; a perturbation of the initial measure moves f by g, where

    g_t = h_t - int_0^t Gamma(t, s) g_s ds,     h_t = int Phi(Z_t(z), .) (perturbation)(dz),
    Gamma(t, s) = int grad Phi(Z_t)^T J_t J_s^-1 grad Phi(Z_s) rho_in(dz),     Gamma(t, t) = M of (16),

J = dZ_t/dz the tangent flow: h is what independent particles would do, the integral how the others respond. On a time
grid g = R h with one matrix R for all times, hence C(s, t) = R S R^T with S the covariance of h over rho_in, and the
path of every replica, l_n = R (h_n - f_0).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from particles import Closure
from solvers.characteristics import MeanField, Nodes
from solvers.linear import add_product, one_blas_thread
from solvers.sources import sources
from solvers.volterra import resolvent

Array = NDArray[np.floating]

BLOCK = 1024  # quadrature nodes whose A and B are held at once
WIDTH = 8  # points of the interpolation in time
MAX_NY = 4096


@dataclass(frozen=True)
class Fluctuations:
    """C for all pairs of times and the operator R that makes the path of a replica.

    times : (T,), the Volterra grid.  resolvent : R, (T, M, T, M).  covariance : C, (T, M, T, M).
    kernel_diagonal : M of (16) at every time, (T, M, M).
    trace_error : (T,), estimated error of tr C(t, t).
    """

    times: Array
    resolvent: Array
    covariance: Array
    kernel_diagonal: Array
    trace_error: Array
    Ny: int
    Nc: int

    @property
    def trace(self) -> Array:
        """tr C(t, t) at every time, (T,)."""
        return np.einsum("titi->t", self.covariance)


FlowMap = Callable[[Closure, MeanField, Array, Array, int], tuple[Array, Array, Array]]


def solve(
    closure: Closure,
    nodes: Nodes,
    coarse: MeanField,
    fine: MeanField,
    every: int,
    *,
    tolerance: float = 1e-3,
    flow: FlowMap = sources,
) -> Fluctuations:
    """C and R on every `every`-th step of the mean field `coarse`; the step of `fine` is half of it.

    Nodes along y are doubled until the relative error estimate of the trace meets `tolerance` or MAX_NY is reached.
    The estimate adds four parts: the nodes along y (the change from half as many, times its ratio to the change from a
    quarter: convergence is exponential), half as many again along c, half the step, and two points fewer in the
    interpolation in time; the middle two are measured on fewer nodes along y.
    """
    Ny, Nc = 1024, 16
    while True:
        with one_blas_thread():
            result = _estimate(closure, nodes, coarse, fine, every, Ny, Nc, flow)
        scale = np.maximum(result.trace, 1e-300)
        if np.max(result.trace_error / scale) <= tolerance or Ny >= MAX_NY:
            return result
        Ny *= 2


def _estimate(
    closure: Closure,
    nodes: Nodes,
    coarse: MeanField,
    fine: MeanField,
    every: int,
    Ny: int,
    Nc: int,
    flow: FlowMap,
) -> Fluctuations:
    y, c, p = (a.reshape(Ny, -1) for a in nodes(Ny, Nc))
    quarters = [
        _gather(closure, coarse, y[i::4].ravel(), c[i::4].ravel(), p[i::4].ravel(), every, flow) for i in range(4)
    ]
    dt = coarse.dt * every
    times = np.arange(quarters[0][0].shape[0]) * dt

    def result(parts: list[int], width: int = WIDTH) -> Fluctuations:
        gamma, second, mean = (np.sum([quarters[i][k] for i in parts], axis=0) * (4 / len(parts)) for k in range(3))
        return _solve(times, gamma, second, mean, width)

    full, half, quarter = result([0, 1, 2, 3]), result([0, 2]), result([0])
    narrow = result([0, 1, 2, 3], max(2, min(WIDTH, times.size) - 2))
    more_c = _solve(times, *_gather(closure, coarse, *nodes(Ny // 2, 3 * Nc // 2), every, flow), WIDTH)
    half_step = _solve(times, *_gather(closure, fine, *nodes(Ny // 4, Nc), 2 * every, flow), WIDTH)
    moved_half = np.abs(half.trace - full.trace)
    moved_quarter = np.abs(quarter.trace - full.trace)
    ratio = np.minimum(1.0, moved_half / np.maximum(moved_quarter, 1e-300))
    error = ratio * moved_half + np.abs(narrow.trace - full.trace)
    error += np.abs(more_c.trace - half.trace) + np.abs(half_step.trace - quarter.trace)
    return replace(full, trace_error=error, Ny=Ny, Nc=Nc)


def _gather(
    closure: Closure, field: MeanField, y: Array, c: Array, p: Array, every: int, flow: FlowMap
) -> tuple[Array, Array, Array]:
    """Gamma (T, M, T, M), int h h' rho_in (T, M, T, M) and int h rho_in (T, M), summed over blocks of nodes."""
    steps = field.field.shape[0] // field.tableau.stages
    T, M = steps // every + 1, closure.target.size
    gamma, second, mean = np.zeros((T * M, T * M)), np.zeros((T * M, T * M)), np.zeros(T * M)
    for low in range(0, y.size, BLOCK):
        block = slice(low, low + BLOCK)
        h, A, B = (values.reshape(T * M, -1) for values in flow(closure, field, y[block], c[block], every))
        add_product(gamma, A, np.repeat(p[block], 2) * B)
        add_product(second, h * p[block], h)
        mean += h @ p[block]
    shape = (T, M, T, M)
    return gamma.reshape(shape), second.reshape(shape), mean.reshape(T, M)


def _solve(times: Array, gamma: Array, second: Array, mean: Array, width: int) -> Fluctuations:
    T, M = mean.shape
    R = resolvent(gamma, times[1] - times[0], width)
    flat = R.reshape(T * M, T * M)
    S = second.reshape(T * M, T * M) - np.outer(mean, mean)
    C = flat @ S @ flat.T
    C = 0.5 * (C + C.T)
    diagonal = np.einsum("titj->tij", gamma)
    return Fluctuations(times, R, C.reshape(T, M, T, M), diagonal, np.zeros(T), 0, 0)
