"""What the machine can do, measured in the run that uses it, and what it is."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np


@numba.njit(parallel=True)
def _triad(a, b, c):
    for i in numba.prange(a.size):
        a[i] = b[i] + 3.0 * c[i]


@numba.njit(fastmath=True)
def _horner(x, p, q):
    """64 fused multiply-adds in a chain for each element; elements are independent, so the units stay full."""
    for i in range(x.size):
        y = x[i]
        for _ in range(8):
            y = (((((((y * p + q) * p + q) * p + q) * p + q) * p + q) * p + q) * p + q) * p + q
        x[i] = y


@numba.njit(parallel=True, fastmath=True)
def _multiply_add(x, p, q, times):
    for k in numba.prange(x.shape[0]):
        for _ in range(times):
            _horner(x[k], p, q)


def limits(threads: int) -> dict[str, float]:
    """Bytes/s of the triad a = b + 3 c on arrays of 128 MB, and multiplications and additions/s; best of several."""
    numba.set_num_threads(threads)
    a, b, c = (np.ones(2**24) for _ in range(3))
    x, times = np.ones((4 * threads, 512)), 2000
    triad = best(lambda: _triad(a, b, c))
    multiply_add = best(lambda: _multiply_add(x, 0.5, 0.5, times))
    return {"bytes": 24 * a.size / triad, "flops": 2 * 64 * times * x.size / multiply_add}


def best(run: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of some runs, after one that may compile."""
    run()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def environment(packages: tuple[str, ...]) -> dict[str, object]:
    """Machine and versions."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "machine": platform.machine(),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": versions,
    }
