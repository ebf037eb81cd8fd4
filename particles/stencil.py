"""The arithmetic of particles in a box: gather U and its derivatives from the splines' coefficients, deposit charges.

In its cell a particle meets 8^N splines, B_a(t_0) B_b(t_1) B_j(t_2). Three axes always, missing ones (the first) of
width 1. The functions of one axis are polynomials evaluated row by row for a group of particles; then, particle by
particle, the last axis goes in rows of eight:

    U(y) = sum_a B_a(t_0) sum_b B_b(t_1) sum_j u[a, b, j] B_j(t_2),      m[a, b, j] += q B_a B_b B_j,

from the same rows, so that deposit is the transpose of gather. A particle outside the box keeps the polynomial of the
nearest cell; one that is not a number lands in a first cell: no index leaves the mesh.
"""

import numpy as np

from particles.jit import inlined, kernel, reduction
from particles.tiles import AXIS, BLOCK, SLOPE_C, STAGE_C, STAGE_Y, WEIGHT, C, Y

GROUP = 64  # particles whose functions are held at once

# Rows of GROUP numbers: the index of the first spline; for three axes the place in the cell from its middle, the eight
# functions, their first and second derivatives; what was gathered, U, three first and six second derivatives; charge.
INDEX, FIRST_AXIS, FOUND, CHARGE = 0, 1, 76, 86
PLACE, VALUE, SLOPE, CURVE, OF_AXIS = 0, 1, 9, 17, 25  # rows of an axis
WORK = 87 * GROUP  # 45 kB

ZERO = (0.0,) * 8


@kernel
def advance(tile, scratch, size, u, stage, weight, ahead, moving, mesh, pieces, wanted, moments):
    """One pass of a stage, as `block.advance` on the circle. Returns the largest distance from the box, inf for NaN."""
    work = scratch[:WORK].reshape(-1, GROUP)
    N = dimension(mesh)
    left = 0.0
    for low in range(0, size, GROUP):
        count = min(GROUP, size - low)
        if stage >= 0:
            place(tile[low + STAGE_Y :], AXIS, count, mesh, pieces, work, 1)
            gather(work, count, u, mesh)
            if moving == 0.0:
                work[FOUND + 1 : FOUND + 4] = 0.0
            _update(tile, low, count, N, work, weight, ahead)
        left = max(left, place(tile[low + STAGE_Y :], AXIS, count, mesh, pieces, work, 0))
        if wanted:
            charge = work[CHARGE]
            for i in range(count):
                charge[i] = tile[WEIGHT + low + i] * tile[STAGE_C + low + i]
            deposit(work, count, moments, mesh)
    return left


@kernel
def dimension(mesh):
    """N of a mesh of three axes."""
    return 3 - int(mesh[0, 1] == 0.0) - int(mesh[1, 1] == 0.0)


@kernel
def place(y, apart, count, mesh, pieces, work, derivatives):
    """Cells and functions, with `derivatives` of them, of the particles y[axis * apart + i].

    Returns the largest distance from the box, inf for NaN.
    """
    N, left = dimension(mesh), 0.0
    work[INDEX, :] = 0.0
    for axis in range(3 - N):
        rows = work[FIRST_AXIS + axis * OF_AXIS :]
        rows[VALUE] = 1.0
        rows[SLOPE] = rows[CURVE] = 0.0
    for axis in range(3 - N, 3):
        at, rows = y[(axis + N - 3) * apart :], work[FIRST_AXIS + axis * OF_AXIS :].reshape(-1)
        x, scale = rows[:count], mesh[axis, 1]
        _cell(at[:count], x, work[INDEX], mesh[axis, 0], scale, mesh[axis, 2], mesh[axis, 3])
        left = max(left, _outside(x) / scale)
        _pairs(rows, count, VALUE, pieces[:8], 1.0, 1.0)
        if derivatives > 0:
            _pairs(rows, count, SLOPE, pieces[8:16], scale, -1.0)
        if derivatives > 1:
            _pairs(rows, count, CURVE, pieces[16:], scale * scale, 1.0)
    return left


