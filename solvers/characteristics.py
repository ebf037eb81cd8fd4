"""The method of characteristics for (12): weighted particles on quadrature nodes of rho_in, the reference.

rho_in = sum_q p_q delta_(z_q), and each z_q moves by dZ/dt = (-c grad U, -U) with U from all of them. The error
falls exponentially with the nodes (trapezoid or Gauss in y, Gauss in c) and with the fourth power of the step.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from particles import RK4, Closure, Tableau, Trigonometric, descend

Array = NDArray[np.floating]
Rule = tuple[Array, Array, Array]
# (Ny, Nc) -> y (N, Q), c (Q,), weights (Q,): Ny nodes along each axis of y, Q = Ny^N Nc, y slowest, c fastest
Nodes = Callable[[int, int], Rule]

COARSE = {1: (48, 8), 2: (16, 8), 3: (8, 8)}  # nodes along y and c to begin with, by N
ROUGH = {1: (48, 24), 2: (24, 24), 3: (18, 18)}  # to find a step and the extent
GROWTH = {N: {"substeps": 2.0, "Ny": 2.0 if N == 1 else 1.5, "Nc": 1.5} for N in COARSE}
MAX_NODES = {1: 2**20, 2: 2**19, 3: 2**18}
MAX_SUBSTEPS = 1000
STEP = 0.4  # to begin with, in the search for a step


@dataclass(frozen=True)
class Characteristics:
    """f_0 by characteristics, and what it was computed with.

    coefficients : (T, M) of f_0 at the snapshots.  error : (T,), estimate of the norm of their error.
    Ny, Nc, substeps : nodes along each axis of y and along c, and steps to a snapshot interval.
    left : the largest distance of a node from the basis's box.
    """

    coefficients: Array
    error: Array
    Ny: int
    Nc: int
    substeps: int
    left: float = 0.0


@dataclass(frozen=True)
class MeanField:
    """The mean field as an integrator with a fixed step sees it.

    coefficients : (steps + 1, M) of f_0 at every step.  field : (steps * stages, M), the residual r at every stage.
    lengths : of the steps, (steps,).  left : the largest distance of a node from the basis's box.
    """

    coefficients: Array
    field: Array
    lengths: Array
    tableau: Tableau
    left: float = 0.0

    @property
    def times(self) -> Array:
        """Start and ends of the steps, (steps + 1,)."""
        return np.append(0.0, np.cumsum(self.lengths))

    def until(self, step: int) -> "MeanField":
        """The first steps of it."""
        stages = step * self.tableau.stages
        return replace(
            self,
            coefficients=self.coefficients[: step + 1],
            field=self.field[:stages],
            lengths=self.lengths[:step],
        )


@dataclass(frozen=True)
class Extent:
    """Where the mass goes. low, high : (N + 1,) for z = (y, c).  substeps : to a snapshot interval, enough for this."""

    low: Array
    high: Array
    substeps: int


def mean_field(closure: Closure, nodes: Rule, dt: float | Array, steps: int, tableau: Tableau = RK4) -> MeanField:
    """The characteristics with the integrator and steps of a simulation: its limit n -> infinity, step by step.

    dt : length of the steps, or their lengths (steps,).
    """
    y, c, weights = nodes
    run = descend(closure, y[None].copy(), c[None].copy(), weights, dt, steps, tableau)
    at, left = run.coefficients[0], float(run.left[0])
    return MeanField(at[:: tableau.stages], at[:-1] - closure.target, np.full(steps, dt), tableau, left)


def solve(
    closure: Closure, nodes: Nodes, final: float, intervals: int, tolerance: float, seen: Extent | None = None
) -> Characteristics:
    """f_0 at the ends of equal intervals of [0, final], refined until its error estimate meets `tolerance`.

    The step, nodes along y and nodes along c are refined one after the other, each until its part of the error is below
    a third of the tolerance at every snapshot. The part is read off the last move: 1/15 of it for the step (halved,
    fourth order), and for the nodes (exponential convergence) the move times its ratio to the move before. Where the
    move itself is small enough, the axis stays as it was before. The estimate may stay above the tolerance where
    MAX_NODES nodes do not suffice.

    seen : what `extent` found, looked for again unless given.
    """
    N, third = closure.dimension, tolerance / 3

    def solved(level: Characteristics) -> Characteristics:
        steps = intervals * level.substeps
        run = mean_field(closure, nodes(level.Ny, level.Nc), final / steps, steps)
        return replace(level, coefficients=run.coefficients[:: level.substeps], left=run.left)

    seen = seen or extent(closure, nodes, final, intervals)
    level = solved(Characteristics(np.empty(0), np.zeros(intervals + 1), *COARSE[N], seen.substeps))
    total = level.error
    for axis, factor in GROWTH[N].items():
        before = np.zeros(intervals + 1)
        while True:
            finer = solved(replace(level, **{axis: round(factor * getattr(level, axis))}))
            moved = np.linalg.norm(finer.coefficients - level.coefficients, axis=1)
            here = moved * 16 / 15 if axis == "substeps" else moved
            if axis != "Nc" and here.max() <= third:  # before the last axis, the coarser one saves time
                left = here
                break
            left = moved / 15 if axis == "substeps" else moved * np.minimum(1.0, moved / np.maximum(before, 1e-300))
            level, before = finer, moved
            nodes_grown = level.Ny**N * level.Nc * (1 if axis == "substeps" else factor ** (N if axis == "Ny" else 1))
            if left.max() <= third or nodes_grown > MAX_NODES[N] or level.substeps > MAX_SUBSTEPS:
                break
        total = total + left
    return replace(level, error=total)


def extent(closure: Closure, nodes: Nodes, final: float, intervals: int, tail: float = 1e-9) -> Extent:
    """Intervals of each component of z = (y, c) that hold all but `tail` of the mass on [0, final].

    The flow maps a box's boundary to the boundary of its image, where each component has its extremes. So only the
    faces of a box of starts are followed (those of c alone on the circle), massless, in the field of a coarse mean
    field. The box leaves out at most `tail` of the initial mass: a face stands at the node of the rule up to and with
    which the weights sum to no more than tail/(2 N + 2) (for a Gauss rule no more lies beyond, by Chebyshev, Markov and
    Stieltjes), or, where the outermost node weighs more, one gap between nodes farther out: past the end of a support
    that the rule ends at. 2% of the width are added on either side for what the faces' nodes miss.

    The step is halved until it makes no difference. Stiff units ask for this: an unstable step shows as a loss that
    grows, or as no number at all. On the circle the interval of y is that of the lifted positions.
    """
    rule = nodes(*ROUGH[closure.dimension])
    y, c, weights = rule
    edge_y, edge_c = _faces(rule, closure, tail)
    y, c = np.concatenate([y, edge_y], axis=1), np.concatenate([c, edge_c])
    weights = np.concatenate([weights, np.zeros(edge_c.size)])
    substeps = max(1, round(final / intervals / STEP))
    before: Array | None = None
    while True:
        steps = intervals * substeps
        run = _extremes(closure, y, c, weights, edge_c.size, final / steps, steps)
        if run is not None:
            low, high = run
            if before is not None and np.abs(run - before).max(initial=0.0) <= 0.01 * (high - low).max():
                margin = 0.02 * (high - low)
                return Extent(low - margin, high + margin, substeps)
        if substeps > MAX_SUBSTEPS:
            low, high = np.full((2, closure.dimension + 1), np.nan) if run is None else run
            return Extent(low, high, substeps)
        before, substeps = run, 2 * substeps


def _extremes(closure: Closure, y: Array, c: Array, weights: Array, edges: int, dt: float, steps: int) -> Array | None:
    """Lowest and highest z, (2, N + 1), that the last `edges` particles reach, or None where the step is unstable."""
    order = np.roll(np.arange(c.size), edges)  # the engine keeps the first ones
    first_y, first_c = (np.ascontiguousarray(z[None][..., order]) for z in (y, c))
    run = descend(closure, first_y, first_c, weights[order], dt, steps, RK4, keep=edges)
    loss = np.sum((run.coefficients[0, :: RK4.stages] - closure.target) ** 2, axis=1)
    z = np.concatenate([run.y[0], run.c[0, :, None]], axis=1)
    rounding = 1e-24 * float(closure.target @ closure.target)  # all that there is where rho_in is stationary
    if not (np.all(np.isfinite(z)) and np.all(np.diff(loss) <= 1e-9 * loss[0] + rounding)):
        return None
    return np.stack([z.min(axis=(0, 2)), z.max(axis=(0, 2))])


def _faces(rule: Rule, closure: Closure, tail: float) -> tuple[Array, Array]:
    """Starts y (N, F), c (F,) on the faces of the box that holds all but the tail of the mass."""
    N = closure.dimension
    Nc = int(np.argmax(np.any(rule[0] != rule[0][:, :1], axis=0))) or rule[1].size  # c runs fastest
    shape = (*[round((rule[1].size / Nc) ** (1 / N))] * N, Nc)
    z = np.concatenate([rule[0], rule[1][None]]).reshape(N + 1, *shape)
    weights = rule[2].reshape(shape)
    free = isinstance(closure.basis, Trigonometric)
    for axis in range(1 if free else 0, N + 1):
        z, weights = _cut(z, weights, axis, tail / (2 * N + 2))
    faces = [np.take(z, (0, -1), axis=1 + axis).reshape(N + 1, -1) for axis in range(1 if free else 0, N + 1)]
    starts = np.concatenate(faces, axis=1)
    return starts[:N], starts[N]


def _cut(z: Array, weights: Array, axis: int, tail: float) -> tuple[Array, Array]:
    """Drop or push out layers of nodes at both ends of an axis, until the mass beyond the last is below the tail."""
    for _ in range(2):  # this end, then the other
        mass = np.cumsum(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1).sum(axis=1))
        beyond = int(np.searchsorted(mass, tail, side="right"))  # layers that weigh no more than the tail together
        keep = np.arange(max(beyond - 1, 0), weights.shape[axis])
        z, weights = z.take(keep, axis=1 + axis), weights.take(keep, axis=axis)
        if beyond == 0 and z.shape[1 + axis] > 1:
            first, second = (np.moveaxis(z, 1 + axis, 0)[k] for k in (0, 1))
            outer = np.expand_dims(first + (first - second), 1 + axis)
            z = np.concatenate([outer, np.delete(z, 0, axis=1 + axis)], axis=1 + axis)
        z, weights = np.flip(z, 1 + axis), np.flip(weights, axis)
    return z, weights
