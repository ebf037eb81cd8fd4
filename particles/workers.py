"""Independent pieces of work over the threads, where each is long enough for a thread of Python's own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numba

T = TypeVar("T")

SHARES = 4  # pieces for each thread, so that none waits long for the others


def over_threads(work: Callable[[int, int], None], count: int) -> None:
    """Call work(low, high) for ranges that together are 0, ..., count - 1, on as many threads as numba may use.

    `work` leaves the interpreter to the others (a `concurrent` kernel, numpy's draws). Results must not depend on the
    ranges.
    """
    threads = min(numba.get_num_threads(), count)
    if threads <= 1:
        work(0, count)
        return
    pieces = min(count, SHARES * threads)
    ends = [count * k // pieces for k in range(pieces + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, ends[:-1], ends[1:]):  # passes on what a thread raises
            pass


@contextmanager
def beside(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """A context in which `work` goes on, on one thread, beside what is done there on the others; gives its result.

    `work` leaves the interpreter to the others. It waits until it is asked for where there is but one thread, or where
    numba's own threads cannot be had by two at a time.
    """
    threads = numba.get_num_threads()
    if threads == 1 or numba.threading_layer() == "workqueue":  # type: ignore[attr-defined]
        yield work
        return
    try:
        with ThreadPoolExecutor(1, initializer=numba.set_num_threads, initargs=(1,)) as pool:
            numba.set_num_threads(threads - 1)
            yield pool.submit(work).result
    finally:
        numba.set_num_threads(threads)
