"""Lines along an axis of y remapped: every face has its own departure point, and mass is conserved.

      faces       |     |     |     |      the primitive is interpolated where they come from, seventh order;
      come from  |  |        |         |   its differences are the new cells

A primitive that decreases anywhere gives way to the closest one that does not (isotonic regression), so the density
stays positive. That does nothing where the density is smooth and positive, and where it acts it keeps the mass and the
first moment in y of every stretch it touches. (Clamping the primitive into the cell it is in does not, and makes errors
of f_0 on `flat-fourier` two to ten times larger at t = 6.)
Lines next to each other in c are worked on side by side, in blocks of columns.
"""

import numpy as np
from numba import prange

from particles.jit import kernel, parallel, reduction
from solvers.row_shift import GHOST

BLOCK = 32  # columns of a block
REACH = 4  # values of the primitive on either side of a departure point
MAGIC = 1.5 * 2.0**52  # added to a number, it rounds it and leaves the integer in the last bits
MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))


@kernel
def _primitive(P, rho, start, step, n, column, periodic, outside):
    """Mass up to each face of a line, from `outside` cells before it to as many behind it; columns side by side."""
    width = P.shape[1]
    P[0] = 0.0
    for q in range(n + 2 * outside):
        i = q - outside
        if periodic:
            i %= n
        before, after = P[q], P[q + 1]
        if i < 0 or i >= n:
            for l in range(width):
                after[l] = before[l]
        else:
            cells = rho[start + i * step, column : column + width]
            for l in range(width):
                after[l] = before[l] + cells[l]


@kernel
def _place(place, w, c, d, face, most):
    """Where a face comes from in each of BLOCK columns: MAGIC plus the value of the primitive before it, and weights.

    w : (8 BLOCK,), septic Lagrange interpolation between values 3 and 4 of the eight around.
    """
    d0, d1, d2, d3, d4, d5, d6 = d[0], d[1], d[2], d[3], d[4], d[5], d[6]
    for l in range(BLOCK):
        x = c[l]
        t = x * (d0 + x * (d1 + x * (d2 + x * (d3 + x * (d4 + x * (d5 + x * d6))))))
        t = min(max(t, -most), most) + face
        k = (t - 0.5) + MAGIC
        place[l] = k
        t -= k - MAGIC
        u = 1.0 - t
        a0, a1, a2, a3 = t * u, (t + 1.0) * (u + 1.0), (t + 2.0) * (u + 2.0), (t + 3.0) * (u + 3.0)
        inner, outer = a0 * a1, a2 * a3
        b0, b1 = a1 * outer * (1.0 / 144.0), a0 * outer * (-1.0 / 240.0)
        b2, b3 = inner * a3 * (1.0 / 720.0), inner * a2 * (-1.0 / 5040.0)
        w[l] = b3 * (u + 3.0)
        w[BLOCK + l] = b2 * (u + 2.0)
        w[2 * BLOCK + l] = b1 * (u + 1.0)
        w[3 * BLOCK + l] = b0 * u
        w[4 * BLOCK + l] = b0 * t
        w[5 * BLOCK + l] = b1 * (t + 1.0)
        w[6 * BLOCK + l] = b2 * (t + 2.0)
        w[7 * BLOCK + l] = b3 * (t + 3.0)


@kernel
def _at(value, P, place, w):
    """The primitive there, for BLOCK columns."""
    for l in range(BLOCK):
        at = np.uint64((place[l] - MAGIC_BITS - 3) * BLOCK + l)
        v = (
            w[3 * BLOCK + l] * P[at + 3 * BLOCK]
            + w[2 * BLOCK + l] * P[at + 2 * BLOCK]
            + w[BLOCK + l] * P[at + BLOCK]
            + w[l] * P[at]
        )
        v += (
            w[4 * BLOCK + l] * P[at + 4 * BLOCK]
            + w[5 * BLOCK + l] * P[at + 5 * BLOCK]
            + w[6 * BLOCK + l] * P[at + 6 * BLOCK]
            + w[7 * BLOCK + l] * P[at + 7 * BLOCK]
        )
        value[l] = v


@kernel
def _falls(here, before, tolerance, falls):
    """Level what falls by no more than rounding, and remember the largest fall beyond that."""
    for l in range(here.size):
        fall = before[l] - here[l] - tolerance[l]
        here[l] = max(here[l], before[l]) if fall < 0.0 else here[l]
        falls[l] = max(falls[l], fall)


