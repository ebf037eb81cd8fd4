"""The compiled steps of the semi-Lagrangian splitting: its shifts along c, its flows along y and their composition."""

import numpy as np

from particles.jit import concurrent, kernel
from solvers.cross import cross_lines, unstretch_lines
from solvers.departures import departures
from solvers.grid import PAD
from solvers.line_remap import remap_lines
from solvers.moment_series import centre, combine, project, residual_series
from solvers.potential import sharpen
from solvers.row_shift import GHOST, shear_rows, shift_rows

ITERATIONS = 4  # of conjugate gradients
COARSEST = 4.0  # cells of an axis times how coarse they are at least


@kernel
def take_moments(rho, c, dc, moments):
    """Moments (POWERS, rows) of every row."""
    for i in range(moments.shape[1]):
        for p in range(moments.shape[0]):
            total = 0.0
            for j in range(c.size):
                total += rho[i, GHOST + j] * c[j] ** p
            moments[p, i] = total * dc


@concurrent
def measure(moments, features, weights, centres, target, dy, layout, filter, moving, series):
    """Loss, and the dissipation int (c^2 |grad U|^2 + U^2) rho with two derivatives; fills the series."""
    m, U, u, slopes, flux, r = series
    for p in range(moments.shape[0]):
        m[p, 0] = moments[p]
        sharpen(m[p, 0], layout.near, layout.dimension, filter, flux[:-1])
    flux[:] = 0.0
    residual_series(m, moments[1], features, weights, centres, target, dy, layout, moving, U, u, slopes, flux, r)
    loss, first, second = 0.0, 0.0, 0.0
    for k in range(r.shape[1]):  # the rate is -r . dr/dt
        loss += 0.5 * r[0, k] * r[0, k]
        first -= r[1, k] * r[1, k] + 2.0 * r[0, k] * r[2, k]
        second -= 6.0 * (r[1, k] * r[2, k] + r[0, k] * r[3, k])
    rates = np.zeros(3)
    for i in range(moments.shape[1]):
        square = 0.0
        for a in range(layout.dimension):
            square += slopes[0, a, i] * slopes[0, a, i]
        rates[0] += dy * (square * m[2, 0, i] + u[0, i] * u[0, i] * m[0, 0, i])
    rates[1], rates[2] = first, second
    return loss, rates


@kernel
def _evaluate(series, t, r):
    r[:] = series[series.shape[0] - 1]
    for k in range(series.shape[0] - 2, -1, -1):
        for m in range(r.size):
            r[m] = r[m] * t + series[k, m]


@kernel
def _bend(features, r, layout, factor, U, u, slopes, work, shift):
    """shift += factor U |grad U|^2, averaged over the cells."""
    near, rows = layout.near, shift.size
    combine(features, r, U)
    centre(U, layout.padded, layout.strides, layout.widths, layout.dimension, u, slopes)
    for i in range(rows):
        square = 0.0
        for a in range(layout.dimension):
            square += slopes[a, i] * slopes[a, i]
        work[i] = factor * u[i] * square
    for i in range(rows):
        total = work[i]
        for a in range(layout.dimension):
            left, right = near[a, PAD - 1, i], near[a, PAD + 1, i]
            if left < rows and right < rows:
                total += (work[left] - 2.0 * work[i] + work[right]) / 24.0
        shift[i] += total


@kernel
def _respond(features, padded, mass, dy, x, out):
    """out = A x, A = int psi psi' rho_Y."""
    out[:] = 0.0
    for i in range(mass.size):
        row = features[padded[i]]
        total = 0.0
        for m in range(x.size):
            total += row[m] * x[m]
        total *= mass[i] * dy
        for m in range(x.size):
            out[m] += total * row[m]


@kernel
def _restore(features, weights, padded, mass, moved, dy, x):
    """Coefficients of the shift along c that gives the residual back what the limiter took: conjugate gradients."""
    residual, image = np.empty(x.size), np.empty(x.size)
    project(weights, moved, dy, residual)
    x[:] = 0.0
    direction = residual.copy()
    square = np.dot(residual, residual)
    for _ in range(ITERATIONS):
        if square == 0.0:
            return
        _respond(features, padded, mass, dy, direction, image)
        curvature = np.dot(direction, image)
        if not curvature > 1e-12 * np.dot(direction, direction) * mass.sum() * dy:
            return
        length = square / curvature
        for m in range(x.size):
            x[m] += length * direction[m]
            residual[m] -= length * image[m]
        last, square = square, np.dot(residual, residual)
        for m in range(x.size):
            direction[m] = residual[m] + square / last * direction[m]


@kernel
def kick(rho, other, features, layout, q, r, bend, corrected, limiter, moments, work):
    """rho(y, c) <- rho(y, c + S(y)), S = psi . q + bend U |grad U|^2."""
    potentials, _, _, shift, u, slopes, spare, _, _ = work
    U = potentials[0]
    combine(features, q, U)
    for i in range(shift.size):
        shift[i] = U[layout.padded[i]]
    if bend != 0.0:
        _bend(features, r, layout, bend, U, u, slopes, spare, shift)
    for i in range(shift.size):
        shift[i] /= layout.dc
    shift_rows(rho, other, shift, layout.c.size, limiter)
    shear_rows(other, rho, shift, layout.near, layout.dimension, layout.c, layout.dc, corrected, limiter, moments)


