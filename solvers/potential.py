"""The potential U = psi . r on a grid, and the moments that close it, from cell averages of the features alone.

Every other number that a scheme needs of U is a stencil over its cell averages <U>, which are known on PAD cells beyond
the ends of each axis. Averages over the other axes commute with the stencils, so what comes out is averaged over them:

    <d_a U> on faces of axis a    eight averages across the face, eighth order
    U, d_a U at cell centres      seven averages an axis
    int psi G dy                  sum <psi> (1 - d^2/12 + d^4/90 - d^6/560) G, d^2 the second difference of averages G:
                                  the average of a product is not the product of averages, whose symbols are
                                  sinc(k h/2) each; the bracket is 1/sinc^2
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles.jit import kernel, parallel, reduction
from solvers.grid import PAD, Grid

Array = NDArray[np.floating]
Index = NDArray[np.integer]

AXES = 3  # arrays over y always have so many axes; those that a problem does not have are one cell wide
CHUNK = 512  # rows whose moments are summed together, whatever the threads
FACE = np.array([205 / 144, -127 / 720, 17 / 720, -1 / 560])  # derivative on a face
CENTRE = np.array([30251 / 26880, -7621 / 107520, 159 / 17920, -5 / 7168])  # value at a centre
SLOPE = np.array([0.0, 1891 / 2304, -559 / 2880, 259 / 11520])  # derivative at a centre
NO_SHARPENING = np.array([1.0, 0.0, 0.0, 0.0])
# 1/sinc^2 and 1/sinc as symmetric filters of cell averages; sums of the binomials of d^2, d^4, d^6
PRODUCT = np.array([1 + 2 / 12 + 6 / 90 + 20 / 560, -1 / 12 - 4 / 90 - 15 / 560, 1 / 90 + 6 / 560, -1 / 560])
POINT = np.array([1 + 2 / 24 + 18 / 640, -1 / 24 - 12 / 640, 3 / 640, 0.0])


class Layout(NamedTuple):
    """A grid as the kernels see it: rows of constant y, in the order of a (n1, n2, n3) array, each along c."""

    dimension: int
    cells: Index  # (AXES,)
    widths: Array  # (AXES,)
    periodic: NDArray[np.bool_]  # (AXES,)
    near: Index  # (AXES, 2 PAD + 1, rows): the row at each offset -PAD ... PAD; `rows`, an empty one, past a wall
    padded: Index  # (rows,): where the row stands among the padded cells
    strides: Index  # (AXES,): of the padded cells
    c: Array  # (Nc,)
    dc: float


class Velocities(NamedTuple):
    """What a stage needs of U, over the rows of the grid, filled by `differentiate`."""

    average: Array  # <U>, (rows,)
    centre: Array  # U at centres, (rows,)
    slopes: Array  # d_a U at centres, (AXES, rows)
    faces: Array  # <d_a U> on the face to the right along a, 0 on walls, (AXES, rows)
    cross: Array  # d_b of faces[a], (AXES, AXES, rows)


def layout(grid: Grid) -> Layout:
    """The tables of a grid."""
    N = len(grid.y)
    cells = np.array([*grid.Ny] + [1] * (AXES - N))
    periodic = np.array([axis.periodic for axis in grid.y] + [True] * (AXES - N))
    index = np.indices(cells.tolist()).reshape(AXES, -1)
    rows = index.shape[1]
    steps = np.array([cells[1] * cells[2], cells[2], 1])
    near = np.empty((AXES, 2 * PAD + 1, rows), dtype=np.int64)
    near[:] = np.arange(rows)
    for a in range(N):
        there = index[a] + np.arange(-PAD, PAD + 1)[:, None]
        near[a] += (there % cells[a] - index[a]) * steps[a]
        if not periodic[a]:
            near[a][(there < 0) | (there >= cells[a])] = rows
    pads = np.array([PAD] * N + [0] * (AXES - N))
    outer = cells + 2 * pads
    strides = np.array([outer[1] * outer[2], outer[2], 1])
    widths = np.array([axis.width for axis in grid.y] + [1.0] * (AXES - N))
    padded = strides @ (index + pads[:, None])
    return Layout(N, cells, widths, periodic, near, padded, strides, grid.c.centres, grid.c.width)


def velocities(rows: int) -> Velocities:
    """Room for the velocities of so many rows."""
    return Velocities(*(np.zeros((*shape, rows)) for shape in ((), (), (AXES,), (AXES,), (AXES, AXES))))


@parallel
def moments(features, G, padded, partial, spread):
    """sum_i features_i G_i over rows, (M,), in chunks of fixed size; over the threads if `spread`."""
    count = partial.shape[0]
    if spread:
        for chunk in prange(count):
            _moments(features, G, padded, partial[chunk], chunk * CHUNK)
    else:
        for chunk in range(count):
            _moments(features, G, padded, partial[chunk], chunk * CHUNK)
    return _folded(partial)


@kernel
def _moments(features, G, padded, out, start):
    """The sum over a chunk, four rows at once because there may be but few features."""
    stop = min(start + CHUNK, G.size)
    fours = stop - (stop - start) % 4
    out[:] = 0.0
    for i in range(start, fours, 4):
        a, b, c, d = features[padded[i]], features[padded[i + 1]], features[padded[i + 2]], features[padded[i + 3]]
        p, q, r, s = G[i], G[i + 1], G[i + 2], G[i + 3]
        for m in range(out.size):
            out[m] += (a[m] * p + b[m] * q) + (c[m] * r + d[m] * s)
    for i in range(fours, stop):
        a, p = features[padded[i]], G[i]
        for m in range(out.size):
            out[m] += a[m] * p


@kernel
def _folded(partial):
    total = partial[0].copy()
    for chunk in range(1, partial.shape[0]):
        for m in range(total.size):
            total[m] += partial[chunk, m]
    return total


@parallel
def potential(features, r, U, spread):
    """U = features @ r on all padded cells."""
    count = (U.size + CHUNK - 1) // CHUNK
    if spread:
        for chunk in prange(count):
            _potential(features, r, U, chunk * CHUNK)
    else:
        for chunk in range(count):
            _potential(features, r, U, chunk * CHUNK)


@reduction
def _potential(features, r, U, start):
    stop = min(start + CHUNK, U.size)
    fours = stop - (stop - start) % 4
    for i in range(start, fours, 4):
        a, b, c, d = features[i], features[i + 1], features[i + 2], features[i + 3]
        p, q, s, t = 0.0, 0.0, 0.0, 0.0
        for m in range(r.size):
            p += a[m] * r[m]
            q += b[m] * r[m]
            s += c[m] * r[m]
            t += d[m] * r[m]
        U[i], U[i + 1], U[i + 2], U[i + 3] = p, q, s, t
    for i in range(fours, stop):
        a, p = features[i], 0.0
        for m in range(r.size):
            p += a[m] * r[m]
        U[i] = p


@kernel
def sharpen(G, near, dimension, filter, work):
    """Apply a symmetric filter along each axis of y to the rows' numbers G, in place; walls see zeros beyond."""
    reach = filter.size - 1
    for a in range(dimension):
        work[:] = G
        step = near[a, PAD + 1, 0]  # from one row to the next, wherever no end is near
        i = 0
        while i < G.size:
            stop = i
            while (
                stop + reach * step < G.size  # what lies past a wall has the number G.size
                and near[a, PAD + reach, stop] == stop + reach * step
                and near[a, PAD - reach, stop] == stop - reach * step
            ):
                stop += 1
            if stop > i:
                _sharpen(G, work, filter, i, stop, step)
            if stop < G.size:
                total = filter[0] * work[stop]
                for k in range(1, reach + 1):
                    for there in (near[a, PAD + k, stop], near[a, PAD - k, stop]):
                        if there < G.size:
                            total += filter[k] * work[there]
                G[stop] = total
            i = stop + 1