@kernel
def gather(work, count, u, mesh):
    """U and its first derivatives into the rows FOUND ... FOUND + 3 (missing axes first)."""
    if dimension(mesh) > 2:
        _gather_in_space(work, count, u, mesh)
        return
    rows_b, stride = (8 if dimension(mesh) > 1 else 1), np.uint64(mesh[1, 3])
    _, wb, wj = _functions(work, VALUE)
    _, db, dj = _functions(work, SLOPE)
    index, U, Ub, Uj = work[INDEX], work[FOUND], work[FOUND + 2], work[FOUND + 3]
    for i in range(count):
        P, Q = _gather_plane(u, np.uint64(index[i]), stride, rows_b, wb, db, i)
        w = _column(wj, i)
        U[i] = _dot(P, w)
        Ub[i] = _dot(Q, w)
        Uj[i] = _dot(P, _column(dj, i))


@inlined
def _gather_plane(u, at, stride, rows, wb, db, i):
    """Sums of rows of u over the second axis, and with its functions differentiated."""
    P, Q = ZERO, ZERO
    for b in range(rows):
        row = _row(u, at)
        P = _add(P, wb[b, i], row)
        Q = _add(Q, db[b, i], row)
        at += stride
    return P, Q


@kernel
def _gather_in_space(work, count, u, mesh):
    """`gather` for three axes."""
    stride_a, stride_b = np.uint64(mesh[0, 3]), np.uint64(mesh[1, 3])
    wa, wb, wj = _functions(work, VALUE)
    da, db, dj = _functions(work, SLOPE)
    index, U, Ua, Ub, Uj = work[INDEX], work[FOUND], work[FOUND + 1], work[FOUND + 2], work[FOUND + 3]
    for i in range(count):
        start = np.uint64(index[i])
        V, A, B = ZERO, ZERO, ZERO  # sums over the first two axes of u, and with one function differentiated
        for a in range(8):
            P, Q = _gather_plane(u, start, stride_b, 8, wb, db, i)
            V = _add(V, wa[a, i], P)
            A = _add(A, da[a, i], P)
            B = _add(B, wa[a, i], Q)
            start += stride_a
        w = _column(wj, i)
        U[i] = _dot(V, w)
        Ua[i] = _dot(A, w)
        Ub[i] = _dot(B, w)
        Uj[i] = _dot(V, _column(dj, i))


@kernel
def gather_curvature(work, count, u, mesh):
    """U, Ua, Ub, Uj, Uaa, Uab, Uaj, Ubb, Ubj, Ujj into the rows FOUND ... FOUND + 9 (missing axes first)."""
    N = dimension(mesh)
    rows_a, rows_b = (8 if N > 2 else 1), (8 if N > 1 else 1)
    stride_a, stride_b = np.uint64(mesh[0, 3]), np.uint64(mesh[1, 3])
    wa, wb, wj = _functions(work, VALUE)
    da, db, dj = _functions(work, SLOPE)
    ca, cb, cj = _functions(work, CURVE)
    for i in range(count):
        start = np.uint64(work[INDEX, i])
        V, A, B, AA, AB, BB = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
        for a in range(rows_a):
            P, Q, R = ZERO, ZERO, ZERO
            at = start
            for b in range(rows_b):
                row = _row(u, at)
                P = _add(P, wb[b, i], row)
                Q = _add(Q, db[b, i], row)
                R = _add(R, cb[b, i], row)
                at += stride_b
            V = _add(V, wa[a, i], P)
            A = _add(A, da[a, i], P)
            AA = _add(AA, ca[a, i], P)
            B = _add(B, wa[a, i], Q)
            AB = _add(AB, da[a, i], Q)
            BB = _add(BB, wa[a, i], R)
            start += stride_a
        w, d = _column(wj, i), _column(dj, i)
        work[FOUND, i] = _dot(V, w)
        work[FOUND + 1, i] = _dot(A, w)
        work[FOUND + 2, i] = _dot(B, w)
        work[FOUND + 3, i] = _dot(V, d)
        work[FOUND + 4, i] = _dot(AA, w)
        work[FOUND + 5, i] = _dot(AB, w)
        work[FOUND + 6, i] = _dot(A, d)
        work[FOUND + 7, i] = _dot(BB, w)
        work[FOUND + 8, i] = _dot(B, d)
        work[FOUND + 9, i] = _dot(V, _column(cj, i))


