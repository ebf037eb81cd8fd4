"""The closure of units off the circle: features on a mesh of splines that covers all places the particles go to."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liouville.errors import InputError
from particles import Closure, Splines
from solvers import characteristics
from solvers.characteristics import Nodes

Array = NDArray[np.floating]

TOLERANCES = (1e-10, 1e-6, 1e-5)  # of the features and their gradients relative to the largest, for N = 1, 2, 3
ROUGH = 1e-4  # while the box is looked for
TAIL = 1e-12  # of the mass that may start so far out that it leaves the box
ATTEMPTS = 8
MARGIN = 0.05  # of its width that the box is made wider than it must be


def closure(
    psi: Callable[[Array], Array],
    target: Array,
    nodes: Nodes,
    box: tuple[Array, Array],
    final: float,
    intervals: int,
    *,
    fixed: bool,
    moving: bool,
) -> Closure:
    """Features psi(y (N, P)) -> (P, M) on a mesh that all but TAIL of the mass stays in on [0, final].

    box : low and high of y (N,) to start with; the only one tried if `fixed`. Raises InputError where no box does.
    """
    low, high = (np.array(ends, dtype=float) for ends in box)
    N = low.size
    for _ in range(ATTEMPTS):
        rough = _fitted(psi, target, low, high, ROUGH, moving)
        if fixed or not moving:
            break
        seen = characteristics.extent(rough, nodes, final, intervals, TAIL)
        least = np.where(np.isfinite(seen.low[:N]), seen.low[:N], 2 * low - high)
        most = np.where(np.isfinite(seen.high[:N]), seen.high[:N], 2 * high - low)
        if np.all(least >= low) and np.all(most <= high):
            break
        margin = MARGIN * (most - least)
        low, high = np.minimum(low, least - margin), np.maximum(high, most + margin)
    else:
        raise InputError("problem: the particles leave every region of y that was tried; time.final is too long")
    return _fitted(psi, target, low, high, TOLERANCES[N - 1], moving)


def _fitted(
    psi: Callable[[Array], Array], target: Array, low: Array, high: Array, tolerance: float, moving: bool
) -> Closure:
    basis, features = Splines.fit(psi, tuple(map(float, low)), tuple(map(float, high)), tolerance)
    return Closure(basis, features, target, moving)
