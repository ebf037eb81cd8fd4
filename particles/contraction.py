"""Between the L moments of a basis and the M features: T m and T' r, each a sum in a fixed order.

Four rows of the matrix at once share what is loaded of m or u, and slabs of columns stay in cache while several
replicas pass. Slabs that no particle meets are left out. Both ways go through the same matrix, unless it is so small
that its transpose costs nothing. A matrix with few entries is gone through entry by entry.
"""

import numpy as np
from numpy.typing import NDArray

from particles.jit import inlined, kernel, reduction

Array = NDArray[np.floating]
Ways = tuple[Array, Array, NDArray[np.integer], Array]

SMALL = 256  # numbers in the matrix, where looking for slabs takes longer than the sums
SLAB = 512  # columns: 32 kB of four rows, with as many of several replicas
FEW = 4  # numbers in the matrix for each that is not zero, from which on these are taken one by one


def both_ways(matrix: Array) -> Ways:
    """What `contract` and `expand` take: the matrix (M, L) and its transpose, places (E, 2) and values of its entries.

    The transpose is empty where it is not used, and so are the entries where they are not few. Rows of zeros go up to a
    multiple of four.
    """
    few = FEW * np.count_nonzero(matrix) <= matrix.size
    places = np.argwhere(matrix) if few else np.empty((0, 2), int)
    padded = _padded(matrix)
    transposed = _padded(matrix.T) if padded.size <= SMALL else np.zeros((0, 0))
    return padded, transposed, places, matrix[places[:, 0], places[:, 1]]


def _padded(matrix: Array) -> Array:
    result = np.zeros((-(-matrix.shape[0] // 4) * 4, matrix.shape[1]))
    result[: matrix.shape[0]] = matrix
    return result


@inlined
def contract(ways, values, result):
    """result[k] = matrix values[k] for values (K, L) and result (K, M)."""
    matrix, _, places, entries = ways
    if entries.size > 0:
        _entry_by_entry(places, entries, values, result, 1)
    elif matrix.size <= SMALL:
        _small(matrix, values, result)
    else:
        _down(matrix, values, result)


@inlined
def expand(ways, values, result, first, end):
    """result[k] = matrix' values[k] for values (K, M) and result (K, L), at least in columns first ... end - 1."""
    matrix, transposed, places, entries = ways
    if entries.size > 0:
        _entry_by_entry(places, entries, values, result, 0)
    elif matrix.size <= SMALL:
        _small(transposed, values, result)
    else:
        _up(matrix, values, result, first, end)


@kernel
def _entry_by_entry(places, entries, values, result, source):
    """source : which of the two numbers of a place is that of `values`."""
    result[:] = 0.0
    for k in range(result.shape[0]):
        for e in range(entries.size):
            result[k, places[e, 1 - source]] += entries[e] * values[k, places[e, source]]


@reduction
def _small(matrix, values, result):
    for k in range(result.shape[0]):
        for m in range(result.shape[1]):
            total = 0.0
            for l in range(matrix.shape[1]):
                total += matrix[m, l] * values[k, l]
            result[k, m] = total


@kernel
def _down(matrix, values, result):
    M = result.shape[1]
    result[:] = 0.0
    there = np.empty(values.shape[0], np.bool_)
    for low in range(0, matrix.shape[1], SLAB):
        slab = slice(low, min(low + SLAB, matrix.shape[1]))
        for k in range(values.shape[0]):
            there[k] = not _zero(values[k, slab])
        for first in range(0, M, 4):
            a, b, c, d = matrix[first, slab], matrix[first + 1, slab], matrix[first + 2, slab], matrix[first + 3, slab]
            for k in range(values.shape[0]):
                if not there[k]:
                    continue
                sums = _dots(a, b, c, d, values[k, slab])
                for m in range(min(4, M - first)):
                    result[k, first + m] += sums[m]


@reduction
def _zero(values):
    total = 0.0
    for l in range(values.size):
        total += abs(values[l])
    return total == 0.0


@kernel
def _up(matrix, values, result, first_column, end):
    M = values.shape[1]
    for low in range(first_column // SLAB * SLAB, end, SLAB):
        slab = slice(low, min(low + SLAB, matrix.shape[1]))
        result[:, slab] = 0.0
        for first in range(0, M, 4):
            a, b, c, d = matrix[first, slab], matrix[first + 1, slab], matrix[first + 2, slab], matrix[first + 3, slab]
            for k in range(values.shape[0]):
                x, y = values[k, first], values[k, first + 1] if first + 1 < M else 0.0
                z, w = values[k, first + 2] if first + 2 < M else 0.0, values[k, first + 3] if first + 3 < M else 0.0
                _add(a, b, c, d, x, y, z, w, result[k, slab])


@reduction
def _dots(a, b, c, d, values):
    r0, r1, r2, r3 = 0.0, 0.0, 0.0, 0.0
    for l in range(values.size):
        r0 += a[l] * values[l]
        r1 += b[l] * values[l]
        r2 += c[l] * values[l]
        r3 += d[l] * values[l]
    return r0, r1, r2, r3


@kernel
def _add(a, b, c, d, x, y, z, w, out):
    for l in range(out.size):
        out[l] = (((out[l] + x * a[l]) + y * b[l]) + z * c[l]) + w * d[l]
