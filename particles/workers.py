"""Independent pieces of work over the threads, where each is long enough for a thread of Python's own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

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
