"""The deterministic side of a run, each part with its error estimate: characteristics, the grid, fluctuations."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liouville.errors import InputError
from liouville.plan import Plan
from liouville.steps import Steps
from particles import EULER, descend
from solvers import characteristics, expansion, fluctuations
from solvers.characteristics import Characteristics, Extent, MeanField
from solvers.expansion import Expansion
from solvers.finite_volume import FiniteVolume
from solvers.fluctuations import Fluctuations
from solvers.frames import Frame
from solvers.grid import Axis, Grid, circle
from solvers.semi_lagrangian import SemiLagrangian

Array = NDArray[np.floating]
Scheme = FiniteVolume | SemiLagrangian

SCHEMES: dict[str, type[Scheme]] = {"finite-volume": FiniteVolume, "semi-lagrangian": SemiLagrangian}
MARGIN = 4  # cells that "auto" ranges leave free at either end
DIFFUSED = 1e-5  # mass that numerical diffusion alone may carry to a wall
UNRESOLVED = 0.1  # of the norm of f_0, beyond which its estimated error says that the grid tells nothing
SPECTRAL = {1: (512, 24), 2: (48, 24), 3: (18, 18)}  # nodes along y and c for the eigenvalues of M, by N
COARSER = (4, 2)  # the grids, so many times coarser, that the error estimate needs


@dataclass(frozen=True)
class Reference:
    """f_0 by characteristics, and the mean field with the steps of the simulation and with half of them.

    half_step : None for Euler's scheme, whose own theory there is.
    """

    characteristics: Characteristics
    steps: Steps
    mean_field: MeanField
    half_step: MeanField | None

    @property
    def stepped(self) -> Array:
        """f_0 at the snapshots as the simulation's integrator has it, (S, M)."""
        return self.mean_field.coefficients[self.steps.snapshots]

    @property
    def shift(self) -> Array:
        """What the integrator adds to f_0, (S, M): small for all but Euler's."""
        return self.stepped - self.characteristics.coefficients


def reference(plan: Plan) -> Reference:
    """The characteristics, refined to solver.tolerance/1000."""
    problem, nodes = plan.problem, plan.problem.initial.nodes
    solved = characteristics.solve(
        problem.closure, nodes, plan.run.time.final, plan.intervals, plan.run.solver.tolerance / 1000
    )
    points = nodes(solved.Ny, solved.Nc)
    steps = Steps.of(plan)

    def carried(steps: Steps) -> MeanField:
        return characteristics.mean_field(problem.closure, points, steps.lengths, steps.lengths.size, steps.tableau)

    return Reference(solved, steps, carried(steps), None if steps.tableau is EULER else carried(steps.halved))


def fluctuation_theory(plan: Plan, known: Reference, **options: Any) -> Fluctuations:
    """C for all pairs of times, and the operator R of every replica's path; options of `fluctuations.solve`."""
    nodes, closure = plan.problem.initial.nodes, plan.problem.closure
    return fluctuations.solve(closure, nodes, known.mean_field, known.half_step, known.steps.grid, **options)


def late_eigenvalues(plan: Plan) -> Array:
    """Eigenvalues of M (16) at the end of the run, ascending, to about 1e-3: the first is the gap."""
    problem, steps = plan.problem, Steps.of(plan)
    y, c, p = problem.initial.nodes(*SPECTRAL[problem.dimension])
    count = steps.lengths.size
    run = descend(problem.closure, y[None].copy(), c[None].copy(), p, steps.lengths, count, steps.tableau, keep=c.size)
    y, c = run.y[0, -1], run.c[0, -1]
    slopes = problem.closure.gradients(y) * (c[:, None, None] if problem.closure.moving else 0.0)
    values = problem.closure.evaluate(y)
    M = (p[:, None] * values).T @ values + np.einsum("q,qam,qal->ml", p, slopes, slopes, optimize=True)
    return np.linalg.eigvalsh(M)


