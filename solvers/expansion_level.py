"""f_1, B and Q of `expansion` on one set of nodes and times and with so many modes of g1."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from particles import Closure
from solvers import contractions, flows, fluctuations
from solvers.characteristics import MeanField, Rule
from solvers.contractions import Modes, Sums
from solvers.fluctuations import Grid

Array = NDArray[np.floating]

HELD = 2**19  # numbers of the pairs of modes held at once by a thread
LOWEST = 1e-12  # relative variance of a mode that is still one


@dataclass(frozen=True)
class Level:
    """One mean field, set of nodes, time grid, and number of features and modes."""

    closure: Closure
    known: MeanField
    rule: Rule
    grid: Grid
    features: int
    rank: int

    def table(self) -> Array:
        """f_1 on M' features, B and Q, (T, M' + 2); within `one_blas_thread`."""
        theory, mean = fluctuations.on_rule(self.closure, self.known, self.rule, self.grid, self.features)
        modes = _modes(theory, mean, self.rank)
        p = self.rule[2]
        first = Sums(*self.sums(modes, lambda some, nodes: contractions.first_pass(some, modes, p[nodes])))
        own, P = modes.response(first.own), modes.response(first.pairs)
        S = 0.5 * (own + np.swapaxes(own, 2, 3)) + P
        f_1 = modes.response(first.alone + np.trace(first.pairs, axis1=2, axis2=3))
        rest = own + 2.0 * P
        (more,) = self.sums(modes, lambda some, nodes: contractions.second_pass(some, modes, p[nodes], f_1, S, rest))
        Q = np.sum(f_1**2, axis=1) + np.sum(2.0 * S**2 - own**2, axis=(1, 2, 3)) + first.size
        g1_g3 = np.sum(modes.phi * modes.response(first.order_three + more), axis=(1, 2))
        L_L2 = 2.0 * (first.skew + np.sum(first.cubes * P, axis=(1, 2, 3)))
        return np.column_stack([f_1, L_L2 + Q + 2.0 * g1_g3, Q])

    def sums(self, modes: Modes, visit: flows.Visit) -> tuple[Array, ...]:
        """Over all nodes."""
        T, _, r = modes.phi.shape
        size = max(1, HELD // (T * (self.closure.dimension + 1) * r * r))
        return flows.over_nodes(self.closure, self.known, self.rule, self.grid, self.features, size, visit)


def _modes(theory: fluctuations.Fluctuations, mean: Array, rank: int) -> Modes:
    """The largest modes of g1, of C(s, t)/sqrt(A(s) A(t)): as f_n converges, what is small late matters late."""
    T, M = mean.shape
    steps = np.diff(theory.times, prepend=0.0, append=theory.times[-1])
    weights = (steps[1:] + steps[:-1]) / 2  # the trapezoid's: what a mode is must not change with the grid
    A = theory.trace
    scale = np.repeat(np.sqrt(weights / np.maximum(A, max(LOWEST * A.max(), 1e-300))), M)
    C = theory.covariance.reshape(T * M, T * M) * np.outer(scale, scale)
    values, vectors = scipy.linalg.eigh(C, subset_by_index=[T * M - min(rank, T * M), T * M - 1])
    kept = values > LOWEST * values[-1]
    kept[-1] = True
    size = np.sqrt(np.maximum(values[kept], 1e-300))
    vectors = vectors[:, kept]
    phi = (vectors * size / scale[:, None]).reshape(T, M, -1)
    return Modes(phi, mean, theory.resolvent.reshape(T * M, T * M), vectors * scale[:, None] / size)
