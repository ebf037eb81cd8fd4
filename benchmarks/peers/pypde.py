"""py-pde: second-order central differences on its numba backend, classical RK4 with steps that follow the potential.

Point values at the centres, zero beyond the ends of c; not conservative to rounding. The library compiles the length of
a step into its own steppers, so its compiled right-hand side is driven by a loop of one's own, compiled once a grid.
"""

import logging
import time
from functools import cache
from itertools import pairwise

import numba
import numpy as np
import pde
from flat_fourier import TARGET, TIMES, Cells

if not hasattr(pde, "PDEBase"):  # without it the name is that of the benchmark
    raise ModuleNotFoundError("py-pde")
logging.getLogger("pde").setLevel(logging.WARNING)  # its compilations, loud once PyClaw has set up logging

NAME, PACKAGE, ORDER, THREADED = "py-pde second-order differences, RK4", "py-pde", 2, False
STABLE = 2.0  # dt (sup|v_y|/dy + sup|v_c|/dc); RK4 allows central differences 2.83
BLOCK = 16  # steps of the same length


class Liouville(pde.PDEBase):
    """d_t rho = d_y(c U' rho) + U d_c rho."""

    def __init__(self, on: Cells) -> None:
        super().__init__()
        self.on = on

    def evolution_rate(self, state, t=0):
        """Required of every PDE; the compiled form is what runs."""
        return pde.ScalarField(state.grid, right_hand_side(state.grid.shape)(state.data, t))

    def make_evolution_rate(self, state, backend):
        """rate(rho, t), compiled by the library."""
        Ny, Nc = self.on.Ny, self.on.Nc
        c, psi, slopes, target = self.on.c, self.on.psi, self.on.slopes, TARGET
        weights = self.on.psi * self.on.dy * self.on.dc
        bc = {"x": "periodic", "y": {"value": 0}}
        d_dy = state.grid.make_operator("d_dx", bc=bc, backend=backend)
        d_dc = state.grid.make_operator("d_dy", bc=bc, backend=backend)

        def rate(rho, t):
            residual = -target
            for i in range(Ny):
                moment = 0.0
                for j in range(Nc):
                    moment += c[j] * rho[i, j]
                for k in range(7):
                    residual[k] += weights[i, k] * moment
            flux, out = np.empty((Ny, Nc)), d_dc(rho)
            for i in range(Ny):
                U, dU = 0.0, 0.0
                for k in range(7):
                    U += psi[i, k] * residual[k]
                    dU += slopes[i, k] * residual[k]
                for j in range(Nc):
                    flux[i, j] = dU * c[j] * rho[i, j]
                    out[i, j] *= U
            out += d_dy(flux)
            return out

        return rate


@numba.njit(fastmath=True)
def advance(rate, rho, dt, steps):
    """RK4 in place."""
    for _ in range(steps):
        k1 = rate(rho, 0.0)
        k2 = rate(rho + dt / 2 * k1, 0.0)
        k3 = rate(rho + dt / 2 * k2, 0.0)
        k4 = rate(rho + dt * k3, 0.0)
        rho += dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@cache
def right_hand_side(cells: tuple[int, int]):
    """The library's compiled right-hand side on a grid."""
    on = Cells(*cells)
    grid = pde.CartesianGrid([[0, 2 * np.pi], on.box], cells, periodic=[True, False])
    state = pde.ScalarField(grid, on.initial_points())
    return pde.backends.get_backend("numba").make_pde_rhs(Liouville(on), state)


def solve(cells: tuple[int, int]) -> tuple[np.ndarray, float, int]:
    """See `peers`."""
    on, rate = Cells(*cells), right_hand_side(cells)
    rho, weights = on.initial_points(), on.psi * on.dy
    advance(rate, rho.copy(), 0.0, 1)  # compiles
    coefficients, steps, reach = [on.residual(rho, weights) + TARGET], 0, np.abs(on.box).max()
    start = time.perf_counter()
    for t, end in pairwise(TIMES):
        while t < end - 1e-12:
            residual = on.residual(rho, weights)
            speed = np.abs(on.slopes @ residual).max() * reach / on.dy + np.abs(on.psi @ residual).max() / on.dc
            left = int(np.ceil((end - t) * speed / STABLE))
            count, dt = min(left, BLOCK), (end - t) / left
            advance(rate, rho, dt, count)
            t, steps = t + count * dt, steps + count
        coefficients.append(on.residual(rho, weights) + TARGET)
    return np.array(coefficients), time.perf_counter() - start, 4 * steps * on.Ny * on.Nc
