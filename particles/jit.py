"""The flags of every compiled kernel of the project, in one place.

All kernels are cached on disk, take arrays and scalars only (a second start compiles nothing), and divide by zero
silently, as numpy does. `contract` allows fused multiply-adds. Only `reduction` may reorder a sum, and it is used on
chunks of fixed size alone, so that results do not depend on the number of threads. `inlined` is for what a kernel calls
once for each short row: a call with several arrays takes some 10 nanoseconds.

Threads that wait for each other spin for some 20 microseconds and then sleep. By default they spin for milliseconds,
which makes the grid's kernels 25 times slower wherever another process wants a core.

`parallel` is for what all threads do again and again, a stage or a step; only `prange` makes threads of it, for numba
would make them of every assignment to an array, too. Where each has a whole run to itself, `concurrent` with
`over_threads` costs a third of the time to compile. It leaves the interpreter to other threads of Python's while it
runs.

A number that `prange` counts is of another type than one of `range` or a literal, and a kernel that is handed it is
compiled again; it is made an int64 first.

What one kernel calls is optimised again with it, so that each layer of calls costs as much to compile as the last.
`merged` is for a layer that one kernel alone calls: it is a part of that kernel and never compiled by itself.

Straight-line code is vectorised as well as loops, which numba leaves off by itself: the stencils of `stencil.py` are
rows of eight numbers and run 2.6 (N = 2) and 4 (N = 3) times as fast.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

if "OMP_WAIT_POLICY" not in os.environ:  # both are read once, when the threads start
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("NUMBA_SLP_VECTORIZE", "1")
import numba

F = TypeVar("F", bound=Callable[..., Any])


def _decorator(**flags: Any) -> Callable[[F], F]:
    decorate: Callable[[F], F] = numba.njit(cache=True, error_model="numpy", **flags)
    return decorate


_KINDS = ("comprehension", "reduction", "inplace_binop", "setitem", "numpy", "stencil", "fusion", "prange")
_PRANGE = {kind: kind == "prange" for kind in _KINDS}

kernel = _decorator(fastmath={"contract"})
reduction = _decorator(fastmath={"contract", "reassoc", "nsz"})
inlined = _decorator(fastmath={"contract"}, forceinline=True)
finite = _decorator(fastmath={"contract", "reassoc", "nsz", "nnan", "ninf"})  # of numbers only: least and largest
merged = _decorator(fastmath={"contract"}, inline="always")
parallel = _decorator(fastmath={"contract"}, parallel=_PRANGE)
concurrent = _decorator(fastmath={"contract"}, nogil=True)  # run by `over_threads` or `beside`