@kernel
def _clip(here, total):
    for l in range(here.size):
        here[l] = min(max(here[l], 0.0), total[l])


@kernel
def _isotonic(value, l, n, periodic, factor, change):
    """Replace column l of `value` by the closest non-decreasing one: pool what falls with its neighbours.

    A pool keeps the sum of its values, that is the first moment in y of the mass between them.
    change : (n + 1,), increased by `factor` times what is added to each value.
    """
    total = value[n, l] - value[0, l]
    first, last = (0, n) if periodic else (1, n - 1)
    i = first
    while i < last:
        before, after = value[i, l], value[i + 1, l]
        if after >= before:
            i += 1
            continue
        low, high, mass, count = i, i + 1, before + after, 2
        while count < n:
            mean = mass / count
            a, b = low - 1, high + 1
            if periodic:
                left = value[a, l] if a >= 0 else value[a + n, l] - total
                right = value[b, l] if b < n else value[b - n, l] + total
            else:
                left = value[a, l] if a >= first else mean
                right = value[b, l] if b <= last else mean
            if left > mean:
                mass, low = mass + left, a
            elif right < mean:
                mass, high = mass + right, b
            else:
                break
            count += 1
        mean = mass / count
        for q in range(low, high + 1):
            if q < 0:
                k, to = q + n, mean + total
            elif periodic and q >= n:
                k, to = q - n, mean - total
            else:
                k, to = q, mean
            change[k] += factor * (to - value[k, l])
            value[k, l] = to
        if periodic:
            value[n, l], change[n] = value[0, l] + total, change[0]
        i = high
    if not periodic:
        for i in range(1, n):
            value[i, l] = min(max(value[i, l], value[0, l]), value[n, l])


@kernel
def _line(rho, start, step, n, column, periodic, departures, c, outside, most, limiter, P, value, change, sums):
    """Remap a block of columns of a line in place."""
    width = c.size
    _primitive(P, rho, start, step, n, column, periodic, outside)
    flat = P.reshape(-1)
    place, x, w = np.empty(width), np.empty(width), np.empty(8 * width)
    bits = place.view(np.int64)
    for i in range(n if periodic else n + 1):
        _place(place, w, c, departures[i], float(i + outside), most)
        _at(value[i], flat, bits, w)
    if periodic:
        for l in range(width):
            value[n, l] = value[0, l] + (P[outside + n, l] - P[outside, l])
    change[:] = 0.0
    if limiter:
        total, falls = P[P.shape[0] - 1], w[:width]
        for l in range(width):
            x[l] = 1e-15 * total[l]
        falls[:] = 0.0
        for i in range(1, n + 1):
            if not periodic:
                _clip(value[i], total)
            if i < n:
                _falls(value[i], value[i - 1], x, falls)
        for l in range(width):
            if falls[l] > 0.0 or value[n, l] < value[n - 1, l]:
                _isotonic(value, l, n, periodic, c[l], change)
    for i in range(n):
        low, high, cells = value[i], value[i + 1], rho[start + i * step, column : column + width]
        for l in range(width):
            cells[l] = high[l] - low[l]
        sums[i] = _sum(cells)


@reduction
def _sum(values):
    total = 0.0
    for l in range(values.size):
        total += values[l]
    return total


@parallel
def remap_lines(rho, departures, extent, step, n, periodic, c, limiter, changes, sums):
    """Remap every line along one axis of y in place.

    departures : (lines, n + 1, K), where each face comes from less where it is, in cells, c times a polynomial in c.
    extent : (lines,), largest value of those polynomials.  step : rows from a cell of the axis to the next.
    c : (blocks, BLOCK), 0 in the columns past the last.
    changes : (lines, blocks, n + 1), what the limiter added to the primitive on every face, times c and summed over the
    block.  sums : (lines, blocks, n), of the new cells.
    """
    lines, blocks, width = departures.shape[0], c.shape[0], c.shape[1]
    for task in prange(lines * blocks):
        line, block = task // blocks, task % blocks
        columns = c[block]
        reach = 0.0
        for l in range(width):
            reach = max(reach, abs(columns[l]))
        most = min(1.2 * extent[line] * reach + 1.0, float(n))
        outside = int(most) + REACH + 1
        start = (line // step) * step * n + line % step
        P, value = np.empty((n + 2 * outside + 1, width)), np.empty((n + 1, width))
        _line(
            rho, start, step, n, GHOST + block * width, periodic, departures[line], columns, outside, most, limiter,
            P, value, changes[line, block], sums[line, block],
        )  # fmt: skip
