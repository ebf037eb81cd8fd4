"""Rows of constant y shifted along c: a conservative remap of seventh order, the same for all cells of a row.

Cell j receives what stood between its two ends a shift further up:

      |--- f ---|--- a - f ---|        f, the left part of cell k, from a polynomial
      k      k + theta      k + 1      over the seven cells around it

so mass is conserved to rounding whatever the shift, and stays positive because f is kept between 0 and a. That does
nothing where the density is smooth and positive, so extrema keep their order. Shifts act on values at points in c as
they do on averages over cells.

Cells are averages over y as well, and the shift S(y) varies across them. What that adds is
d_c[(h^2/12) S' d_y rho - (h^2/24) S'^2 d_c rho] of the density after the shift; it goes through the c-faces as a flux,
limited by what a cell can give.
"""

import numpy as np
from numba import prange

from particles.jit import kernel, parallel, reduction
from solvers.grid import PAD

GHOST = 8  # empty cells before a row: a cache line
TILE = 16  # rows of a chunk
POWERS = 6  # moments of c that are taken, 0 ... 5


def _part_weights():
    """Weights of seven averages in the mass of the left part of the middle cell, coefficients in theta, (8, 7)."""
    faces = np.arange(-3.0, 5.0)
    lagrange = np.linalg.inv(np.vander(faces, increasing=True)).T  # (face, power)
    weights = np.zeros((7, 8))
    for k in range(7):
        weights[k] = lagrange[k + 1 :].sum(axis=0) if k >= 3 else -lagrange[: k + 1].sum(axis=0)
    return np.ascontiguousarray(weights.T)


PART = _part_weights()


@kernel
def _part(f, a0, a1, a2, a3, a4, a5, a6, w):
    w0, w1, w2, w3, w4, w5, w6 = w[0], w[1], w[2], w[3], w[4], w[5], w[6]
    for j in range(f.size):
        f[j] = w0 * a0[j] + w1 * a1[j] + w2 * a2[j] + w3 * a3[j] + w4 * a4[j] + w5 * a5[j] + w6 * a6[j]


@kernel
def _bound(f, a):
    for j in range(f.size):
        f[j] = min(max(f[j], 0.0), a[j])


@kernel
def _keep(out, a, f, g):
    for j in range(out.size):
        out[j] = (a[j] - f[j]) + g[j]


@kernel
def _shift(row, out, shift, limiter, f, w):
    """out(c) = row(c + shift), shift in cells; what would pass an end stays in the cell there.

    row : Nc cells between GHOST empty ones.  out : (Nc,).  f, w : work, (Nc + 2,) and (7,).
    """
    Nc = out.size
    shift = min(max(shift, -float(Nc)), float(Nc))
    k = int(np.floor(shift))
    theta = shift - k
    w[:] = PART[7]
    for power in range(6, -1, -1):
        for m in range(7):
            w[m] = w[m] * theta + PART[power, m]
    s = GHOST - 3
    part = f[1 : Nc + 1]
    _part(
        part, row[s : s + Nc], row[s + 1 : s + 1 + Nc], row[s + 2 : s + 2 + Nc], row[s + 3 : s + 3 + Nc],
        row[s + 4 : s + 4 + Nc], row[s + 5 : s + 5 + Nc], row[s + 6 : s + 6 + Nc], w,
    )  # fmt: skip
    if limiter:
        _bound(part, row[GHOST : GHOST + Nc])
    f[0], f[Nc + 1] = 0.0, 0.0
    # piece p = 0 ... Nc, the right part of cell p - 1 and the left part of cell p, becomes cell p - 1 - k
    first, last = min(max(k + 1, 0), Nc + 1), min(max(k + 1 + Nc, 0), Nc + 1)
    out[:] = 0.0
    if first < last:
        to = first - 1 - k
        source = GHOST - 1
        _keep(
            out[to : to + last - first],
            row[source + first : source + last],
            f[first:last],
            f[first + 1 : last + 1],
        )
    for p in range(first):
        out[0] += (row[GHOST - 1 + p] - f[p]) + f[p + 1]
    for p in range(last, Nc + 1):
        out[Nc - 1] += (row[GHOST - 1 + p] - f[p]) + f[p + 1]


