"""This project's PDE solver and its peers on `flat-fourier` to t = 6: seconds to reach an error of f_0.

    apt-get install gfortran && pip install -e ".[bench]"     # gfortran for clawpack alone
    python benchmarks/pde.py [--quick] [--json FILE] [--cap SECONDS]

The error is the largest over t = 1 ... 6 of the L^2(mu) norm of f_0's distance from the characteristics in
data/reference-flat-fourier.json (1e-9). Every solver climbs the same ladder of grids and is timed on the coarsest that
meets the error: the median of several runs, compilation and set-up left out. Before that, its order at t = 1, the slope
over all grids n x n, is held against what it claims; one that misses it by more than 0.5 is not timed.
"-": not met up to the finest grid or the longest run allowed. Limits of the machine are measured in the same run, with
the same number of threads; what they are compared with is derived in `ours.py`.
"""

import argparse
import importlib
import importlib.metadata
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numba
import numpy as np

sys.path.append(sys.path.pop(0))  # py-pde's module has the name of this file: the installed one first
sys.path.insert(0, str(Path(__file__).parents[1]))  # and `particles.py` here that of the engine

import flat_fourier
import machine
import ours

TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)
SIZES = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
HALVES = (48, 56, 64, 72, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320, 384, 512, 768, 1024, 1536, 2048)
QUICK = (32, 64, 128)
PEERS = {
    "pyclaw_conservative": "PyClaw",
    "pyclaw_stock": "PyClaw, stock solver",
    "pympdata": "PyMPDATA",
    "pypde": "py-pde",
}
PACKAGES = ("numpy", "numba", "clawpack", "PyMPDATA", "py-pde")
RATED = (512, 256)
BUDGET, RUNS = 2.0, 15  # a grid is timed again until so many seconds or so many runs are spent


@dataclass(frozen=True)
class Solver:
    """What is measured; bytes_moved and operations are None where they are not derived."""

    name: str
    order: float
    threaded: bool
    solve: Callable[[tuple[int, int]], tuple[np.ndarray, float, int]]
    bytes_moved: float | None = None
    operations: float | None = None


@dataclass
class Rung:
    """One grid. errors : at each of TIMES; seconds : of each run."""

    cells: tuple[int, int]
    errors: list[float]
    cell_stages: int
    seconds: list[float]

    @property
    def error(self) -> float:
        """The largest over time."""
        return max(self.errors)

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


@dataclass
class Measured:
    """A solver on some number of threads. to_error : tolerance -> index of the rung that meets it, or None."""

    name: str
    threads: int
    claimed_order: float
    order: float = np.nan
    orders: dict[str, float] = field(default_factory=dict)
    rungs: list[Rung] = field(default_factory=list)
    to_error: dict[str, int | None] = field(default_factory=dict)
    rate: float | None = None  # cell-stages/s on the finest grid timed
    of_memory: float | None = None
    of_flops: float | None = None
    left_out: str | None = None


