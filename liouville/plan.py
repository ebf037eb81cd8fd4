"""A run file made ready: the problem, the snapshot times, the steps between them, and what the run will hold."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from liouville import runfile
from liouville.errors import InputError
from liouville.problem import Problem
from liouville.runfile import RunFile
from particles import map_rows
from solvers.characteristics import ROUGH

Array = NDArray[np.floating]

RESOLVED = 0.1  # of the time in which the fastest mode decays at t = 0, what a step of the Volterra system may take
VOLTERRA = 2000  # T * M of the Volterra system beyond which it takes fewer times between the snapshots
RESPONDING = 40  # features that it should have room for: those left out are an error that more times do not reduce
FEWEST = 16  # and must have
MOST_UNKNOWNS = 5000  # beyond which it is refused: its matrices take 200 MB each
STORED = 2**27  # bytes of f_n and l_n of all replicas together, beyond which they are kept on fewer x


@dataclass(frozen=True)
class Plan:
    """A run file made ready: the problem, the snapshot times and the steps between them.

    made : a problem from Python, which the run file then only names.
    """

    run: RunFile
    made: Problem | None = None

    @classmethod
    def of(cls, problem: Problem, **tables: dict[str, Any]) -> Self:
        """A plan for a problem from Python; `tables` are those of a run file but [problem].

        Raises InputError for what a run file could not say either.
        """
        run = runfile.around(problem.name, problem.unit, **tables)
        return cls(run, problem.within(run))

    @cached_property
    def problem(self) -> Problem:
        """The problem of the run file, or the one made in Python."""
        return self.made or Problem.build(self.run.problem, self.run)

    def with_solver(self, **changes: Any) -> Self:
        """The same with some keys of [solver] changed; what is known of the problem is kept."""
        run = self.run.model_copy(update={"solver": self.run.solver.model_copy(update=changes)})
        return type(self)(run, self.problem)

    @cached_property
    def times(self) -> Array:
        """Snapshot times, (S,)."""
        return np.linspace(0.0, self.run.time.final, self.run.time.snapshots)

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells, y axes first, c last. Raises ValueError where they are to be found first (`refinement.resolved`)."""
        if self.run.solver.cells == "auto":
            raise ValueError('cells = "auto" is resolved by liouville.refinement.resolved')
        return self.run.solver.cells

    @property
    def intervals(self) -> int:
        """Intervals between snapshots."""
        return self.run.time.snapshots - 1

    @property
    def substeps(self) -> int:
        """Steps of a simulation in an interval: `step` shortened evenly to divide it."""
        step = self.run.particles.step if self.run.particles else 0.05
        return max(1, int(np.ceil(self.times[1] / step - 1e-9)))

    @property
    def dt(self) -> float:
        """The step of a simulation."""
        return float(self.times[1]) / self.substeps

    @property
    def affordable_times(self) -> int:
        """Times of a Volterra system that is affordable."""
        return VOLTERRA // min(RESPONDING, self.problem.rank)

    @cached_property
    def spacing(self) -> float:
        """Of the times of the Volterra system, at most: RESOLVED over the largest eigenvalue of M (16) at t = 0."""
        problem = self.problem
        M = problem.M(*problem.initial.nodes(*ROUGH[problem.dimension]))
        return RESOLVED / float(np.linalg.norm(M, 2))

    def _unknowns(self, parts: int) -> int:
        """T M' of a Volterra system with so many steps between snapshots."""
        return (self.intervals * parts + 1) * min(FEWEST, self.problem.rank)

    def check(self) -> None:
        """Raise InputError where the run file asks for what the problem's unit cannot bear."""
        problem = self.problem
        if problem.rank == 0 or not (np.all(np.isfinite(problem.basis)) and np.all(np.isfinite(problem.projection))):
            raise InputError("problem: unit, target and measure give numbers that are all zero or not finite")
        cells, modes = self.run.solver.cells, problem.modes
        if cells != "auto" and cells[0] < 8 * modes:
            raise InputError(
                f"solver.cells.0: must be at least {8 * modes}, 8 times the highest mode of the unit, not {cells[0]}"
            )
        particles = self.run.particles
        if particles is not None and particles.potential == "quadrature" and problem.direct_closure is None:
            raise InputError("particles.potential: must not be 'quadrature' for a unit from Python: it is not compiled")
        rank = min(FEWEST, self.problem.rank)
        euler = particles is not None and particles.integrator == "euler"
        if euler and self._unknowns(self.substeps) > MOST_UNKNOWNS:
            raise InputError(
                f"particles.step: must be so long that euler takes at most {MOST_UNKNOWNS // rank - 1} steps, "
                f"not {self.intervals * self.substeps}, for a unit of rank {rank} or more"
            )
        if self._unknowns(1) > MOST_UNKNOWNS:
            raise InputError(
                f"time.snapshots: must be at most {MOST_UNKNOWNS // rank} for a unit of rank {rank} or more"
            )

    @cached_property
    def kept(self) -> NDArray[np.integer]:
        """Indices of the x on which every replica's f_n is stored: all, or every few where those would outgrow STORED.

        The coefficients can still be had from them; norms are stored in full.
        """
        problem, particles = self.problem, self.run.particles
        replicas = sum(particles.replicas) if particles else 0
        affordable = STORED // (16 * self.times.size * max(1, replicas))
        size, least = len(problem.x), 2 * problem.rank + 1
        stride = max(1, min(-(-size // max(1, affordable)), size // least))
        return np.arange(0, size, stride)

    def recover(self, values: Array) -> Array:
        """Coefficients (..., M) from a representation's values at the kept x (..., K), by least squares."""
        inverse = np.linalg.pinv(self.problem.basis[self.kept])
        return map_rows(inverse, values.reshape(-1, self.kept.size)).reshape(*values.shape[:-1], -1)

    def warnings(self) -> list[str]:
        """What the user should know before the run starts."""
        problem = self.problem
        share = 2 * problem.floor / max(float(problem.weights @ problem.f**2), 1e-300)
        if share > 1e-20:
            return [f"the unit cannot represent {share:.2g} of the target's squared norm; f_0 tends to its projection"]
        return []
