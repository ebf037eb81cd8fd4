"""The compiled time stepping of the finite volumes: many steps a call, and what the potential makes of each stage."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.jit import concurrent, merged, reduction
from solvers.grid import PAD
from solvers.potential import Index, Layout, Velocities, differentiate, moments, potential, sharpen
from solvers.rows import LEFT, Rows
from solvers.stage import advance, advance_slab, row_moments
from solvers.strong_stability import ShuOsher

Array = NDArray[np.floating]

RIGHT, NO_POTENTIAL, SUSPECT = range(3)  # how a compiled march ended


class Fixed(NamedTuple):
    """What does not change along the way."""

    features: Array  # (padded rows, M)
    target: Array
    layout: Layout
    rows: Rows
    filter: Array  # of products, see `solvers.potential`
    point: Array
    terms: Index  # (stages, 4): registers that make up a stage
    alpha: Array  # (stages, 4): their weights are alpha + dt beta
    beta: Array
    slope: Array  # (stages,): weight of the stage's own slope
    kept: Index  # (stages,): register that the slope is kept in, or -1
    euler_step: float
    rates: Array  # (stages,): weights of the stages' rates in a step
    dy: float
    dc: float
    cfl: float
    longest: float
    tail: float
    mass: float
    corrected: float
    limiter: bool
    moving: bool


class Work(NamedTuple):
    """What is filled at every stage."""

    registers: Array  # u_0 ... u_4 and L(u_3), flat
    scratch: Array
    velocities: Velocities
    moments: Array  # (3, rows)
    G: Array  # (rows,)
    partial: Array  # (chunks, M)
    U: Array  # (padded rows,)
    residual: Array  # (M,)


def stages(scheme: ShuOsher) -> dict[str, NDArray[Any]]:
    """terms, alpha, beta, slope, kept and rates of `Fixed`, by name; the last register keeps a slope."""
    n = scheme.stages
    terms, alpha, beta = np.zeros((n, 4), dtype=np.int64), np.zeros((n, 4)), np.zeros((n, 4))
    kept = np.full(n, -1)
    for i in range(n):
        used = [(k, scheme.alpha[i, k], 0.0) for k in range(i, -1, -1) if scheme.alpha[i, k]]
        older = [k for k in range(i) if scheme.beta[i, k]]
        used += [(n, 0.0, scheme.beta[i, k]) for k in older]
        kept[older] = n
        for m, (k, a, b) in enumerate(used):
            terms[i, m], alpha[i, m], beta[i, m] = k, a, b
    total = np.zeros((n + 1, n))
    for i in range(n):
        total[i + 1] = scheme.alpha[i] @ total[:n] + scheme.beta[i]
    slope = np.diag(scheme.beta).copy()
    return {"terms": terms, "alpha": alpha, "beta": beta, "slope": slope, "kept": kept, "rates": total[n]}


def compile_parts(fixed: Fixed, work: Work) -> None:
    """Have the compiler do half of `march`, by itself: what it calls, as another process may while this one waits."""
    features, where, G, u = fixed.features, fixed.layout, work.G, work.registers
    sharpen(G, where.near, where.dimension, fixed.filter, work.moments[1])
    moments(features, G, where.padded, work.partial, False)
    potential(features, work.residual, work.U, False)
    differentiate(work.U, where, work.velocities, False)
    advance_slab(
        work.scratch[0], u, 0, 1, fixed.terms[0], np.zeros(4), 0.0, -1, 0.0, work.velocities, where, fixed.rows,
        0, fixed.corrected, fixed.limiter, work.moments,
    )  # fmt: skip


@concurrent
def march(fixed, work, time, end, loss, rate, most):
    """At most so many steps to `end`, as long as the CFL condition allows, dividing what is left evenly.

    loss, rate : as the last call left them; at first, where loss is NaN, they are measured on the first register.
    Returns how it ended, the number of steps, then time, loss and its rate of decay, and what the loss dissipated and
    its largest increase in these steps.
    """
    dissipated, increase = 0.0, 0.0
    if np.isnan(loss):
        row_moments(work.registers, fixed.rows, fixed.dc, work.moments)
        loss, rate = _measure(fixed, work)
    for step in range(most):
        left = end - time
        fastest = _rate(work.velocities, fixed.layout)
        longest = min(fixed.longest, fixed.cfl / max(fastest, 1e-300))
        if not np.isfinite(fastest) or not longest > 0.0:
            return NO_POTENTIAL, step, time, loss, rate, dissipated, increase
        dt = left if left <= longest else left / np.ceil(left / longest)
        before = loss
        loss, rate, lost, sound = _step(fixed, work, dt, rate)
        time = end if dt == left else time + dt
        dissipated += lost
        increase = max(increase, loss - before)
        if not sound:
            return SUSPECT, step + 1, time, loss, rate, dissipated, increase
        if time >= end:
            return RIGHT, step + 1, time, loss, rate, dissipated, increase
    return RIGHT, most, time, loss, rate, dissipated, increase


@merged
def _step(fixed, work, dt, rate):
    """One step: loss and dissipation after it, what the loss dissipated in it, and whether nothing looks wrong."""
    stages = fixed.slope.size
    weights = np.empty(4)
    lost, sound = 0.0, True
    for i in range(stages):
        lost += dt * fixed.rates[i] * rate
        for k in range(4):
            weights[k] = fixed.alpha[i, k] + dt * fixed.beta[i, k]
        advance(
            work.registers, i, (i + 1) % stages, fixed.terms[i], weights, dt * fixed.slope[i], fixed.kept[i],
            fixed.euler_step * dt, work.velocities, fixed.layout, fixed.rows, fixed.corrected, fixed.limiter,
            work.moments, work.scratch,
        )  # fmt: skip
        if i == stages - 1:
            sound = _sound(fixed, work)
        loss, rate = _measure(fixed, work)
    return loss, rate, lost, sound


@merged
def _measure(fixed, work):
    """Loss and dissipation from the rows' moments, which are used up; fills the residual and the velocities."""
    features, where, G, r = fixed.features, fixed.layout, work.G, work.residual
    spread = where.dimension > 1
    G[:] = work.moments[1]
    sharpen(G, where.near, where.dimension, fixed.filter, work.moments[1])
    total = moments(features, G, where.padded, work.partial, spread)
    loss = 0.0
    for m in range(r.size):
        r[m] = total[m] * fixed.dy - fixed.target[m]
        loss += 0.5 * r[m] * r[m]
    potential(features, r, work.U, spread)
    differentiate(work.U, where, work.velocities, spread)
    if not fixed.moving:
        work.velocities.faces[:] = 0.0
        work.velocities.cross[:] = 0.0
    return loss, _dissipation(fixed, work)