@kernel
def _timed_kick(rho, other, features, weights, layout, series, t, dt, bend, dy, corrected, limiter, moments, work):
    """The shift of `dt` with U at t, and what gives back what the limiter took since the last one."""
    _, r, q, _, _, _, _, moved, mass = work
    _evaluate(series, t, r)
    q[:] = 0.0
    if limiter:
        _restore(features, weights, layout.padded, mass, moved, dy, q)
        moved[:] = 0.0
    for m in range(q.size):
        q[m] += dt * r[m]
    kick(rho, other, features, layout, q, r, dt * bend, corrected, limiter, moments, work)


@kernel
def _drift(rho, other, features, layout, series, axis, t, dt, corrected, limiter, work, room, flow):
    """The flow along one axis from t to t + dt."""
    potentials, r, _, _, _, _, _, moved, mass = work
    nodes, matrix, reach, columns, steps, counts, starts = flow
    out, extent, changes, sums = room
    for k in range(3):
        _evaluate(series, t + 0.5 * k * dt, r)
        combine(features, r, potentials[k])
    n, lines, step = layout.cells[axis], counts[axis], steps[axis]
    faces = n + 1
    departures(
        potentials, starts[axis, :lines], layout.strides[axis], n, layout.widths[axis], layout.periodic[axis], nodes,
        matrix, reach, dt, out[:lines, :faces], extent, layout.dimension > 1,
    )  # fmt: skip
    remap_lines(
        rho, out[:lines, :faces], extent, step, n, layout.periodic[axis], columns, limiter, changes[:lines, :, :faces],
        sums[:lines, :, :n],
    )  # fmt: skip
    if layout.dimension > 1 and corrected:
        scaled = columns.reshape(-1)[: layout.c.size]
        unstretch_lines(rho, other, out[:lines, :faces], step, n, scaled)
        cross_lines(
            rho, other, out[:lines, :faces], layout.near, axis, layout.dimension, step, n, layout.periodic[axis],
            scaled, limiter,
        )  # fmt: skip
    if limiter:
        mass[:] = 0.0
        for line in range(lines):
            start = (line // step) * step * n + line % step
            for block in range(columns.shape[0]):
                change, total = changes[line, block], sums[line, block]
                for i in range(n):
                    moved[start + i * step] += reach * layout.dc * (change[i + 1] - change[i])
                    mass[start + i * step] += layout.dc * total[i]


@concurrent
def step(rho, other, features, weights, layout, series, moments, work, room, flow, dt, dy, corrected, limiter):
    """One step of Chin's composition."""
    last = layout.dimension - 1
    for part in range(3):
        t = 0.5 * dt * part
        length = 2.0 * dt / 3.0 if part == 1 else dt / 6.0
        bend = dt * dt / 24.0 if part == 1 else 0.0
        _timed_kick(
            rho, other, features, weights, layout, series, t, length, bend, dy, corrected, limiter, moments, work
        )
        if part < 2:
            for axis in range(last):
                _drift(rho, other, features, layout, series, axis, t, 0.25 * dt, corrected, limiter, work, room, flow)
            _drift(rho, other, features, layout, series, last, t, 0.5 * dt, corrected, limiter, work, room, flow)
            for axis in range(last - 1, -1, -1):
                _drift(
                    rho,
                    other,
                    features,
                    layout,
                    series,
                    axis,
                    t + 0.25 * dt,
                    0.25 * dt,
                    corrected,
                    limiter,
                    work,
                    room,
                    flow,
                )


@kernel
def fastest(u, slopes, m, layout):
    """Largest rate of the flow along any axis, |U''| <c^2>^(1/2) + |U'|, and how coarse cells are, h |U''|/|U'|.

    A density varies at least over the axis, even where U does not bend: hence COARSEST.
    """
    near, rows = layout.near, layout.padded.size
    rate, fine = 0.0, 0.0
    for a in range(layout.dimension):
        bend, rise, spread = 0.0, 0.0, 0.0
        h = layout.widths[a]
        for i in range(rows):
            left, right = near[a, PAD - 1, i], near[a, PAD + 1, i]
            rise = max(rise, abs(slopes[a, i]))
            if left < rows and right < rows:
                second = abs(slopes[a, right] - slopes[a, left]) / (2.0 * h)
                bend = max(bend, second)
                if m[0, i] > 0.0 and m[2, i] > 0.0:
                    spread = max(spread, second * np.sqrt(m[2, i] / m[0, i]))
        rate = max(rate, spread + rise)
        fine = max(fine, h * bend / max(rise, 1e-300), COARSEST / layout.cells[a])
    return rate, fine
