"""What a study of healing runs: at fixed times, then up to the last a_n, for the problem and for controls."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liouville import mean_field, runfile
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.runfile import ParticlesTable, RunFile, TimeTable
from liouville.schedules import Control, Counts, HealingTable, LogSchedule, Schedule

Array = NDArray[np.floating]

INTERVAL = 0.2  # between snapshots, where there are not more than
SNAPSHOTS = 61
FIXED_SNAPSHOTS = 13  # of the many replicas that stop at the end of the run
FIXED = "fixed"  # what the name of the study at fixed times ends with
GAPLESS = 1e-3  # of the largest eigenvalue of M: a gap below that is none
ROUGH = 1e-2  # solver.tolerance of a control, whose f_0 has a thousandth of it: far below 1/n
OTHER_STREAMS = 2**61  # added to the seed once or twice: the studies' replicas are not those of the run


@dataclass(frozen=True)
class Study:
    """The study of one problem.

    name : of its group in the result file.
    schedules, at : (schedules, sizes), the snapshot nearest to a_n; none where the law at fixed times is judged.
    control : whether no gap is expected.
    expanded : the time up to which the next order in 1/n is computed, 0 for a control: that of the run and of the
        schedules tau log n; beyond, it is too large to be of use.
    """

    name: str
    plan: Plan
    schedules: tuple[Schedule, ...]
    at: NDArray[np.integer]
    control: bool
    expanded: float

    @classmethod
    def fixed(cls, plan: Plan, table: HealingTable) -> Self:
        """The law in n at times up to the end of the run."""
        ensembles, final = table.fixed or table, plan.run.time.final
        time = TimeTable(final=final, snapshots=min(FIXED_SNAPSHOTS, plan.run.time.snapshots))
        made = _plan(plan, time, ensembles.sizes, ensembles.replicas, table.step, stream=2)
        name = f"{plan.run.problem.name}-{FIXED}"
        return cls(name, made, (), np.empty((0, len(ensembles.sizes)), dtype=int), False, float(plan.times[-1]))

    @classmethod
    def of(cls, plan: Plan, table: HealingTable | Control, sizes: tuple[int, ...], key: str, control: bool) -> Self:
        """For the problem of a plan; raises InputError, naming the key, where a schedule asks for a gap in vain."""
        gap = _gap(plan, table.schedules, key)
        moments = np.array([[moment(schedule, n, gap) for n in sizes] for schedule in table.schedules])
        final = float(moments.max())
        snapshots = min(SNAPSHOTS, int(np.ceil(final / INTERVAL)) + 1)
        time = TimeTable(final=final, snapshots=max(2, snapshots))
        made = _plan(plan, time, sizes, table.replicas, table.step, stream=1)
        at = np.abs(moments[..., None] - made.times).argmin(axis=-1)
        logs = [row.max() for row, s in zip(moments, table.schedules, strict=True) if isinstance(s, LogSchedule)]
        expanded = 0.0 if control else float(max([plan.times[-1], *logs]))
        return cls(plan.run.problem.name, made, table.schedules, at, control, expanded)

    @property
    def sizes(self) -> dict[int, int]:
        """Replicas of each size."""
        particles = self.plan.run.particles
        assert particles is not None
        return dict(zip(particles.sizes, particles.replicas, strict=True))


def studies(plan: Plan) -> list[Study]:
    """What a run file asks for: at fixed times, along a_n, then the controls. Raises InputError."""
    table = plan.run.healing
    if table is None:
        return []
    found = [Study.fixed(plan, table), Study.of(plan, table, table.sizes, "healing.schedules", False)]
    for number, control in enumerate(table.controls):
        other = Plan(_control(plan.run, control.problem, f"healing.controls.{number}.problem"))
        found.append(Study.of(other, control, table.sizes, f"healing.controls.{number}.schedules", True))
    if len({study.name for study in found}) < len(found):
        raise InputError("healing.controls: problems must differ from each other and from the run's own")
    return found


def _plan(
    plan: Plan, time: TimeTable, sizes: tuple[int, ...], replicas: Counts, step: float | None, stream: int
) -> Plan:
    """The same problem with other times and ensembles. Raises InputError where they are impossible."""
    particles = plan.run.particles
    described = {
        "sizes": sizes,
        "replicas": (replicas,) * len(sizes) if isinstance(replicas, int) else replicas,
        "step": step or (particles.step if particles else 0.05),
        "seed": ((particles.seed if particles else 1) + stream * OTHER_STREAMS) % 2**63,
    }
    if particles is not None:
        described |= {"integrator": particles.integrator, "tolerance": particles.tolerance}
        described |= {"potential": particles.potential}
    run = plan.run.model_copy(
        update={"time": time, "particles": ParticlesTable.model_validate(described), "healing": None}
    )
    made = Plan(run, plan.made.within(run) if plan.made else None)
    made.check()
    return made


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
    """The run file of a control problem, with the particles' seed of the run; f_0 to a hundred thousandth."""
    try:
        other = runfile.load(name)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    rough = max(ROUGH, other.solver.tolerance)
    other = other.model_copy(update={"solver": other.solver.model_copy(update={"tolerance": rough})})
    if other.particles is None or run.particles is None:
        return other
    particles = other.particles.model_copy(update={"seed": run.particles.seed})
    return other.model_copy(update={"particles": particles})
