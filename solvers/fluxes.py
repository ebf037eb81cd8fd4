"""The compiled right-hand side of the finite volumes: one stage of the time stepper in one parallel pass.

Rows of constant y are contiguous in c, with GHOST empty cells on either side. A chunk of rows computes its fluxes (and
those of the rows next to it, again) in its own scratch, so a stage needs one parallel region and its bits do not depend
on the number of threads.
"""

import numpy as np
from numba import prange

from particles.jit import kernel, parallel, reduction

GHOST = 3
ROWS = 32  # rows of y in a chunk


@kernel
def _face(p, a2, a1, a0, b0, b1, b2, upwind):
    """rho on the face between a0 and b0: sixth-order average, made fifth-order upwind by `upwind` = sign of v."""
    for j in range(p.size):
        centred = 37.0 * (a0[j] + b0[j]) - 8.0 * (a1[j] + b1[j]) + (a2[j] + b2[j])
        jump = 10.0 * (a0[j] - b0[j]) - 5.0 * (a1[j] - b1[j]) + (a2[j] - b2[j])
        p[j] = (centred + upwind[j] * jump) * (1.0 / 60.0)


@kernel
def _y_flux(flux, low, p, at, after, at_up, after_up, at_down, after_down, c, dU, dc, corrected):
    """High-order flux minus upwind flux (in `flux`) and the upwind flux (in `low`) through a y-face."""
    shift = corrected * dc / 48.0
    for j in range(c.size):
        v = -dU * c[j]
        upwind = max(v, 0.0) * at[j] + min(v, 0.0) * after[j]
        slope = (at_up[j] + after_up[j]) - (at_down[j] + after_down[j])  # 4 dc d_c rho
        low[j] = upwind
        flux[j] = v * p[j] - dU * shift * slope - upwind


@kernel
def _c_flux(flux, low, p, here, up, next_here, next_up, last_here, last_up, U, dU, dy, corrected):
    """The same through the c-faces between cells `here` and `up` of a row."""
    shift = corrected * dy / 48.0
    v = -U
    v_plus, v_minus = max(v, 0.0), min(v, 0.0)
    for j in range(p.size):
        upwind = v_plus * here[j] + v_minus * up[j]
        slope = (next_here[j] + next_up[j]) - (last_here[j] + last_up[j])  # 4 dy d_y rho
        low[j] = upwind
        flux[j] = v * p[j] - dU * shift * slope - upwind


@kernel
def _donor(share, rho, left, right, down, up, left_low, right_low, down_low, up_low, dt, dy, dc):
    """The share of its outgoing antidiffusive fluxes that a cell can give and stay positive."""
    for j in range(rho.size):
        after = rho[j] - dt * ((right_low[j] - left_low[j]) / dy + (up_low[j] - down_low[j]) / dc)
        out = (max(right[j], 0.0) - min(left[j], 0.0)) / dy + (max(up[j], 0.0) - min(down[j], 0.0)) / dc
        share[j] = max(0.0, min(1.0, after / (dt * out + 1e-300)))


@kernel
def _limit(flux, low, here, there):
    """Upwind flux plus what the donor can give of the antidiffusive flux."""
    for j in range(flux.size):
        flux[j] = low[j] + flux[j] * (here[j] if flux[j] > 0.0 else there[j])


@kernel
def _add(flux, low):
    for j in range(flux.size):
        flux[j] += low[j]


@kernel
def _divergence(out, left, right, down, up, dy, dc):
    """L = -div F."""
    for j in range(out.size):
        out[j] = (left[j] - right[j]) / dy + (down[j] - up[j]) / dc


@kernel
def _accumulate(out, coefficient, values):
    for j in range(out.size):
        out[j] += coefficient * values[j]


