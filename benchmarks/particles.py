"""The particle engine and what a user would write instead, in one run: particle-stages per second.

    pip install -e ".[bench]"
    python benchmarks/particles.py [--quick] [--huge] [--json FILE]

A particle-stage is one evaluation of (9) for one particle: RK4 takes four a step. Ensembles and single runs of
`flat-fourier` from n = 64 to 1e7 (1e8 with --huge), on one thread and on all; each representation of the potential; the
other units; peers, which are first held against this engine's result (1e-9 after ten steps). Peers that cannot be
installed are left out by name. Beside each single run of 1e6 and more stands the share of the memory triad that its own
bytes take: 20 B a particle and stage, see `replay`; what binds there is arithmetic, 2.5 times a stage's.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # this file has the name of the engine, which comes first

import machine
import particle_peers as peers

from liouville import runfile
from liouville.plan import Plan
from liouville.problem import Problem
from particles import RK4, Closure, descend

PACKAGES = ("numpy", "numba", "jax", "torch")
SHAPES = ((64, 16384), (256, 4096), (1024, 1024), (4096, 256), (100_000, 8), (1_000_000, 1), (10_000_000, 1))
PARTS = ("runs", "representations", "units", "peers")
QUICK = ((256, 1024), (100_000, 2), (1_000_000, 1))
STAGES, LEAST = 2e8, 15  # particle-stages of a timed run of ours, about, and steps at least
PEER_STAGES = 1e6
BYTES = 20.0
UNITS = ("von-mises", "relu-circle", "gaussian-mixture", "tanh-plane", "nile")


@dataclass
class Rate:
    """One measurement; a rate in particle-stages per second."""

    what: str
    n: int
    replicas: int
    threads: int
    rate: float
    of_memory: float | None = None


def start(plan: Plan, n: int, replicas: int) -> tuple[np.ndarray, np.ndarray]:
    """y (R, N, n) and c (R, n)."""
    y, c = plan.problem.initial.sample(np.random.default_rng(0), n * replicas)
    return np.ascontiguousarray(np.moveaxis(y.reshape(-1, replicas, n), 0, 1)), c.reshape(replicas, n)


def ours(plan: Plan, closure: Closure, n: int, replicas: int, stages: float = STAGES) -> float:
    """Particle-stages per second; the copy of the start is timed with it."""
    y, c = start(plan, n, replicas)
    steps, weights = max(LEAST, round(stages / (4 * n * replicas))), np.full(n, 1 / n)
    seconds = machine.best(lambda: descend(closure, y.copy(), c.copy(), weights, plan.dt, steps, RK4), 3)
    return 4 * steps * n * replicas / seconds


def timed(what: str, run: peers.Run, plan: Plan, n: int, replicas: int, threads: int) -> Rate:
    """A peer: checked, then timed."""
    y, c = start(plan, n, replicas)
    weights, expected_y, expected_c = np.full(n, 1 / n), y.copy(), c.copy()
    descend(plan.problem.closure, expected_y, expected_c, weights, plan.dt, 10, RK4)
    found_y, found_c, _ = run(y[:, 0], c, plan.dt, 10)
    off = max(np.abs(found_y - expected_y[:, 0]).max(), np.abs(found_c - expected_c).max())
    if not off < 1e-9:
        raise RuntimeError(f"{what}: off by {off:.1e} after ten steps")
    steps = max(2, round(PEER_STAGES / (4 * n * replicas)))
    seconds = statistics.median(run(y[:, 0], c, plan.dt, steps)[2] for _ in range(3))
    return Rate(what, n, replicas, threads, 4 * steps * n * replicas / seconds)


def show(rate: Rate, reference: float | None = None) -> Rate:
    """Print it, and how many times faster than that ours is."""
    share = f"  {rate.of_memory:4.2f} of the triad" if rate.of_memory else ""
    times = f"  ours {reference / rate.rate:6.1f} times" if reference else ""
    print(
        f"{rate.what:<46} n = {rate.n:>9} x {rate.replicas:<6} {rate.threads} thread(s)  {rate.rate / 1e6:8.2f} M/s"
        f"{share}{times}",
        flush=True,
    )
    return rate


def representations(plan: Plan, threads: int) -> list[Rate]:
    """flat-fourier through each representation."""
    problem = plan.problem
    closures = {"fourier": problem.closure, "mesh": problem.mesh_closure, "quadrature": problem.direct_closure}
    numba.set_num_threads(threads)
    return [
        show(Rate(f"flat-fourier, {name}", n, replicas, threads, ours(plan, closure, n, replicas, 4e6)))
        for name, closure in closures.items()
        if closure is not None
        for n, replicas in ((256, 256), (100_000, 2))
    ]


def units(threads: int) -> list[Rate]:
    """The other units by their cheapest representations."""
    numba.set_num_threads(threads)
    found = []
    for name in UNITS:
        plan = Plan(runfile.load(name))
        problem = plan.problem
        closures = {"default": problem.closure, "mesh": problem.mesh_closure, "quadrature": problem.direct_closure}
        for n, replicas in ((256, 64), (4096, 8), (100_000, 2)):
            for kind, closure in closures.items():
                if closure is None or (kind == "mesh" and closure is problem.closure):
                    continue
                if kind == "quadrature" and problem.unit.circle:
                    continue
                found.append(show(Rate(f"{name}, {kind}", n, replicas, threads, ours(plan, closure, n, replicas, 2e6))))
    return found


def others(plan: Plan, threads: int, rates: dict[tuple[int, int], float]) -> list[Rate]:
    """numpy, JAX, PyTorch, the pairwise sum."""
    problem: Problem = plan.problem
    features, target = problem.closure.features, problem.closure.target
    a = np.array(problem.unit.coefficients)
    x = np.arange(peers.NODES) * (2 * np.pi / peers.NODES)
    f = plan.run.problem.target(x)

    def modes(xp):  # type: ignore[no-untyped-def]
        return peers.by_modes(xp, features, target)

    def nodes(xp):  # type: ignore[no-untyped-def]
        convert = xp.asarray if hasattr(xp, "asarray") else (lambda v: v)
        return peers.by_quadrature(xp, a, convert(f), convert(x))

    runs = {
        "numpy, same algorithm": lambda: peers.in_numpy(modes(np)),
        "JAX jit, same algorithm": lambda: peers.in_jax(modes),
        "JAX jit, 64-node quadrature": lambda: peers.in_jax(nodes),
        "PyTorch, same algorithm": lambda: peers.in_torch(modes, threads, compiled=False),
        "PyTorch compiled, same algorithm": lambda: peers.in_torch(modes, threads, compiled=True),
        "PyTorch, 64-node quadrature": lambda: peers.in_torch(nodes, threads, compiled=False),
        "numpy, pairwise (9)": lambda: peers.in_numpy(peers.pairwise(a, f, x)),
    }
    found = []
    for what, make in runs.items():
        try:
            run = make()
        except ImportError as error:
            print(f"{what}: left out, {error}")
            continue
        shapes = ((256, 32),) if "pairwise" in what else ((256, 256), (100_000, 2))
        for n, replicas in shapes:
            try:
                rate = timed(what, run, plan, n, replicas, threads)
            except Exception as error:  # a peer's own failure is reported, whatever it is
                print(f"{what}: left out, {str(error).splitlines()[0][:100]}")
                break
            reference = rates.get((n, threads)) or rates.get((256, threads))
            found.append(show(rate, reference))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The particle engine and its peers on flat-fourier.")
    parser.add_argument("--quick", action="store_true", help="few sizes")
    parser.add_argument("--huge", action="store_true", help="also n = 1e8 (9 GB)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="what to measure (default all)")
    arguments = parser.parse_args()
    about, most = machine.environment(PACKAGES), numba.get_num_threads()
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load'][0]:.1f} at the start")
    plan = Plan(runfile.load("flat-fourier"))
    measured: list[Rate] = []
    rates: dict[tuple[int, int], float] = {}
    limits = {}
    counts = sorted({1, most})
    for threads in counts if "runs" in arguments.parts else ():
        limits[threads] = machine.limits(threads)
        print(f"{threads} thread(s): triad {limits[threads]['bytes'] / 1e9:.1f} GB/s")
        numba.set_num_threads(threads)
        shapes = QUICK if arguments.quick else SHAPES + (((100_000_000, 1),) if arguments.huge else ())
        for n, replicas in shapes:
            found = Rate("flat-fourier", n, replicas, threads, ours(plan, plan.problem.closure, n, replicas))
            found.of_memory = found.rate * BYTES / limits[threads]["bytes"] if n >= 1_000_000 else None
            rates[n, threads] = found.rate
            measured.append(show(found))
    for n in dict.fromkeys(n for n, _ in rates):
        print(f"n = {n}: {rates[n, most] / rates[n, 1]:.2f} times one thread on {most}")
    if "representations" in arguments.parts:
        measured += representations(plan, most)
    if "units" in arguments.parts:
        measured += units(most)
    for threads in counts if "peers" in arguments.parts else ():
        measured += others(plan, threads, rates)
    if arguments.json:
        everything = {
            "environment": about,
            "limits": limits,
            "rates": [asdict(rate) for rate in measured],
            "finished": time.strftime("%Y-%m-%d"),
        }
        arguments.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    main()
