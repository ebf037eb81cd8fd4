"""Fluxes through the faces of the finite volumes, for many rows at a call: short rows cost no calls.

Loops over a row run from 0 to `run` and index flat arrays by unsigned offsets, for which numba adds no check for
wrapping around. No such loop has more than eight pairs of rows to tell apart: beyond that the compiler gives up
vectorising it.

With the limiter, what is kept of a flux is its difference to the upwind flux (the antidiffusive flux), which is the
same sum with other weights of the two cells at the face; the upwind flux is found again where it is needed.
"""

import numpy as np

from particles.jit import kernel
from solvers.grid import PAD
from solvers.rows import ONE, in_register, in_scratch

WHOLE = 37.0, 10.0  # weights of the sum and of the difference of the two cells, times 60
ANTIDIFFUSIVE = 7.0, -20.0  # without the upwind flux, which has 30 of either


@kernel
def y_fluxes(room, registers, source, a, first, last, index, rows, layout, velocities, weights, corrected):
    """-c <dU> times rho through the right faces along a: sixth-order average, made fifth-order upwind; minus the shear,
    (dc^2/12) <dU> d_c rho: an average of a product.
    """
    near, faces, c = layout.near, velocities.faces, rows.c
    outside, n, (main, jump) = near.shape[2], np.uint64(rows.run), weights
    for local in range(first, last):
        i = index[local]
        out = in_scratch(rows, a, rows.place[local])
        dU = faces[a, i] if i < outside else 0.0
        if dU == 0.0:
            for j in range(n):
                room[out + j] = 0.0
            continue
        a0, b0 = in_register(rows, source, i), in_register(rows, source, near[a, PAD + 1, i])
        a1, b1 = in_register(rows, source, near[a, PAD - 1, i]), in_register(rows, source, near[a, PAD + 2, i])
        a2, b2 = in_register(rows, source, near[a, PAD - 2, i]), in_register(rows, source, near[a, PAD + 3, i])
        speed, shear = -dU / 60.0, corrected * dU * layout.dc / 48.0
        for j in range(n):
            v = speed * c[j]
            x0, y0 = registers[a0 + j], registers[b0 + j]
            x1, y1 = registers[a1 + j], registers[b1 + j]
            x2, y2 = registers[a2 + j], registers[b2 + j]
            up = registers[a0 + ONE + j] + registers[b0 + ONE + j]
            down = registers[a0 - ONE + j] + registers[b0 - ONE + j]
            centred = main * (x0 + y0) - 8.0 * (x1 + y1) + (x2 + y2)
            upwind = jump * (x0 - y0) - 5.0 * (x1 - y1) + (x2 - y2)
            room[out + j] = (v * centred + abs(v) * upwind) - shear * (up - down)


@kernel
def cross_fluxes(room, registers, source, a, b, first, last, index, rows, layout, velocities, corrected):
    """Take from the fluxes along a their average of a product in the direction b of y, (h_b^2/12) c d_b dU d_b rho."""
    near, cross, c = layout.near, velocities.cross, rows.c
    outside, n = near.shape[2], np.uint64(rows.run)
    for local in range(first, last):
        i = index[local]
        if i == outside or cross[a, b, i] == 0.0:
            continue
        out = in_scratch(rows, a, rows.place[local])
        left, right = near[b, PAD - 1, i], near[b, PAD + 1, i]
        next_left = near[a, PAD + 1, left] if left < outside else outside
        next_right = near[a, PAD + 1, right] if right < outside else outside
        a0, a1 = in_register(rows, source, left), in_register(rows, source, next_left)
        b0, b1 = in_register(rows, source, right), in_register(rows, source, next_right)
        factor = corrected * cross[a, b, i] * layout.widths[b] / 48.0
        for j in range(n):
            difference = (registers[b0 + j] + registers[b1 + j]) - (registers[a0 + j] + registers[a1 + j])
            room[out + j] -= factor * c[j] * difference


@kernel
def c_fluxes(room, registers, source, first, last, index, rows, layout, velocities, weights, corrected):
    """The same through c-faces, where the velocity is -<U>; there is no flux through the ends."""
    near, slopes, N = layout.near, velocities.slopes, layout.dimension
    outside, n, (main, jump) = near.shape[2], np.uint64(rows.run), weights
    two, three = ONE + ONE, ONE + ONE + ONE
    for local in range(first, last):
        i = index[local]
        if i == outside:
            continue
        out = in_scratch(rows, N, rows.place[local])
        row = in_register(rows, source, i)
        left = in_register(rows, source, near[0, PAD - 1, i])
        right = in_register(rows, source, near[0, PAD + 1, i])
        v = -velocities.average[i] / 60.0
        speed, shear = abs(v), corrected * slopes[0, i] * layout.widths[0] / 48.0
        for j in range(n):
            x0, y0 = registers[row + j], registers[row + ONE + j]
            x1, y1 = registers[row - ONE + j], registers[row + two + j]
            x2, y2 = registers[row - two + j], registers[row + three + j]
            up = registers[right + j] + registers[right + ONE + j]
            down = registers[left + j] + registers[left + ONE + j]
            centred = main * (x0 + y0) - 8.0 * (x1 + y1) + (x2 + y2)
            upwind = jump * (x0 - y0) - 5.0 * (x1 - y1) + (x2 - y2)
            room[out + j] = (v * centred + speed * upwind) - shear * (up - down)
        for a in range(1, N):
            left = in_register(rows, source, near[a, PAD - 1, i])
            right = in_register(rows, source, near[a, PAD + 1, i])
            shear = corrected * slopes[a, i] * layout.widths[a] / 48.0
            for j in range(n):
                up = registers[right + j] + registers[right + ONE + j]
                down = registers[left + j] + registers[left + ONE + j]
                room[out + j] -= shear * (up - down)
        room[out - ONE] = 0.0
        room[out + np.uint64(rows.Nc - 1)] = 0.0