def next_order(plan: Plan, known: Reference, final: float = np.inf, **options: Any) -> Expansion:
    """f_1 of E f_n = f_0 + f_1/n, B of E||f_n - f_0||^2 = A/n + B/n^2, and Q, on the Volterra grid; not for Euler's.

    final : time up to which they are wanted, at least.  options : of `expansion.solve`.
    """
    problem, grid = plan.problem, known.steps.grid
    assert known.half_step is not None
    count = min(grid.size, int(np.searchsorted(known.mean_field.times[grid], final)) + 1)
    last = int(grid[count - 1])
    coarse, fine = known.mean_field.until(last), known.half_step.until(2 * last)
    return expansion.solve(problem.closure, problem.initial.nodes, coarse, fine, grid[:count], **options)


def extent(plan: Plan) -> Extent:
    """What y (off the circle) and c need at least: intervals that hold all but `tail` of the mass at every snapshot."""
    problem = plan.problem
    return characteristics.extent(
        problem.closure, problem.initial.nodes, plan.run.time.final, plan.intervals, plan.run.solver.tail
    )


def grid(plan: Plan, cells: tuple[int, ...] | None = None, seen: Extent | None = None) -> Grid:
    """The grid of the run file, or with so many cells; raises InputError where its ranges cannot hold the mass."""
    solver = plan.run.solver
    cells = cells or plan.cells
    seen = seen or extent(plan)
    needed = [(float(low), float(high)) for low, high in zip(seen.low, seen.high, strict=True)]
    given = [*(["auto"] * len(cells[:-1]) if solver.y_range == "auto" else solver.y_range), solver.c_range]
    keys = [f"y_range.{a}" for a in range(len(cells) - 1)] + ["c_range"]
    jumps = [*plan.problem.initial.jumps, None]
    axes = [
        _axis(key, n, low_high, choice, solver.tail, jump)
        for key, n, low_high, choice, jump in zip(keys, cells, needed, given, jumps, strict=True)
    ]
    return Grid((circle(cells[0]),) if plan.problem.unit.circle else tuple(axes[:-1]), axes[-1])


def _axis(
    key: str,
    cells: int,
    needed: tuple[float, float],
    given: object,
    tail: float,
    jump: tuple[float, float] | None,
) -> Axis:
    low, high = needed
    if given == "auto":
        margin = max(high - low, 1e-12) * MARGIN / (cells - 2 * MARGIN)
        axis = Axis(low - margin, high + margin, cells)
        return axis if jump is None else _aligned(axis, *jump)
    assert isinstance(given, tuple)
    if given[0] > low or given[1] < high:
        raise InputError(
            f"solver.{key}: [{given[0]:g}, {given[1]:g}] loses more than tail = {tail:g} of the mass, "
            f"which needs [{low:.3f}, {high:.3f}]"
        )
    return Axis(given[0], given[1], cells)


def _aligned(axis: Axis, low: float, high: float) -> Axis:
    """At least the same interval, with faces of this and of the COARSER grids at low and at high.

    A jump within a cell leaves errors that change with its place there and do not fall smoothly with the cells.
    """
    unit = max(COARSER)
    inside = int((high - low) / axis.width) // unit * unit
    while inside > 0:
        width = (high - low) / inside
        before = unit * int(np.ceil((low - axis.low) / width / unit - 1e-9))
        if low + (axis.cells - before) * width >= axis.high - 1e-9 * width:
            return Axis(low - before * width, low + (axis.cells - before) * width, axis.cells)
        inside -= unit
    return axis


@dataclass(frozen=True)
class Density:
    """What the grid says, without the density itself.

    coefficients : (S, M) of f_0.  error : (S,), estimated norm of its error.
    density_error : (S,), estimated L1 norm of the error of rho.
    defect : (S,), l(t) - l(0) + int of the dissipation.  defect_error : (S,), estimated error of that.
    """

    grid: Grid
    coefficients: Array
    error: Array
    density_error: Array
    loss: Array
    mass: Array
    minimum: Array
    defect: Array
    defect_error: Array
    loss_increase: float
    steps: int

    def warnings(self, times: Array) -> list[str]:
        """What the user should know of it. times : of the snapshots, (S,)."""
        largest = float(np.linalg.norm(self.coefficients, axis=1).max())
        worst = int(np.argmax(self.error))
        if self.error[worst] <= UNRESOLVED * largest:
            return []
        cells = " x ".join(map(str, self.grid.shape))
        return [
            f"the estimated error of f_0 is {self.error[worst]:.2g} at t = {times[worst]:.4g}, more than "
            f"{UNRESOLVED:.0%} of its largest norm {largest:.2g}: {cells} cells do not resolve this run; "
            'give more, or cells = "auto"'
        ]