@kernel
def _sharpen(G, values, filter, start, stop, step):
    """The filter on rows that are `step` apart."""
    f0, f1, f2, f3 = filter[0], filter[1], filter[2], filter[3]
    i, s = np.uint64(start), np.uint64(step)
    a1, b1, a2, b2, a3, b3 = i - s, i + s, i - s - s, i + s + s, i - s - s - s, i + s + s + s
    for j in range(np.uint64(stop - start)):
        G[i + j] = (
            f0 * values[i + j]
            + f1 * (values[a1 + j] + values[b1 + j])
            + f2 * (values[a2 + j] + values[b2 + j])
            + f3 * (values[a3 + j] + values[b3 + j])
        )


@parallel
def differentiate(U, layout, velocities, spread):
    """Fill the velocities from U on the padded cells."""
    count = (velocities.average.size + CHUNK - 1) // CHUNK
    if spread:
        for chunk in prange(count):
            _differentiate(U, layout, velocities, chunk * CHUNK)
    else:
        for chunk in range(count):
            _differentiate(U, layout, velocities, chunk * CHUNK)


@kernel
def _differentiate(U, layout, velocities, start):
    """The velocities of a chunk, line by line: the rows of a line are neighbours among the padded cells, too."""
    line = layout.cells[layout.dimension - 1]
    stop = min(start + CHUNK, velocities.average.size)
    while start < stop:
        end = min(start - start % line + line, stop)
        _line(U, layout, velocities, start, end, np.uint64(layout.padded[start]))
        start = end


