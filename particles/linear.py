"""A linear map of every row of an ensemble, with the same bits for every number of threads and every batch."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles.jit import parallel, reduction

Array = NDArray[np.floating]


def map_rows(matrix: Array, rows: Array) -> Array:
    """rows @ matrix.T for matrix (A, B) and rows (R, B), as (R, A): each number is one sum in a fixed order."""
    result = np.empty((rows.shape[0], matrix.shape[0]))
    _map_rows(np.ascontiguousarray(matrix), np.ascontiguousarray(rows), result)
    return result


@parallel
def _map_rows(matrix, rows, result):
    for r in prange(rows.shape[0]):
        for a in range(matrix.shape[0]):
            result[r, a] = _dot(matrix[a], rows[r])


@reduction
def _dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total
