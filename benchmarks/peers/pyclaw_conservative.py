"""PyClaw's SharpClaw, WENO5 and SSPRK(10,4), with a conservative Riemann solver of one's own (`conservative.f90`).

Face velocities in aux, computed from U at every stage. Second order: a product of averages over a face is not the
average of the product, whatever the order of the reconstruction. The Riemann solver is compiled once, by f2py, which
needs gfortran, meson and ninja.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from flat_fourier import TARGET, TIMES, Cells

with contextlib.chdir(tempfile.gettempdir()):  # it leaves a pyclaw.log where it is imported
    from clawpack import pyclaw

NAME, PACKAGE, ORDER, THREADED = "PyClaw SharpClaw WENO5, conservative", "clawpack", 2, False
HERE = Path(__file__).parent


def riemann_solver() -> ModuleType:
    """The compiled `conservative.f90`, kept in __pycache__."""
    source, build = HERE / "conservative.f90", HERE / "__pycache__"

    def fresh() -> list[Path]:
        return [p for p in build.glob("conservative.*.so") if p.stat().st_mtime > source.stat().st_mtime]

    if not fresh():
        build.mkdir(exist_ok=True)
        f2py = [sys.executable, "-m", "numpy.f2py", "-c", "--backend", "meson", "-m", "conservative", str(source)]
        path = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]  # where pip puts meson
        environment = os.environ | {"FFLAGS": "-O3 -march=native", "PATH": path}
        done = subprocess.run(f2py, cwd=build, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not fresh():
            raise RuntimeError(f"conservative.f90 was not compiled: {(done.stderr or done.stdout).strip()[-300:]}")
    spec = importlib.util.spec_from_file_location("conservative", fresh()[0])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sharpclaw(
    riemann: ModuleType, on: Cells, velocity: Callable[[Cells, np.ndarray, np.ndarray], None]
) -> tuple[pyclaw.SharpClawSolver2D, pyclaw.Solution, list[int]]:
    """A solver, its solution at t = 0 and its count of stages; velocity(cells, residual, aux) fills aux."""
    solver = pyclaw.SharpClawSolver2D(riemann)
    solver.num_eqn, solver.num_waves, solver.fwave = 1, 1, False
    solver.weno_order, solver.time_integrator = 5, "SSP104"
    solver.cfl_desired, solver.cfl_max = 2.45, 2.5
    solver.max_steps, solver.dt_initial = 10**6, 1e-3
    solver.call_before_step_each_stage = True
    solver.bc_lower = solver.bc_upper = [pyclaw.BC.periodic, pyclaw.BC.extrap]
    solver.aux_bc_lower = [pyclaw.BC.periodic, pyclaw.BC.extrap]
    solver.aux_bc_upper = [pyclaw.BC.periodic, pyclaw.BC.custom]

    def close(state, dim, t, qbc, auxbc, num_ghost):
        auxbc[:, :, -num_ghost:] = 0.0  # no flux through the upper end of c

    solver.user_aux_bc_upper = close
    axes = [pyclaw.Dimension(0.0, 2 * np.pi, on.Ny, name="y"), pyclaw.Dimension(*on.box, on.Nc, name="c")]
    domain = pyclaw.Domain(axes)
    state = pyclaw.State(domain, 1, 2)
    state.q[0] = on.initial()
    stages = [0]

    def before(solver, state):
        stages[0] += 1
        velocity(on, on.residual(state.q[0]), state.aux)

    solver.before_step = before
    return solver, pyclaw.Solution(state, domain), stages


def run(riemann, on, velocity, prepare=lambda solver, on: None) -> tuple[np.ndarray, float, int]:
    """Coefficients of f_0 at TIMES, seconds, cell-stages."""
    solver, solution, stages = sharpclaw(riemann, on, velocity)
    prepare(solver, on)
    coefficients = [on.residual(solution.q[0]) + TARGET]
    start = time.perf_counter()
    for t in TIMES[1:]:
        solver.evolve_to_time(solution, t)
        coefficients.append(on.residual(solution.q[0]) + TARGET)
    return np.array(coefficients), time.perf_counter() - start, stages[0] * on.Ny * on.Nc


def velocity(on: Cells, residual: np.ndarray, aux: np.ndarray) -> None:
    """-c U' on the left y-face and -<U> on the lower c-face."""
    np.multiply.outer(-(on.face_slopes @ residual), on.c, out=aux[0])
    aux[1] = -(on.averages @ residual)[:, None]
    aux[1, :, 0] = 0.0


def prepare(solver, on: Cells) -> None:
    """Use the total fluctuation of the same module, 0."""
    solver.tfluct_solver, solver.tfluct = True, solver.rp


def solve(cells: tuple[int, int]) -> tuple[np.ndarray, float, int]:
    """See `peers`."""
    return run(riemann_solver(), Cells(*cells), velocity, prepare)