@kernel
def _line(U, layout, velocities, start, stop, at):
    N, strides, widths = layout.dimension, layout.strides, layout.widths
    average, centre = velocities.average[start:stop], velocities.centre[start:stop]
    weight = 1.0 + N * (CENTRE[0] - 1.0)
    for j in range(np.uint64(average.size)):
        average[j] = U[at + j]
        centre[j] = weight * U[at + j]
    for a in range(N):
        s, h = np.uint64(strides[a]), widths[a]
        slopes, faces = velocities.slopes[a, start:stop], velocities.faces[a, start:stop]
        _add_centre(centre, U, at, s)
        slopes[:] = 0.0
        faces[:] = 0.0
        _add_slope(slopes, U, at, s, (1.0 + (N - 1) / 12.0) / h)
        _add_face_slope(faces, U, at, s, 1.0 / h)
        for b in range(N):
            if b != a:  # the slope at the centre from its averages over the other axes; the face's own slope
                cross, e = velocities.cross[a, b, start:stop], np.uint64(strides[b])
                _add_slope(slopes, U, at + e, s, -1.0 / (24.0 * h))
                _add_slope(slopes, U, at - e, s, -1.0 / (24.0 * h))
                cross[:] = 0.0
                _add_face_slope(cross, U, at + e, s, 0.5 / (h * widths[b]))
                _add_face_slope(cross, U, at - e, s, -0.5 / (h * widths[b]))
        if not layout.periodic[a]:
            for i in range(start, stop):
                if layout.near[a, PAD + 1, i] == layout.near.shape[2]:
                    velocities.faces[a, i] = 0.0
                    velocities.cross[a, :, i] = 0.0


# What the neighbours along an axis, s apart, add to each cell of a line from `at` on.


@kernel
def _add_centre(out, U, at, s):
    """The value at the centre; that of the cell itself is left out."""
    w1, w2, w3 = CENTRE[1], CENTRE[2], CENTRE[3]
    a1, b1, a2, b2, a3, b3 = at - s, at + s, at - s - s, at + s + s, at - s - s - s, at + s + s + s
    for j in range(np.uint64(out.size)):
        out[j] += w1 * (U[a1 + j] + U[b1 + j]) + w2 * (U[a2 + j] + U[b2 + j]) + w3 * (U[a3 + j] + U[b3 + j])


@kernel
def _add_slope(out, U, at, s, factor):
    """factor times dU at the centre."""
    w1, w2, w3 = factor * SLOPE[1], factor * SLOPE[2], factor * SLOPE[3]
    a1, b1, a2, b2, a3, b3 = at - s, at + s, at - s - s, at + s + s, at - s - s - s, at + s + s + s
    for j in range(np.uint64(out.size)):
        out[j] += w1 * (U[b1 + j] - U[a1 + j]) + w2 * (U[b2 + j] - U[a2 + j]) + w3 * (U[b3 + j] - U[a3 + j])


@kernel
def _add_face_slope(out, U, at, s, factor):
    """factor times dU on the face to the right."""
    w0, w1, w2, w3 = factor * FACE[0], factor * FACE[1], factor * FACE[2], factor * FACE[3]
    a1, b0, b1, b2 = at - s, at + s, at + s + s, at + s + s + s
    a2, a3, b3 = a1 - s, a1 - s - s, b2 + s
    for j in range(np.uint64(out.size)):
        near = w0 * (U[b0 + j] - U[at + j]) + w1 * (U[b1 + j] - U[a1 + j])
        out[j] += near + (w2 * (U[b2 + j] - U[a2 + j]) + w3 * (U[b3 + j] - U[a3 + j]))
