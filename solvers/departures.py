"""Where the faces of a line of cells come from: the flow dY/dt = -c d_a U(Y, t) along one axis of y, backwards.

U(., t) is known at three times, the ends and the middle of a step. In units of cells, U' is interpolated from values
and slopes on faces (cubic Hermite), and a step of classical Runge-Kutta takes a face back to where it comes from, for a
few values of c; a polynomial in c through those gives every other. A wall stays where it is, and what comes from beyond
one comes from it.
"""

import numpy as np
from numba import prange

from particles.jit import kernel, parallel
from solvers.potential import FACE

NODES = 7  # values of c that are followed
BEND = np.array([-43 / 48, 91 / 80, -13 / 48, 7 / 240])  # second derivative on a face, from eight averages across it


def interpolation(low, high):
    """Values of c/reach to follow, reach = max |c|, and the matrix from numbers there to coefficients in c/reach."""
    reach = max(abs(low), abs(high))
    nodes = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    return nodes, np.linalg.inv(np.vander(nodes / reach, increasing=True)), reach


@kernel
def _table(U, at, stride, n, width, periodic, table):
    """Coefficients of U'/width^2 in every cell of a line; `at`: the padded cell before which the line begins."""
    scale = 1.0 / (width * width)
    value, slope = 0.0, 0.0
    for i in range(n + 1):
        s = at + i * stride
        last_value, last_slope = value, slope
        value, slope = 0.0, 0.0
        for k in range(4):
            after, before = U[s + k * stride], U[s - (k + 1) * stride]
            value += FACE[k] * (after - before)
            slope += BEND[k] * (after + before)
        value *= scale
        slope *= scale
        if i > 0:
            rise = value - last_value
            table[i - 1, 0] = last_value
            table[i - 1, 1] = last_slope
            table[i - 1, 2] = 3.0 * rise - 2.0 * last_slope - slope
            table[i - 1, 3] = last_slope + slope - 2.0 * rise


@kernel
def _velocity(table, x, periodic):
    """U' at x cells from the low end; past a wall, as on it."""
    n = table.shape[0]
    if not (0.0 <= x < n):
        x = x - np.floor(x / n) * n if periodic else min(max(x, 0.0), float(n))
    i = min(max(int(x), 0), n - 1)
    x -= i
    row = table[i]
    return row[0] + x * (row[1] + x * (row[2] + x * row[3]))


@kernel
def _trace(start, middle, k1, i, c, dt, periodic):
    """How far behind face i what arrives there at the end was at the start, over c; k1: U' there at the end."""
    k2 = _velocity(middle, i + 0.5 * dt * c * k1, periodic)
    k3 = _velocity(middle, i + 0.5 * dt * c * k2, periodic)
    k4 = _velocity(start, i + dt * c * k3, periodic)
    return dt * (k1 + 2.0 * (k2 + k3) + k4) / 6.0


@kernel
def _line(potentials, at, stride, n, width, periodic, nodes, matrix, reach, dt, tables, traced, out):
    for t in range(3):
        _table(potentials[t], at, stride, n, width, periodic, tables[t])
    largest = 0.0
    for i in range(n + 1):
        if not periodic and (i == 0 or i == n):
            out[i] = 0.0
            continue
        arriving = _velocity(tables[2], float(i), periodic)
        for k in range(nodes.size):
            traced[k] = reach * _trace(tables[0], tables[1], arriving, i, nodes[k], dt, periodic)
            largest = max(largest, abs(traced[k]))
        for m in range(nodes.size):
            total = 0.0
            for k in range(nodes.size):
                total += matrix[m, k] * traced[k]
            out[i, m] = total if abs(total) < 1e9 else 0.0  # a potential past all bounds; the step ends in an error
    return largest


@parallel
def departures(potentials, starts, stride, n, width, periodic, nodes, matrix, reach, dt, out, extent, spread):
    """Fill `out` (lines, n + 1, NODES), coefficients in c/reach of how far behind a face comes from over c, in cells.

    potentials : (3, padded cells), U at the start, middle and end of a step `dt`.
    starts : (lines,), padded cell of the first cell of each line.  extent : (lines,), filled with the largest values.
    """
    if spread:
        for line in prange(starts.size):
            tables, traced = np.empty((3, n, 4)), np.empty(nodes.size)
            extent[line] = _line(
                potentials,
                starts[line],
                stride,
                n,
                width,
                periodic,
                nodes,
                matrix,
                reach,
                dt,
                tables,
                traced,
                out[line],
            )
    else:
        for line in range(starts.size):
            tables, traced = np.empty((3, n, 4)), np.empty(nodes.size)
            extent[line] = _line(
                potentials,
                starts[line],
                stride,
                n,
                width,
                periodic,
                nodes,
                matrix,
                reach,
                dt,
                tables,
                traced,
                out[line],
            )