@parallel
def advance(
    registers,
    source,
    target,
    coefficients,
    step,
    keep_slope,
    euler_step,
    U,
    dU,
    dU_faces,
    c,
    dy,
    dc,
    corrected,
    limiter,
):
    """registers[target] = sum_k coefficients[k] registers[k] + step L(registers[source]).

    registers : (K, Ny, Nc + 2 GHOST); with `keep_slope`, L is left in the last one.
    U, dU, dU_faces : (Ny,), cell averages of U, U' at centres and at right faces.  c : (Nc,).
    """
    Ny, Nc = registers.shape[1], c.size
    for chunk in prange((Ny + ROWS - 1) // ROWS):
        start, stop = chunk * ROWS, min((chunk + 1) * ROWS, Ny)
        size = stop - start
        # local row l stands for row start + l - 2: two more rows on the left and one on the right
        fluxes = np.zeros(
            (4, size + 4, Nc + 2)
        )  # y-flux, its upwind part, c-flux, its upwind part; c-face j - 1/2 at j
        share = np.ones((size + 4, Nc))
        p = np.empty(Nc)
        sign = np.empty(Nc)
        rho = registers[source]
        for l in range(size + 3):
            i = (start + l - 2) % Ny
            last, after = rho[(i - 1) % Ny], rho[(i + 1) % Ny]
            row = rho[i]
            for j in range(Nc):
                sign[j] = np.sign(-dU_faces[i] * c[j])
            cells = slice(GHOST, GHOST + Nc)
            _face(
                p,
                rho[(i - 2) % Ny][cells],
                last[cells],
                row[cells],
                after[cells],
                rho[(i + 2) % Ny][cells],
                rho[(i + 3) % Ny][cells],
                sign,
            )
            _y_flux(
                fluxes[0, l, :Nc],
                fluxes[1, l, :Nc],
                p,
                row[cells],
                after[cells],
                row[GHOST + 1 : GHOST + 1 + Nc],
                after[GHOST + 1 : GHOST + 1 + Nc],
                row[GHOST - 1 : GHOST - 1 + Nc],
                after[GHOST - 1 : GHOST - 1 + Nc],
                c,
                dU_faces[i],
                dc,
                corrected,
            )
            sign[:] = np.sign(-U[i])
            inner = Nc - 1
            _face(
                p[:inner],
                row[GHOST - 2 : GHOST - 2 + inner],
                row[GHOST - 1 : GHOST - 1 + inner],
                row[GHOST : GHOST + inner],
                row[GHOST + 1 : GHOST + 1 + inner],
                row[GHOST + 2 : GHOST + 2 + inner],
                row[GHOST + 3 : GHOST + 3 + inner],
                sign,
            )
            _c_flux(
                fluxes[2, l, 1:Nc],
                fluxes[3, l, 1:Nc],
                p[:inner],
                row[GHOST : GHOST + inner],
                row[GHOST + 1 : GHOST + 1 + inner],
                after[GHOST : GHOST + inner],
                after[GHOST + 1 : GHOST + 1 + inner],
                last[GHOST : GHOST + inner],
                last[GHOST + 1 : GHOST + 1 + inner],
                U[i],
                dU[i],
                dy,
                corrected,
            )
        if limiter:
            for l in range(1, size + 3):
                i = (start + l - 2) % Ny
                _donor(
                    share[l],
                    rho[i][GHOST : GHOST + Nc],
                    fluxes[0, l - 1, :Nc],
                    fluxes[0, l, :Nc],
                    fluxes[2, l, :Nc],
                    fluxes[2, l, 1 : Nc + 1],
                    fluxes[1, l - 1, :Nc],
                    fluxes[1, l, :Nc],
                    fluxes[3, l, :Nc],
                    fluxes[3, l, 1 : Nc + 1],
                    euler_step,
                    dy,
                    dc,
                )
            for l in range(1, size + 2):
                _limit(fluxes[0, l, :Nc], fluxes[1, l, :Nc], share[l], share[l + 1])
                _limit(fluxes[2, l, 1:Nc], fluxes[3, l, 1:Nc], share[l][: Nc - 1], share[l][1:])
        else:
            for l in range(1, size + 2):
                _add(fluxes[0, l, :Nc], fluxes[1, l, :Nc])
                _add(fluxes[2, l, 1:Nc], fluxes[3, l, 1:Nc])
        for l in range(2, size + 2):
            i = start + l - 2
            _divergence(
                p,
                fluxes[0, l - 1, :Nc],
                fluxes[0, l, :Nc],
                fluxes[2, l, :Nc],
                fluxes[2, l, 1 : Nc + 1],
                dy,
                dc,
            )
            total = sign  # its first use is over
            for j in range(Nc):
                total[j] = step * p[j]
            for k in range(coefficients.size):
                if coefficients[k] != 0.0:
                    _accumulate(total, coefficients[k], registers[k, i, GHOST : GHOST + Nc])
            if keep_slope:
                registers[registers.shape[0] - 1, i, GHOST : GHOST + Nc] = p
            registers[target, i, GHOST : GHOST + Nc] = total


@reduction
def _row(rho, c, dc):
    m0, m1, m2 = 0.0, 0.0, 0.0
    for j in range(c.size):
        m0 += rho[j]
        m1 += c[j] * rho[j]
        m2 += c[j] * c[j] * rho[j]
    return m0 * dc, m1 * dc, m2 * dc


@kernel
def row_moments(rho, c, dc):
    """(3, Ny): int rho dc, int c rho dc (exact up to the tails: the midpoint error telescopes) and sum c^2 rho dc."""
    moments = np.empty((3, rho.shape[0]))
    for i in range(rho.shape[0]):
        moments[0, i], moments[1, i], moments[2, i] = _row(rho[i][GHOST : GHOST + c.size], c, dc)
    return moments