@kernel
def deposit(work, count, moments, mesh):
    """moments += sum_i charge_i times the splines at particle i, charges in the row CHARGE."""
    N = dimension(mesh)
    rows_a, rows_b = (8 if N > 2 else 1), (8 if N > 1 else 1)
    stride_a, stride_b = np.uint64(mesh[0, 3]), np.uint64(mesh[1, 3])
    wa, wb, wj = _functions(work, VALUE)
    index, charge = work[INDEX], work[CHARGE]
    for i in range(count):
        start = np.uint64(index[i])
        w = _column(wj, i)
        for a in range(rows_a):
            at, q = start, charge[i] * wa[a, i]
            for b in range(rows_b):
                _store(moments, at, _add(_row(moments, at), q * wb[b, i], w))
                at += stride_b
            start += stride_a


@kernel
def _cell(y, x, index, low, scale, cells, stride):
    """x = place in the cell from its middle, in cells; index += the cell's number times the stride."""
    for i in range(y.size):
        from_low = (y[i] - low) * scale
        cell = from_low if from_low > 0.0 else 0.0  # of NaN as well
        cell = np.floor(cell if cell < cells - 1.0 else cells - 1.0)
        x[i] = (from_low - cell) - 0.5
        index[i] += cell * stride


@kernel
def _outside(x):
    """Largest distance of x from [-1/2, 1/2], inf for NaN."""
    left = 0.0
    if _inside(x) < x.size:
        for i in range(x.size):
            left = max(left, np.inf if x[i] != x[i] else abs(x[i]) - 0.5)
    return left


@reduction
def _inside(x):
    """How many are in [-1/2, 1/2]."""
    total = 0.0
    for i in range(x.size):
        total += 1.0 if abs(x[i]) <= 0.5 else 0.0
    return total


@inlined
def _pairs(rows, count, first, pieces, scale, sign):
    """Eight functions, or derivatives of them, at the places in the row PLACE, into as many rows from `first` on.

    sign : by which the odd part of a pair is what mirrors it; -1 for slopes.
    """
    c0, c1 = _coefficients(pieces, 0, scale), _coefficients(pieces, 1, scale)
    c2, c3 = _coefficients(pieces, 2, scale), _coefficients(pieces, 3, scale)
    low, high = first * GROUP, (first + 4) * GROUP
    for i in range(count):
        x = rows[i]
        z = x * x
        rows[low + i], rows[high + 3 * GROUP + i] = _pair(x, z, sign, *c0)
        rows[low + GROUP + i], rows[high + 2 * GROUP + i] = _pair(x, z, sign, *c1)
        rows[low + 2 * GROUP + i], rows[high + GROUP + i] = _pair(x, z, sign, *c2)
        rows[low + 3 * GROUP + i], rows[high + i] = _pair(x, z, sign, *c3)


@inlined
def _coefficients(pieces, j, scale):
    e0, e1, e2, e3 = scale * pieces[0, j], scale * pieces[1, j], scale * pieces[2, j], scale * pieces[3, j]
    o0, o1, o2, o3 = scale * pieces[4, j], scale * pieces[5, j], scale * pieces[6, j], scale * pieces[7, j]
    return e0, e1, e2, e3, o0, o1, o2, o3


@inlined
def _pair(x, z, sign, e0, e1, e2, e3, o0, o1, o2, o3):
    even = e0 + z * (e1 + z * (e2 + z * e3))
    odd = o0 + z * (o1 + z * (o2 + z * o3))
    return even + x * odd, sign * even - (sign * x) * odd


@kernel
def _update(tile, low, count, N, work, weight, ahead):
    """The stage's move, or the step's where `ahead` is 0, of the particles low ... low + count of a tile."""
    U = work[FOUND]
    for axis in range(N):
        y = tile[Y + axis * AXIS + low :]
        update_y(y[:count], y[BLOCK:], y[2 * BLOCK :], tile[STAGE_C + low :], work[FOUND + 4 - N + axis], weight, ahead)
    update_c(tile[C + low :][:count], tile[SLOPE_C + low :], tile[STAGE_C + low :], U, weight, ahead)


