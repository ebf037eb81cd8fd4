"""Free particles in a given field together with their tangent flow, J_t = dZ_t/dz.

dJ/dt = -H J, J(0) = 1, H = grad grad V = [[c Hess U, grad U], [grad U', 0]] with V = c U; the flow of (12)'s
characteristics.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from particles.closure import Closure
from particles.curvature import gather_curvature
from particles.descent import STORED, rows_of
from particles.jit import concurrent, kernel
from particles.kinds import by_basis, chosen, tables
from particles.linear import map_rows
from particles.stencil import FOUND, GROUP, WORK, place
from particles.tableaux import Tableau
from particles.workers import over_threads

Array = NDArray[np.floating]


def tangent_flow(
    closure: Closure,
    y: Array,
    c: Array,
    field: Array,
    dt: float | Array,
    steps: int,
    tableau: Tableau,
    *,
    every: NDArray[np.integer] | int = 1,
) -> tuple[Array, Array, Array]:
    """Move Q particles through the field U = psi . r and differentiate the flow by its start.

    y, c : (N, Q) and (Q,) starts, unchanged.  field : r at every stage, (steps * stages, M).
    dt, every : the steps' length or lengths (steps,), and those after which a state is returned, as in `descend`.
    Returns y (states, N, Q), c (states, Q), and J (states, Q, N+1, N+1) with J[..., i, j] = dZ_i/dz_j, Z = (y, c). J is
    the exact derivative of the discrete flow.

    Raises ValueError where the shapes do not fit.
    """
    N, (M, L) = closure.dimension, closure.features.shape
    if y.shape != (N, *c.shape) or c.ndim != 1 or field.shape != (steps * tableau.stages, M) or L < 3:
        raise ValueError(f"y {y.shape}, c {c.shape} and field {field.shape} do not fit {steps} steps, {N} axes")
    d = N + 1
    z = np.concatenate([y, c[None], np.repeat(np.eye(d).reshape(-1, 1), c.size, axis=1)])
    kept = rows_of(every, steps)
    states = np.empty((kept.max() + 1, *z.shape))
    states[0] = z
    a, b = tableau.arrays
    lengths = np.broadcast_to(dt, steps).astype(float)
    span = max(1, STORED // (L * tableau.stages))
    for first in range(0, steps, span):
        given = map_rows(closure.features.T, field[first * tableau.stages : (first + span) * tableau.stages])
        scheme = (lengths, a, b, kept, 1.0 if closure.moving else 0.0)
        work = partial(_flow, z, N, given, scheme, first, tables(closure), states)
        over_threads(work, -(-c.size // GROUP))
    J = np.moveaxis(states[:, d:].reshape(-1, d, d, c.size), -1, 1)
    return states[:, :N], states[:, N], J


@concurrent
def _flow(z, N, given, scheme, first, tables, states, begin, end):
    """Some groups of particles; z (K, Q), overwritten, is (y, c, J) as one."""
    lengths, a, b, kept, moving = scheme
    stages, (K, Q) = b.size, z.shape
    for group in range(begin, end):
        low, count = group * GROUP, min(GROUP, Q - group * GROUP)
        work = np.empty(WORK)
        start, at, slope, total = np.zeros((K, GROUP)), np.zeros((K, GROUP)), np.zeros((K, GROUP)), np.zeros((K, GROUP))
        for k in range(K):
            for q in range(count):
                start[k, q] = at[k, q] = z[k, low + q]
        for stage in range(given.shape[0]):
            i, dt = stage % stages, lengths[first + stage // stages]
            _derivatives(tables, at, count, given[stage], work)
            _velocity(at, N, count, moving, work, slope)
            for k in range(K):
                _advance(start[k], at[k], slope[k], total[k], dt * b[i], dt * a[i], i == stages - 1)
            done = first + (stage + 1) // stages
            if i == stages - 1 and kept[done] >= 0:
                for k in range(K):
                    for q in range(count):
                        states[kept[done], k, low + q] = start[k, q]
        for k in range(K):
            for q in range(count):
                z[k, low + q] = start[k, q]


@kernel
def _advance(start, at, slope, total, weight, ahead, last):
    for q in range(start.size):
        total[q] += weight * slope[q]
        if last:
            start[q] += total[q]
            total[q] = 0.0
        at[q] = start[q] + ahead * slope[q]


def _derivatives(tables, *arguments):
    """U, its gradient and second derivatives into the rows FOUND ... FOUND + 9, as `gather_curvature` orders them."""
    return chosen(tables, _on_circle, _on_mesh)(tables, *arguments)


@kernel
def _on_mesh(tables, z, count, u, work):
    place(z.reshape(-1), 0, GROUP, count, tables[0], tables[1], work, 2)
    gather_curvature(work, count, u, tables[0])


@kernel
def _on_circle(tables, z, count, u, work):
    modes = (u.size - 1) // 2
    for q in range(count):
        U, d1, d2 = u[0], 0.0, 0.0
        x, s = np.cos(z[0, q]), np.sin(z[0, q])
        t, t1, sk, sk1 = x, 1.0, s, 0.0
        for k in range(1, modes + 1):
            even = u[k] * t + u[modes + k] * sk
            odd = u[modes + k] * t - u[k] * sk
            U += even
            d1 += k * odd
            d2 -= k * k * even
            t, t1 = 2.0 * x * t - t1, t
            sk, sk1 = 2.0 * x * sk - sk1, sk
        for k, value in ((0, U), (3, d1), (9, d2)):
            work[FOUND + k * GROUP + q] = value


by_basis(_derivatives, circle=_on_circle, mesh=_on_mesh)


@kernel
def _velocity(z, N, count, moving, work, slope):
    """(dy, dc, dJ)/dt at z = (y, c, J); 0 for y and its row of J where `moving` is."""
    d = N + 1
    c, found = z[N], work[FOUND : FOUND + 10 * GROUP].reshape(10, GROUP)
    U = found[0]
    for q in range(count):
        slope[N, q] = -U[q]
        for k in range(d):
            slope[d + N * d + k, q] = 0.0
    for a in range(N):
        g = found[4 - N + a]
        for q in range(count):
            slope[a, q] = -moving * c[q] * g[q]
        for k in range(d):
            of_c, by_c, total = z[d + N * d + k], slope[d + N * d + k], slope[d + a * d + k]
            of_a = z[d + a * d + k]
            for q in range(count):
                total[q] = -moving * g[q] * of_c[q]
                by_c[q] -= g[q] * of_a[q]
            for b in range(N):
                H, of_b = found[4 + _pair(3 - N + a, 3 - N + b)], z[d + b * d + k]
                for q in range(count):
                    total[q] -= moving * c[q] * H[q] * of_b[q]


@kernel
def _pair(a, b):
    """Place of the axes a, b among 00, 01, 02, 11, 12, 22."""
    a, b = min(a, b), max(a, b)
    return a * (5 - a) // 2 + b