def ladder(quick: bool) -> list[tuple[int, int]]:
    """Ny x Nc, coarse to fine: y as fine as c, or about twice as fine."""
    grids = [(n, n) for n in (QUICK if quick else SIZES)]
    grids += [(n, n // 2 // 8 * 8) for n in (QUICK[1:] if quick else HALVES)]
    return sorted(grids, key=lambda cells: (cells[0] * cells[1], cells[0]))


def solvers() -> tuple[list[Solver], list[str]]:
    """All that are installed, and a line for each peer that is not."""
    found = [Solver(s.name, s.order, True, s.solve, s.bytes_moved, s.operations) for s in ours.SCHEMES]
    missing = []
    for module, name in PEERS.items():
        try:
            peer = importlib.import_module(f"peers.{module}")
        except ImportError as error:
            missing.append(f"{name}: {'not installed' if isinstance(error, ModuleNotFoundError) else error}")
            continue
        found.append(Solver(peer.NAME, peer.ORDER, peer.THREADED, peer.solve))
    return found, missing


def measure(solver: Solver, threads: int, grids: list[tuple[int, int]], cap: float) -> Measured:
    """Climb the ladder once, check the order, then time the coarsest grid that meets each tolerance."""
    numba.set_num_threads(threads)
    result = Measured(solver.name, threads, solver.order)
    try:
        solver.solve(grids[0])  # compiles
    except RuntimeError as error:
        result.left_out = str(error)
        return result
    for cells in grids:
        if result.rungs:
            last = result.rungs[-1]
            growth = cells[0] * cells[1] / (last.cells[0] * last.cells[1])
            if last.seconds[0] * growth**1.5 > cap or last.error <= min(TOLERANCES):
                break
        result.rungs.append(_rung(solver, cells))
    result.orders = orders(result.rungs)
    result.order = slope(result.rungs)
    if not result.order > solver.order - 0.5:
        result.left_out = f"order {result.order:.1f} at t = 1, {solver.order:.2g} claimed: not timed"
        return result
    for tolerance in TOLERANCES:
        met = [i for i, rung in enumerate(result.rungs) if rung.error <= tolerance]
        result.to_error[f"{tolerance:.0e}"] = met[0] if met else None
    timed = [result.rungs[i] for i in dict.fromkeys(result.to_error.values()) if i is not None]
    for rung in timed:
        while sum(rung.seconds) < BUDGET and len(rung.seconds) < RUNS:
            rung.seconds.append(solver.solve(rung.cells)[1])
    if timed:
        result.rate = timed[-1].cell_stages / timed[-1].median
    return result


def _rung(solver: Solver, cells: tuple[int, int]) -> Rung:
    coefficients, seconds, cell_stages = solver.solve(cells)
    errors = np.nan_to_num(flat_fourier.errors(coefficients), nan=np.inf)
    return Rung(cells, [float(e) for e in errors], int(cell_stages), [seconds])


def orders(rungs: list[Rung]) -> dict[str, float]:
    """log2 of the ratio of the errors at t = 1 on n x n and 2n x 2n."""
    squares = {rung.cells[0]: rung.errors[1] for rung in rungs if rung.cells[0] == rung.cells[1]}
    return {f"{n}-{2 * n}": float(np.log2(squares[n] / squares[2 * n])) for n in squares if 2 * n in squares}


def slope(rungs: list[Rung]) -> float:
    """Order of the error at t = 1 over all grids n x n, by least squares."""
    squares = [(rung.cells[0], rung.errors[1]) for rung in rungs if rung.cells[0] == rung.cells[1]]
    return -float(np.polyfit(*np.log(np.array(squares).T), 1)[0]) if len(squares) > 1 else np.nan


def automatic() -> list[dict[str, object]]:
    """`cells = "auto"`, nothing tuned by hand: for each scheme and tolerance, the median of several searches."""
    found = []
    for scheme in ours.AUTOMATIC:
        for tolerance in TOLERANCES:
            runs = [ours.automatic(tolerance, scheme) for _ in range(RUNS)]
            seconds = [took for _, took, _ in runs[1:]]
            coefficients, _, cells = runs[0]
            found.append(
                {
                    "scheme": scheme,
                    "tolerance": tolerance,
                    "cells": cells,
                    "error": float(flat_fourier.errors(coefficients).max()),
                    "seconds": seconds,
                }
            )
            print(
                f'cells = "auto", {scheme}, tolerance {tolerance:.0e}: {1e3 * statistics.median(seconds):7.1f} ms, '
                f"{cells[0]}x{cells[1]}, error {found[-1]['error']:.1e}",
                flush=True,
            )
    return found


def rates(threads: int) -> dict[str, float]:
    """Cell-stages/s of this project's schemes on RATED cells."""
    numba.set_num_threads(threads)
    found = {}
    for scheme in ours.SCHEMES:
        scheme.solve((64, 32))  # compiles
        _, seconds, cell_stages = scheme.solve(RATED)
        found[scheme.name] = cell_stages / seconds
        what = f"{scheme.name}, {RATED[0]} x {RATED[1]}, {threads} thread(s)"
        print(f"{what}: {found[scheme.name] / 1e6:.0f} M cell-stages/s")
    return found


def ratios(results: list[Measured]) -> list[str]:
    """How many times longer each peer takes than the fastest of this project's positive schemes."""
    own = [r for r in results if r.name.startswith("liouville") and "positive" in r.name and not r.left_out]
    lines = []
    for tolerance in own[0].to_error if own else ():
        reached = [r.rungs[i].median for r in own if (i := r.to_error[tolerance]) is not None]
        for peer in results:
            if reached and not peer.name.startswith("liouville") and not peer.left_out:
                index = peer.to_error[tolerance]
                much = f"{peer.rungs[index].median / min(reached):.0f} times" if index is not None else "not reached"
                lines.append(f"to {tolerance}: {peer.name}, {peer.threads} thread(s): {much}")
    return lines


def row(result: Measured) -> str:
    """One line of the table."""
    if result.left_out:
        return f"{result.name}, {result.threads} thread(s): left out: {result.left_out}"
    columns = []
    for index in result.to_error.values():
        if index is None:
            columns.append(f"{'-':>19}")
        else:
            rung = result.rungs[index]
            columns.append(f"{1e3 * rung.median:9.4g} {rung.cells[0]:>4}x{rung.cells[1]:<4}")
    rate = f"{result.rate / 1e6:8.1f}" if result.rate else f"{'-':>8}"
    shares = [f"{share:.2f}" if share else "" for share in (result.of_memory, result.of_flops)]
    start = f"{result.name:<60} {result.threads:>2} {result.order:4.1f}"
    return f"{start} {' '.join(columns)} {rate} {shares[0]:>6} {shares[1]:>6}"


def main() -> None:
    parser = argparse.ArgumentParser(description="The PDE solver and its peers on flat-fourier.")
    parser.add_argument("--quick", action="store_true", help="grids to 128 x 128 only, for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--cap", type=float, default=60.0, metavar="SECONDS", help="longest run tried (default 60)")
    parser.add_argument("--only", default="", metavar="TEXT", help="solvers whose name contains this")
    arguments = parser.parse_args()

    about, most = machine.environment(PACKAGES), numba.get_num_threads()
    counts = sorted({1, most})
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load'][0]:.1f} at the start")
    limits = {}
    for threads in counts:
        limits[threads] = machine.limits(threads)
        print(
            f"{threads} thread(s): triad {limits[threads]['bytes'] / 1e9:.1f} GB/s, "
            f"multiply-add {limits[threads]['flops'] / 1e9:.1f} Gflop/s"
        )
    found, missing = solvers()
    print("\n".join(missing))
    heads = " ".join(f"{f'ms to {tolerance:.0e}':>19}" for tolerance in TOLERANCES)
    print(f"{'':<60} th ord. {heads} M c-st/s memory  flops")
    results = []
    for solver in found:
        for threads in counts if solver.threaded else (1,):
            if arguments.only not in solver.name:
                continue
            result = measure(solver, threads, ladder(arguments.quick), arguments.cap)
            if result.rate and solver.bytes_moved and solver.operations:
                result.of_memory = result.rate * solver.bytes_moved / limits[threads]["bytes"]
                result.of_flops = result.rate * solver.operations / limits[threads]["flops"]
            print(row(result), flush=True)
            results.append(result)
    print("\n".join(ratios(results)))
    rated = rates(most)
    searches = automatic()
    if arguments.json:
        everything = {
            "problem": "flat-fourier",
            "times": flat_fourier.TIMES.tolist(),
            "environment": about,
            "limits": limits,
            "not_installed": missing,
            "automatic": searches,
            "rates": rated,
            "solvers": [asdict(result) for result in results],
        }
        arguments.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