@parallel
def shift_rows(rho, out, shift, Nc, limiter):
    """Shift every row of rho (rows, width) along c by `shift` (rows,) cells into `out`."""
    rows = shift.size
    for chunk in prange((rows + TILE - 1) // TILE):
        f, w = np.empty(Nc + 2), np.empty(7)
        for i in range(chunk * TILE, min((chunk + 1) * TILE, rows)):
            _shift(rho[i], out[i, GHOST : GHOST + Nc], shift[i], limiter, f, w)


@kernel
def _shear(flux, here, here_up, right, right_up, left, left_up, slope):
    """Mass gained through the upper face of a cell because the shift varies along y inside the cell."""
    mixed, square = slope / 48.0, slope * slope / 24.0
    for j in range(flux.size):
        flux[j] += mixed * ((right[j] + right_up[j]) - (left[j] + left_up[j])) - square * (here_up[j] - here[j])


@kernel
def share(share, a, below, above):
    """The share of what these fluxes take out of a cell that it can give."""
    for j in range(share.size):
        share[j] = min(1.0, a[j] / (max(below[j], 0.0) - min(above[j], 0.0) + 1e-300))


@kernel
def limit(flux, lower, upper):
    for j in range(flux.size):
        flux[j] *= upper[j] if flux[j] > 0.0 else lower[j]


@kernel
def gain(out, a, below, above, least):
    for j in range(out.size):
        out[j] = max(a[j] - below[j] + above[j], least)


@reduction
def _moments(rho, c, dc):
    m0, m1, m2, m3, m4, m5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(c.size):
        a = rho[j]
        m0 += a
        a *= c[j]
        m1 += a
        a *= c[j]
        m2 += a
        a *= c[j]
        m3 += a
        a *= c[j]
        m4 += a
        a *= c[j]
        m5 += a
    return m0 * dc, m1 * dc, m2 * dc, m3 * dc, m4 * dc, m5 * dc


@parallel
def shear_rows(rho, out, shift, near, dimension, c, dc, corrected, limiter, moments):
    """Correct rows just shifted for the variation of the shift across a cell of y, h^2/12 S' d_y d_c rho and the like.

    moments : (POWERS, rows), filled with int c^p rho dc of the result.
    """
    Nc, rows = c.size, shift.size
    for chunk in prange((rows + TILE - 1) // TILE):
        flux, shares = np.zeros(Nc + 1), np.empty(Nc)
        lower, upper = slice(GHOST, GHOST + Nc - 1), slice(GHOST + 1, GHOST + Nc)
        cells = slice(GHOST, GHOST + Nc)
        for i in range(chunk * TILE, min((chunk + 1) * TILE, rows)):
            here = rho[i]
            if corrected:
                flux[:] = 0.0
                for a in range(dimension):
                    l, r = near[a, PAD - 1, i], near[a, PAD + 1, i]
                    if l < rows and r < rows:
                        slope = 0.5 * (shift[r] - shift[l])
                        slope = min(max(slope, -1.0), 1.0)
                        left, right = rho[l], rho[r]
                        _shear(
                            flux[1:Nc], here[lower], here[upper], right[lower], right[upper], left[lower], left[upper],
                            slope,
                        )  # fmt: skip
                if limiter:
                    share(shares, here[cells], flux[:Nc], flux[1:])
                    limit(flux[1:Nc], shares[: Nc - 1], shares[1:])
                gain(out[i, cells], here[cells], flux[:Nc], flux[1:], 0.0 if limiter else -np.inf)
            else:
                out[i, cells] = here[cells]
            m = _moments(out[i, cells], c, dc)
            for p in range(POWERS):
                moments[p, i] = m[p]
