"""`cells = "auto"`: a grid whose f_0 meets the tolerance, each axis refined apart.

The error of a grid is the distance of its f_0 from the characteristics, which cost less than a grid of the same
accuracy, and their own estimated error. Grids that are finer along one axis than a coarse one say how its error is
shared, and from there the next grid is predicted, and solved to see. The first grids need not wait for the
characteristics, and are solved beside them where they are small.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from liouville import mean_field
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.runfile import MIN_CELLS
from particles import beside
from solvers import characteristics
from solvers.characteristics import Extent

Array = NDArray[np.floating]

START = MIN_CELLS  # cells along each axis to start with; along a single axis of y, more where more is asked for
EASY, SLOWLY, MOST_AT_FIRST = 1e-3, 0.35, 128  # START (EASY / tolerance)^SLOWLY
MOST = 2**24  # cells beyond which the tolerance is refused
ORDERS = (3.5, 5.0)  # at which the error is taken to fall along y, for its fronts, and along c
FINER = 1.5  # how much finer an axis is made to see its part of the error
COARSER = 4  # how much finer than the last the next grid may be: beyond, the model has nothing to say
SAFETY = 1.15
NEAR = 1.5  # tolerances off: so close that a little more along all axes costs less than to see where the error is
BESIDE = 2**13  # cells below which the first grids are solved on one thread while the others find the characteristics
MULTIPLE = 8  # of which cells are: the error estimate halves them twice


@dataclass(frozen=True)
class Trial:
    """One grid that was tried. coefficients : (S, M) of its f_0.  error : largest norm of its error."""

    cells: tuple[int, ...]
    coefficients: Array
    error: float


def resolved(plan: Plan) -> tuple[Plan, list[Trial]]:
    """The plan with the cells found where it says "auto", and the grids tried; raises InputError beyond MOST."""
    if plan.run.solver.cells != "auto":
        return plan, []
    trials = search(plan)
    return plan.with_solver(cells=trials[-1].cells), trials


def search(plan: Plan) -> list[Trial]:
    """The grids tried, the last of which meets the tolerance."""
    problem, tolerance, N = plan.problem, plan.run.solver.tolerance, plan.problem.dimension
    seen = mean_field.extent(plan)
    orders = np.array([ORDERS[0]] * N + [ORDERS[1]])
    along_y = START * (EASY / tolerance) ** SLOWLY if N == 1 else START
    now = _rounded(np.array([max(min(along_y, MOST_AT_FIRST), START, 8 * problem.modes)] * N + [START], dtype=float))
    at_once = [now, *(_finer_along_each(now) if along_y > MOST_AT_FIRST else [])]  # which the first will not meet
    with _first_grids(plan, seen, at_once) as solved:
        known = characteristics.solve(
            problem.closure, problem.initial.nodes, plan.run.time.final, plan.intervals, tolerance / 2, seen
        )
        if not (reached := float(known.error.max())) < tolerance:
            raise InputError(
                f"solver.tolerance: {tolerance:g} cannot be checked, the characteristics that grids are held against "
                f"reach {reached:.1e}; give a larger one, or cells"
            )
        ready = solved()

    def trial(n: Array, f: Array | None = None) -> Trial:
        coefficients = _coefficients(plan, seen, n) if f is None else f
        error = np.linalg.norm(coefficients - known.coefficients, axis=1) + known.error
        return Trial(_cells(n), coefficients, float(error.max()))

    trials = [trial(now, ready.pop(0))]
    if tolerance < trials[-1].error < NEAR * tolerance:
        now, ready = _rounded(now * (SAFETY * trials[-1].error / tolerance) ** (1 / orders)), []
        trials.append(trial(now))
    if trials[-1].error > tolerance:
        middle, probes = trials[-1], _finer_along_each(now)
        trials += [trial(*one) for one in zip_longest(probes, ready)]
        moved = np.array([np.linalg.norm(t.coefficients - middle.coefficients, axis=1).max() for t in trials[-N:]])
        parts = moved / (1 - (probes.diagonal(1) / now[1:]) ** -orders[1:])
        parts = np.concatenate([[np.sqrt(max(middle.error**2 - parts @ parts, middle.error**2 / (N + 1)))], parts])
        trials.sort(key=lambda trial: -trial.error)
    while trials[-1].error > tolerance:
        finer = _next(now, parts, orders, tolerance / SAFETY)
        if np.prod(finer) > MOST:
            raise InputError(
                f"solver.tolerance: {tolerance:g} needs more than {MOST:.3g} cells (the error of f_0 is "
                f"{trials[-1].error:.1e} on {' x '.join(map(str, trials[-1].cells))}); give a larger one, or cells"
            )
        trials.append(trial(finer))
        parts = parts * (now / finer) ** orders
        parts *= trials[-1].error / np.linalg.norm(parts)
        now = finer
    return trials


def _coefficients(plan: Plan, seen: Extent, n: Array) -> Array:
    """f_0 on a grid, (S, M)."""
    on = mean_field.grid(plan, _cells(n), seen)
    solver = replace(mean_field.scheme(plan, on), tail=np.inf)
    frames = solver.march(plan.problem.initial.cell_averages(on), plan.times)
    return np.array([frame.coefficients for frame in frames])


def _first_grids(plan: Plan, seen: Extent, grids: list[Array]) -> AbstractContextManager[Callable[[], list[Array]]]:
    """Their f_0, when it is asked for; small grids are solved beside what is done in this context."""

    def solved() -> list[Array]:
        return [_coefficients(plan, seen, n) for n in grids]

    return beside(solved) if max(map(np.prod, grids)) < BESIDE else nullcontext(solved)


def _finer_along_each(cells: Array) -> Array:
    """Grids that are finer along one axis, for all axes but the first."""
    return _rounded(np.where(np.eye(cells.size, dtype=bool), FINER * cells, cells))[1:]


def _next(cells: Array, parts: Array, orders: Array, error: float) -> Array:
    """The fewest cells that bring the axes' parts, in quadrature, down to this error; COARSER times as fine at most.

    They are fewest where order times part^2 is the same for all axes that are refined.
    """
    refined = np.ones(cells.size, dtype=bool)
    while True:
        left = max(error**2 - float(np.sum(parts[~refined] ** 2)), 0.1 * error**2)
        goal = np.sqrt(left / (orders * np.sum(1.0 / orders[refined])))
        enough = refined & (parts <= goal)
        if not enough.any() or enough[refined].all():
            break
        refined &= ~enough
    factors = np.where(refined, (parts / goal) ** (1 / orders), 1.0)
    return _rounded(cells * np.clip(factors, 1.0, COARSER))


def _cells(n: Array) -> tuple[int, ...]:
    return tuple(int(k) for k in n)


def _rounded(cells: Array) -> Array:
    return MULTIPLE * np.ceil(cells / MULTIPLE - 1e-9)
