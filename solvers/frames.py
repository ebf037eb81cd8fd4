"""What every deterministic scheme for (12) hands over at a snapshot, and what stops it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from solvers.grid import Grid

Array = NDArray[np.floating]

SMALL = 2**12  # cells below which threads cost more than they give


class SolverError(RuntimeError):
    """A run that cannot go on; the message names the quantity, the time and the step."""


@dataclass(frozen=True)
class Frame:
    """The solution at one snapshot.

    density : (*Ny, Nc) cell averages; moment : (*Ny,), int c rho dc; potential : (*Ny,), U at cell centres;
    coefficients : (M,) of f_0; loss is |r|^2/2, dissipation its rate of decay, dissipated the integral of it;
    loss_increase is the largest increase of the loss in any step so far, 0 if it never increased.
    """

    time: float
    density: Array
    moment: Array
    potential: Array
    coefficients: Array
    loss: float
    mass: float
    minimum: float
    dissipation: float
    dissipated: float
    loss_increase: float
    steps: int


@contextmanager
def threads_for(cells: int) -> Iterator[None]:
    """A context in which a grid of few cells is worked on by one thread; the bits are the same."""
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1 if cells < SMALL else threads)
        yield
    finally:
        numba.set_num_threads(threads)


def check(grid: Grid, density: Array, mass: float, tail: float, time: float, steps: int) -> None:
    """Raise SolverError on NaN, on loss of mass, and where more than `tail` of it stands in the two cells at a wall."""
    now = density.sum() * grid.cell
    if not np.isfinite(now):
        raise SolverError(f"density is not finite {_when(time, steps)}")
    if abs(now - mass) > 1e-9 * abs(mass):
        raise SolverError(f"mass changed from {mass:.12g} to {now:.12g} {_when(time, steps)}")
    for a, axis in enumerate((*grid.y, grid.c)):
        if axis.periodic:
            continue
        for cells in (slice(0, 2), slice(-2, None)):
            there = np.abs(density[(slice(None),) * a + (cells,)]).sum() * grid.cell
            if there > tail:
                end, value = ("lower", axis.low) if cells.start == 0 else ("upper", axis.high)
                name, key = (
                    (f"y{a + 1}" if len(grid.y) > 1 else "y", "y_range") if a < len(grid.y) else ("c", "c_range")
                )
                raise SolverError(
                    f"mass {there:.2g} > tail {tail:.2g} has reached the {end} end {name} = {value:.4g} "
                    f"{_when(time, steps)}; widen {key}"
                )


def _when(time: float, steps: int) -> str:
    return f"at t = {time:.6g} (step {steps})"
