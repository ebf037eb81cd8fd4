"""What a run computes, into its file as it comes: characteristics, the grid frame by frame, theory, replicas."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from liouville import mean_field, schema, simulation
from liouville.distance import Distance
from liouville.judgement import Ensemble
from liouville.mean_field import Density, Reference
from liouville.plan import Plan
from liouville.progress import Advance
from liouville.simulation import Work
from liouville.storage import Writer
from particles import team
from solvers.expansion import Expansion
from solvers.fluctuations import Fluctuations
from solvers.frames import Frame

Array = NDArray[np.floating]


def replicas(
    plan: Plan, known: Reference, operator: simulation.PathOperator, part: Work, distance: Distance | None
) -> Iterator[simulation.Replicas]:
    """The replicas of a piece of work, with as many trajectories as are kept; all ranks call this."""
    assert plan.run.particles is not None
    keep = max(1, plan.run.particles.keep)
    return simulation.simulate(plan, known, operator, part, keep=keep, team=team(), distance=distance)


def _append(writer: Writer, group: str, start: int, **arrays: Array) -> None:
    """Write the frames that are not there yet."""
    done = writer.committed(group) - start
    rows = len(next(iter(arrays.values())))
    if done < rows:
        writer.write(group, start + max(0, done), **{name: array[max(0, done) :] for name, array in arrays.items()})


def characteristics(plan: Plan, known: Reference, writer: Writer) -> None:
    """f_0 by characteristics, into /characteristics."""
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


def fluctuations(
    plan: Plan, known: Reference, theory: Fluctuations, covariance: Array, order: Expansion | None, writer: Writer
) -> None:
    """C, and the next order where there is one, into /fluctuations."""
    basis, rows = plan.problem.basis, known.steps.rows
    frames = {
        "covariance": basis @ covariance @ basis.T,
        "trace": theory.trace[rows],
        "trace_error": theory.trace_error[rows],
        "two_time_trace": np.einsum("siti->st", theory.covariance[rows][:, :, rows]),
        "gap": np.linalg.eigvalsh(theory.kernel_diagonal[rows])[:, 0],
    }
    if plan.run.solver.two_times:
        used = basis[:, : theory.features]
        C = theory.covariance[rows][:, :, rows]
        frames["two_time_covariance"] = np.einsum("xi,sitj,zj->stxz", used, C, used, optimize=True)
    if order is not None:
        frames["mean_correction"] = plan.problem.values(order.mean_correction[rows])
        frames |= {name: getattr(order, name)[rows] for name in schema.NEXT_ORDER_CURVES}
    _append(writer, "/fluctuations", 0, **frames)


def density(plan: Plan, writer: Writer, advance: Advance) -> tuple[Density, Array]:
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


def ensemble(
    plan: Plan,
    known: Reference,
    operator: simulation.PathOperator,
    distance: Distance | None,
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
    if distance is not None:
        writer.set(group, "density_floor", distance.floor / part.n)
        writer.set(group, "moment_floor", distance.moment_floor / part.n)
        writer.set(group, "density_limit", np.array([distance.floor[0], distance.limits[0]]) / part.n)
        writer.set(group, "moment_limit", np.array([distance.moment_floor[0], distance.limits[1]]) / part.n)
    for some in replicas(plan, known, operator, part, distance):
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
            loss_increase=some.increase,
            density_distance=some.density_distance,
            moment_distance=some.moment_distance,
        )
        measures = some.increase, some.density_distance, some.moment_distance
        parts.append((plan.recover(f), plan.recover(path), y, c, *measures))
        advance(len(f))
    return Ensemble(part.n, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _stored(plan: Plan, writer: Writer, group: str, count: int) -> tuple[Array, ...]:
    """What an earlier session left of an ensemble."""
    names = ("f", "path", "first_c", "loss_increase", "density_distance", "moment_distance")
    f, path, c, *measures = (writer.frames(group, name, count) for name in names)
    y = np.stack([writer.frames(group, name, count) for name in schema.components(plan, "first_y")], axis=-1)
    return plan.recover(f), plan.recover(path), y, c, *measures
