"""Between the L moments of a basis and the M features: T m and T' r, each a sum in a fixed order.

Four rows of the matrix at once share what is loaded of m or r, and slabs of columns stay in cache while several
replicas pass.
"""

import numpy as np
from numpy.typing import NDArray

from particles.jit import inlined, kernel, reduction

Array = NDArray[np.floating]

SMALL = 256  # numbers in the matrix, where looking for slabs takes longer than the sums
SLAB = 512  # columns: 32 kB of four rows


def padded(matrix: Array) -> Array:
    """A matrix (M, L) with rows of zeros up to a multiple of four, contiguous."""
    result = np.zeros((-(-matrix.shape[0] // 4) * 4, matrix.shape[1]))
    result[: matrix.shape[0]] = matrix
    return result


@inlined
def contract(matrix, values, result):
    """result[k] = matrix values[k] for values (K, L) and result (K, M); the matrix (M, L) padded."""
    if matrix.size <= SMALL:
        _small(matrix, values, result)
    else:
        _slabs(matrix, values, result)


@reduction
def _small(matrix, values, result):
    for k in range(result.shape[0]):
        for m in range(result.shape[1]):
            total = 0.0
            for l in range(matrix.shape[1]):
                total += matrix[m, l] * values[k, l]
            result[k, m] = total


@kernel
def _slabs(matrix, values, result):
    M = result.shape[1]
    result[:] = 0.0
    for low in range(0, matrix.shape[1], SLAB):
        slab = slice(low, min(low + SLAB, matrix.shape[1]))
        for first in range(0, M, 4):
            a0, a1 = matrix[first, slab], matrix[first + 1, slab]
            a2, a3 = matrix[first + 2, slab], matrix[first + 3, slab]
            for k in range(values.shape[0]):
                sums = _dots(a0, a1, a2, a3, values[k, slab])
                for m in range(min(4, M - first)):
                    result[k, first + m] += sums[m]


@reduction
def _dots(a, b, c, d, values):
    r0, r1, r2, r3 = 0.0, 0.0, 0.0, 0.0
    for l in range(values.size):
        r0 += a[l] * values[l]
        r1 += b[l] * values[l]
        r2 += c[l] * values[l]
        r3 += d[l] * values[l]
    return r0, r1, r2, r3
