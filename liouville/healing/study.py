"""What a study of healing runs: sizes, replicas, and times that reach the last a_n, for a problem and for controls."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liouville import mean_field, runfile
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.runfile import ParticlesTable, RunFile, TimeTable
from liouville.schedules import Control, HealingTable, LogSchedule, Schedule

Array = NDArray[np.floating]

INTERVAL = 0.2  # between snapshots, where there are not more than
SNAPSHOTS = 61
GAPLESS = 1e-3  # of the largest eigenvalue of M: a gap below that is none
OTHER_STREAMS = 2**62  # added to the seed: the study's replicas are not those of the run


@dataclass(frozen=True)
class Study:
    """The study of one problem.

    at : (schedules, sizes), the snapshot nearest to a_n.  control : whether no gap is expected.
    expanded : the time up to which the next order in 1/n is computed, 0 for a control: that of the run and of the
        schedules tau log n; beyond, it is too large to be of use.
    """

    plan: Plan
    schedules: tuple[Schedule, ...]
    at: NDArray[np.integer]
    control: bool
    expanded: float

    @classmethod
    def of(cls, plan: Plan, table: HealingTable | Control, sizes: tuple[int, ...], key: str, control: bool) -> Self:
        """For the problem of a plan; raises InputError, naming the key, where a schedule asks for a gap in vain."""
        gap = _gap(plan, table.schedules, key)
        moments = np.array([[moment(schedule, n, gap) for n in sizes] for schedule in table.schedules])
        final = float(moments.max())
        particles = plan.run.particles
        described = {
            "sizes": sizes,
            "replicas": (table.replicas,) * len(sizes) if isinstance(table.replicas, int) else table.replicas,
            "step": table.step or (particles.step if particles else 0.05),
            "seed": ((particles.seed if particles else 1) + OTHER_STREAMS) % 2**63,
        }
        if particles is not None:
            described |= {"integrator": particles.integrator, "tolerance": particles.tolerance}
            described |= {"potential": particles.potential}
        snapshots = min(SNAPSHOTS, int(np.ceil(final / INTERVAL)) + 1)
        run = plan.run.model_copy(
            update={
                "time": TimeTable(final=final, snapshots=max(2, snapshots)),
                "particles": ParticlesTable.model_validate(described),
                "healing": None,
            }
        )
        made = Plan(run, plan.made.within(run) if plan.made else None)
        made.check()
        at = np.abs(moments[..., None] - made.times).argmin(axis=-1)
        logs = [row.max() for row, s in zip(moments, table.schedules, strict=True) if isinstance(s, LogSchedule)]
        expanded = 0.0 if control else float(max([plan.times[-1], *logs]))
        return cls(made, table.schedules, at, control, expanded)

    @property
    def name(self) -> str:
        """The problem's."""
        return self.plan.run.problem.name

    @property
    def sizes(self) -> dict[int, int]:
        """Replicas of each size."""
        particles = self.plan.run.particles
        assert particles is not None
        return dict(zip(particles.sizes, particles.replicas, strict=True))


def studies(plan: Plan) -> list[Study]:
    """The study that a run file asks for, then its controls. Raises InputError."""
    table = plan.run.healing
    if table is None:
        return []
    found = [Study.of(plan, table, table.sizes, "healing.schedules", False)]
    for number, control in enumerate(table.controls):
        other = Plan(_control(plan.run, control.problem, f"healing.controls.{number}.problem"))
        found.append(Study.of(other, control, table.sizes, f"healing.controls.{number}.schedules", True))
    if len({study.name for study in found}) < len(found):
        raise InputError("healing.controls: problems must differ from each other and from the run's own")
    return found


def moment(schedule: Schedule, n: int, gap: float) -> float:
    """a_n."""
    if isinstance(schedule, LogSchedule):
        return schedule.tau * float(np.log(n))
    return float(np.log(n)) ** schedule.exponent / (gap if schedule.over == "gap" else schedule.over)


def described(schedule: Schedule) -> str:
    """a_n as a formula."""
    if isinstance(schedule, LogSchedule):
        return f"{schedule.tau:g} log n"
    over = "" if schedule.over == 1.0 else " / lambda_min" if schedule.over == "gap" else f" / {schedule.over:g}"
    return f"(log n)^{schedule.exponent:g}{over}"


def _gap(plan: Plan, schedules: tuple[Schedule, ...], key: str) -> float:
    """lambda_min of M at the end of the run, where a schedule needs it."""
    wanted = [k for k, s in enumerate(schedules) if not isinstance(s, LogSchedule) and s.over == "gap"]
    if not wanted:
        return np.nan
    values = mean_field.late_eigenvalues(plan)
    if values[0] < GAPLESS * values[-1]:
        raise InputError(
            f"{key}.{wanted[0]}.over: must be a number: M at t = {plan.times[-1]:g} has no gap "
            f"(eigenvalues from {max(values[0], 0.0):.2g} to {values[-1]:.2g})"
        )
    return float(values[0])


def _control(run: RunFile, name: str, key: str) -> RunFile:
    """The run file of a control problem, with the particles' seed of the run."""
    try:
        other = runfile.load(name)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    if other.particles is None or run.particles is None:
        return other
    particles = other.particles.model_copy(update={"seed": run.particles.seed})
    return other.model_copy(update={"particles": particles})
