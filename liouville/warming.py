"""The first start, when everything has to be compiled: two processes share the work, through the cache on disk.

A process compiles one kernel at a time, whatever its threads. Both carry a tiny run of the same problem, each its half:
kernels are the same whatever the numbers are. Whatever goes wrong in the other one, this process then compiles itself.

    this one     f_0 from particles                 the march on the grid
    the other    what that march is made of         theory                   replicas
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from liouville import mean_field, simulation
from liouville.plan import Plan
from liouville.runfile import RunFile, dump, parse
from particles import team
from particles.guided import guide_replicas
from solvers.finite_volume import FiniteVolume
from solvers.grid import Axis, Grid, circle

Array = NDArray[np.floating]

CELLS = 32  # of either axis, at least
READY = b"ready\n"
START = [sys.executable, "-P", "-c", "from liouville import warming; warming.assist()"]  # -P: not the user's modules
LAST: Any = guide_replicas  # of what the other process compiles


def wanted(plan: Plan) -> bool:
    """Whether a run has so much to compile that it is worth sharing, and there is another core to share it with.

    With more axes of y than one even a tiny run takes half a minute.
    """
    alone = plan.made is not None or team().size > 1 or numba.get_num_threads() == 1
    grid = plan.run.solver.scheme == "finite-volume" and plan.problem.dimension == 1
    return grid and not alone and not cached(LAST)


def compile_kernels(plan: Plan) -> bool:
    """Compile what a comparison needs, half of it here; whether the other process did its half."""
    plan = Plan(_tiny(plan.run))
    environment = os.environ | {"NUMBA_NUM_THREADS": "1"}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(START, stdin=pipe, stdout=pipe, stderr=null, env=environment) as other:
        assert other.stdin is not None and other.stdout is not None
        try:
            text = dump(plan.run).encode()
            other.stdin.write(b"%d\n%s" % (len(text), text))
            other.stdin.flush()
            mean_field.extent(plan)
            mean_field.reference(plan)
            mean_field.late_eigenvalues(plan)  # of so many particles that all threads carry them
            other.stdin.write(READY)
            other.stdin.close()
            scheme, density = _finite_volumes(plan)
            ready = other.stdout.readline() == READY
            scheme.solve(density, plan.times)
            return ready and other.wait() == 0
        except Exception:  # the other has ended, or the run itself will say what is wrong
            return False
        finally:
            other.kill()


def assist() -> None:
    """What the other process does: the problem comes as a run file, and a line when f_0 is compiled."""
    source = sys.stdin.buffer
    plan = Plan(parse(source.read(int(source.readline())).decode()))
    scheme, density = _finite_volumes(plan)
    scheme.compile_parts(density)
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    if source.readline() != READY:
        return
    known = mean_field.reference(plan)
    theory = mean_field.fluctuation_theory(plan, known, tolerance=1.0)
    operator = simulation.PathOperator.build(known, theory)
    for _ in simulation.simulate(plan, known, operator, simulation.Work(8, 2)):
        pass


def cached(kernel: Any) -> bool:
    """Whether a kernel was compiled, for whatever types, since its source last changed."""
    source, folder = Path(kernel.py_func.__code__.co_filename), Path(kernel.stats.cache_path)
    indices = folder.glob(f"{source.stem}.{kernel.py_func.__name__}-*.nbi")
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in indices)


def _tiny(run: RunFile) -> RunFile:
    """The same problem for two steps."""
    time = run.time.model_copy(update={"final": 2 * (run.particles.step if run.particles else 0.05), "snapshots": 2})
    solver = run.solver.model_copy(update={"cells": _cells(Plan(run)), "next_order": False})
    return run.model_copy(update={"time": time, "solver": solver, "healing": None})


def _cells(plan: Plan) -> tuple[int, ...]:
    return max(CELLS, 8 * plan.problem.modes), CELLS


def _finite_volumes(plan: Plan) -> tuple[FiniteVolume, Array]:
    """The scheme on a small grid, and a density there."""
    Ny, Nc = _cells(plan)
    on = Grid((circle(Ny) if plan.problem.unit.circle else Axis(-1.0, 1.0, Ny),), Axis(-1.0, 1.0, Nc))
    scheme = mean_field.scheme(plan, on)
    assert isinstance(scheme, FiniteVolume)
    return replace(scheme, tail=np.inf), plan.problem.initial.cell_averages(on)
