"""The next order in 1/n of the fluctuations (Prop. 3.2), computed: E f_n, E||f_n - f_0||^2 and the remainder of l_n.

With nu = n^(1/2) (rho_n(0) - rho_in) and eps = n^(-1/2), f_n = f_0 + eps g1 + eps^2 g2 + eps^3 g3 + ... A particle
knows of the others by g = f_n - f_0 alone; with Phi_k[g, ...] the k-th order answer of Phi(Z_t) to the path of g
(`flows`),

    g1 = R int nu Phi,     g2 = R (int nu Phi_1[g1] + int rho_in Phi_2[g1, g1]),
    g3 = R (int nu (Phi_1[g2] + Phi_2[g1, g1]) + int rho_in (2 Phi_2[g1, g2] + Phi_3[g1, g1, g1])),

R the resolvent of `fluctuations`. In the modes phi_a of g1, whose coefficients xi_a(z) in L(z) are orthonormal over
rho_in, with X_b(z) = R (Phi_1[b](z) - int rho_in Phi_1[b]), M_ab = E xi_a X_b and P_ab = R int rho_in Phi_2[a, b],
half the second influence function is

    L_2(z, z')/2 = sum_ab xi_a(z) xi_b(z') S_ab + (xi_b(z') X_b^perp(z) + xi_b(z) X_b^perp(z'))/2,  S = (M + M')/2 + P,

X^perp what is left of X beyond its projection on the xi. nu is Gaussian to leading order, with a third cumulant, hence

    E f_n - f_0 -> f_1/n,                          f_1 = E g2 = tr S,
    n^2 E||f_n - f_0 - l_n||^2 -> Q = E|g2|^2 = |f_1|^2 + 2 sum |S_ab|^2 + sum_b E|X_b^perp|^2,
    E||f_n - f_0||^2 = A/n + B/n^2 + ...,          B = E<L(z), L_2(z, z)> + Q + 2 E<g1, g3>.

All this is for n -> infinity at a fixed time: a particle follows the expansion while |J| n^(-1/2) is small.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy
from numpy.typing import NDArray

from particles import Closure
from solvers.characteristics import MeanField, Nodes
from solvers.expansion_level import Level
from solvers.fluctuations import Grid
from solvers.linear import one_blas_thread

Array = NDArray[np.floating]

STEPS = 30  # of the time grid, at least, where the mean field has as many
UNKNOWNS = 640  # times by features
FLOOR = 1e-6  # of the largest value: below, a relative change says nothing
# By N: nodes along each axis of y to begin with and at most, nodes along c, modes, and modes while nodes are refined.
SIZES = {1: (256, 2048, 8, 24, 8), 2: (16, 36, 8, 12, 6), 3: (6, 9, 6, 8, 4)}


@dataclass(frozen=True)
class Expansion:
    """The coefficients of 1/n, and of 1/n^2, on the Volterra grid.

    times : (T,).
    mean_correction : f_1, (T, M), 0 on features beyond the first M'.  mean_correction_error : (T,), of its norm.
    next_order : B, (T,).  path_remainder : Q, (T,).  next_order_error, path_remainder_error : (T,), estimates.
    features : M'.  rank : modes of g1.  Ny, Nc : nodes along each axis of y and along c.
    """

    times: Array
    mean_correction: Array
    next_order: Array
    path_remainder: Array
    mean_correction_error: Array
    next_order_error: Array
    path_remainder_error: Array
    features: int
    rank: int
    Ny: int
    Nc: int


def solve(
    closure: Closure,
    nodes: Nodes,
    coarse: MeanField,
    fine: MeanField,
    grid: Grid,
    *,
    tolerance: float = 5e-3,
    rank: int | None = None,
) -> Expansion:
    """f_1, B and Q after the steps `grid` (T,), from 0 on, of the mean field `coarse`; `fine` has half-steps.

    The time grid within is coarser, of at least STEPS steps where there are so many, and the result interpolated. As
    many of the first features respond as UNKNOWNS allows.

    B needs more nodes than C: derivatives of the flow of second and third order stretch as powers of J. With few modes
    nodes along y are refined until the next finer ones change B by less than `tolerance` of |B| + Q, and Q by that much
    of itself, or their limit is reached. There f_1, B and Q are computed with all the modes, `rank` if given. Then
    finer nodes along y, half as many again along c (both with few modes), half the step and a third more modes (both on
    fewer nodes) are tried one by one, and each change is added to the result: products of two changes are left.

    The estimate of the error is the sum of the sizes of these changes, each relative to the result the largest so far,
    of the change by a quarter fewer features where not all respond, and, between the times of the grid, of that by
    cubic interpolation.

    Raises NotImplementedError for a basis without derivatives (Ridge).
    """
    Ny, limit, Nc, modes, few = SIZES[closure.dimension]
    problem = _Problem(closure, nodes, coarse, fine, _thinned(grid))
    modes = modes if rank is None else rank
    few = min(few, modes)
    with one_blas_thread():
        while problem.moved(Ny, Nc, few) > tolerance and problem.finer(Ny) < limit:
            Ny = problem.finer(Ny)
        table, changes, unused = problem.refined(Ny, Nc, modes, few)
    times, known = coarse.times[grid], problem.times
    smooth = _interpolated(known, table + sum(changes), times, 7)
    error = np.sum([_interpolated(known, _estimate(change, table), times, 1) for change in (*changes, *unused)], axis=0)
    error += _sizes(smooth - _interpolated(known, table + sum(changes), times, 3))
    f_1 = np.zeros((times.size, closure.target.size))
    f_1[:, : problem.features] = smooth[:, :-2]
    B, Q = smooth[:, -2:].T
    of_f_1, of_B, of_Q = error.T
    return Expansion(times, f_1, B, Q, of_f_1, of_B, of_Q, problem.features, modes, Ny, Nc)


def _thinned(grid: Grid) -> Grid:
    """Every so many times of the grid, of at least STEPS steps where there are so many."""
    steps = grid.size - 1
    return grid[:: max(k for k in range(1, steps + 1) if steps % k == 0 and (k == 1 or steps // k >= STEPS))]


def _sizes(table: Array) -> Array:
    """|f_1|, |B| and |Q|, (T, 3)."""
    return np.stack([np.linalg.norm(table[:, :-2], axis=1), *np.abs(table[:, -2:].T)], axis=1)


def _estimate(change: Array, table: Array) -> Array:
    """The sizes (T, 3) of a change, at each time the largest so far relative to |f_1|, |B| + Q and Q: it may pass 0."""
    scale = _sizes(table)
    scale[:, 1] += scale[:, 2]
    scale = np.maximum(scale, np.maximum(FLOOR * scale.max(axis=0), 1e-300))
    return np.asarray(np.maximum.accumulate(_sizes(change) / scale, axis=0) * scale)


def _interpolated(times: Array, values: Array, at: Array, degree: int) -> Array:
    """By splines of this odd degree, or as high a one as there are points for."""
    return np.asarray(
        scipy.interpolate.make_interp_spline(times, values, min(degree, len(times) - 1 - (len(times) % 2 == 1)))(at)
    )


@dataclass(frozen=True)
class _Problem:
    """What stays the same while nodes, step and modes are refined, and what was computed already."""

    closure: Closure
    nodes: Nodes
    coarse: MeanField
    fine: MeanField
    grid: Grid
    made: dict[tuple[int, int, int, bool, int], Array] = field(default_factory=dict)

    @property
    def times(self) -> Array:
        """The time grid."""
        return self.coarse.times[self.grid]

    @property
    def features(self) -> int:
        """M', how many features respond."""
        return min(self.closure.target.size, max(1, UNKNOWNS // self.times.size))

    def finer(self, Ny: int) -> int:
        """The next number of nodes along an axis of y."""
        return 2 * Ny if self.closure.dimension == 1 else 3 * Ny // 2

    def fewer(self, Ny: int) -> int:
        """The number before."""
        return Ny // 2 if self.closure.dimension == 1 else 2 * Ny // 3

    def moved(self, Ny: int, Nc: int, rank: int) -> float:
        """The largest relative change of B and Q by the next finer nodes along y."""
        B, Q = self.table(self.finer(Ny), Nc, rank)[:, -2:].T
        change = np.abs(self.table(Ny, Nc, rank)[:, -2:].T - (B, Q))
        return float(np.max(change / np.maximum([np.abs(B) + Q, Q], 1e-300), where=Q > 0, initial=0.0))

    def refined(self, Ny: int, Nc: int, rank: int, few: int) -> tuple[Array, list[Array], list[Array]]:
        """The table, its changes by what is finer, and by fewer features, on this grid of times."""
        coarsest = self.fewer(self.fewer(Ny))
        here, least = self.table(Ny, Nc, few), self.table(coarsest, Nc, few)
        changes: list[Array] = [
            self.table(self.finer(Ny), Nc, few) - here,
            self.table(Ny, 3 * Nc // 2, few) - here,
            self.table(coarsest, Nc, few, half_step=True)[::2] - least,
            self.table(coarsest, Nc, -(-4 * rank // 3)) - self.table(coarsest, Nc, rank),
        ]
        if self.features == self.closure.target.size:
            return self.table(Ny, Nc, rank), changes, []
        features = max(1, 3 * self.features // 4)
        fewer = np.zeros(least.shape)
        fewer[:, [*range(features), -2, -1]] = self.table(coarsest, Nc, few, features=features)
        return self.table(Ny, Nc, rank), changes, [fewer - least]

    def table(self, Ny: int, Nc: int, rank: int, *, half_step: bool = False, features: int = 0) -> Array:
        """`Level.table` on so many nodes, with so many modes; half_step : of the mean field and of the time grid."""
        key = (Ny, Nc, rank, half_step, features)
        if key not in self.made:
            known, grid = self.coarse, self.grid
            if half_step:
                known, grid = self.fine, np.sort(np.concatenate([2 * grid, grid[:-1] + grid[1:]]))
            M = features or self.features
            self.made[key] = Level(self.closure, known, self.nodes(Ny, Nc), grid, M, rank).table()
        return self.made[key]
