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

BLOCK = 2048  # quadrature nodes whose A and B are held at once, at most
HELD = 2**24  # numbers of h held at once
AFFORDABLE = 1e11  # multiplications, two or three seconds
FLOOR = 1e-6  # of the largest trace, below which relative errors are not asked for
WIDTH = 10  # points of the interpolation in time
# By N: nodes along each axis of y to begin with and at most, nodes along c, and rows of Gamma, times by features.
CIRCLE = (512, 4096, 16, 2000)
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
    aim: float = 1e-7,
    most: int | None = None,
    flow: FlowMap = sources,
) -> Fluctuations:
    """C and R after the steps `grid` (T,), from 0 on, of the mean field `coarse`; the steps of `fine` are half of its.

    Where the scheme is Euler's, `grid` must be all its steps, and C and R are those of the discrete scheme itself:
    there is no error of time, and `fine` is None.

    Of the closure's features, sorted by importance, so many of the first are used that times by features stay within
    `most` (by default 2000 for N = 1, 1000 and 700 for N = 2 and 3). The mean field has them all.

    Nodes along y are refined until the relative error estimate of the trace meets `tolerance` or their limit is
    reached; beyond, until their part of it meets `aim`, as long as that is cheap (AFFORDABLE). The estimate adds the
    change from fewer nodes along y, times its ratio to the change from fewer still (convergence is exponential); the
    same along c, on the fewer nodes along y; half the step, on the fewest; two points fewer in the interpolation in
    time; and what the neglected features contribute to the trace of h, what free particles do: the response damps it,
    as a rule.
    """
    problem = _Problem(closure, nodes, coarse, fine, grid, _features(closure, grid.size, most), flow)
    Ny, limit, Nc, _ = _sizes(closure)
    with one_blas_thread():
        while True:
            finer = min(problem.finer(Ny), limit)
            wanted = aim if problem.work(finer, Nc) <= AFFORDABLE else tolerance
            if finer == Ny or problem.along_y(Ny, Nc) <= wanted:
                found = problem.estimate(Ny, Nc)
                if finer == Ny or _largest(found.trace_error - found.neglected, found.trace) <= tolerance:
                    return found
            Ny = finer


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


def _along_c(Nc: int) -> tuple[int, int]:
    """Fewer nodes along c, and fewer still, that the error is estimated from."""
    return 3 * Nc // 4, Nc // 2


def _remainder(full: Array, half: Array, quarter: Array) -> Array:
    """What is left of the trace where the changes by more nodes fall as they did, (T,)."""
    last, before = np.abs(half - full), np.abs(quarter - half)
    return np.asarray(np.minimum(1.0, last / np.maximum(before, 1e-300)) * last)


def _largest(error: Array, trace: Array) -> float:
    """Relative error, where the trace has not almost vanished."""
    return float(np.max(error / np.maximum(trace, max(FLOOR * trace.max(), 1e-300))))