@kernel
def update_y(y, slope, stage, c, dU, weight, ahead):
    for i in range(y.size):
        v = -c[i] * dU[i]
        slope[i] += weight * v
        if ahead == 0.0:
            y[i] += slope[i]
            slope[i] = 0.0
        stage[i] = y[i] + ahead * v


@kernel
def update_c(c, slope, stage, U, weight, ahead):
    for i in range(c.size):
        v = -U[i]
        slope[i] += weight * v
        if ahead == 0.0:
            c[i] += slope[i]
            slope[i] = 0.0
        stage[i] = c[i] + ahead * v


@kernel
def _functions(work, kind):
    """The eight functions of each axis, three of (8, GROUP)."""
    a, b, j = FIRST_AXIS + kind, FIRST_AXIS + OF_AXIS + kind, FIRST_AXIS + 2 * OF_AXIS + kind
    return work[a : a + 8], work[b : b + 8], work[j : j + 8]


# Rows of eight as tuples: the compiler keeps them in registers.


@kernel
def _row(u, at):
    one = np.uint64(1)
    a, b, c = at + one, at + np.uint64(2), at + np.uint64(3)
    d, e, f, g = at + np.uint64(4), at + np.uint64(5), at + np.uint64(6), at + np.uint64(7)
    return u[at], u[a], u[b], u[c], u[d], u[e], u[f], u[g]


@kernel
def _store(u, at, row):
    u[at], u[at + np.uint64(1)], u[at + np.uint64(2)], u[at + np.uint64(3)] = row[0], row[1], row[2], row[3]
    u[at + np.uint64(4)], u[at + np.uint64(5)], u[at + np.uint64(6)], u[at + np.uint64(7)] = (
        row[4],
        row[5],
        row[6],
        row[7],
    )


@kernel
def _column(w, i):
    return w[0, i], w[1, i], w[2, i], w[3, i], w[4, i], w[5, i], w[6, i], w[7, i]


@kernel
def _add(v, s, w):
    return (
        v[0] + s * w[0],
        v[1] + s * w[1],
        v[2] + s * w[2],
        v[3] + s * w[3],
        v[4] + s * w[4],
        v[5] + s * w[5],
        v[6] + s * w[6],
        v[7] + s * w[7],
    )


@reduction
def _dot(v, w):
    a = v[0] * w[0] + v[1] * w[1] + v[2] * w[2] + v[3] * w[3]
    return a + v[4] * w[4] + v[5] * w[5] + v[6] * w[6] + v[7] * w[7]


@kernel
def gather_features(work, i, features, mesh, values, some):
    """psi at particle i, and the first derivatives of `some` of it, into values (4, M) (missing axes first).

    features : T', (L, M).
    """
    N = dimension(mesh)
    rows_a, rows_b = (8 if N > 2 else 1), (8 if N > 1 else 1)
    wa, wb, wj = _functions(work, VALUE)
    da, db, dj = _functions(work, SLOPE)
    values[:] = 0.0
    start = int(work[INDEX, i])
    for a in range(rows_a):
        for b in range(rows_b):
            at = start + a * int(mesh[0, 3]) + b * int(mesh[1, 3])
            for j in range(8):
                w, d = wa[a, i] * wb[b, i] * wj[j, i], wa[a, i] * wb[b, i] * dj[j, i]
                by_a, by_b = da[a, i] * wb[b, i] * wj[j, i], wa[a, i] * db[b, i] * wj[j, i]
                row = features[at + j]
                _add_values(row, w, values[0])
                _add_slopes(row[:some], by_a, by_b, d, values[1], values[2], values[3])


@kernel
def _add_values(row, w, psi):
    for m in range(row.size):
        psi[m] += w * row[m]


@kernel
def _add_slopes(row, by_a, by_b, by_j, psi_a, psi_b, psi_j):
    for m in range(row.size):
        psi_a[m] += by_a * row[m]
        psi_b[m] += by_b * row[m]
        psi_j[m] += by_j * row[m]
