"""One stage of the time stepper for the finite volumes, in one parallel pass over slabs of the grid.

A slab computes its fluxes (and those of the planes next to it, again) in its own scratch, so a stage needs one parallel
region and its bits do not depend on the number of threads. It goes through its planes in bands, and all that is done to
a band is done while it is in the cache. A grid of one slab is worked on by the thread that calls.
"""

import numpy as np
from numba import get_thread_id, prange  # type: ignore[attr-defined]

from particles.jit import inlined, kernel, parallel, reduction
from solvers.fluxes import ANTIDIFFUSIVE, WHOLE, c_fluxes, cross_fluxes, y_fluxes
from solvers.grid import PAD
from solvers.limiter import limit_c, limit_y, shares
from solvers.rows import LEFT, ONE, in_register, in_scratch, place_before


@parallel
def advance(
    registers, source, target, terms, weights, step, kept, euler_step, velocities, layout, rows, corrected, limiter,
    moments, scratch,
):  # fmt: skip
    """registers[target] = step L(registers[source]) + sum weights registers[terms], the first two most often.

    registers : flat, K (rows + 1) width numbers; L is left in registers[kept] unless kept < 0.
    moments : (3, rows), filled with int rho dc, int c rho dc and int c^2 rho dc of the result, exact up to the tails.
    """
    slabs = rows.sizes.size
    if slabs == 1:
        advance_slab(
            scratch[0], registers, source, target, terms, weights, step, kept, euler_step, velocities, layout, rows,
            np.int64(0), corrected, limiter, moments,
        )  # fmt: skip
    else:
        for slab in prange(slabs):
            advance_slab(
                scratch[get_thread_id()], registers, source, target, terms, weights, step, kept, euler_step, velocities,
                layout, rows, np.int64(slab), corrected, limiter, moments,
            )  # fmt: skip


@kernel
def row_moments(registers, rows, dc, moments):
    """Fill moments (3, rows) of the first register as `advance` does."""
    for i in range(moments.shape[1]):
        row = in_register(rows, LEFT, i)
        moments[0, i], moments[1, i], moments[2, i] = _moments(registers, row, rows.c, np.uint64(rows.run), dc)


@kernel
def advance_slab(
    room, registers, source, target, terms, weights, step, kept, euler_step, velocities, layout, rows, slab, corrected,
    limiter, moments,
):  # fmt: skip
    """A stage on planes 2, 3, ... of a slab, band by band; the last cell updated is one plane behind with the limiter.

    Plane 0 is there for its faces towards plane 1, plane 1 and the last one for their shares.
    """
    index, plane, N = rows.rows[slab], rows.plane, layout.dimension
    at = source * (layout.near.shape[2] + 1) * rows.width + LEFT
    lag, kind = (1, ANTIDIFFUSIVE) if limiter else (0, WHOLE)
    last = rows.sizes[slab] + 2 + lag
    for start in range(1 - lag, last, rows.band):
        stop = min(start + rows.band, last)
        own, end = max(start, 2 - lag) * plane, stop * plane
        for a in range(N):
            first = start * plane if a == 0 else own
            y_fluxes(room, registers, at, a, first, end, index, rows, layout, velocities, kind, corrected)
            for b in range(N):
                if a != b and corrected != 0.0:
                    cross_fluxes(room, registers, at, a, b, first, end, index, rows, layout, velocities, corrected)
        c_fluxes(room, registers, at, own, end, index, rows, layout, velocities, kind, corrected)
        done, ready = max(start - lag, 2) * plane, (stop - lag) * plane
        if limiter:
            shares(room, registers, at, own, end, index, rows, layout, velocities, euler_step)
            for a in range(N):
                first = max(start - lag, 1) * plane if a == 0 else done
                limit_y(room, registers, at, a, first, ready, index, rows, layout, velocities)
            limit_c(room, registers, at, done, ready, index, rows, layout, velocities)
        _update(room, registers, target, terms, weights, step, kept, done, ready, index, rows, layout, moments)


@kernel
def _update(room, registers, target, terms, weights, step, kept, first, last, index, rows, layout, moments):
    """The new rows and their moments; their slope passes through a single row of the scratch."""
    near, N = layout.near, layout.dimension
    outside, n = near.shape[2], np.uint64(rows.run)
    slope = np.uint64((N + 2) * rows.field + LEFT)
    size = (outside + 1) * rows.width
    for local in range(first, last):
        i = index[local]
        _slope(room, slope, local, i, rows, layout, n)
        here = i * rows.width + LEFT
        out = np.uint64(target * size + here)
        x, y = np.uint64(terms[0] * size + here), np.uint64(terms[1] * size + here)
        wx, wy = weights[0], weights[1]
        for j in range(n):
            registers[out + j] = step * room[slope + j] + (wx * registers[x + j] + wy * registers[y + j])
        if weights[2] != 0.0 or weights[3] != 0.0:
            x, y = np.uint64(terms[2] * size + here), np.uint64(terms[3] * size + here)
            wx, wy = weights[2], weights[3]
            for j in range(n):
                registers[out + j] += wx * registers[x + j] + wy * registers[y + j]
        if kept >= 0:
            x = np.uint64(kept * size + here)
            for j in range(n):
                registers[x + j] = room[slope + j]
        for j in range(rows.Nc, rows.run):
            registers[out + np.uint64(j)] = 0.0
        moments[0, i], moments[1, i], moments[2, i] = _moments(registers, out, rows.c, n, layout.dc)


@inlined
def _slope(room, out, local, i, rows, layout, n):
    """Minus the divergence of the fluxes of a row."""
    N, here, outside = layout.dimension, rows.place[local], layout.near.shape[2]
    face = in_scratch(rows, N, here)
    left, right = in_scratch(rows, 0, rows.place[local - rows.plane]), in_scratch(rows, 0, here)
    over_c, over_y = 1.0 / layout.dc, 1.0 / layout.widths[0]
    for j in range(n):
        along_c = (room[face - ONE + j] - room[face + j]) * over_c
        room[out + j] = along_c + (room[left + j] - room[right + j]) * over_y
    for a in range(1, N):
        before = layout.near[a, PAD - 1, i]
        left = in_scratch(rows, a, place_before(rows, a, local, i, before, outside))
        right, over_y = in_scratch(rows, a, here), 1.0 / layout.widths[a]
        for j in range(n):
            room[out + j] += (room[left + j] - room[right + j]) * over_y


@reduction
def _moments(registers, row, c, n, dc):
    m0, m1, m2 = 0.0, 0.0, 0.0
    for j in range(n):
        rho = registers[row + j]
        m0 += rho
        m1 += c[j] * rho
        m2 += c[j] * c[j] * rho
    return m0 * dc, m1 * dc, (m2 - m0 * dc * dc / 12.0) * dc