def scheme(plan: Plan, on: Grid) -> Scheme:
    """The scheme of the run file on a grid."""
    problem = plan.problem
    return SCHEMES[plan.run.solver.scheme](
        on,
        problem.on_grid(on),
        problem.projection,
        tail=max(plan.run.solver.tail, DIFFUSED),
        moving=not problem.frozen_y,
    )


def density(plan: Plan, on: Grid, visit: Callable[[int, Frame], None]) -> Density:
    """Solve (12) on the grid, handing each frame over; two coarser grids in step with it estimate its errors."""
    longest = float(plan.times[1]) / 4  # halved with the cells, so that the estimate sees the error of the step, too
    grids = [*(on.coarsened(factor) for factor in COARSER), on]
    solvers = [
        replace(scheme(plan, level), longest=longest * factor)
        for level, factor in zip(grids, (*COARSER, 1), strict=True)
    ]
    solvers = [*(replace(solver, tail=np.inf) for solver in solvers[:-1]), solvers[-1]]
    marches = [
        solver.march(plan.problem.initial.cell_averages(level), plan.times)
        for solver, level in zip(solvers, grids, strict=True)
    ]
    frames: list[tuple[Frame, ...]] = []
    moved: list[list[float]] = []
    for k, levels in enumerate(zip(*marches, strict=True)):
        visit(k, levels[-1])
        moved.append(
            [
                float(np.abs(finer.restricted(fine.density, 2) - coarse.density).sum() * coarser.cell)
                for coarser, coarse, finer, fine in zip(grids, levels, grids[1:], levels[1:], strict=False)
            ]
        )
        frames.append(tuple(replace(frame, density=np.empty(0)) for frame in levels))
    by_level = list(zip(*frames, strict=True))
    coefficients = [np.array([frame.coefficients for frame in level]) for level in by_level]
    defects = [np.array([f.loss - level[0].loss + f.dissipated for f in level])[:, None] for level in by_level]
    finest, between = by_level[-1], np.array(moved)
    return Density(
        grid=on,
        coefficients=coefficients[-1],
        error=extrapolated_error(*coefficients) + _outside(solvers[-1], finest[0].mass),
        density_error=_extrapolated(between[:, 0], between[:, 1]) + abs(1 - finest[0].mass),
        loss=np.array([frame.loss for frame in finest]),
        mass=np.array([frame.mass for frame in finest]),
        minimum=np.array([frame.minimum for frame in finest]),
        defect=defects[-1][:, 0],
        defect_error=extrapolated_error(*defects),
        loss_increase=finest[-1].loss_increase,
        steps=finest[-1].steps,
    )


def extrapolated_error(coarsest: Array, coarse: Array, fine: Array) -> Array:
    """Norm of the error of `fine` (S, ...) from grids four and two times coarser, (S,)."""
    return _extrapolated(np.linalg.norm(coarse - coarsest, axis=1), np.linalg.norm(fine - coarse, axis=1))


def _extrapolated(before: Array, last: Array) -> Array:
    """The rest of a geometric series from its last two terms at each snapshot, (S,).

    The ratio is their own at the worst time so far, kept between 1/16 (order 4) and 1/2 (order 1).
    """
    before, last = np.maximum.accumulate(before), np.maximum.accumulate(last)
    ratio = np.clip(last / np.maximum(before, 1e-300), 1 / 16, 1 / 2)
    return np.asarray(last * ratio / (1 - ratio))


def _outside(solver: Scheme, mass: float) -> float:
    """Bound of what the mass that the ranges leave out at t = 0 would add to f_0, near the ends of the range of c."""
    reach = max(abs(solver.grid.c.low), abs(solver.grid.c.high))
    largest = np.linalg.norm(solver.features, axis=-1).max()
    return float(2 * abs(1.0 - mass) * reach * largest)
