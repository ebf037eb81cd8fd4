"""`liouville convergence`: errors of f_0 against cells and seconds, for both schemes and with parts left out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numba
import numpy as np
import scipy
from numpy.typing import NDArray

from liouville import mean_field, refinement, runfile
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.progress import Quiet, Stages
from liouville.runfile import RunFile
from liouville.running import accounted
from liouville.storage import Group, Variable, Writer
from solvers import characteristics
from solvers.characteristics import Extent
from solvers.frames import SolverError
from solvers.linear import one_blas_thread

Array = NDArray[np.floating]

LADDER = (1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)  # of the cells of the run file
LEAST = 12  # cells along an axis
NODES = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # of the characteristics along each axis of y, N = 1
REPEAT = 0.1  # seconds that a grid is timed for at least
FITTED = 4  # finest grids that an order is fitted to
LEVEL = 0.95  # of its interval


@dataclass(frozen=True)
class Variant:
    """A scheme, or one with an ingredient left out."""

    name: str
    scheme: str
    switches: dict[str, Any]
    about: str


VARIANTS = (
    Variant("finite-volume", "finite-volume", {}, "finite volumes"),
    Variant("semi-lagrangian", "semi-lagrangian", {}, "semi-Lagrangian splitting"),
    Variant("uncorrected", "finite-volume", {"corrections": False}, "finite volumes without the product corrections"),
    Variant("unlimited", "finite-volume", {"limiter": False}, "finite volumes without the positivity limiter"),
)
CHARACTERISTICS = "characteristics"


@dataclass(frozen=True)
class Fit:
    """Order p of error ~ cells^-p along an axis, with its interval, and error ~ seconds^-q; NaN where nothing fits."""

    order: float
    low: float
    high: float
    per_second: float


def start(run: RunFile, path: Path, *, force: bool = False, stages: Stages | None = None) -> dict[str, Fit]:
    """Run the study into a new file; returns the fitted orders by name.

    Raises InputError, FileProblem (the file exists and not `force`) or RunFailed.
    """
    plan, stages = Plan(run), stages or Quiet()
    plan.check()
    plan, _ = refinement.resolved(plan)
    run = plan.run
    ladder = levels(plan.cells)
    if len(ladder) < 3:
        raise InputError(f"solver.cells: must leave three grids or more of at least {LEAST} cells an axis")
    seen = mean_field.extent(plan)
    mean_field.grid(plan, None, seen)
    nodes = [n for n in NODES if n <= 512 / 4 ** (plan.problem.dimension - 1)]
    described: dict[str, str | int | float] = {
        "problem": run.problem.name,
        "runfile": runfile.dump(run),
        "command": "convergence",
        "seed": -1,
        "threads": numba.get_num_threads(),
    }
    groups = [_group(plan, v.name, v.about, np.array(ladder)) for v in VARIANTS]
    groups.append(_group(plan, CHARACTERISTICS, "characteristics, on so many nodes", np.array(nodes)[:, None]))
    with Writer.create(path, described, groups, force=force) as writer, accounted(writer), one_blas_thread():
        with stages.stage("reference", 1):
            known = characteristics.solve(
                plan.problem.closure,
                plan.problem.initial.nodes,
                run.time.final,
                plan.intervals,
                run.solver.tolerance / 1000,
            )
        results = {}
        for variant in VARIANTS:
            with stages.stage(variant.about, len(ladder)) as advance:
                rows: list[dict[str, Array]] = []
                for row in _solve(plan, variant, ladder, seen, known.coefficients):
                    writer.write(f"/convergence/{variant.name}", len(rows), **{k: v[None] for k, v in row.items()})
                    rows.append(row)
                    advance(1)
                results[variant.name] = fit(np.array(ladder)[:, 0], rows, known.error.max())
        with stages.stage("characteristics", len(nodes)) as advance:
            rows = []
            for row in _carry(plan, nodes, known):
                writer.write(f"/convergence/{CHARACTERISTICS}", len(rows), **{k: v[None] for k, v in row.items()})
                rows.append(row)
                advance(1)
            results[CHARACTERISTICS] = fit(np.array(nodes), rows, known.error.max())
        writer.complete([_orders(results)])
    return results


def levels(cells: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The grids of the study, the finest that of the run file."""
    grids = [tuple(4 * max(1, round(n * share / 4)) for n in cells) for share in LADDER[:-1]] + [cells]
    return [grid for k, grid in enumerate(grids) if min(grid) >= LEAST and grid not in grids[:k]]


