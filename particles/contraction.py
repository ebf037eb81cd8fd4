"""Between the L moments of a basis and the M features: T m and T' r, each a sum in a fixed order.

Four features at once share what is loaded of m and u, and slabs of columns stay in cache while several replicas pass.
"""

import numpy as np
from numpy.typing import NDArray

from particles.jit import kernel, reduction

Array = NDArray[np.floating]

SMALL = 256  # numbers in T, where looking for slabs takes longer than the sums
SLAB = 512  # columns: 32 kB of four features


def padded(values: Array) -> Array:
    """Features (M, L), or numbers (M,) or (M, K), with zeros up to a multiple of four, contiguous."""
    result = np.zeros((-(-values.shape[0] // 4) * 4, *values.shape[1:]))
    result[: values.shape[0]] = values
    return result


@kernel
def to_features(T, moments, result):
    """result[k] = T m[k] for moments (K, L) and result (K, M); M padded."""
    result[:] = 0.0
    for low in range(0, T.shape[1], SLAB):
        slab = slice(low, min(low + SLAB, T.shape[1]))
        for first in range(0, T.shape[0], 4):
            t0, t1, t2, t3 = T[first, slab], T[first + 1, slab], T[first + 2, slab], T[first + 3, slab]
            for k in range(moments.shape[0]):
                r0, r1, r2, r3 = _dots(t0, t1, t2, t3, moments[k, slab])
                result[k, first] += r0
                result[k, first + 1] += r1
                result[k, first + 2] += r2
                result[k, first + 3] += r3


@kernel
def to_functions(T, residuals, u):
    """u[k] = T' r[k] for residuals (K, M) and u (K, L); T padded."""
    if T.size <= SMALL:
        for k in range(u.shape[0]):
            for l in range(T.shape[1]):
                u[k, l] = T[0, l] * residuals[k, 0]
            for m in range(1, T.shape[0]):
                for l in range(T.shape[1]):
                    u[k, l] += T[m, l] * residuals[k, m]
        return
    u[:] = 0.0
    for low in range(0, T.shape[1], SLAB):
        slab = slice(low, min(low + SLAB, T.shape[1]))
        for first in range(0, T.shape[0], 4):
            t0, t1, t2, t3 = T[first, slab], T[first + 1, slab], T[first + 2, slab], T[first + 3, slab]
            for k in range(u.shape[0]):
                r = residuals[k, first : first + 4]
                _combine(t0, t1, t2, t3, r[0], r[1], r[2], r[3], u[k, slab])


@reduction
def _dots(a, b, c, d, m):
    r0, r1, r2, r3 = 0.0, 0.0, 0.0, 0.0
    for l in range(m.size):
        r0 += a[l] * m[l]
        r1 += b[l] * m[l]
        r2 += c[l] * m[l]
        r3 += d[l] * m[l]
    return r0, r1, r2, r3


@kernel
def _combine(a, b, c, d, r0, r1, r2, r3, u):
    for l in range(u.size):
        u[l] += (r0 * a[l] + r1 * b[l]) + (r2 * c[l] + r3 * d[l])
