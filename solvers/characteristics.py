"""The method of characteristics for (12): weighted particles on quadrature nodes of rho_in, the reference.

rho_in = sum_q p_q delta_(z_q), and each z_q moves by dZ/dt = (-c U', -U) with U from all of them. The error
falls exponentially with the nodes (trapezoid in y, Gauss in c) and with the fourth power of the step.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from particles import RK4, Closure, Tableau, descend

Array = NDArray[np.floating]
Nodes = Callable[[int, int], tuple[Array, Array, Array]]  # (Ny, Nc) -> y, c, weights, each (Ny * Nc,), y slowest

MAX_NODES = 2**20


@dataclass(frozen=True)
class Characteristics:
    """f_0 by characteristics, and what it was computed with.

    coefficients : (T, M) of f_0 at the snapshots.  error : (T,), estimate of the norm of their error.
    Ny, Nc, substeps : nodes along y and c, and steps to a snapshot interval.
    """

    coefficients: Array
    error: Array
    Ny: int
    Nc: int
    substeps: int


@dataclass(frozen=True)
class MeanField:
    """The mean field as an integrator with a fixed step sees it.

    coefficients : (steps + 1, M) of f_0 at every step.  field : (steps * stages, L), u of U = u . trig at every stage.
    """

    coefficients: Array
    field: Array
    dt: float
    tableau: Tableau


def mean_field(
    closure: Closure, nodes: tuple[Array, Array, Array], dt: float, steps: int, tableau: Tableau = RK4
) -> MeanField:
    """The characteristics with the integrator and step of a simulation: its limit n -> infinity, step by step."""
    moments = _run(closure, nodes, dt, steps, tableau)
    return MeanField(closure.coefficients(moments[:: tableau.stages]), closure.potential(moments[:-1]), dt, tableau)


def solve(closure: Closure, nodes: Nodes, final: float, intervals: int, tolerance: float) -> Characteristics:
    """f_0 at the ends of equal intervals of [0, final], refined until its error estimate meets `tolerance`.

    Nodes along c, the step and nodes along y are doubled one after the other, each until its part of the error is below
    a third of the tolerance at every snapshot. The part is read off the last move: 1/15 of it for the step (fourth
    order), and for the nodes (exponential convergence) the move times its ratio to the move before. The estimate may
    stay above the tolerance where MAX_NODES nodes do not suffice.
    """

    def coefficients(level: Characteristics) -> Array:
        steps = intervals * level.substeps
        moments = _run(closure, nodes(level.Ny, level.Nc), final / steps, steps, RK4)
        return closure.coefficients(moments[:: RK4.stages * level.substeps])

    level = Characteristics(np.empty(0), np.zeros(intervals + 1), 256, 16, max(1, round(20 * final / intervals)))
    total = level.error
    for axis in ("Nc", "substeps", "Ny"):
        level = replace(level, coefficients=coefficients(level))
        before = np.zeros(intervals + 1)
        while True:
            finer = replace(level, **{axis: 2 * getattr(level, axis)})
            finer = replace(finer, coefficients=coefficients(finer))
            moved = np.linalg.norm(finer.coefficients - level.coefficients, axis=1)
            left = moved / 15 if axis == "substeps" else moved * np.minimum(1.0, moved / np.maximum(before, 1e-300))
            level, before = finer, moved
            if left.max() <= tolerance / 3 or 2 * level.Ny * level.Nc > MAX_NODES or level.substeps > 1000:
                break
        total = total + left
    return replace(level, error=total)


def range_of_c(closure: Closure, nodes: Nodes, final: float, intervals: int, tail: float) -> tuple[float, float]:
    """The interval of c that holds all but `tail` of the mass at every snapshot of [0, final]."""
    y, c, weights = nodes(256, 64)
    substeps = max(1, round(20 * final / intervals))
    steps = intervals * substeps
    run = descend(
        y[None].copy(),
        c[None].copy(),
        weights,
        closure.coupling,
        closure.field[None],
        final / steps,
        steps,
        RK4,
        every=substeps,
        keep=y.size,
    )
    low, high = np.inf, -np.inf
    for snapshot in run.c[0]:
        order = np.argsort(snapshot, kind="stable")
        below = np.cumsum(weights[order])
        inside = snapshot[order][(below > tail / 2) & (below[-1] - below + weights[order] > tail / 2)]
        low, high = min(low, float(inside[0])), max(high, float(inside[-1]))
    return low, high


def _run(closure: Closure, nodes: tuple[Array, Array, Array], dt: float, steps: int, tableau: Tableau) -> Array:
    """Trigonometric moments at every stage, (steps * stages + 1, L)."""
    y, c, weights = nodes
    run = descend(y[None].copy(), c[None].copy(), weights, closure.coupling, closure.field[None], dt, steps, tableau)
    return run.moments[0]
