"""PyMPDATA: infinite gauge with third-order terms, non-oscillatory, the advector from U at mid-step.

The library's `divergent_flow` is one-dimensional, so the compression's second-order term is put into the advector:
Courant numbers times 1 - dt div v/2, div v = -c U''. The advector is computed in the library's `ante_step` hook, inside
its compiled loop: a call from Python costs 5 ms.
"""

import time
import warnings
from functools import cache
from itertools import pairwise

import numba
import numpy as np
from flat_fourier import MODES, TARGET, TIMES, Cells
from numba.experimental import jitclass
from PyMPDATA import Options, ScalarField, Solver, Stepper, VectorField
from PyMPDATA.boundary_conditions import Constant, Periodic
from PyMPDATA.impl.meta import META_HALO_VALID
from PyMPDATA.solver import PostIterNull, PostStepNull

NAME, PACKAGE, ORDER, THREADED = "PyMPDATA infinite gauge, third-order terms, non-oscillatory", "PyMPDATA", 2, True
OPTIONS = Options(n_iters=2, infinite_gauge=True, third_order_terms=True, nonoscillatory=True)
COURANT = 0.5  # largest sum of the Courant numbers of a cell along y and c; errors at t = 6 double at 0.9
BLOCK = 16  # steps of the same length in one call of the library

vector, matrix = numba.float64[::1], numba.float64[:, ::1]
view = numba.float64[:, :]


@jitclass(
    {
        "density": view,
        "through_y": view,
        "through_c": view,
        "meta": numba.int64[::1],
        "slopes": matrix,
        "face_curvature": matrix,
        "averages": matrix,
        "curvature": matrix,
        "weights": matrix,
        "target": vector,
        "c": vector,
        "dy": numba.float64,
        "dc": numba.float64,
        "dt": numba.float64,
        "last": numba.float64,
        "before": vector,
    }
)
class Advector:
    """Before every step: U at mid-step, extrapolated from the last two, and the Courant numbers it gives."""

    def __init__(self, density, through_y, through_c, meta, matrices, target, c, dy, dc):
        self.density, self.through_y, self.through_c, self.meta = density, through_y, through_c, meta
        self.slopes, self.face_curvature, self.averages, self.curvature, self.weights = matrices
        self.target, self.c, self.dy, self.dc = target, c, dy, dc
        self.dt, self.last = 0.0, 1.0
        self.before = self.residual()

    def residual(self):
        """r from the density."""
        r = -self.target
        for i in range(self.density.shape[0]):
            moment = 0.0
            for j in range(self.c.size):
                moment += self.density[i, j] * self.c[j]
            r += self.weights[i] * (moment * self.dc)
        return r

    def call(self, _1, _2, _3, step, _5, _6, _7, _8):
        """Set the advector."""
        r, dt = self.residual(), self.dt
        middle = r + (r - self.before) * (dt / (2 * self.last))
        self.before, self.last = r, dt
        Ny, Nc = self.density.shape
        for i in range(Ny + 1):
            dU, ddU = np.sum(self.slopes[i] * middle), np.sum(self.face_curvature[i] * middle)
            for j in range(Nc):
                self.through_y[i, j] = -dt / self.dy * dU * self.c[j] * (1 + dt / 2 * ddU * self.c[j])
        for i in range(Ny):
            U, ddU = np.sum(self.averages[i] * middle), np.sum(self.curvature[i] * middle)
            for j in range(1, Nc):
                self.through_c[i, j] = -dt / self.dc * U * (1 + dt / 2 * ddU * (self.c[j] - self.dc / 2))
        self.meta[META_HALO_VALID] = 0


@cache
def stepper(threads: int) -> Stepper:
    """The compiled scheme, for every grid."""
    return Stepper(options=OPTIONS, n_dims=2, n_threads=threads)


def _run(cells: tuple[int, int], times: np.ndarray) -> tuple[np.ndarray, float, int]:
    on = Cells(*cells)
    settings = {"halo": OPTIONS.n_halo, "boundary_conditions": (Periodic(), Constant(0.0))}
    flow = (np.zeros((on.Ny + 1, on.Nc)), np.zeros((on.Ny, on.Nc + 1)))  # no flow through the ends of c
    rho, advector = ScalarField(on.initial(), **settings), VectorField(flow, **settings)
    solver = Solver(stepper(numba.get_num_threads()), rho, advector)
    slopes, curvature = on.face_slopes, on.face_psi * -(MODES**2)
    matrices = np.vstack([slopes, slopes[:1]]), np.vstack([curvature, curvature[:1]]), on.averages, on.curvature
    through = advector.get_component(0), advector.get_component(1)
    ante = Advector(rho.get(), *through, advector.meta, (*matrices, on.weights), TARGET, on.c, on.dy, on.dc)
    hooks = {"ante_step": ante, "post_step": PostStepNull(), "post_iter": PostIterNull()}
    reach = np.abs(on.box).max()
    coefficients, steps = [ante.residual() + TARGET], 0
    start = time.perf_counter()
    for t, end in pairwise(times):
        while t < end - 1e-12:
            residual = ante.residual()
            rate = np.abs(slopes @ residual).max() * reach / on.dy + np.abs(on.psi @ residual).max() / on.dc
            left = int(np.ceil((end - t) * rate / COURANT))
            count, ante.dt = min(left, BLOCK), (end - t) / left
            solver.advance(count, **hooks)
            t, steps = t + count * ante.dt, steps + count
        coefficients.append(ante.residual() + TARGET)
    return np.array(coefficients), time.perf_counter() - start, steps * on.Ny * on.Nc


def solve(cells: tuple[int, int]) -> tuple[np.ndarray, float, int]:
    """See `peers`; the first run, of one step, compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's, about first-class functions
        _run(cells, np.array([0.0, 1e-3]))
        return _run(cells, TIMES)
