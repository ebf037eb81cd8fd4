"""The central limit theorem (Prop. 3.2), computed: n^(1/2) (f_n - f_0) -> a Gaussian process with covariance C.

Particles carried by the mean field alone are independent; a perturbation of the initial measure moves f by g, where

    g_t = h_t - int_0^t Gamma(t, s) g_s ds,     h_t = int Phi(Z_t(z), .) (perturbation)(dz),
    Gamma(t, s) = int grad Phi(Z_t)^T J_t J_s^-1 grad Phi(Z_s) rho_in(dz),     Gamma(t, t) = M of (16),

J = dZ_t/dz the tangent flow: h is what independent particles would do, the integral how the others respond. On a time
grid g = R h with one matrix R for all times, hence C(s, t) = R S R^T with S the covariance of h over rho_in, and the
path of every replica, l_n = R (h_n - f_0).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from particles import Closure, Tableau, Trigonometric
from solvers.characteristics import MeanField, Nodes, Rule
from solvers.linear import add_product, one_blas_thread
from solvers.sources import sources
from solvers.volterra import euler_weights, integration_weights, resolvent

Array = NDArray[np.floating]

BLOCK = 1024  # quadrature nodes whose A and B are held at once, at most
HELD = 2**24  # numbers of h held at once
WIDTH = 8  # points of the interpolation in time
# By N: nodes along each axis of y to begin with and at most, nodes along c, and rows of Gamma, times by features.
CIRCLE = (1024, 4096, 16, 2000)
BOX = {1: (256, 2048, 16, 2000), 2: (32, 96, 12, 1000), 3: (12, 32, 12, 700)}


@dataclass(frozen=True)
class Fluctuations:
    """C for all pairs of times and the operator R that makes the path of a replica.

    The features are the first M' of M, see `solve`.

    times : (T,), the Volterra grid.  resolvent : R, (T, M', T, M').  covariance : C, (T, M', T, M').
    kernel_diagonal : Gamma(t, t), (T, M', M'): M of (16), for the scheme of Euler to O(dt).
    trace_error : (T,), estimated error of tr C(t, t), `neglected` included.
    neglected : (T,), the trace of the covariance of h on the features left out.
    """

    times: Array
    resolvent: Array
    covariance: Array
    kernel_diagonal: Array
    trace_error: Array
    neglected: Array
    Ny: int
    Nc: int

    @property
    def features(self) -> int:
        """M', how many features were used."""
        return self.covariance.shape[1]

    @property
    def trace(self) -> Array:
        """tr C(t, t) at every time, (T,)."""
        return np.einsum("titi->t", self.covariance)


Grid = NDArray[np.integer]
FlowMap = Callable[[Closure, MeanField, Array, Array, Grid, int | None], tuple[Array, Array, Array]]
Sums = tuple[Array, ...]  # Gamma, int h h', int h on the features used; int |h|^2 and int h on those left out


def solve(
    closure: Closure,
    nodes: Nodes,
    coarse: MeanField,
    fine: MeanField | None,
    grid: Grid,
    *,
    tolerance: float = 1e-3,
    most: int | None = None,
    flow: FlowMap = sources,
) -> Fluctuations:
    """C and R after the steps `grid` (T,), from 0 on, of the mean field `coarse`; the steps of `fine` are half of its.

    Where the scheme is Euler's, `grid` must be all its steps, and C and R are those of the discrete scheme itself:
    there is no error of time, and `fine` is None.

    Of the closure's features, sorted by importance, so many of the first are used that times by features stay within
    `most` (by default 2000 for N = 1, 1000 and 700 for N = 2 and 3). The mean field has them all.

    Nodes along y are refined until the relative error estimate of the trace meets `tolerance` or their limit is
    reached. The estimate adds the change from fewer nodes along y, times its ratio to the change from fewer still
    (convergence is exponential); half as many again along c, half the step, and two points fewer in the interpolation
    in time, the first two measured on fewer nodes along y; and what the neglected features contribute to the trace of
    h, what free particles do: the response damps it, as a rule.
    """
    problem = _Problem(closure, nodes, coarse, fine, grid, _features(closure, grid.size, most), flow)
    Ny, limit, Nc, _ = _sizes(closure)
    while True:
        with one_blas_thread():
            result = problem.estimate(Ny, Nc)
        scale = np.maximum(result.trace, 1e-300)
        if np.max((result.trace_error - result.neglected) / scale) <= tolerance or Ny >= limit:
            return result
        Ny = min(problem.finer(Ny), limit)


def on_rule(
    closure: Closure, known: MeanField, rule: Rule, grid: Grid, features: int, flow: FlowMap = sources
) -> tuple[Fluctuations, Array]:
    """C and R on these nodes alone, without error estimates, and int h (T, M'); within `one_blas_thread`."""
    problem = _Problem(closure, lambda Ny, Nc: rule, known, known, grid, features, flow)
    sums = problem.gather(known, rule, grid)
    return problem.result(sums), sums[2]


def response_weights(tableau: Tableau, times: Array, width: int = WIDTH) -> Array:
    """W of int_0^t Gamma(t, s) g_s ds: interpolation of order `width`, or Euler's own sum."""
    return euler_weights(times) if tableau.order == 1 else integration_weights(times, width)


def _sizes(closure: Closure) -> tuple[int, int, int, int]:
    return CIRCLE if isinstance(closure.basis, Trigonometric) else BOX[closure.dimension]


