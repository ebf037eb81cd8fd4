"""Finite volumes for the nonlinear Liouville equation (12), fourth order and positive, in one to three axes of y.

    d_t rho = div_y(c grad U rho) + d_c(U rho),    U = psi . r,   r = int psi c rho - b

Cell averages on a (y, c) grid, fluxes through faces; drawn for one axis of y, y-face i + 1/2 and c-face j + 1/2:

        c
        ^      |        |        |          F_y = -<U'>[c rho + (dc^2/12) d_c rho]      at (i + 1/2, j)
        |   ---+--F_c---+--------+---       F_c = -[<U> rho + (dy^2/12) U' d_y rho]     at (i, j + 1/2)
        |      | (i,j)  F_y      |
        |   ---+--------+--------+---       rho on a face: fifth-order upwind, five cells across the face
        +--------------------------> y

Two corrections make it fourth order (McCorquodale & Colella, CAMCoS 6, 1 (2011)): the second terms above (an average of
a product is not the product of averages; with more axes, a face of axis a has -(h_b^2/12) c d_ab U d_b rho for each
other b, and a c-face one term for each axis) and the moments of `potential`. Positivity comes from flux-corrected
transport (Zalesak, JCP 31, 335 (1979)) towards first-order upwind, for positivity alone, so smooth extrema keep their
order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.frames import Frame, SolverError, check, threads_for
from solvers.grid import Grid
from solvers.march import NO_POTENTIAL, SUSPECT, Fixed, Work, compile_parts, march, stages
from solvers.potential import CHUNK, NO_SHARPENING, POINT, PRODUCT, layout, velocities
from solvers.rows import LEFT, registers, rows_of, scratch
from solvers.strong_stability import SSPRK54

Array = NDArray[np.floating]

STAGES = stages(SSPRK54)
CELLS = 2**22  # cells times steps that are computed before Python looks for signals


@dataclass(frozen=True)
class FiniteVolume:
    """The scheme: `corrections` and `limiter` can be switched off to see order 2 and the undershoots.

    features : (*(Ny + 2 PAD), M), averages of psi over the cells, padded.  target : b, (M,).
    cfl : fraction of the largest step that keeps first-order upwind positive in every Euler stage.
    longest : largest step, for accuracy where the CFL condition allows more.
    tail : largest mass allowed in the two cells at a wall (numerical diffusion alone puts 1e-9 to 1e-6 there).
    moving : whether y moves; if not, only c does (a random-feature model).
    """

    grid: Grid
    features: Array
    target: Array
    corrections: bool = True
    limiter: bool = True
    cfl: float = 0.9
    tail: float = 1e-5
    longest: float = np.inf
    moving: bool = True

    def march(self, density: Array, times: Array) -> Iterator[Frame]:
        """Solve (12) from cell averages (*Ny, Nc): a Frame at each of the increasing `times`, as it comes.

        Raises SolverError on NaN, on loss of mass and when mass reaches a wall.
        """
        state = _State(self, density)
        state.start()
        for time in times:
            with threads_for(density.size):
                state.march(float(time))
                frame = state.frame()
            yield frame

    def compile_parts(self, density: Array) -> None:
        """Compile half of what a march is made of, without one."""
        state = _State(self, density)
        compile_parts(state.fixed, state.work)

    def solve(self, density: Array, times: Array) -> list[Frame]:
        """All the frames of `march`."""
        return list(self.march(density, times))


class _State:
    """The registers of the time stepper and what is accumulated along the way."""

    def __init__(self, scheme: FiniteVolume, density: Array) -> None:
        self.scheme, self.grid = scheme, scheme.grid
        grid, features = scheme.grid, scheme.features
        if not np.all(np.isfinite(density)):
            raise SolverError("the initial density is not finite")
        where = layout(grid)
        rows = rows_of(where)
        count, M = where.padded.size, features.shape[-1]
        self.registers = registers(rows, SSPRK54.stages + 1, where)
        self.density[:] = density
        self.fixed = Fixed(
            features=np.ascontiguousarray(features.reshape(-1, M), dtype=float),
            target=np.ascontiguousarray(scheme.target, dtype=float),
            layout=where,
            rows=rows,
            filter=PRODUCT if scheme.corrections else NO_SHARPENING,
            point=POINT,
            euler_step=SSPRK54.euler_step,
            dy=grid.dy,
            dc=grid.c.width,
            cfl=float(scheme.cfl / SSPRK54.euler_step),
            longest=float(scheme.longest),
            tail=float(scheme.tail),
            mass=float(density.sum() * grid.cell),
            corrected=1.0 if scheme.corrections else 0.0,
            limiter=bool(scheme.limiter),
            moving=bool(scheme.moving),
            **STAGES,
        )
        self.work = Work(
            registers=self.registers.reshape(-1),
            scratch=scratch(rows, len(grid.y)),
            velocities=velocities(count),
            moments=np.empty((3, count)),
            G=np.empty(count),
            partial=np.empty(((count + CHUNK - 1) // CHUNK, M)),
            U=np.empty(self.fixed.features.shape[0]),
            residual=np.empty(M),
        )
        self.time, self.steps, self.dissipated, self.loss_increase = 0.0, 0, 0.0, 0.0
        self.loss = self.dissipation = np.nan

    def start(self) -> None:
        """Loss and dissipation of the initial density, which the steps go on from."""
        _, _, _, self.loss, self.dissipation, _, _ = march(self.fixed, self.work, 0.0, 0.0, np.nan, np.nan, 0)

    @property
    def density(self) -> Array:
        """(*Ny, Nc), a view."""
        rows = self.registers[0, :-1, LEFT : LEFT + self.grid.c.cells]
        return rows.reshape(self.grid.shape)

    def march(self, end: float) -> None:
        """Steps until `end`, and what is wrong with the last one."""
        most = max(1, CELLS // self.registers[0].size)
        while self.time < end:
            outcome, steps, self.time, self.loss, self.dissipation, dissipated, increase = march(
                self.fixed, self.work, self.time, end, self.loss, self.dissipation, most
            )
            self.steps += steps
            self.dissipated += dissipated
            self.loss_increase = max(self.loss_increase, increase)
            if outcome == NO_POTENTIAL:
                raise SolverError(f"the potential is not finite at t = {self.time:.6g} (step {self.steps})")
            if outcome == SUSPECT:
                check(self.grid, self.density, self.fixed.mass, self.scheme.tail, self.time, self.steps)

    def frame(self) -> Frame:
        """What the state is now."""
        rho = self.density.copy()
        return Frame(
            time=self.time,
            density=rho,
            moment=(rho @ self.grid.c.centres) * self.grid.c.width,
            potential=self.work.velocities.centre.reshape(self.grid.Ny).copy(),
            coefficients=self.work.residual + self.scheme.target,
            loss=self.loss,
            mass=float(rho.sum() * self.grid.cell),
            minimum=float(rho.min()),
            dissipation=self.dissipation,
            dissipated=self.dissipated,
            loss_increase=self.loss_increase,
            steps=self.steps,
        )
