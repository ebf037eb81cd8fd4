"""All that the verdicts look at."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liouville.mean_field import Density, Reference
from liouville.plan import Plan
from solvers.fluctuations import Fluctuations

Array = NDArray[np.floating]

MODES_ABOVE = 1e-6  # of the largest eigenvalue of C: the modes on which fluctuations are whitened


@dataclass(frozen=True)
class Ensemble:
    """Replicas of one size.

    f, path : (R, S, M) coefficients of f_n and l_n.  y : (R, S, N), c : (R, S), one particle of each.
    """

    n: int
    f: Array
    path: Array
    y: Array
    c: Array


@dataclass(frozen=True)
class Evidence:
    """A whole comparison. covariance : (S, M, M), C at the snapshots.  density : (*Ny, Nc), rho_0 at the last one."""

    plan: Plan
    reference: Reference
    solved: Density
    theory: Fluctuations
    covariance: Array
    density: Array
    ensembles: tuple[Ensemble, ...]

    @property
    def times(self) -> Array:
        """Snapshot times, (S,)."""
        return self.plan.times

    @property
    def f0(self) -> Array:
        """f_0 of the grid, (S, M), moved by what the simulation's integrator adds to it."""
        return self.solved.coefficients + self.reference.shift

    @cached_property
    def f0_error(self) -> Array:
        """How far f_0 may be from the limit of the simulation, (S,): errors of the grid and of the characteristics."""
        return self.solved.error + self.reference.characteristics.error

    @cached_property
    def trace(self) -> Array:
        """tr C, (S,)."""
        return np.einsum("sii->s", self.covariance)

    @cached_property
    def trace_error(self) -> Array:
        """Relative error of tr C, (S,)."""
        return self.theory.trace_error[self.reference.steps.rows] / np.maximum(self.trace, 1e-300)

    @property
    def sizes(self) -> Array:
        """n of the ensembles, (E,)."""
        return np.array([ensemble.n for ensemble in self.ensembles], dtype=float)

    @property
    def replicas(self) -> Array:
        """Replicas of the ensembles, (E,)."""
        return np.array([len(ensemble.f) for ensemble in self.ensembles], dtype=float)

    @property
    def largest(self) -> Ensemble:
        """The ensemble of the largest n."""
        return max(self.ensembles, key=lambda ensemble: ensemble.n)


def at_snapshots(plan: Plan, known: Reference, theory: Fluctuations) -> Array:
    """C(t, t) at the snapshots, (S, M, M): 0 on the features that the theory leaves out."""
    rest = plan.problem.rank - theory.features
    covariance = np.einsum("titj->tij", theory.covariance)[known.steps.rows]
    return np.pad(covariance, ((0, 0), (0, rest), (0, rest)))


def whitening(covariance: Array) -> Array:
    """W (M, d) with W' C W = 1 on the modes of C above MODES_ABOVE of the largest."""
    values, vectors = np.linalg.eigh(covariance)
    used = values > MODES_ABOVE * values[-1]
    return np.asarray(vectors[:, used] / np.sqrt(values[used]))
