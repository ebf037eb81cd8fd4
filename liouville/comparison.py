"""The main job, stage by stage: characteristics, finite volumes, fluctuation theory, particles, verdicts.

Everything is written as it comes. A run that goes on after an interruption computes the deterministic stages again
(seconds, and the same bits) and the replicas that are missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from liouville import judgement, mean_field, refinement, schema, simulation
from liouville.errors import InputError, RunFailed
from liouville.hypotheses import hypotheses
from liouville.judgement import Ensemble, Evidence
from liouville.mean_field import Density, Reference
from liouville.plan import Plan
from liouville.progress import Advance, Quiet, Stages
from liouville.refinement import Trial
from liouville.runfile import RunFile, dump, parse
from liouville.running import accounted
from liouville.storage import FileProblem, Group, Writer, attributes, open_result
from liouville.verdicts import Verdict
from particles import team
from solvers.fluctuations import Fluctuations
from solvers.frames import Frame
from solvers.linear import one_blas_thread

Array = NDArray[np.floating]

COMMANDS = ("compare", "solve", "simulate")


@dataclass(frozen=True)
class Work:
    """Replicas done, ..., replicas - 1 of one size, which are still to be simulated."""

    n: int
    replicas: int
    done: int


def start(
    run: RunFile | Plan, command: str, path: Path, *, force: bool = False, stages: Stages | None = None
) -> list[Verdict]:
    """Run `command` (compare, solve or simulate) from the beginning into a new file; returns the verdicts.

    Raises InputError, FileProblem (the file exists and not `force`) or RunFailed.
    """
    plan = run if isinstance(run, Plan) else Plan(run)
    sizes = _sizes(plan.run, command)
    plan.check()
    plan, trials = refinement.resolved(plan) if command != "simulate" else (plan, [])
    run = plan.run
    if command != "simulate":
        mean_field.grid(plan)  # an impossible c_range is refused before a file is made
    described: dict[str, str | int | float] = {
        "problem": run.problem.name,
        "runfile": dump(run),
        "command": command,
        "seed": run.particles.seed if run.particles else -1,
        "threads": numba.get_num_threads(),
    }
    with (
        Writer.create(path, described, _groups(plan, command, sizes, trials), force=force) as writer,
        accounted(writer),
        one_blas_thread(),
    ):
        return _run(plan, command, sizes, writer, stages or Quiet())


def resume(path: Path, *, stages: Stages | None = None) -> list[Verdict]:
    """Go on with a run that was interrupted or failed; it ends with the bits of one that was not.

    Raises FileProblem where the file is completed, being written, or not a result file.
    """
    with open_result(path) as file:
        known = attributes(file)
    run = parse(known["runfile"], str(path))
    with Writer.resume(path) as writer, accounted(writer), one_blas_thread():
        return _run(Plan(run), known["command"], _sizes(run, known["command"]), writer, stages or Quiet())


def add(path: Path, more: Sequence[int], *, stages: Stages | None = None) -> list[Verdict]:
    """Add replicas to a completed run, one number for all sizes or one for each; equal to one run with all of them.

    Raises FileProblem where the file is not a completed result, InputError where it has no particles or the numbers do
    not fit.
    """
    with open_result(path) as file:
        known = attributes(file)
    run = parse(known["runfile"], str(path))
    if run.particles is None or known["command"] not in ("compare", "simulate"):
        raise InputError(f"{path}: has no particles to add to")
    sizes = run.particles.sizes
    if len(more) not in (1, len(sizes)) or min(more) < 0 or max(more) == 0:
        raise InputError(f"--add: must be one number of replicas, or {len(sizes)} with commas between")
    replicas = np.add(run.particles.replicas, more if len(more) > 1 else len(sizes) * list(more)).tolist()
    larger = run.model_copy(update={"particles": run.particles.model_copy(update={"replicas": tuple(replicas)})})
    plan = Plan(larger)
    if plan.kept.size < Plan(run, plan.problem).kept.size:
        raise InputError("--add: so many replicas would be stored on fewer x than those that are there; start anew")
    described: dict[str, str | int | float] = {"runfile": dump(larger), "threads": numba.get_num_threads()}
    groups = _groups(plan, known["command"], _sizes(larger, known["command"]), [])
    with Writer.extend(path, described, groups) as writer, accounted(writer), one_blas_thread():
        return _run(plan, known["command"], _sizes(larger, known["command"]), writer, stages or Quiet())


def _sizes(run: RunFile, command: str) -> dict[int, int]:
    """Replicas of each size; empty for `solve`."""
    if command == "solve":
        return {}
    if run.particles is None:
        raise InputError(f"particles: the table [particles] is needed for `liouville {command}`")
    if run.particles.nested and command == "compare":
        raise InputError(
            "particles.nested: must be false for `liouville compare`, whose intervals need independent sizes"
        )
    return dict(zip(run.particles.sizes, run.particles.replicas, strict=True))


def _groups(plan: Plan, command: str, sizes: dict[int, int], trials: list[Trial]) -> list[Group]:
    groups = [schema.characteristics(plan), schema.fluctuations(plan)]
    if command != "simulate":
        groups = [schema.density(plan), schema.density_error(plan), *groups]
    if trials:
        groups.append(schema.refinement(trials))
    return groups + [schema.particles(plan, n, replicas) for n, replicas in sizes.items()]


def _run(plan: Plan, command: str, sizes: dict[int, int], writer: Writer, stages: Stages) -> list[Verdict]:
    with stages.stage("characteristics", 1):
        known = mean_field.reference(plan)
        _write_characteristics(plan, known, writer)
    solved: Density | None = None
    last: Array = np.empty(0)
    if command != "simulate":
        with stages.stage(plan.run.solver.scheme, len(plan.times)) as advance:
            solved, last = _solve(plan, writer, advance)
        for message in solved.warnings(plan.times):
            stages.warn(message)
    with stages.stage("fluctuation theory", 1):
        theory = mean_field.fluctuation_theory(plan, known)
        covariance = judgement.at_snapshots(plan, known, theory)
        _write_fluctuations(plan, known, theory, covariance, writer)
    f0 = solved.coefficients + known.shift if solved else known.stepped
    operator = simulation.PathOperator.build(known, theory)
    work = [Work(n, count, writer.committed(schema.size_name(n))) for n, count in sizes.items()]
    team().tell((plan.run, known, operator, work))
    ensembles = []
    for part in work:
        with stages.stage(f"particles, n = {part.n}", part.replicas) as advance:
            ensembles.append(_simulate(plan, known, operator, f0, part, writer, advance))
        writer.sync()
    extra = [schema.hypotheses(hypotheses(plan, theory))]
    verdicts: list[Verdict] = []
    if solved is not None and ensembles:
        evidence = Evidence(plan, known, solved, theory, covariance, last, tuple(ensembles))
        verdicts = judgement.judge(evidence)
        extra.append(schema.verdicts(verdicts))
    with stages.stage("writing", 1):
        writer.complete(extra)
    return verdicts


def assist() -> None:
    """What the ranks do that do not lead: their part of every simulation that rank 0 tells of, to the last."""
    while (told := team().told()) is not None:
        run, known, operator, work = told
        plan = Plan(run)
        with one_blas_thread():
            for part in work:
                for _ in _replicas(plan, known, operator, part):
                    pass


def _replicas(
    plan: Plan, known: Reference, operator: simulation.PathOperator, part: Work
) -> Iterator[simulation.Replicas]:
    assert plan.run.particles is not None
    keep = max(1, plan.run.particles.keep)
    return simulation.simulate(plan, known, operator, part.n, part.replicas, part.done, keep=keep, team=team())


def _append(writer: Writer, group: str, start: int, **arrays: Array) -> None:
    """Write the frames that are not there yet."""
    done = writer.committed(group) - start
    rows = len(next(iter(arrays.values())))
    if done < rows:
        writer.write(group, start + max(0, done), **{name: array[max(0, done) :] for name, array in arrays.items()})


def _write_characteristics(plan: Plan, known: Reference, writer: Writer) -> None:
    solved, problem = known.characteristics, plan.problem
    _append(
        writer,
        "/characteristics",
        0,
        f=problem.values(solved.coefficients),
        f_stepped=problem.values(known.stepped),
        loss=problem.loss(solved.coefficients),
        error_estimate=solved.error,
    )


def _write_fluctuations(plan: Plan, known: Reference, theory: Fluctuations, covariance: Array, writer: Writer) -> None:
    basis, rows = plan.problem.basis, known.steps.rows
    _append(
        writer,
        "/fluctuations",
        0,
        covariance=basis @ covariance @ basis.T,
        trace=theory.trace[rows],
        trace_error=theory.trace_error[rows],
        two_time_trace=np.einsum("siti->st", theory.covariance[rows][:, :, rows]),
        gap=np.linalg.eigvalsh(theory.kernel_diagonal[rows])[:, 0],
    )


def _solve(plan: Plan, writer: Writer, advance: Advance) -> tuple[Density, Array]:
    """The grid, frame by frame into the file; also the density at the last snapshot."""
    problem, grid = plan.problem, mean_field.grid(plan)
    for name, axis in zip(schema.axes(plan), (*grid.y, grid.c), strict=True):
        writer.set("/density", name, axis.centres)
    last: Array = np.empty(0)

    def visit(k: int, frame: Frame) -> None:
        nonlocal last
        last = frame.density
        loss = frame.loss + problem.floor
        _append(
            writer,
            "/density",
            k,
            rho=frame.density[None],
            moment=frame.moment[None],
            potential=frame.potential[None],
            f=problem.values(frame.coefficients)[None],
            loss=np.array([loss]),
            mass=np.array([frame.mass]),
            energy=np.array([problem.energy(frame.coefficients)]),
            dissipation=np.array([frame.dissipation]),
            dissipated=np.array([frame.dissipated]),
            minimum=np.array([frame.minimum]),
        )
        advance(1)

    solved = mean_field.density(plan, grid, visit)
    _append(
        writer,
        "/density_error",
        0,
        f_error=solved.error,
        rho_error=solved.density_error,
        dissipation_defect=solved.defect,
        dissipation_defect_error=solved.defect_error,
    )
    writer.sync()
    return solved, last


def _simulate(
    plan: Plan,
    known: Reference,
    operator: simulation.PathOperator,
    f0: Array,
    part: Work,
    writer: Writer,
    advance: Advance,
) -> Ensemble:
    """One ensemble, some replicas at a time into the file."""
    problem, group, done = plan.problem, schema.size_name(part.n), part.done
    assert plan.run.particles is not None
    keep = plan.run.particles.keep
    parts = [_stored(plan, writer, group, done)] if done else []
    advance(done)
    for some in _replicas(plan, known, operator, part):
        if keep and done == 0 and not parts:
            for name, trajectories in zip(schema.components(plan), np.moveaxis(some.y[0], 1, 0), strict=True):
                writer.set(group, name, trajectories)
            writer.set(group, "c", some.c[0])
        f, path = (problem.values(values)[..., plan.kept] for values in (some.coefficients, some.path))
        y, c = some.y[..., 0], some.c[..., 0]
        first = writer.committed(group)
        writer.write(
            group,
            first,
            f=f,
            path=path,
            loss=problem.loss(some.coefficients),
            deviation=np.sum((some.coefficients - f0) ** 2, axis=-1),
            path_deviation=np.sum((some.coefficients - f0 - some.path) ** 2, axis=-1),
            **dict(zip(schema.components(plan, "first_y"), np.moveaxis(y, 2, 0), strict=True)),
            first_c=c,
        )
        parts.append((plan.recover(f), plan.recover(path), y, c))
        advance(len(f))
    return Ensemble(part.n, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _stored(plan: Plan, writer: Writer, group: str, count: int) -> tuple[Array, Array, Array, Array]:
    """What an earlier session left of an ensemble."""
    f, path, c = (writer.frames(group, name, count) for name in ("f", "path", "first_c"))
    y = np.stack([writer.frames(group, name, count) for name in schema.components(plan, "first_y")], axis=-1)
    return plan.recover(f), plan.recover(path), y, c


__all__ = ["FileProblem", "InputError", "RunFailed", "resume", "start"]
