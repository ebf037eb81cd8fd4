"""`cells = "auto"`: the coarsest grid whose f_0 meets the tolerance, y and c refined apart."""

import numpy as np
from numpy.typing import NDArray

from liouville import mean_field
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.runfile import MIN_CELLS, RunFile

Array = NDArray[np.floating]

LARGEST = (4096, 1024)  # cells along y and c beyond which the tolerance is refused
GAIN = 7  # a doubling of the cells leaves at most 1/(1 + GAIN) of the error: order 3, where the scheme has 4 early


def resolved(run: RunFile) -> RunFile:
    """The run file with the cells found where it says "auto"; raises InputError where LARGEST does not suffice.

    The error of f_0 along an axis is estimated from half as many cells there; the axis with the larger error is doubled
    until both together meet `tolerance` at every snapshot.
    """
    if run.solver.cells != "auto":
        return run
    known: dict[tuple[int, int], Array] = {}

    def coefficients(cells: tuple[int, int]) -> Array:
        if cells not in known:
            plan = Plan(_with_cells(run, cells))
            on = mean_field.grid(plan)
            frames = mean_field.scheme(plan, on).solve(plan.problem.initial.cell_averages(on), plan.times)
            known[cells] = np.array([frame.coefficients for frame in frames])
        return known[cells]

    least = max(2 * MIN_CELLS, 8 * Plan(run).problem.closure.modes)
    Ny, Nc = 2 ** int(np.ceil(np.log2(least))), 2 * MIN_CELLS
    while True:
        fine = coefficients((Ny, Nc))
        coarser = coefficients((Ny // 2, Nc)), coefficients((Ny, Nc // 2))
        along_y, along_c = (np.linalg.norm(fine - coarse, axis=1).max() / GAIN for coarse in coarser)
        if along_y + along_c <= run.solver.tolerance:
            return _with_cells(run, (Ny, Nc))
        Ny, Nc = (2 * Ny, Nc) if along_y >= along_c else (Ny, 2 * Nc)
        if Ny > LARGEST[0] or Nc > LARGEST[1]:
            raise InputError(
                f"solver.tolerance: {run.solver.tolerance:g} needs more than {LARGEST[0]} x {LARGEST[1]} cells "
                f"(estimated error of f_0 {along_y + along_c:.1e}); give a larger one, or cells"
            )


def _with_cells(run: RunFile, cells: tuple[int, int]) -> RunFile:
    return run.model_copy(update={"solver": run.solver.model_copy(update={"cells": cells})})
