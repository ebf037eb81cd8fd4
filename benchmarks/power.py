"""How wrong a prediction must be for each verdict to reject it with 95% probability, in a default run.

    python benchmarks/power.py [drawn runs]

Runs of the default's sizes and replicas are drawn from a library of twice as many (7 snapshots, steps
of 0.1). In each, bisection finds the least relative error at which a verdict rejects; the table has the 95% quantile of
these, with its 95% interval from order statistics. What is made wrong, by the factor 1 + e:

    C      the covariance that fluctuations are predicted to have
    L      the influence function, so every path l_n
    f_0    the solution of the equation
    U      the potential that moves it: with c grad U and U both multiplied by 1 + e, f_0(t) becomes f_0((1 + e) t)
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import quantile_test

sys.path.insert(0, str(Path(__file__).parents[1]))  # `particles.py` here has the name of the engine

from liouville import runfile
from liouville.judgement import Evidence, primary
from liouville.plan import Plan
from liouville.resampling import Library
from liouville.runfile import ParticlesTable, TimeTable

VERDICTS: dict[str, Callable[[Evidence], primary.Verdict]] = {
    "lln": primary.law_of_large_numbers,
    "healing": primary.healing,
    "clt-covariance": primary.covariance,
    "clt-paths": primary.paths,
}
LEAST, LARGEST, HALVINGS = 1e-6, 2.0, 10
POWER = 0.95


def wrong_covariance(right: Evidence, e: float) -> Evidence:
    return replace(right, covariance=(1 + e) * right.covariance)


def wrong_paths(right: Evidence, e: float) -> Evidence:
    return replace(right, ensembles=tuple(replace(some, path=(1 + e) * some.path) for some in right.ensembles))


def wrong_solution(right: Evidence, e: float) -> Evidence:
    return _with(right, (1 + e) * right.f0)


def wrong_potential(right: Evidence, e: float) -> Evidence:
    field = right.reference.mean_field
    times = np.concatenate([[0.0], np.cumsum(right.reference.steps.lengths)])
    return _with(right, CubicSpline(times, field.coefficients)((1 + e) * right.times))


def _with(right: Evidence, f0: np.ndarray) -> Evidence:
    return replace(right, solved=replace(right.solved, coefficients=f0 - right.reference.shift))


KINDS = {
    "C, too large": (wrong_covariance, 1),
    "C, too small": (wrong_covariance, -1),
    "L, too large": (wrong_paths, 1),
    "L, too small": (wrong_paths, -1),
    "f_0": (wrong_solution, 1),
    "U, too weak": (wrong_potential, -1),
}


def least(judge: Callable[[Evidence], primary.Verdict], made: Callable[[float], Evidence], sign: int) -> float:
    """The relative error from which a verdict rejects; infinite where LARGEST (0.99 below 0) is not rejected."""
    top = LARGEST if sign > 0 else 0.99
    if judge(made(sign * top)).outcome != "rejected":
        return np.inf
    low, high = np.log(LEAST), np.log(top)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if judge(made(sign * np.exp(middle))).outcome == "rejected":
            high = middle
        else:
            low = middle
    return float(np.exp(high))


def default(times: int = 7, step: float = 0.1, factor: float = 2.0) -> tuple[Plan, tuple[int, ...]]:
    """The default problem with a library's replicas, and the replicas of a run."""
    run = runfile.load("flat-fourier")
    replicas = run.particles.replicas
    larger = {"step": step, "replicas": tuple(int(factor * count) for count in replicas)}
    particles = ParticlesTable.model_validate(run.particles.model_dump() | larger)
    solver = run.solver.model_copy(update={"tolerance": 1e-5})
    time_table = TimeTable(final=run.time.final, snapshots=times)
    return Plan(run.model_copy(update={"time": time_table, "particles": particles, "solver": solver})), replicas


def main(draws: int) -> None:
    start = time.perf_counter()
    plan, replicas = default()
    library = Library.made(plan)
    print(f"library of {sum(plan.run.particles.replicas)} replicas: {time.perf_counter() - start:.0f} s", flush=True)
    rng = np.random.default_rng(1)
    runs = [library.run(rng, replicas) for _ in range(draws)]
    print(f"{'relative error of':18s}" + "".join(f"{name:>26s}" for name in VERDICTS))
    for kind, (wrong, sign) in KINDS.items():
        row = f"{kind:18s}"
        for judge in VERDICTS.values():
            found = np.sort([least(judge, lambda e, run=run, wrong=wrong: wrong(run, e), sign) for run in runs])
            ends = quantile_test(np.arange(draws), q=0, p=POWER).confidence_interval(0.95)
            low, high = (found[int(end)] if np.isfinite(end) else np.nan for end in (ends.low, ends.high))
            row += f"{np.quantile(found, POWER, method='higher'):9.2g} [{low:7.2g}, {high:7.2g}]"
        print(row, flush=True)
    print(f"{draws} runs, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 80)
