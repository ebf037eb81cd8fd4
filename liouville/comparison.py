"""The main job, stage by stage: characteristics, finite volumes, fluctuation theory, particles, verdicts.

Everything is written as it comes. A run that goes on after an interruption computes the deterministic stages again
(seconds, and the same bits) and the replicas that are missing.
"""

from collections.abc import Sequence
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from liouville import healing, judgement, mean_field, recording, refinement, schema, simulation, warming
from liouville.density_limit import measured_with
from liouville.errors import InputError, RunFailed
from liouville.healing import Study
from liouville.hypotheses import hypotheses
from liouville.judgement import Evidence
from liouville.mean_field import Density
from liouville.plan import Plan
from liouville.progress import Quiet, Stages
from liouville.refinement import Trial
from liouville.runfile import RunFile, dump, parse
from liouville.running import accounted
from liouville.simulation import Work
from liouville.storage import FileProblem, Group, Writer, attributes, open_result
from liouville.verdicts import FALSE_ALARMS, Verdict
from particles import team
from solvers.linear import one_blas_thread

Array = NDArray[np.floating]

COMMANDS = ("compare", "solve", "simulate")


def start(
    run: RunFile | Plan, command: str, path: Path, *, force: bool = False, stages: Stages | None = None
) -> list[Verdict]:
    """Run `command` (compare, solve or simulate) from the beginning into a new file; returns the verdicts.

    Raises InputError, FileProblem (the file exists and not `force`) or RunFailed.
    """
    plan = run if isinstance(run, Plan) else Plan(run)
    sizes = _sizes(plan.run, command)
    plan.check()
    stages = stages or Quiet()
    if command != "simulate" and (force or not path.exists()) and warming.wanted(plan):
        with stages.stage("compiling, for all later starts", 1):
            warming.compile_kernels(plan)
    plan, trials = refinement.resolved(plan) if command != "simulate" else (plan, [])
    run = plan.run
    if command != "simulate":
        mean_field.grid(plan)  # an impossible c_range is refused before a file is made
    studies = _studies(plan, command)
    described: dict[str, str | int | float] = {
        "problem": run.problem.name,
        "runfile": dump(run),
        "command": command,
        "seed": run.particles.seed if run.particles else -1,
        "threads": numba.get_num_threads(),
    }
    with (
        Writer.create(path, described, _groups(plan, command, sizes, trials, studies), force=force) as writer,
        accounted(writer),
        one_blas_thread(),
    ):
        return _run(plan, command, sizes, studies, writer, stages)


def resume(path: Path, *, stages: Stages | None = None) -> list[Verdict]:
    """Go on with a run that was interrupted or failed; it ends with the bits of one that was not.

    Raises FileProblem where the file is completed, being written, or not a result file.
    """
    with open_result(path) as file:
        known = attributes(file)
    run, command = parse(known["runfile"], str(path)), known["command"]
    plan = Plan(run)
    with Writer.resume(path) as writer, accounted(writer), one_blas_thread():
        return _run(plan, command, _sizes(run, command), _studies(plan, command), writer, stages or Quiet())


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
    command, studies = known["command"], _studies(plan, known["command"])
    groups = _groups(plan, command, _sizes(larger, command), [], studies)
    with Writer.extend(path, described, groups) as writer, accounted(writer), one_blas_thread():
        return _run(plan, command, _sizes(larger, command), studies, writer, stages or Quiet())


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


def _studies(plan: Plan, command: str) -> list[Study]:
    """The studies of healing that the run file asks `compare` for."""
    return healing.studies(plan) if command == "compare" else []


def _groups(plan: Plan, command: str, sizes: dict[int, int], trials: list[Trial], studies: list[Study]) -> list[Group]:
    groups = [schema.characteristics(plan), schema.fluctuations(plan)]
    if command != "simulate":
        groups = [schema.density(plan), schema.density_error(plan), *groups]
    if trials:
        groups.append(schema.refinement(trials))
    groups += [schema.particles(plan, n, replicas) for n, replicas in sizes.items()]
    return groups + [healing.replicas(study, n) for study in studies for n in study.sizes]


def _run(
    plan: Plan, command: str, sizes: dict[int, int], studies: list[Study], writer: Writer, stages: Stages
) -> list[Verdict]:
    with stages.stage("characteristics", 1):
        known = mean_field.reference(plan)
        recording.characteristics(plan, known, writer)
    solved: Density | None = None
    last: Array = np.empty(0)
    if command != "simulate":
        with stages.stage(plan.run.solver.scheme, len(plan.times)) as advance:
            solved, last = recording.density(plan, writer, advance)
        for message in solved.warnings(plan.times):
            stages.warn(message)
    with stages.stage("fluctuation theory", 1):
        theory = mean_field.fluctuation_theory(plan, known)
        covariance = judgement.at_snapshots(plan, known, theory)
        order = mean_field.next_order(plan, known) if plan.run.solver.next_order else None
        recording.fluctuations(plan, known, theory, covariance, order, writer)
    f0 = solved.coefficients + known.shift if solved else known.stepped
    operator = simulation.PathOperator.build(known, theory)
    distance = measured_with(plan, known, theory) if sizes else None
    work = [Work(n, count, writer.committed(schema.size_name(n))) for n, count in sizes.items()]
    team().tell((plan.run, known, operator, work, distance))
    ensembles = []
    for part in work:
        with stages.stage(f"particles, n = {part.n}", part.replicas) as advance:
            ensembles.append(recording.ensemble(plan, known, operator, distance, f0, part, writer, advance))
        writer.sync()
    team().rested()
    extra = [schema.hypotheses(hypotheses(plan, theory))]
    verdicts: list[Verdict] = []
    if solved is not None and ensembles:
        first = order.mean_correction[known.steps.rows] if order else None
        level = 1 - FALSE_ALARMS / (judgement.STATISTICAL + sum(map(healing.count, studies)))
        evidence = Evidence(plan, known, solved, theory, covariance, last, tuple(ensembles), level, distance, first)
        verdicts = judgement.judge(evidence)
        for study in studies:
            found, group = healing.conduct(study, writer, stages, level)
            verdicts += found
            extra.append(group)
        verdicts.sort(key=lambda verdict: not verdict.primary)
        extra.append(schema.verdicts(verdicts))
    elif plan.run.particles is not None and plan.run.particles.nested and ensembles:
        verdicts = judgement.along_samples(known, theory, f0, ensembles)
        extra.append(schema.verdicts(verdicts))
    with stages.stage("writing", 1):
        writer.complete(extra)
    return verdicts


def assist() -> None:
    """What the ranks do that do not lead: their part of every simulation that rank 0 tells of, to the last."""
    while (told := team().told()) is not None:
        run, known, operator, work, distance = told
        plan = Plan(run)
        with one_blas_thread():
            for part in work:
                for _ in recording.replicas(plan, known, operator, part, distance):
                    pass


__all__ = ["FileProblem", "InputError", "RunFailed", "resume", "start"]
