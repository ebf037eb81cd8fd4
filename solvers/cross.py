"""What a remap along one axis of y misses because the displacement varies across a cell along the other axes.

A line is remapped with the displacement D of its own middle, but its cells are averages over h_b along each other axis
b. The primitive at a face is then short of (h_b^2/12) D_b d_b(rho/J) - (h_b^2/24) D_b^2 d_a(rho/J)/J, D_b = d_b D and
J = 1 + d_a D, in terms of the density rho after the remap. Fluxes through the faces put it right, to fourth order in
space, limited as those of `row_shift` are, by what a cell can give.
"""

import numpy as np
from numba import prange

from particles.jit import kernel, parallel
from solvers.grid import PAD
from solvers.row_shift import GHOST, gain, limit, share

STEEPEST = 1.0  # cells that the displacement may change from a cell to the next; what is beyond is not resolved


@kernel
def _displacement(out, c, d):
    """c times a polynomial in c."""
    d0, d1, d2, d3, d4, d5, d6 = d[0], d[1], d[2], d[3], d[4], d[5], d[6]
    for j in range(out.size):
        x = c[j]
        out[j] = x * (d0 + x * (d1 + x * (d2 + x * (d3 + x * (d4 + x * (d5 + x * d6))))))


@kernel
def _unstretch(out, stretch, rho):
    """The density before it was stretched, rho/J; none where faces have crossed."""
    for j in range(out.size):
        out[j] = rho[j] / max(1.0 + stretch[j], 0.05)


@kernel
def _mixed(flux, slope, here, after, here_back, after_back):
    for j in range(flux.size):
        d = min(max(slope[j], -STEEPEST), STEEPEST)
        flux[j] += d * ((here[j] + after[j]) - (here_back[j] + after_back[j])) * (1.0 / 48.0)


@kernel
def _squared(flux, slope, stretch, here, after):
    for j in range(flux.size):
        d = min(max(slope[j], -STEEPEST), STEEPEST)
        flux[j] -= d * d * (after[j] - here[j]) / max(1.0 + stretch[j], 0.05) * (1.0 / 24.0)


@parallel
def unstretch_lines(rho, out, departures, step, n, c):
    """out = rho/J for every line."""
    lines, Nc = departures.shape[0], c.size
    for line in prange(lines):
        cells = slice(GHOST, GHOST + Nc)
        start = (line // step) * step * n + line % step
        stretch = np.empty(Nc)
        for i in range(n):
            _displacement(stretch, c, departures[line, i + 1] - departures[line, i])
            _unstretch(out[start + i * step, cells], stretch, rho[start + i * step, cells])


@kernel
def _line_of(row, step, n):
    return row // (step * n) * step + row % step


@kernel
def _face(flux, before, departures, line, i, here, there, near, axis, dimension, step, n, c, slope, stretch):
    """The flux through face i of a line, between rows `here` and `there`."""
    rows = near.shape[2]
    cells = slice(GHOST, GHOST + c.size)
    flux[:] = 0.0
    left, right = max(i - 1, 0), min(i + 1, n)
    _displacement(stretch, c, (departures[line, right] - departures[line, left]) / (right - left))
    for b in range(dimension):
        if b != axis:
            up, down = near[b, PAD + 1, here], near[b, PAD - 1, here]
            if up < rows and down < rows:
                d = departures[_line_of(up, step, n), i] - departures[_line_of(down, step, n), i]
                _displacement(slope, c, 0.5 * d)
                up_there, down_there = near[b, PAD + 1, there], near[b, PAD - 1, there]
                _mixed(
                    flux,
                    slope,
                    before[up, cells],
                    before[up_there, cells],
                    before[down, cells],
                    before[down_there, cells],
                )
                _squared(flux, slope, stretch, before[here, cells], before[there, cells])


@parallel
def cross_lines(rho, before, departures, near, axis, dimension, step, n, periodic, c, limiter):
    """Correct rho, remapped along `axis`, in place; `before` is rho/J."""
    lines, Nc = departures.shape[0], c.size
    for line in prange(lines):
        cells = slice(GHOST, GHOST + Nc)
        start = (line // step) * step * n + line % step
        flux, shares = np.zeros((n + 1, Nc)), np.empty((n, Nc))
        slope, stretch = np.empty(Nc), np.empty(Nc)
        for i in range(0 if periodic else 1, n):
            here, there = start + (i - 1 if i > 0 else n - 1) * step, start + i * step
            _face(flux[i], before, departures, line, i, here, there, near, axis, dimension, step, n, c, slope, stretch)
        if periodic:
            flux[n] = flux[0]
        if limiter:
            for i in range(n):
                share(shares[i], rho[start + i * step, cells], flux[i], flux[i + 1])
            for i in range(0 if periodic else 1, n):
                limit(flux[i], shares[i - 1 if i > 0 else n - 1], shares[i])
            if periodic:
                flux[n] = flux[0]
        for i in range(n):
            row = rho[start + i * step, cells]
            gain(row, row, flux[i], flux[i + 1], 0.0 if limiter else -np.inf)