def _features(closure: Closure, times: int, most: int | None) -> int:
    """M', the features that can be afforded."""
    return min(closure.target.size, max(1, (_sizes(closure)[3] if most is None else most) // times))


@dataclass(frozen=True)
class _Problem:
    """What stays the same while nodes are refined, and the sums over nodes already made."""

    closure: Closure
    nodes: Nodes
    coarse: MeanField
    fine: MeanField | None
    grid: Grid
    features: int
    flow: FlowMap
    made: dict[int, Sums] = field(default_factory=dict)

    @property
    def times(self) -> Array:
        """The Volterra grid."""
        return self.coarse.times[self.grid]

    def finer(self, Ny: int) -> int:
        """The next number of nodes along an axis of y."""
        return 2 * Ny if self.closure.dimension == 1 else 3 * Ny // 2

    def fewer(self, Ny: int) -> int:
        """The number before."""
        return Ny // 2 if self.closure.dimension == 1 else 2 * Ny // 3

    def estimate(self, Ny: int, Nc: int) -> Fluctuations:
        """C and R on so many nodes, with the error estimate."""
        less, least = self.fewer(Ny), self.fewer(self.fewer(Ny))
        sums = self.quarters(Ny, Nc) if isinstance(self.closure.basis, Trigonometric) else self.levels(Ny, Nc)
        full, half, quarter = (self.result(level) for level in sums)
        more_c = self.result(self.gather(self.coarse, self.nodes(less, 3 * Nc // 2), self.grid))
        moved, moved_more = np.abs(half.trace - full.trace), np.abs(quarter.trace - full.trace)
        error = np.minimum(1.0, moved / np.maximum(moved_more, 1e-300)) * moved
        error += np.abs(more_c.trace - half.trace)
        if self.fine is not None:
            narrow = self.result(sums[0], max(2, min(WIDTH, self.times.size) - 2))
            half_step = self.result(self.gather(self.fine, self.nodes(least, Nc), 2 * self.grid))
            error += np.abs(narrow.trace - full.trace) + np.abs(half_step.trace - quarter.trace)
        return replace(full, trace_error=error + full.neglected, Ny=Ny, Nc=Nc)

    def quarters(self, Ny: int, Nc: int) -> list[Sums]:
        """Sums over all nodes, half and a quarter: on the circle part of a trapezoid rule is one itself."""
        y, c, p = self.nodes(Ny, Nc)
        y, c, p = y.reshape(1, Ny, -1), c.reshape(Ny, -1), p.reshape(Ny, -1)
        parts = []
        for i in range(4):
            rule = y[:, i::4].reshape(1, -1), c[i::4].ravel(), p[i::4].ravel()
            parts.append(self.gather(self.coarse, rule, self.grid))

        def of(some: list[int]) -> Sums:
            return tuple(np.sum([parts[i][k] for i in some], axis=0) * (4 / len(some)) for k in range(5))

        return [of([0, 1, 2, 3]), of([0, 2]), of([0])]

    def levels(self, Ny: int, Nc: int) -> list[Sums]:
        """Sums over the nodes of this rule and the two before, each made once."""
        counts = Ny, self.fewer(Ny), self.fewer(self.fewer(Ny))
        for count in counts:
            if count not in self.made:
                self.made[count] = self.gather(self.coarse, self.nodes(count, Nc), self.grid)
        return [self.made[count] for count in counts]

    def gather(self, known: MeanField, rule: Rule, grid: Grid) -> Sums:
        """Gamma, int h h' (T, M', T, M') and int h (T, M'); int |h|^2 (T,) and int h of the rest: blocks of nodes."""
        y, c, p = rule
        T, M, rest = self.times.size, self.features, self.closure.target.size - self.features
        gamma, second, mean = np.zeros((T * M, T * M)), np.zeros((T * M, T * M)), np.zeros(T * M)
        square, mean_rest = np.zeros(T), np.zeros((T, rest))
        size = max(64, min(BLOCK, HELD // (T * (M + rest))))
        for low in range(0, c.size, size):
            block = slice(low, low + size)
            h, A, B = self.flow(self.closure, known, y[:, block], c[block], grid, M)
            used = h[:, :M].reshape(T * M, -1)
            add_product(gamma, A.reshape(T * M, -1), np.repeat(p[block], A.shape[-1]) * B.reshape(T * M, -1))
            add_product(second, used * p[block], used)
            mean += used @ p[block]
            square += np.einsum("tmq,tmq,q->t", h[:, M:], h[:, M:], p[block])
            mean_rest += h[:, M:] @ p[block]
        shape = (T, M, T, M)
        return gamma.reshape(shape), second.reshape(shape), mean.reshape(T, M), square, mean_rest

    def result(self, sums: Sums, width: int = WIDTH) -> Fluctuations:
        """C and R from the sums over nodes."""
        gamma, second, mean, square, mean_rest = sums
        T, M = mean.shape
        times = self.times
        R = resolvent(gamma, response_weights(self.coarse.tableau, times, width))
        flat = R.reshape(T * M, T * M)
        C = flat @ (second.reshape(T * M, T * M) - np.outer(mean, mean)) @ flat.T
        C = (0.5 * (C + C.T)).reshape(T, M, T, M)
        neglected = np.maximum(square - np.sum(mean_rest**2, axis=1), 0.0)
        return Fluctuations(times, R, C, np.einsum("titj->tij", gamma), np.zeros(T), neglected, 0, 0)
