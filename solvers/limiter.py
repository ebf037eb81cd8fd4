"""Flux-corrected transport (Zalesak, JCP 31, 335 (1979)) for positivity alone, on the antidiffusive fluxes of `fluxes`.

In an Euler step the upwind fluxes leave every cell with something; its share is the part of what its antidiffusive
fluxes want to take out that it can give of that. A flux becomes upwind plus its donor's share of the antidiffusive one.
"""

import numpy as np

from particles.jit import inlined, kernel
from solvers.grid import PAD
from solvers.rows import LEFT, ONE, in_register, in_scratch, place_before


@kernel
def shares(room, registers, source, first, last, index, rows, layout, velocities, dt):
    """The shares, in the field after the c-fluxes; what is left and what wants to leave are in the two single rows."""
    near, faces, N = layout.near, velocities.faces, layout.dimension
    outside, n = near.shape[2], np.uint64(rows.run)
    left = np.uint64((N + 2) * rows.field + LEFT)
    leaving = left + np.uint64(rows.width)
    for local in range(first, last):
        i = index[local]
        share = in_scratch(rows, N + 1, rows.place[local])
        if i == outside:
            for j in range(n):
                room[share + j] = 1.0
            continue
        row, face = in_register(rows, source, i), in_scratch(rows, N, rows.place[local])
        _through_c(room, registers, row, face, left, leaving, rows, n, velocities.average[i], dt / layout.dc)
        for a in range(N):
            rate, before, after = dt / layout.widths[a], near[a, PAD - 1, i], near[a, PAD + 1, i]
            to = in_scratch(rows, a, place_before(rows, a, local, i, before, outside))
            face = in_scratch(rows, a, rows.place[local])
            v0 = -rate * faces[a, before] if before < outside else 0.0
            v1 = -rate * faces[a, i]
            x, y = in_register(rows, source, before), in_register(rows, source, after)
            if a < N - 1:
                _through_y(room, registers, x, row, y, to, face, left, leaving, rows.c, n, v0, v1, rate)
            else:
                _share(room, registers, x, row, y, to, face, left, leaving, share, rows.c, n, v0, v1, rate)


@inlined
def _through_c(room, registers, row, face, left, leaving, rows, n, U, rate):
    """What the upwind fluxes through c-faces leave, and what the antidiffusive ones are to take."""
    plus, minus = rate * max(-U, 0.0), rate * min(-U, 0.0)
    for j in range(n):
        rho = registers[row + j]
        into = plus * registers[row - ONE + j] - minus * registers[row + ONE + j]
        room[left + j] = rho - (plus - minus) * rho + into
        room[leaving + j] = rate * (max(room[face + j], 0.0) - min(room[face - ONE + j], 0.0))
    end = np.uint64(rows.Nc - 1)
    room[left] -= minus * registers[row]  # nothing passes the ends
    room[left + end] += plus * registers[row + end]


@inlined
def _through_y(room, registers, before, row, after, left_face, face, left, leaving, c, n, v0, v1, rate):
    """The same through y-faces, where the velocities times dt/h are v0 c and v1 c."""
    for j in range(n):
        p, q, rho = v0 * c[j], v1 * c[j], registers[row + j]
        room[left + j] -= (max(q, 0.0) * rho + min(q, 0.0) * registers[after + j]) - (
            max(p, 0.0) * registers[before + j] + min(p, 0.0) * rho
        )
    for j in range(n):
        room[leaving + j] += rate * (max(room[face + j], 0.0) - min(room[left_face + j], 0.0))


@inlined
def _share(room, registers, before, row, after, left_face, face, left, leaving, share, c, n, v0, v1, rate):
    """`_through_y` for the last axis, and the shares that come out."""
    for j in range(n):
        p, q, rho = v0 * c[j], v1 * c[j], registers[row + j]
        stays = room[left + j] - (
            (max(q, 0.0) * rho + min(q, 0.0) * registers[after + j])
            - (max(p, 0.0) * registers[before + j] + min(p, 0.0) * rho)
        )
        leaves = room[leaving + j] + rate * (max(room[face + j], 0.0) - min(room[left_face + j], 0.0))
        room[share + j] = max(0.0, min(1.0, stays / (leaves + 1e-300)))


@kernel
def limit_y(room, registers, source, a, first, last, index, rows, layout, velocities):
    """The limited fluxes through the right faces along a."""
    near, faces, c, N = layout.near, velocities.faces, rows.c, layout.dimension
    outside, n = near.shape[2], np.uint64(rows.run)
    for local in range(first, last):
        i = index[local]
        if i == outside or faces[a, i] == 0.0:
            continue
        here, after = rows.place[local], near[a, PAD + 1, i]
        there = rows.place[local + rows.plane] if a == 0 else here + after - i
        x, y = in_register(rows, source, i), in_register(rows, source, after)
        flux, give, take = in_scratch(rows, a, here), in_scratch(rows, N + 1, here), in_scratch(rows, N + 1, there)
        for j in range(n):
            v, more = -faces[a, i] * c[j], room[flux + j]
            upwind = max(v, 0.0) * registers[x + j] + min(v, 0.0) * registers[y + j]
            room[flux + j] = upwind + (max(more, 0.0) * room[give + j] + min(more, 0.0) * room[take + j])


@kernel
def limit_c(room, registers, source, first, last, index, rows, layout, velocities):
    """The limited fluxes through c-faces."""
    N, n = layout.dimension, np.uint64(rows.run)
    for local in range(first, last):
        i = index[local]
        x = in_register(rows, source, i)
        flux, give = in_scratch(rows, N, rows.place[local]), in_scratch(rows, N + 1, rows.place[local])
        plus, minus = max(-velocities.average[i], 0.0), min(-velocities.average[i], 0.0)
        for j in range(n):
            more = room[flux + j]
            upwind = plus * registers[x + j] + minus * registers[x + ONE + j]
            room[flux + j] = upwind + (max(more, 0.0) * room[give + j] + min(more, 0.0) * room[give + ONE + j])
        room[flux + np.uint64(rows.Nc - 1)] = 0.0
