"""`cells = "auto"`: a grid whose f_0 meets the tolerance, each axis refined apart.

The error of a grid is the distance of its f_0 from the characteristics, which cost less than a grid of the same
accuracy. Three or more coarse grids say how the error falls along each axis; from there the next grid is predicted, and
solved to see.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liouville import mean_field
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.runfile import MIN_CELLS
from solvers import characteristics

Array = NDArray[np.floating]

START = (48, 32, 32)  # cells along each axis to start with, for N = 1, 2, 3
MOST = 2**24  # cells beyond which the tolerance is refused
ORDERS = (3, 4)  # at which the error is taken to fall along y, whose fronts keep it from 4 for long, and along c
FINER = 1.5  # how much finer an axis is made to see its share of the error
SAFETY = 1.3
MULTIPLE = 8  # of which cells are: the error estimate halves them twice


@dataclass(frozen=True)
class Trial:
    """One grid that was tried. coefficients : (S, M) of its f_0.  error : the largest norm of their error."""

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
    problem, tolerance = plan.problem, plan.run.solver.tolerance
    known = characteristics.solve(
        problem.closure, problem.initial.nodes, plan.run.time.final, plan.intervals, tolerance / 10
    )
    needed = mean_field.ranges(plan)

    def trial(cells: tuple[int, ...]) -> Trial:
        on = mean_field.grid(plan, cells, needed)
        solver = replace(mean_field.scheme(plan, on), tail=np.inf)
        frames = solver.march(problem.initial.cell_averages(on), plan.times)
        coefficients = np.array([frame.coefficients for frame in frames])
        error = float(np.linalg.norm(coefficients - known.coefficients, axis=1).max())
        return Trial(cells, coefficients, error)

    N = problem.dimension
    least = max(START[N - 1], 8 * getattr(problem.unit, "degree", 0))
    cells = (*[_rounded(least)] * N, MIN_CELLS)
    orders = np.array([ORDERS[0]] * N + [ORDERS[1]])
    trials = [trial(cells)]
    if trials[0].error > tolerance:
        trials += [
            trial(tuple(_rounded(n * FINER) if a == b else n for b, n in enumerate(cells))) for a in range(N + 1)
        ]
        first, finer = trials[0], trials[1:]
        moved = np.array([np.linalg.norm(t.coefficients - first.coefficients, axis=1).max() for t in finer])
        shares = moved / (1 - FINER ** -orders.astype(float))
        now, last = np.array(cells, dtype=float), first
        while last.error > tolerance:
            shares *= last.error / shares.sum()
            wanted = np.maximum(SAFETY * (N + 1) * shares / tolerance, 1.0) ** (1 / orders)
            before = now
            now = np.array([_rounded(n * factor) for n, factor in zip(now, wanted, strict=True)], dtype=float)
            if np.prod(now) > MOST:
                raise InputError(
                    f"solver.tolerance: {tolerance:g} needs more than {MOST:.3g} cells (the error of f_0 is "
                    f"{last.error:.1e} on {' x '.join(map(str, last.cells))}); give a larger one, or cells"
                )
            shares *= (now / before) ** -orders.astype(float)
            last = trial(tuple(int(n) for n in now))
            trials.append(last)
    return trials


def _rounded(cells: float) -> int:
    return MULTIPLE * int(np.ceil(cells / MULTIPLE - 1e-9))