@dataclass(frozen=True)
class _Problem:
    """What stays the same while nodes are refined, and what was made already."""

    closure: Closure
    nodes: Nodes
    coarse: MeanField
    fine: MeanField | None
    grid: Grid
    features: int
    flow: FlowMap
    made: dict[int, Array] = field(default_factory=dict)  # traces, by nodes along y
    latest: dict[int, Sums] = field(default_factory=dict)  # the sums of the last one

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

    def work(self, Ny: int, Nc: int) -> float:
        """Multiplications for the sums over so many nodes."""
        N = self.closure.dimension
        return float((N + 2) * (self.times.size * self.features) ** 2 * Ny**N * Nc)

    def along_y(self, Ny: int, Nc: int) -> float:
        """The largest relative error of the trace that is due to nodes along y."""
        full, half, quarter = self.traces(Ny, Nc)
        return _largest(_remainder(full, half, quarter), full)

    def estimate(self, Ny: int, Nc: int) -> Fluctuations:
        """C and R on so many nodes, with the error estimate."""
        least = self.fewer(self.fewer(Ny))
        full, half, quarter = self.traces(Ny, Nc)
        fewer, fewest = (
            self.trace(self.gather(self.coarse, self.nodes(self.fewer(Ny), n), self.grid)) for n in _along_c(Nc)
        )
        error = _remainder(full, half, quarter) + _remainder(half, fewer, fewest)
        if self.fine is not None:
            narrow = self.trace(self.latest[Ny], max(2, min(WIDTH, self.times.size) - 2))
            half_step = self.trace(self.gather(self.fine, self.nodes(least, Nc), 2 * self.grid))
            error += np.abs(narrow - full) + np.abs(half_step - quarter)
        made = self.result(self.latest[Ny])
        return replace(made, trace_error=error + made.neglected, Ny=Ny, Nc=Nc)

    def traces(self, Ny: int, Nc: int) -> list[Array]:
        """On the nodes of this rule and the two before, (T,) each, each made once."""
        for count in (self.fewer(self.fewer(Ny)), self.fewer(Ny), Ny):
            if count not in self.made:
                sums = self.sums(count, Nc)
                self.latest.clear()
                self.latest[count] = sums
                self.made[count] = self.trace(sums)
        return [self.made[count] for count in (Ny, self.fewer(Ny), self.fewer(self.fewer(Ny)))]

    def sums(self, Ny: int, Nc: int) -> Sums:
        """Over the nodes of a rule. Every second one of a trapezoid rule on the circle is that of half as many."""
        y, c, p = self.nodes(Ny, Nc)
        before = self.latest.get(Ny // 2)
        if before is None or not isinstance(self.closure.basis, Trigonometric):
            return self.gather(self.coarse, (y, c, p), self.grid)
        y, c, p = y.reshape(Ny, Nc)[1::2], c.reshape(Ny, Nc)[1::2], p.reshape(Ny, Nc)[1::2]
        between = self.gather(self.coarse, (y.reshape(1, -1), c.ravel(), p.ravel()), self.grid)
        return tuple(0.5 * old + new for old, new in zip(before, between, strict=True))

    def gather(self, known: MeanField, rule: Rule, grid: Grid) -> Sums:
        """Gamma, int h h' (T, M', T, M') and int h (T, M'); int |h|^2 (T,) and int h of the rest: blocks of nodes.

        Gamma(t, s) only as far as the weights of int_0^t reach, up to WIDTH times past t.
        """
        y, c, p = rule
        T, M, rest = self.times.size, self.features, self.closure.target.size - self.features
        gamma, second, mean = np.zeros((T * M, T * M)), np.zeros((T * M, T * M)), np.zeros(T * M)
        square, mean_rest = np.zeros(T), np.zeros((T, rest))
        size = max(64, min(BLOCK, HELD // (T * (M + rest))))
        for low in range(0, c.size, size):
            block = slice(low, low + size)
            h, A, B = self.flow(self.closure, known, y[:, block], c[block], grid, M)
            used = h[:, :M].reshape(T * M, -1)
            add_product(gamma, A.reshape(T * M, -1), (p[block] * B).reshape(T * M, -1), WIDTH * M)
            add_product(second, used * p[block], used, 0)
            mean += used @ p[block]
            square += np.einsum("tmq,tmq,q->t", h[:, M:], h[:, M:], p[block])
            mean_rest += h[:, M:] @ p[block]
        shape = (T, M, T, M)
        second = np.tril(second) + np.tril(second, -1).T
        return gamma.reshape(shape), second.reshape(shape), mean.reshape(T, M), square, mean_rest

    def trace(self, sums: Sums, width: int = WIDTH) -> Array:
        """tr C(t, t) from the sums over nodes, (T,)."""
        R, moved = self.responses(sums, width)
        return np.asarray(np.sum((moved * R).reshape(self.times.size, -1), axis=1))

    def result(self, sums: Sums) -> Fluctuations:
        """C and R from the sums over nodes."""
        gamma, _, mean, square, mean_rest = sums
        shape = gamma.shape
        R, moved = self.responses(sums, WIDTH)
        C = np.zeros(R.shape)
        add_product(C, moved, R)
        C = (0.5 * (C + C.T)).reshape(shape)
        neglected = np.maximum(square - np.sum(mean_rest**2, axis=1), 0.0)
        return Fluctuations(
            self.times, R.reshape(shape), C, np.einsum("titj->tij", gamma), np.zeros(len(mean)), neglected, 0, 0
        )

    def responses(self, sums: Sums, width: int) -> tuple[Array, Array]:
        """R and R S as matrices of T M' rows, S the covariance of h."""
        gamma, second, mean, _, _ = sums
        size = mean.size
        R = resolvent(gamma, response_weights(self.coarse.tableau, self.times, width)).reshape(size, size)
        moved = np.zeros(R.shape)
        add_product(moved, R, second.reshape(size, size) - np.outer(mean, mean))
        return R, moved
