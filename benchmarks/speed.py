"""Speed of the engines on `flat-fourier`, as ratios to a peer or a limit measured in the same run.

    python benchmarks/speed.py

Particles: particle-stages per second (one evaluation of (9) for one particle) of the compiled engine, on one thread and
on all, and of the same algorithm in numpy. Theory: seconds for tr C with its error estimate, and the error against the
reference. The grid has a benchmark of its own, `pde.py`.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from liouville import mean_field, runfile
from liouville.plan import Plan
from particles import RK4, descend, trig, trig_derivative

REFERENCE = Path(__file__).parent.parent / "data" / "reference-flat-fourier.json"


def best(run: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of some runs, after one that may compile."""
    run()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def numpy_rate(plan: Plan, n: int, replicas: int, steps: int) -> float:
    """Particle-stages per second of the same algorithm in numpy: moments, then U and U' of all particles."""
    closure = plan.problem.closure
    rng = np.random.default_rng(0)
    y, c = plan.problem.initial.sample(rng, n * replicas)
    y, c = y[0].reshape(replicas, n), c.reshape(replicas, n)
    degree = plan.problem.modes

    def velocity(y, c):  # type: ignore[no-untyped-def]
        modes, slopes = trig(y, degree), trig_derivative(y, degree)
        u = closure.potential(np.einsum("rn,rnl->rl", c / n, modes))
        return -c * np.einsum("rnl,rl->rn", slopes, u), -np.einsum("rnl,rl->rn", modes, u)

    start = time.perf_counter()
    for _ in range(steps):
        k = [velocity(y, c)]
        for ahead in (0.5, 0.5, 1.0):
            k.append(velocity(y + ahead * plan.dt * k[-1][0], c + ahead * plan.dt * k[-1][1]))
        y = y + plan.dt / 6 * (k[0][0] + 2 * k[1][0] + 2 * k[2][0] + k[3][0])
        c = c + plan.dt / 6 * (k[0][1] + 2 * k[1][1] + 2 * k[2][1] + k[3][1])
    return 4 * n * replicas * steps / (time.perf_counter() - start)


def particles(plan: Plan) -> None:
    """A table of rates, n x replicas."""
    closure, threads = plan.problem.closure, numba.get_num_threads()
    peer = numpy_rate(plan, 256, 200, 10)
    print(f"numpy, n = 256 x 200: {peer / 1e6:.1f} M particle-stages/s")
    for n, replicas in ((64, 20_000), (256, 4000), (4096, 200), (100_000, 8), (1_000_000, 1)):
        y, c = plan.problem.initial.sample(np.random.default_rng(0), n * replicas)
        y, c, weights = y.reshape(replicas, 1, n), c.reshape(replicas, n), np.full(n, 1 / n)

        def run(y=y, c=c, weights=weights) -> None:  # type: ignore[no-untyped-def]
            descend(closure, y.copy(), c.copy(), weights, plan.dt, 60, RK4)

        rates = []
        for count in (1, threads):
            numba.set_num_threads(count)
            rates.append(4 * 60 * n * replicas / best(run, 2))
        print(
            f"n = {n} x {replicas}: {rates[0] / 1e6:.0f} M/s on 1 thread, {rates[1] / 1e6:.0f} M/s on {threads} "
            f"({rates[1] / rates[0]:.2f} times), {rates[1] / peer:.0f} times numpy"
        )


def theory(plan: Plan) -> None:
    """Seconds and error of tr C."""
    known = mean_field.reference(plan)
    start = time.perf_counter()
    found = mean_field.fluctuation_theory(plan, known)
    seconds = time.perf_counter() - start
    reference = np.array(json.loads(REFERENCE.read_text())["trace_covariance"])
    every = round(1.0 / found.times[1])
    error = np.max(np.abs(found.trace[::every] / reference - 1))
    estimate = np.max(found.trace_error / found.trace)
    print(f"tr C: {seconds:.1f} s, relative error {error:.1e}, estimated {estimate:.1e}")


if __name__ == "__main__":
    default = Plan(runfile.load("flat-fourier"))
    particles(default)
    theory(default)
