"""The arithmetic of particles in a box: gather U and its derivatives from the splines' coefficients, deposit charges.

In its cell a particle meets 8^N splines, B_a(t_0) B_b(t_1) B_j(t_2). Three axes always, missing ones (the first) of
width 1. The functions of one axis are polynomials, of four pairs at once; the last axis goes in rows of eight:

    U(y) = sum_a B_a(t_0) sum_b B_b(t_1) sum_j u[a, b, j] B_j(t_2),      m[a, b, j] += q B_a B_b B_j,

from the same rows, so that deposit is the transpose of gather. A particle outside the box keeps the polynomial of the
nearest cell; one that is not a number lands in a first cell: no index leaves the mesh.

Particles go in groups, whose functions are held at once in a flat array of places known to the compiler: views of it
would cost a group as much as some of its particles.
"""

import numpy as np

from particles.eights import ZERO, add_row, index_of, row_of, scaled_row, store4, store_row
from particles.jit import finite, inlined, kernel, reduction
from particles.moves import move_c, move_y
from particles.tiles import AXIS, STAGE_C, STAGE_Y, WEIGHT

GROUP = 64

# The work of a group: rows of GROUP numbers, the index of the first spline, charge, what was gathered (U, three first
# and six second derivatives) and the place in the cell from its middle; then for each axis and kind the eight functions
# of particle after particle; then four sums, each in four parts, of particle after particle.
INDEX, CHARGE, FOUND, PLACE = 0, GROUP, 2 * GROUP, 12 * GROUP
FUNCTIONS, OF_KIND = 13 * GROUP, 8 * GROUP
VALUE, SLOPE, CURVE, OF_AXIS = 0, OF_KIND, 2 * OF_KIND, 3 * OF_KIND
A, B, J = FUNCTIONS, FUNCTIONS + OF_AXIS, FUNCTIONS + 2 * OF_AXIS  # the axes
LANES, OF_SUM = FUNCTIONS + 3 * OF_AXIS, 4 * GROUP
WORK = LANES + 4 * OF_SUM  # 52 kB, of which two axes use half


@kernel
def advance(tile, scratch, size, u, stage, weight, ahead, moving, mesh, pieces, wanted, moments):
    """One pass of a stage, as `block.advance` on the circle. Returns the largest distance from the box, inf for NaN."""
    N = dimension(mesh)
    left = 0.0
    for low in range(0, size, GROUP):
        count = min(GROUP, size - low)
        if stage >= 0:
            place(tile, low + STAGE_Y, AXIS, count, mesh, pieces, scratch, 1)
            gather(scratch, count, u, mesh)
            if moving != 0.0:
                for axis in range(N):
                    move_y(tile, low, axis, count, scratch, FOUND + (4 - N + axis) * GROUP, weight, ahead)
            move_c(tile, low, count, scratch, FOUND, weight, ahead)
        left = max(left, place(tile, low + STAGE_Y, AXIS, count, mesh, pieces, scratch, 0))
        if wanted:
            for i in range(count):
                scratch[CHARGE + i] = tile[WEIGHT + low + i] * tile[STAGE_C + low + i]
            deposit(scratch, count, moments, mesh)
    return left


@kernel
def dimension(mesh):
    """N of a mesh of three axes."""
    return 3 - int(mesh[0, 1] == 0.0) - int(mesh[1, 1] == 0.0)


@kernel
def columns(tile, size, mesh):
    """The splines that the particles of a tile meet lie from one number up to another; all where it is not known."""
    y, axis = tile[STAGE_Y : STAGE_Y + size], 3 - dimension(mesh)
    low, scale, cells, stride = mesh[axis, 0], mesh[axis, 1], mesh[axis, 2], int(mesh[axis, 3])
    if axis == 2 or _zeros(y) != 0.0:  # on a line there are few
        return 0, (int(cells) + 7) * stride
    least, largest = _extremes(y)
    first = min(max(np.floor((least - low) * scale), 0.0), cells - 1.0)
    last = min(max(np.floor((largest - low) * scale), 0.0), cells - 1.0)
    return int(first) * stride, (int(last) + 8) * stride


