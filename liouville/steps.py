"""The steps of a run: their lengths, the scheme that takes them, and where on the way something is looked at."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liouville.plan import Plan
from liouville.runfile import MAX_STEPS
from particles import EULER, RK4, Tableau
from solvers.characteristics import ROUGH
from solvers.step_control import step_lengths

Array = NDArray[np.floating]
Indices = NDArray[np.integer]


TOLERANCE = 1e-6  # of a step of the adaptive pair where the run file gives none


@dataclass(frozen=True)
class Steps:
    """What simulation, mean field and fluctuation theory share.

    lengths : of the steps, (K,).  snapshots, grid : numbers of steps to the snapshots (S,) and to the times of the
    Volterra system (T,), which has the snapshots among them.
    """

    lengths: Array
    tableau: Tableau
    snapshots: Indices
    grid: Indices

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """The steps of a run file; those of the adaptive pair are found on the mean field."""
        particles = plan.run.particles
        kind = particles.integrator if particles else "rk4"
        if kind != "adaptive":
            lengths = np.full(plan.intervals * plan.substeps, plan.dt)
            steps: Indices = np.arange(lengths.size + 1)
            at: Indices = steps[:: plan.substeps]
            if kind == "euler":
                return cls(lengths, EULER, at, steps)
            every = max(1, int(plan.spacing / plan.dt + 1e-9))
            return cls(lengths, RK4, at, _thinned(at, plan.affordable_times, every))
        assert particles is not None
        problem = plan.problem
        rule = problem.initial.nodes(*ROUGH[problem.dimension])
        lengths, snapshots = step_lengths(
            problem.closure, rule, plan.times, particles.tolerance or TOLERANCE, plan.dt, MAX_STEPS
        )
        return cls(lengths, RK4, snapshots, _thinned(snapshots, plan.affordable_times))

    @property
    def halved(self) -> Self:
        """The same with every step taken as two."""
        return replace(self, lengths=np.repeat(self.lengths / 2, 2), snapshots=2 * self.snapshots, grid=2 * self.grid)

    @property
    def stages(self) -> tuple[Indices, Indices]:
        """The stages at which the snapshots and the times of the grid are reached."""
        return self.snapshots * self.tableau.stages, self.grid * self.tableau.stages

    @property
    def rows(self) -> Indices:
        """The places of the snapshots in the grid, (S,)."""
        return np.searchsorted(self.grid, self.snapshots)


def _thinned(snapshots: Indices, most: int, every: int = 1) -> Indices:
    """Every so many steps, as evenly as they go, with all snapshots; fewer, but these, where they are more than `most`.

    Two of them lie at most `every` steps apart.
    """
    while True:
        parts = [
            np.round(np.linspace(low, high, -(-(high - low) // every) + 1)).astype(int)
            for low, high in pairwise(snapshots)
        ]
        grid = np.unique(np.concatenate(parts))
        if grid.size <= max(most, snapshots.size):
            return grid
        every += 1
