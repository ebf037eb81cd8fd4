"""A library of replicas as a population from which runs are drawn: what verdicts do, on data as skewed as they are.

Runs are drawn with replacement from a library that is much larger than a run. In that world the truth is known: every
mean is that of the library.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liouville import judgement, mean_field, simulation
from liouville.judgement import Ensemble, Evidence
from liouville.mean_field import Density
from liouville.plan import Plan
from liouville.simulation import Work

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Library:
    """Evidence with far more replicas than a run has; f_0 is that of the characteristics, without a grid."""

    evidence: Evidence

    @classmethod
    def made(cls, plan: Plan) -> Self:
        """All replicas of a plan."""
        known = mean_field.reference(plan)
        theory = mean_field.fluctuation_theory(plan, known)
        operator = simulation.PathOperator.build(known, theory)
        assert plan.run.particles is not None
        ensembles = []
        for n, replicas in zip(plan.run.particles.sizes, plan.run.particles.replicas, strict=True):
            parts = list(simulation.simulate(plan, known, operator, Work(n, replicas)))
            f = np.concatenate([part.coefficients for part in parts])
            ensembles.append(ensemble(n, f, np.concatenate([part.path for part in parts])))
        zero = np.zeros(plan.times.size)
        f0 = known.characteristics
        solved = Density(mean_field.grid(plan), f0.coefficients, zero, zero, zero, zero, zero, zero, zero, 0.0, 0)
        covariance = judgement.at_snapshots(plan, known, theory)
        return cls(Evidence(plan, known, solved, theory, covariance, np.empty(0), tuple(ensembles)))

    def run(self, rng: np.random.Generator, replicas: Sequence[int]) -> Evidence:
        """A run with so many replicas of each size, drawn with replacement."""
        drawn = []
        for some, count in zip(self.evidence.ensembles, replicas, strict=True):
            rows = rng.integers(len(some.f), size=count)
            drawn.append(ensemble(some.n, some.f[rows], some.path[rows]))
        return replace(self.evidence, ensembles=tuple(drawn))


def ensemble(n: int, f: Array, path: Array) -> Ensemble:
    """Without particles."""
    return Ensemble(n, f, path, np.empty((0, f.shape[1], 1)), np.empty((0, f.shape[1])))