@reduction
def _zeros(y):
    """0 if all are numbers and finite."""
    total = 0.0
    for i in range(y.size):
        total += 0.0 * y[i]
    return total


@finite
def _extremes(y):
    least = largest = y[0]
    for i in range(y.size):
        least, largest = min(least, y[i]), max(largest, y[i])
    return least, largest


@kernel
def place(y, first, apart, count, mesh, pieces, work, derivatives):
    """Cells and functions, with `derivatives` of them, of the particles y[first + axis * apart + i].

    Returns the largest distance from the box, inf for NaN.
    """
    N, left = dimension(mesh), 0.0
    for i in range(count):
        work[INDEX + i] = 0.0
    for axis in range(3 - N, 3):
        at, functions, scale = first + (axis + N - 3) * apart, FUNCTIONS + axis * OF_AXIS, mesh[axis, 1]
        _cells(y[at:], count, mesh[axis, 0], scale, mesh[axis, 2], mesh[axis, 3], work)
        if _inside(work, count) < count:
            for i in range(count):
                x = work[PLACE + i]
                left = max(left, np.inf if x != x else (abs(x) - 0.5) / scale)
        _pairs(work, count, functions + VALUE, pieces, 0, 1.0, 1.0)
        if derivatives > 0:
            _pairs(work, count, functions + SLOPE, pieces, 8, scale, -1.0)
        if derivatives > 1:
            _pairs(work, count, functions + CURVE, pieces, 16, scale * scale, 1.0)
    return left


@inlined
def _cells(y, count, low, scale, cells, stride, work):
    """The place in the cell from its middle, in cells; to the index the cell's number times the stride."""
    for i in range(count):
        from_low = (y[i] - low) * scale
        cell = from_low if from_low > 0.0 else 0.0  # of NaN as well
        cell = np.floor(cell if cell < cells - 1.0 else cells - 1.0)
        work[PLACE + i] = (from_low - cell) - 0.5
        work[INDEX + i] += cell * stride


@reduction
def _inside(work, count):
    """How many are in their cells, [-1/2, 1/2]."""
    total = 0.0
    for i in range(count):
        total += 1.0 if abs(work[PLACE + i]) <= 0.5 else 0.0
    return total


@inlined
def _pairs(work, count, to, pieces, first, scale, sign):
    """Eight functions, or derivatives of them, at the places, into rows of eight from `to` on.

    first : row of `pieces` from which their coefficients stand.  sign : by which the odd part of a pair is what mirrors
    it; -1 for slopes.
    """
    e0, e1 = _four(pieces, first, scale), _four(pieces, first + 1, scale)
    e2, e3 = _four(pieces, first + 2, scale), _four(pieces, first + 3, scale)
    o0, o1 = _four(pieces, first + 4, scale), _four(pieces, first + 5, scale)
    o2, o3 = _four(pieces, first + 6, scale), _four(pieces, first + 7, scale)
    at = np.uint64(to)
    for i in range(count):
        x = work[PLACE + i]
        z = x * x
        even = _plus(e0, z, _plus(e1, z, _plus(e2, z, e3)))
        odd = _plus(o0, z, _plus(o1, z, _plus(o2, z, o3)))
        a, b, c, d = _plus(even, -x, odd)
        store4(work, at, *_plus(even, x, odd))
        store4(work, at + np.uint64(4), sign * d, sign * c, sign * b, sign * a)
        at += np.uint64(8)


@inlined
def _four(pieces, k, scale):
    return scale * pieces[k, 0], scale * pieces[k, 1], scale * pieces[k, 2], scale * pieces[k, 3]


@inlined
def _plus(v, s, w):
    return v[0] + s * w[0], v[1] + s * w[1], v[2] + s * w[2], v[3] + s * w[3]