def _solve(
    plan: Plan, variant: Variant, ladder: list[tuple[int, ...]], seen: Extent, known: Array
) -> Iterator[dict[str, Array]]:
    of = plan.with_solver(scheme=variant.scheme)
    for k, cells in enumerate(ladder):
        on = mean_field.grid(plan, cells, seen)
        solver = replace(mean_field.scheme(of, on), tail=np.inf, **variant.switches)
        start = plan.problem.initial.cell_averages(on)
        if k == 0:
            solver.solve(start, plan.times[:2])  # compiles
        try:
            frames, seconds = _timed(lambda solver=solver, start=start: solver.solve(start, plan.times))
        except SolverError:
            yield _row(np.full_like(known, np.nan), known, np.nan, np.nan, np.nan)
            continue
        f = np.array([frame.coefficients for frame in frames])
        mass = np.array([frame.mass for frame in frames])
        yield _row(f, known, seconds, min(frame.minimum for frame in frames), float(np.abs(mass - mass[0]).max()))


def _carry(plan: Plan, nodes: list[int], known: characteristics.Characteristics) -> Iterator[dict[str, Array]]:
    steps = plan.intervals * known.substeps
    dt = plan.run.time.final / steps
    for n in nodes:
        points = plan.problem.initial.nodes(n, max(8, n // 4))
        carried, seconds = _timed(
            lambda points=points: characteristics.mean_field(plan.problem.closure, points, dt, steps)
        )
        yield _row(carried.coefficients[:: known.substeps], known.coefficients, seconds, np.nan, np.nan)


def _row(f: Array, known: Array, seconds: float, minimum: float, drift: float) -> dict[str, Array]:
    error = np.linalg.norm(f - known, axis=1)
    values = {"largest_error": error.max(), "seconds": seconds, "minimum": minimum, "mass_drift": drift}
    return {"error": error} | {name: np.array(value) for name, value in values.items()}


def _timed(work: Any) -> tuple[Any, float]:
    """The result, and the least time of as many runs as fit into REPEAT seconds."""
    best, spent = np.inf, 0.0
    while spent < REPEAT:
        begun = perf_counter()
        result = work()
        took = perf_counter() - begun
        best, spent = min(best, took), spent + took
    return result, best


def fit(cells: Array, rows: list[dict[str, Array]], known: float) -> Fit:
    """Orders by least squares on the logarithms, over the finest grids whose error the reference can tell."""
    errors, seconds = (np.array([float(row[name]) for row in rows]) for name in ("largest_error", "seconds"))
    used = np.flatnonzero(np.isfinite(errors) & (errors > 10 * known))[-FITTED:]
    if used.size < 3:
        return Fit(np.nan, np.nan, np.nan, np.nan)
    line = scipy.stats.linregress(np.log(cells[used]), np.log(errors[used]))
    half = scipy.stats.t.ppf((1 + LEVEL) / 2, used.size - 2) * line.stderr
    speed = scipy.stats.linregress(np.log(seconds[used]), np.log(errors[used]))
    return Fit(-line.slope, -line.slope - half, -line.slope + half, -speed.slope)


def _group(plan: Plan, name: str, about: str, cells: NDArray[np.integer]) -> Group:
    return Group(
        f"/convergence/{name}",
        {
            "level": np.arange(len(cells), dtype=float),
            "axis": np.arange(cells.shape[1], dtype=float),
            "time": plan.times,
        },
        "level",
        (
            Variable("cells", ("level", "axis"), f"cells of {about}, y axes first, c last", dtype="i8", data=cells),
            Variable("error", ("level", "time"), "error of f_0", "norm in L^2(mu) of f_0 less that of the reference"),
            Variable("largest_error", ("level",), "largest error of f_0 over the snapshots"),
            Variable("minimum", ("level",), "smallest cell average of all snapshots", "min rho"),
            Variable("mass_drift", ("level",), "largest drift of the mass"),
            Variable("seconds", ("level",), "time of a solution to the last snapshot, compiled", units="s"),
        ),
    )


def _orders(results: dict[str, Fit]) -> Group:
    names = list(results)

    def column(name: str, long_name: str) -> Variable:
        return Variable(name, ("variant",), long_name, data=np.array([getattr(results[v], name) for v in names]))

    return Group(
        "/convergence_orders",
        {"variant": np.arange(len(names), dtype=float)},
        "variant",
        (
            Variable("name", ("variant",), "scheme", dtype="str", data=np.array(names, dtype=object)),
            column("order", f"order p of error ~ cells^-p, over the {FITTED} finest grids"),
            column("low", f"lower end of its {LEVEL:.0%} interval"),
            column("high", f"upper end of its {LEVEL:.0%} interval"),
            column("per_second", "q of error ~ seconds^-q"),
        ),
    )
