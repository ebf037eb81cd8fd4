"""Taylor series in time of the residual, from the moments m_p(y) = int c^p rho dc of the density now.

Integrated over c, (12) becomes d_t m_p = div(grad U m_(p+1)) - p U m_(p-1), and r = int psi m_1 - b closes it: with
POWERS moments every derivative of r follows that they determine. Beyond that the residual obeys dr/dt = -M r, and the
highest derivatives of m_0 and m_2, of which M consists, are taken as 0.
"""

import numpy as np

from particles.jit import kernel, reduction
from solvers.grid import PAD
from solvers.potential import CENTRE, SLOPE

DIVERGENCE = np.array([0.0, 45 / 60, -9 / 60, 1 / 60])  # derivative of point values


@kernel
def centre(U, padded, strides, widths, dimension, value, slopes):
    """U and its slopes at the centres of cells from its padded averages."""
    for i in range(padded.size):
        at = padded[i]
        total = U[at]
        for a in range(dimension):
            s = strides[a]
            total += (CENTRE[0] - 1.0) * U[at]
            slope = 0.0
            for k in range(1, PAD):
                after, before = U[at + k * s], U[at - k * s]
                total += CENTRE[k] * (after + before)
                slope += SLOPE[k] * (after - before)
            slopes[a, i] = slope / widths[a]
        value[i] = total


@kernel
def _diverge(flux, near, factor, out):
    """out += factor d(flux); flux has one number more, 0, for what is beyond a wall."""
    for i in range(out.size):
        total = 0.0
        for k in range(1, 4):
            total += DIVERGENCE[k] * (flux[near[PAD + k, i]] - flux[near[PAD - k, i]])
        out[i] += factor * total


@kernel
def _multiply(out, a, b):
    for i in range(a.size):
        out[i] += a[i] * b[i]


@kernel
def _subtract(out, a, b, factor):
    for i in range(a.size):
        out[i] -= factor * a[i] * b[i]


@kernel
def combine(features, r, U):
    """U = features @ r."""
    for i in range(U.size):
        U[i] = _dot(features[i], r)


@reduction
def _dot(a, b):
    total = 0.0
    for m in range(a.size):
        total += a[m] * b[m]
    return total


@kernel
def project(features, values, factor, out):
    """out = factor sum_i features_i values_i."""
    out[:] = 0.0
    for i in range(values.size):
        for m in range(out.size):
            out[m] += factor * values[i] * features[i, m]


@kernel
def residual_series(m, average, features, weights, centres, target, dy, layout, moving, U, u, slopes, flux, r):
    """Fill r (terms, M), Taylor coefficients of the residual, and u, slopes, those of U and grad U at the centres.

    m : (POWERS, terms, rows), of which m[:, 0] are the moments at the centres and the rest is filled.
    average : (rows,), cell averages of m_1.  features : (padded cells, M), averages of psi.
    weights, centres : (rows, M), those of averages and of point values in int psi m_1 dy.
    U : (padded cells,), flux : (rows + 1,), work.
    u : (terms, rows).  slopes : (terms, AXES, rows).
    """
    powers, terms = m.shape[0], m.shape[1]
    near, widths, dimension = layout.near, layout.widths, layout.dimension
    for k in range(terms):
        if k == 0:
            project(weights, average, dy, r[0])
            for i in range(target.size):
                r[0, i] -= target[i]
        else:
            project(centres, m[1, k], dy, r[k])
        combine(features, r[k], U)
        slopes[k] = 0.0
        centre(U, layout.padded, layout.strides, widths, dimension if moving else 0, u[k], slopes[k])
        if k + 1 == terms:
            break
        # m_p^(k+1) = sum_j [div(grad U^(j) m_(p+1)^(k-j)) - p U^(j) m_(p-1)^(k-j)]/(k+1)
        known = max(powers - 1 - k, 2)
        for p in range(known):
            out = m[p, k + 1]
            out[:] = 0.0
            for a in range(dimension if moving else 0):
                flux[:] = 0.0
                for j in range(k + 1):
                    _multiply(flux, slopes[j, a], m[p + 1, k - j])
                _diverge(flux, near[a], 1.0 / (widths[a] * (k + 1)), out)
            if p > 0:
                for j in range(k + 1):
                    _subtract(out, u[j], m[p - 1, k - j], p / (k + 1.0))
        m[known:, k + 1] = 0.0
