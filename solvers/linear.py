"""Matrix products with the same bits for every number of threads.

A threaded BLAS splits a product by the number of its threads and then rounds differently. Here BLAS runs on one thread,
and the threads share the rows of a product in slabs of fixed size.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache

import numba
import numpy as np
import scipy.linalg  # noqa: F401  # brings a BLAS of its own, which must be there when libraries are looked for
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Array = NDArray[np.floating]

SLAB = 128  # rows


def one_blas_thread() -> AbstractContextManager[object]:
    """A context in which BLAS and LAPACK use one thread."""
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    """The libraries that are loaded: looking for them takes 10 ms."""
    return ThreadpoolController()


def add_product(total: Array, left: Array, right: Array, beyond: int | None = None) -> None:
    """total += left @ right.T for left (A, K) and right (B, K), within `one_blas_thread`.

    beyond : what lies further than so many columns right of the diagonal is not wanted, and as good as not touched.
    """
    rows = left.shape[0]

    def add(low: int) -> None:
        some = slice(low, low + SLAB)
        wanted = slice(None if beyond is None else low + SLAB + beyond)
        total[some, wanted] += left[some] @ right[wanted].T

    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(add, reversed(range(0, rows, SLAB))))  # the longest first
