"""All that the verdicts look at."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liouville.distance import ENDS, Distance
from liouville.mean_field import Density, Reference
from liouville.plan import Plan
from liouville.verdicts import FALSE_ALARMS
from solvers.fluctuations import Fluctuations

Array = NDArray[np.floating]

STATISTICAL = 4  # primary verdicts of a comparison that are statistical
LEVEL = 1 - FALSE_ALARMS / STATISTICAL  # of the interval of each
MODES_ABOVE = 1e-6  # of the largest eigenvalue of C: the modes on which fluctuations are whitened


@dataclass(frozen=True)
class Ensemble:
    """Replicas of one size.

    f, path : (R, S, M) coefficients of f_n and l_n.  y : (R, S, N), c : (R, S), one particle of each.
    increase, density_distance, moment_distance : as of `simulation.Replicas`, empty where they are not known.
    """

    n: int
    f: Array
    path: Array
    y: Array
    c: Array
    increase: Array = field(default_factory=lambda: np.empty(0))
    density_distance: Array = field(default_factory=lambda: np.empty((0, ENDS)))
    moment_distance: Array = field(default_factory=lambda: np.empty((0, ENDS)))


@dataclass(frozen=True)
class Evidence:
    """A whole comparison.

    covariance : (S, M, M), C at the snapshots.  density : (*Ny, Nc), rho_0 at the last one.
    level : of the interval of each primary statistical verdict.
    distance : what the particles' distances from rho_0 were measured with.
    first_order : f_1 of E f_n = f_0 + f_1/n + ..., (S, M), where it is known.
    """

    plan: Plan
    reference: Reference
    solved: Density
    theory: Fluctuations
    covariance: Array
    density: Array
    ensembles: tuple[Ensemble, ...]
    level: float = LEVEL
    distance: Distance | None = None
    first_order: Array | None = None

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
