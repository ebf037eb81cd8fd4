"""The deterministic side of a run, each part with its error estimate: characteristics, finite volumes, fluctuations."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liouville.errors import InputError
from liouville.plan import Plan
from solvers import characteristics, fluctuations
from solvers.characteristics import Characteristics, MeanField
from solvers.finite_volume import FiniteVolume, Frame
from solvers.fluctuations import Fluctuations
from solvers.grid import Grid

Array = NDArray[np.floating]

MARGIN = 4  # cells that `c_range = "auto"` leaves free at either end
DIFFUSED = 1e-5  # mass that numerical diffusion alone may carry to an end of c
COARSER = (4, 2)  # the grids, so many times coarser, that the error estimate needs


@dataclass(frozen=True)
class Reference:
    """f_0 by characteristics, and the mean field with the step of the simulation and with half of it."""

    characteristics: Characteristics
    mean_field: MeanField
    half_step: MeanField


def reference(plan: Plan) -> Reference:
    """The characteristics, refined to solver.tolerance/1000."""
    problem, nodes = plan.problem, plan.problem.initial.nodes
    solved = characteristics.solve(
        problem.closure, nodes, plan.run.time.final, plan.intervals, plan.run.solver.tolerance / 1000
    )
    points = nodes(solved.Ny, solved.Nc)
    steps = plan.intervals * plan.substeps
    return Reference(
        solved,
        characteristics.mean_field(problem.closure, points, plan.dt, steps),
        characteristics.mean_field(problem.closure, points, plan.dt / 2, 2 * steps),
    )


def fluctuation_theory(plan: Plan, known: Reference) -> Fluctuations:
    """C for all pairs of times, and the operator R of every replica's path."""
    return fluctuations.solve(
        plan.problem.closure, plan.problem.initial.nodes, known.mean_field, known.half_step, plan.every
    )


def grid(plan: Plan) -> Grid:
    """The grid of the run file; raises InputError where its c_range cannot hold the mass."""
    problem, solver = plan.problem, plan.run.solver
    low, high = characteristics.range_of_c(
        problem.closure, problem.initial.nodes, plan.run.time.final, plan.intervals, solver.tail
    )
    Ny, Nc = plan.cells
    if solver.c_range == "auto":
        margin = (high - low) * MARGIN / (Nc - 2 * MARGIN)
        return Grid(Ny, Nc, low - margin, high + margin)
    given = solver.c_range
    if given[0] > low or given[1] < high:
        raise InputError(
            f"solver.c_range: [{given[0]:g}, {given[1]:g}] loses more than tail = {solver.tail:g} of the mass, "
            f"which needs [{low:.3f}, {high:.3f}]"
        )
    return Grid(Ny, Nc, *given)


@dataclass(frozen=True)
class Density:
    """What the finite volumes say, without the density itself.

    coefficients : (S, M) of f_0.  error : (S,), estimated norm of its error.
    defect : (S,), l(t) - l(0) + int of the dissipation.  defect_error : (S,), estimated error of that.
    """

    grid: Grid
    coefficients: Array
    error: Array
    loss: Array
    mass: Array
    minimum: Array
    defect: Array
    defect_error: Array
    loss_increase: float
    steps: int


def scheme(plan: Plan, on: Grid) -> FiniteVolume:
    """The finite volumes of this problem on a grid."""
    problem = plan.problem
    return FiniteVolume(on, problem.on_grid(on), problem.closure.target, tail=max(plan.run.solver.tail, DIFFUSED))


def density(plan: Plan, on: Grid, visit: Callable[[int, Frame], None]) -> Density:
    """Solve (12) on the grid, handing each frame over, and on two coarser ones for the error estimate."""
    longest = float(plan.times[1]) / 4  # halved with the cells, so that the estimate sees the error of the step, too
    levels = []
    for coarser in COARSER:
        coarse = on.coarsened(coarser)
        levels.append(
            replace(scheme(plan, coarse), tail=np.inf, longest=longest * coarser).solve(
                plan.problem.initial.cell_averages(coarse), plan.times
            )
        )
    frames: list[Frame] = []

    def keep(frame: Frame) -> None:
        visit(len(frames), frame)
        frames.append(replace(frame, density=np.empty(0)))

    replace(scheme(plan, on), longest=longest).solve(plan.problem.initial.cell_averages(on), plan.times, keep)
    levels.append(frames)
    coefficients = [np.array([frame.coefficients for frame in level]) for level in levels]
    defects = [np.array([f.loss - level[0].loss + f.dissipated for f in level])[:, None] for level in levels]
    return Density(
        grid=on,
        coefficients=coefficients[-1],
        error=extrapolated_error(*coefficients) + _outside(plan, on, frames[0].mass),
        loss=np.array([frame.loss for frame in frames]),
        mass=np.array([frame.mass for frame in frames]),
        minimum=np.array([frame.minimum for frame in frames]),
        defect=defects[-1][:, 0],
        defect_error=extrapolated_error(*defects),
        loss_increase=frames[-1].loss_increase,
        steps=frames[-1].steps,
    )


def extrapolated_error(coarsest: Array, coarse: Array, fine: Array) -> Array:
    """Norm of the error of `fine` (S, ...) from grids four and two times coarser, (S,).

    The moves between the grids form a geometric series whose ratio is their own at the worst time so far, kept between
    1/16 (order 4) and 1/2 (order 1).
    """
    last = np.maximum.accumulate(np.linalg.norm(fine - coarse, axis=1))
    before = np.maximum.accumulate(np.linalg.norm(coarse - coarsest, axis=1))
    ratio = np.clip(last / np.maximum(before, 1e-300), 1 / 16, 1 / 2)
    return np.asarray(last * ratio / (1 - ratio))


def _outside(plan: Plan, on: Grid, mass: float) -> float:
    """Bound of what the mass that the range of c leaves out at t = 0 would add to f_0, near the ends of the range."""
    reach = max(abs(on.c_low), abs(on.c_high))
    largest = np.linalg.norm(plan.problem.on_grid(on).centres, axis=1).max()
    return float(2 * abs(1.0 - mass) * reach * largest)
