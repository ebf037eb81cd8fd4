"""Finite volumes for the nonlinear Liouville equation (12), fourth order and positive.

    d_t rho = d_y(c U' rho) + d_c(U rho),    U = psi . r,   r = int psi c rho - b

Cell averages on a periodic (y, c) grid, fluxes through faces; y-face i + 1/2 and c-face j + 1/2:

        c
        ^      |        |        |          F_y = -U'[c rho + (dc^2/12) d_c rho]        at (i + 1/2, j)
        |   ---+--F_c---+--------+---       F_c = -[<U> rho + (dy^2/12) U' d_y rho]     at (i, j + 1/2)
        |      | (i,j)  F_y      |
        |   ---+--------+--------+---       rho on a face: fifth-order upwind, five cells across the face
        +--------------------------> y

Two corrections make it fourth order (McCorquodale & Colella, CAMCoS 6, 1 (2011)): the second terms above (an average of
a product is not the product of averages) and the moment weights of `GridFeatures`. Positivity comes from flux-corrected
transport (Zalesak, JCP 31, 335 (1979)) towards first-order upwind, for positivity alone, so smooth extrema keep their
order.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.fluxes import GHOST, advance, row_moments
from solvers.grid import Grid, GridFeatures
from solvers.strong_stability import SSPRK54

Array = NDArray[np.floating]


class SolverError(RuntimeError):
    """A run that cannot go on; the message names the quantity, the time and the step."""


@dataclass(frozen=True)
class Frame:
    """The solution at one snapshot. density : (Ny, Nc) cell averages; moment : (Ny,), int c rho dc;
    coefficients : (M,) of f_0; loss is |r|^2/2, dissipation its rate of decay, dissipated the integral of it."""

    time: float
    density: Array
    moment: Array
    coefficients: Array
    loss: float
    mass: float
    minimum: float
    dissipation: float
    dissipated: float
    loss_increase: float  # the largest increase of the loss in any step so far, 0 if it never increased
    steps: int


@dataclass(frozen=True)
class FiniteVolume:
    """The scheme: `corrections` and `limiter` can be switched off to see order 2 and the undershoots.

    cfl : fraction of the largest step that keeps first-order upwind positive in every Euler stage.
    longest : largest step, for accuracy where the CFL condition allows more.
    tail : largest mass allowed in the two cells at either end of c (numerical diffusion alone puts 1e-9 to 1e-6 there).
    """

    grid: Grid
    features: GridFeatures
    target: Array  # b, (M,)
    corrections: bool = True
    limiter: bool = True
    cfl: float = 0.9
    tail: float = 1e-5
    longest: float = np.inf

    def solve(self, density: Array, times: Array, visit: Callable[[Frame], None] | None = None) -> list[Frame]:
        """Solve (12) from cell averages (Ny, Nc) and return a Frame for each of the increasing `times`.

        With `visit`, each frame is handed over as it comes and none is kept.
        Raises SolverError on NaN, on loss of mass and when mass reaches an end of the c-range.
        """
        state = _State(self, density)
        frames: list[Frame] = []
        deliver = frames.append if visit is None else visit
        for time in times:
            while state.time < time:
                state.step(float(time))
            deliver(state.frame())
        return frames


class _State:
    """The registers of the time stepper (u_0 ... u_4 and L(u_3)) and what is accumulated along the way."""

    def __init__(self, scheme: FiniteVolume, density: Array) -> None:
        self.scheme, self.grid = scheme, scheme.grid
        grid, features = scheme.grid, scheme.features
        if not np.all(np.isfinite(density)):
            raise SolverError("the initial density is not finite")
        self.registers = np.zeros((SSPRK54.stages + 1, grid.Ny, grid.Nc + 2 * GHOST))
        self.registers[0, :, GHOST:-GHOST] = density
        self.weights = (features.weights if scheme.corrections else features.centres) * grid.dy
        self.time, self.steps, self.dissipated, self.loss_increase = 0.0, 0, 0.0, 0.0
        self.mass = density.sum() * grid.dy * grid.dc
        self.loss = self._measure(0)[1]

    def _measure(self, k: int) -> tuple[Array, float, float]:
        """Residual r, loss |r|^2/2 and dissipation int (c^2 U'^2 + U^2) rho of register k."""
        grid, features = self.grid, self.scheme.features
        rows = row_moments(self.registers[k], grid.c, grid.dc)
        residual = self.weights.T @ rows[1] - self.scheme.target
        U, dU = features.centres @ residual, features.slopes @ residual
        second = rows[2] - grid.dc**2 / 12 * rows[0]
        dissipation = grid.dy * (_deconvolved(dU**2) @ second + _deconvolved(U**2) @ rows[0])
        return residual, 0.5 * float(residual @ residual), float(dissipation)

    def step(self, end: float) -> None:
        """One step of SSPRK(5,4), as long as the CFL condition allows, dividing what is left until `end` evenly."""
        left = end - self.time
        count = max(1, int(np.ceil(left / self._largest_step())))
        dt, last = left / count, SSPRK54.stages - 1
        dissipated, rates = np.zeros(SSPRK54.stages + 1), np.zeros(SSPRK54.stages)
        for i in range(SSPRK54.stages):
            residual, _, rates[i] = self._measure(i)
            alpha, beta = SSPRK54.alpha[i], dt * SSPRK54.beta[i]
            # the last stage alone needs an older slope, that of the stage before it, kept in the last register
            coefficients = np.append(alpha, beta[i - 1] if i == last else 0.0)
            self._advance(i, 0 if i == last else i + 1, coefficients, beta[i], residual, dt, keep_slope=i == last - 1)
            dissipated[i + 1] = alpha @ dissipated[:-1] + beta @ rates
        self.time = end if count == 1 else self.time + dt
        self.steps += 1
        self.dissipated += float(dissipated[-1])
        after = self._measure(0)[1]
        self.loss_increase = max(self.loss_increase, after - self.loss)
        self.loss = after
        self._check()

    def _largest_step(self) -> float:
        """`cfl` of the step up to which first-order upwind stays positive in every Euler step of the scheme."""
        grid, features = self.grid, self.scheme.features
        residual = self._measure(0)[0]
        reach = max(abs(grid.c_low), abs(grid.c_high))
        rate = np.max(np.abs(features.face_slopes @ residual)) * reach / grid.dy
        rate += np.max(np.abs(features.averages @ residual)) / grid.dc
        if not np.isfinite(rate):
            raise SolverError(f"the potential is not finite at t = {self.time:.6g} (step {self.steps})")
        return min(self.scheme.longest, float(self.scheme.cfl / (SSPRK54.euler_step * max(rate, 1e-300))))

    def _advance(
        self,
        source: int,
        target: int,
        coefficients: Array,
        step: float,
        residual: Array,
        dt: float,
        *,
        keep_slope: bool,
    ) -> None:
        """registers[target] = sum_k coefficients[k] registers[k] + step L(registers[source])."""
        scheme, grid, features = self.scheme, self.grid, self.scheme.features
        advance(
            self.registers,
            source,
            target,
            coefficients,
            step,
            keep_slope,
            SSPRK54.euler_step * dt,
            features.averages @ residual,
            features.slopes @ residual,
            features.face_slopes @ residual,
            grid.c,
            grid.dy,
            grid.dc,
            1.0 if scheme.corrections else 0.0,
            scheme.limiter,
        )

    def _check(self) -> None:
        grid = self.grid
        rho = self.registers[0, :, GHOST:-GHOST]
        cell = grid.dy * grid.dc
        where = f"at t = {self.time:.6g} (step {self.steps})"
        mass = rho.sum() * cell
        if not np.isfinite(mass):
            raise SolverError(f"density is not finite {where}")
        if abs(mass - self.mass) > 1e-9 * abs(self.mass):
            raise SolverError(f"mass changed from {self.mass:.12g} to {mass:.12g} {where}")
        for name, end, ends in (("lower", grid.c_low, rho[:, :2]), ("upper", grid.c_high, rho[:, -2:])):
            if np.abs(ends).sum() * cell > self.scheme.tail:
                raise SolverError(
                    f"mass {np.abs(ends).sum() * cell:.2g} > tail {self.scheme.tail:.2g} has reached the {name} end "
                    f"c = {end:.4g} {where}; widen c_range"
                )

    def frame(self) -> Frame:
        """What the state is now."""
        grid = self.grid
        rho = self.registers[0, :, GHOST:-GHOST].copy()
        residual, loss, dissipation = self._measure(0)
        return Frame(
            time=self.time,
            density=rho,
            moment=row_moments(self.registers[0], grid.c, grid.dc)[1],
            coefficients=residual + self.scheme.target,
            loss=loss,
            mass=float(rho.sum() * grid.dy * grid.dc),
            minimum=float(rho.min()),
            dissipation=dissipation,
            dissipated=self.dissipated,
            loss_increase=self.loss_increase,
            steps=self.steps,
        )


def _deconvolved(f: Array) -> Array:
    """f - (h^2/24) f'' from point values on the circle: int f G dy = h sum_i (this)_i G_i to fourth order."""
    return f - (np.roll(f, 1) - 2 * f + np.roll(f, -1)) / 24