@kernel
def gather(work, count, u, mesh):
    """U and its first derivatives into the rows FOUND ... FOUND + 3 (missing axes first)."""
    N = dimension(mesh)
    if N == 1:
        for i in range(count):
            row = row_of(u, index_of(work[INDEX + i]))
            _sum(work, i, 0, row, J + VALUE)
            _sum(work, i, 3, row, J + SLOPE)
    elif N == 2:
        _gather_on_plane(work, count, u, index_of(mesh[1, 3]))
    else:
        _gather_in_space(work, count, u, index_of(mesh[0, 3]), index_of(mesh[1, 3]))
    for k in range(4):
        if k == 0 or k > 3 - N:
            for i in range(count):
                at = LANES + k * OF_SUM + 4 * i
                work[FOUND + k * GROUP + i] = (work[at] + work[at + 2]) + (work[at + 1] + work[at + 3])


@inlined
def _gather_on_plane(work, count, u, stride):
    for i in range(count):
        P, Q = _over_rows(u, index_of(work[INDEX + i]), stride, work, i)
        _sum(work, i, 0, P, J + VALUE)
        _sum(work, i, 2, Q, J + VALUE)
        _sum(work, i, 3, P, J + SLOPE)


@inlined
def _gather_in_space(work, count, u, stride_a, stride_b):
    for i in range(count):
        start = index_of(work[INDEX + i])
        V, D, E = ZERO, ZERO, ZERO  # sums over the first two axes of u, and with one function differentiated
        for a in range(8):
            P, Q = _over_rows(u, start, stride_b, work, i)
            by, by_slope = work[A + VALUE + 8 * i + a], work[A + SLOPE + 8 * i + a]
            V = add_row(V, by, P)
            D = add_row(D, by_slope, P)
            E = add_row(E, by, Q)
            start += stride_a
        _sum(work, i, 0, V, J + VALUE)
        _sum(work, i, 1, D, J + VALUE)
        _sum(work, i, 2, E, J + VALUE)
        _sum(work, i, 3, V, J + SLOPE)


@inlined
def _over_rows(u, at, stride, work, i):
    """Sums of rows of u over the second axis, and with its functions differentiated."""
    P, Q = ZERO, ZERO
    for b in range(8):
        row = row_of(u, at)
        P = add_row(P, work[B + VALUE + 8 * i + b], row)
        Q = add_row(Q, work[B + SLOPE + 8 * i + b], row)
        at += stride
    return P, Q


@inlined
def _sum(work, i, k, v, functions):
    """Sum k of particle i, of v times the last axis's functions, in four parts."""
    at, w = LANES + k * OF_SUM + 4 * i, row_of(work, np.uint64(functions + 8 * i))
    work[at], work[at + 1] = v[0] * w[0] + v[4] * w[4], v[1] * w[1] + v[5] * w[5]
    work[at + 2], work[at + 3] = v[2] * w[2] + v[6] * w[6], v[3] * w[3] + v[7] * w[7]


@kernel
def deposit(work, count, moments, mesh):
    """moments += sum_i charge_i times the splines at particle i, charges in the row CHARGE."""
    N = dimension(mesh)
    if N == 1:
        for i in range(count):
            at, w = index_of(work[INDEX + i]), row_of(work, np.uint64(J + VALUE + 8 * i))
            store_row(moments, at, add_row(row_of(moments, at), work[CHARGE + i], w))
    elif N == 2:
        stride = index_of(mesh[1, 3])
        for i in range(count):
            _deposit_rows(moments, index_of(work[INDEX + i]), stride, work[CHARGE + i], work, i)
    else:
        stride_a, stride = index_of(mesh[0, 3]), index_of(mesh[1, 3])
        for i in range(count):
            start = index_of(work[INDEX + i])
            for a in range(8):
                _deposit_rows(moments, start, stride, work[CHARGE + i] * work[A + VALUE + 8 * i + a], work, i)
                start += stride_a


@inlined
def _deposit_rows(moments, at, stride, q, work, i):
    w = scaled_row(q, row_of(work, np.uint64(J + VALUE + 8 * i)))
    for b in range(8):
        store_row(moments, at, add_row(row_of(moments, at), work[B + VALUE + 8 * i + b], w))
        at += stride
