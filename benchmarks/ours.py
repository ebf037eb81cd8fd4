"""This project's schemes as `pde.py` runs them: the one file to adapt when `solvers` changes.

The semi-Lagrangian counts its substeps along y and along c as stages; what a cell costs there is not derived. It is of
fourth order in the step and in the cells, but takes steps as the cells' width to the power 2/3, hence 8/3 all together.

The counts are of what a scheme must do for a cell in a stage (one evaluation of the right-hand side with its part of
the time step), not of what an implementation happens to do; adding, multiplying, dividing, comparing and taking a
minimum are one operation each, a fused multiply-add two, and what is constant along a row is not counted.

Memory, SSPRK(5,4) in double precision with nothing but rows in cache: every stage reads the registers that its
Shu-Osher row names and writes one, u_4 = f(u_0, u_3) keeps L(u_3) too. Reads + writes are 1 + 1, 2 + 1, 2 + 1, 2 + 2,
4 + 1 = 17 numbers in 5 stages, 27.2 B a cell-stage; moments are taken from what is in cache. (Write-allocation adds as
much here as in the triad a = b + 3 c, which is counted as 24 B likewise.)

Operations of the finite volumes, per cell, with one y-face and one c-face each:
    fifth-order face values: centred part 7, upwind part 7, together 3; two faces                               34
    corrected fluxes less upwind: velocity 1 and its sign 1 (y alone), upwind 5 and 3, slope 3, sum 4; two      24
    donor's share: after the upwind step 7, outgoing fluxes 9, their ratio in [0, 1] 5                          21
    limited fluxes 3; two                                                                                        6
    divergence                                                                                                   5
    registers: 2 a term, 11 terms in 5 stages, and the step                                                    5.4
    moments 0, 1, 2 over c                                                                                       6
101 with the limiter; without it 64: no donor and no limiting (27), no upwind flux to take off (5 + 3 + 2).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from flat_fourier import TARGET, TIMES

from liouville import mean_field, refinement, runfile
from liouville.plan import Plan

STAGES = 5  # of SSPRK(5,4)
SUBSTEPS = 5  # shift, flow, shift, flow, shift


@dataclass(frozen=True)
class Scheme:
    """solve((Ny, Nc)) -> (coefficients of f_0 at TIMES, seconds without compilation, cell-stages).

    bytes_moved, operations : per cell-stage, derived above.  order : of f_0 in the cell width.
    """

    name: str
    order: float
    solve: Callable[[tuple[int, int]], tuple[np.ndarray, float, int]]
    bytes_moved: float | None = None
    operations: float | None = None


@cache
def _plan(**solver: Any) -> Plan:
    """The problem with some keys of [solver], at the times of the reference."""
    run = runfile.load("flat-fourier")
    time = run.time.model_copy(update={"final": float(TIMES[-1]), "snapshots": TIMES.size})
    plan = Plan(run.model_copy(update={"time": time, "solver": run.solver.model_copy(update=solver)}))
    assert np.allclose(plan.problem.closure.target, TARGET), "not the functions that the reference is read on"
    return plan


def _solve(cells: tuple[int, int], scheme: str, stages: int, **switches: Any) -> tuple[np.ndarray, float, int]:
    plan = _plan(cells=cells, scheme=scheme)
    grid = mean_field.grid(plan)
    initial = plan.problem.initial.cell_averages(grid)
    start = time.perf_counter()
    frames = replace(mean_field.scheme(plan, grid), tail=np.inf, **switches).solve(initial, TIMES)
    seconds = time.perf_counter() - start
    return np.array([f.coefficients for f in frames]), seconds, stages * frames[-1].steps * initial.size


def positive(cells: tuple[int, int]) -> tuple[np.ndarray, float, int]:
    """Finite volumes with flux-corrected transport."""
    return _solve(cells, "finite-volume", STAGES)


def unlimited(cells: tuple[int, int]) -> tuple[np.ndarray, float, int]:
    """The same without the limiter: rho may become negative."""
    return _solve(cells, "finite-volume", STAGES, limiter=False)


def semi_lagrangian(cells: tuple[int, int]) -> tuple[np.ndarray, float, int]:
    """The splitting, positive."""
    return _solve(cells, "semi-lagrangian", SUBSTEPS)


def automatic(tolerance: float, scheme: str) -> tuple[np.ndarray, float, tuple[int, ...]]:
    """`cells = "auto"`: coefficients, seconds of the whole search, the cells found."""
    plan = _plan(cells="auto", scheme=scheme, tolerance=tolerance)
    start = time.perf_counter()
    last = refinement.search(plan)[-1]
    return last.coefficients, time.perf_counter() - start, last.cells


SCHEMES = (
    Scheme("liouville finite volumes, positive", 4, positive, 27.2, 101),
    Scheme("liouville finite volumes, unlimited", 4, unlimited, 27.2, 64),
    Scheme("liouville semi-Lagrangian, positive", 8 / 3, semi_lagrangian),
)
AUTOMATIC = ("finite-volume", "semi-lagrangian")