@merged
def _dissipation(fixed, work):
    """int c^2 |grad U|^2 rho + U^2 rho."""
    where, rows = fixed.layout, work.moments
    for k in (0, 2):
        sharpen(rows[k], where.near, where.dimension, fixed.point, work.G)
    total = _weighted(work.velocities.centre, rows[0])
    for a in range(where.dimension if fixed.moving else 0):
        total += _weighted(work.velocities.slopes[a], rows[2])
    return total * fixed.dy


@reduction
def _weighted(values, weights):
    """sum values^2 weights."""
    total = 0.0
    for i in range(values.size):
        total += values[i] * values[i] * weights[i]
    return total


@merged
def _sound(fixed, work):
    """Whether `check` would find nothing: mass is what it was, and little of it stands in the two cells at a wall."""
    rows, where, u, dc = fixed.rows, fixed.layout, work.registers, fixed.dc
    near, outside = where.near, work.moments.shape[1]
    mass, lower, upper = 0.0, 0.0, 0.0
    for i in range(outside):
        start = i * rows.width + LEFT
        stop = start + rows.Nc
        mass += work.moments[0, i]
        lower += abs(u[start]) + abs(u[start + 1])
        upper += abs(u[stop - 1]) + abs(u[stop - 2])
    sound = abs(mass * fixed.dy - fixed.mass) <= 1e-9 * abs(fixed.mass)
    cell = fixed.dy * dc
    sound = sound and lower * cell <= fixed.tail and upper * cell <= fixed.tail
    for a in range(where.dimension):
        if not where.periodic[a]:
            lower, upper = 0.0, 0.0
            for i in range(outside):
                if near[a, PAD - 2, i] == outside:
                    lower += _total(u, i, rows)
                if near[a, PAD + 2, i] == outside:
                    upper += _total(u, i, rows)
            sound = sound and lower * cell <= fixed.tail and upper * cell <= fixed.tail
    return sound


@merged
def _total(registers, i, rows):
    """Sum of |rho| over a row."""
    total = 0.0
    start = i * rows.width + LEFT
    for j in range(start, start + rows.Nc):
        total += abs(registers[j])
    return total


@merged
def _rate(velocities, layout):
    """Largest rate at which first-order upwind empties a cell: the inverse of its largest positive Euler step."""
    average, faces, c, near = velocities.average, velocities.faces, layout.c, layout.near
    reach = max(abs(c[0]), abs(c[c.size - 1])) + 0.5 * layout.dc
    rows, over_c = average.size, 1.0 / layout.dc
    largest = 0.0
    for i in range(rows):
        total = abs(average[i]) * over_c
        for a in range(layout.dimension):
            before = near[a, PAD - 1, i]
            left = faces[a, before] if before < rows else 0.0
            right = faces[a, i]
            up = max(right, 0.0) - min(left, 0.0)
            down = max(left, 0.0) - min(right, 0.0)
            total += max(up, down) * (reach / layout.widths[a])
        if not total <= largest:
            largest = total
    return largest
