"""Semi-Lagrangian splitting for the nonlinear Liouville equation (12): fourth order, positive, no limit on the step.

    d_t rho = div_y(c grad U rho) + d_c(U rho),    U = psi . r,   r = int psi c rho - b

U depends on time through r(t) alone, and the moments of c give a Taylor series of it (`moment_series`). With U(y, t)
known over a step, both parts are solved by remaps: with y frozen a row of constant y is shifted along c (`row_shift`),
with c frozen a line of constant c is advected along y (`line_remap`). The composition is Chin's fourth-order one
without negative steps,

    shift h/6 at t,  flow t ... t + h/2,  shift 2h/3 at t + h/2,  flow t + h/2 ... t + h,  shift h/6 at t + h,

(Phys. Lett. A 226, 344 (1997); with time, Chin & Chen, J. Chem. Phys. 117, 1409 (2002)), the middle shift with
U + (h^2/24) U |grad U|^2, from the double commutator of the two, which is itself a shift along c. More axes of y follow
one another in a symmetric order, which is of second order in time.

The density is averaged over cells in y and given at points in c: shifts along c do not mind, and lines along y then
need no correction for the velocity's dependence on c. What the shift's variation across a cell of y does is added after
it. What the limiter of the lines takes from the residual, the next shift gives back, by a shift psi . q with A q equal
to it, A = int psi psi' rho_Y: without, f_0 on coarse grids is off by two to three times as much.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from solvers.departures import NODES, interpolation
from solvers.frames import Frame, SolverError, check, threads_for
from solvers.grid import PAD, Grid
from solvers.line_remap import BLOCK
from solvers.potential import AXES, CENTRE, NO_SHARPENING, POINT, PRODUCT, Layout, layout
from solvers.row_shift import GHOST, POWERS
from solvers.splitting import fastest, kick, measure, step, take_moments

Array = NDArray[np.floating]

TERMS = 7  # of the Taylor series of r
STEP = (3.4, 2 / 3)  # factor and power in `_longest`, fitted to `flat-fourier`
STEP_SEVERAL = (0.9, 1.0)  # where the splitting is of second order, fitted to `tanh-plane`
MOST = 1.2  # step times rate


@dataclass(frozen=True)
class SemiLagrangian:
    """The scheme: `corrections` and `limiter` can be switched off to see order 2 and the undershoots.

    features : (*(Ny + 2 PAD), M), averages of psi over the cells, padded.  target : b, (M,).
    fraction : of the automatic step (see `_State._longest`), which gives time and space about equal errors.
    longest : largest step.
    tail : largest mass allowed in the two cells at a wall.
    moving : whether y moves; if not, only c does (a random-feature model), and the steps are exact in time.
    """

    grid: Grid
    features: Array
    target: Array
    corrections: bool = True
    limiter: bool = True
    tail: float = 1e-5
    fraction: float = 1.0
    longest: float = np.inf
    moving: bool = True

    def march(self, density: Array, times: Array) -> Iterator[Frame]:
        """Solve (12) from cell averages (*Ny, Nc): a Frame at each of the increasing `times`, as it comes.

        Raises SolverError on NaN, on loss of mass and when mass reaches a wall.
        """
        state = _State(self, density)
        for time in times:
            with threads_for(density.size):
                while state.time < time:
                    state.step(float(time))
                frame = state.frame()
            yield frame

    def solve(self, density: Array, times: Array) -> list[Frame]:
        """All the frames of `march`."""
        return list(self.march(density, times))


class _State:
    """The density, the series of the residual from now on, and what is accumulated along the way."""

    def __init__(self, scheme: SemiLagrangian, density: Array) -> None:
        self.scheme, self.grid = scheme, scheme.grid
        grid = scheme.grid
        if not np.all(np.isfinite(density)):
            raise SolverError("the initial density is not finite")
        self.layout = layout(grid)
        rows, Nc, M = self.layout.padded.size, grid.c.cells, scheme.features.shape[-1]
        blocks = -(-Nc // BLOCK)
        width = GHOST + blocks * BLOCK + GHOST
        width += 8 if width * 8 % 4096 == 0 else 0
        self.rho, self.other = np.zeros((2, rows, width))
        self.rho[:, GHOST : GHOST + Nc] = points(density.reshape(rows, Nc), scheme.limiter)
        lines = [rows // n for n in grid.Ny]
        self.columns = np.zeros((blocks, BLOCK))
        nodes, matrix, reach = interpolation(grid.c.low, grid.c.high)
        self.columns.flat[:Nc] = grid.c.centres / reach
        self.flow = (nodes, matrix, reach, self.columns, *_lines(self.layout, grid))
        self.features = np.ascontiguousarray(scheme.features.reshape(-1, M))
        self.weights = _filtered(scheme, PRODUCT if scheme.corrections else NO_SHARPENING)
        self.centres = _filtered(scheme, CENTRE)
        self.filter = POINT if scheme.corrections else NO_SHARPENING
        cells = self.features.shape[0]
        self.series = (
            np.zeros((POWERS, TERMS, rows)), np.empty(cells), np.zeros((TERMS, rows)), np.zeros((TERMS, AXES, rows)),
            np.zeros(rows + 1), np.zeros((TERMS, M)),
        )  # fmt: skip
        self.moments = np.empty((POWERS, rows))
        self.work = (
            np.empty((3, cells)), np.empty(M), np.empty(M), np.empty(rows), np.empty(rows), np.empty((AXES, rows)),
            np.empty(rows),
            np.zeros(rows), np.zeros(rows),
        )  # fmt: skip
        most, faces = max(lines), max(grid.Ny) + 1
        self.room = (
            np.empty((most, faces, NODES)), np.empty(most), np.empty((most, blocks, faces)),
            np.empty((most, blocks, faces)),
        )  # fmt: skip
        self.time, self.steps, self.dissipated, self.loss_increase = 0.0, 0, 0.0, 0.0
        self.mass = density.sum() * grid.cell
        take_moments(self.rho, self.layout.c, self.layout.dc, self.moments)
        self.loss, self.rates = self._measure()
        self.modes = (np.empty(0), np.empty(0)) if scheme.moving else self._modes()

    @property
    def density(self) -> Array:
        """(*Ny, Nc), at points in c, a view."""
        return self.rho[:, GHOST : GHOST + self.grid.c.cells].reshape(self.grid.shape)

    def _measure(self) -> tuple[float, Array]:
        """Loss |r|^2/2, and the dissipation with its first two derivatives in time; fills the series."""
        loss, rates = measure(
            self.moments, self.features, self.weights, self.centres, self.scheme.target, self.grid.dy, self.layout,
            self.filter, self.scheme.moving, self.series,
        )  # fmt: skip
        if not np.isfinite(loss):
            raise SolverError(f"the potential is not finite at t = {self.time:.6g} (step {self.steps})")
        return loss, rates

    def step(self, end: float) -> None:
        """One step, dividing what is left until `end` evenly."""
        scheme, left = self.scheme, end - self.time
        most = min(scheme.longest, self._longest())
        dt = left if left <= most else left / np.ceil(left / most)
        shared = (scheme.corrections, scheme.limiter, self.moments, self.work)
        if scheme.moving:
            step(
                self.rho, self.other, self.features, self.weights, self.layout, self.series[-1], self.moments,
                self.work, self.room, self.flow, dt, self.grid.dy, scheme.corrections, scheme.limiter,
            )  # fmt: skip
        else:
            r = self.series[-1][0] @ self.modes[1]
            q = self.modes[1] @ (-np.expm1(-self.modes[0] * dt) / self.modes[0] * r)
            kick(self.rho, self.other, self.features, self.layout, q, q, 0.0, *shared)
            lost = float(-np.expm1(-2 * self.modes[0] * dt) @ r**2) / 2
        loss, rates = self._measure()
        if scheme.moving:
            lost = dt * (
                (self.rates[0] + rates[0]) / 2
                + dt * (self.rates[1] - rates[1]) / 10
                + dt**2 * (self.rates[2] + rates[2]) / 120
            )
        self.dissipated += lost
        self.time = end if dt == left else self.time + dt
        self.steps += 1
        self.loss_increase = max(self.loss_increase, loss - self.loss)
        self.loss, self.rates = loss, rates
        check(self.grid, self.density, self.mass, scheme.tail, self.time, self.steps)

    def _longest(self) -> float:
        """The step at which the errors of the splitting and of the remaps are about equal on the test problem.

        A fraction of the flow's fastest time: the larger, the coarser the grid is for U.
        """
        if not self.scheme.moving:
            return np.inf
        m, _, u, slopes, _, _ = self.series
        rate, fine = fastest(u[0], slopes[0], m[:, 0], self.layout)
        if self.loss > 0.0:
            rate = max(rate, self.rates[0] / (2 * self.loss))
        factor, power = STEP if len(self.grid.y) == 1 else STEP_SEVERAL
        return float(self.scheme.fraction * min(factor * fine**power, MOST) / max(rate, 1e-300))

    def _modes(self) -> tuple[Array, Array]:
        """Eigenvalues and -vectors of A = int psi psi' rho_Y, which stay what they are while y is frozen."""
        near, rows = self.layout.near, self.layout.padded.size
        psi = np.vstack([self.features[self.layout.padded], np.zeros(self.features.shape[1])])
        mass = np.append(self.moments[0], 0.0)
        source = psi[:rows] * mass[:rows, None]
        if self.scheme.corrections:  # as `shear_rows` has it
            for a in range(len(self.grid.y)):
                left, right = near[a, PAD - 1], near[a, PAD + 1]
                inside = ((left < rows) & (right < rows))[:, None]
                source += inside * (psi[right] - psi[left]) * (mass[right] - mass[left])[:, None] / 48
        A = self.weights.T @ source * self.grid.dy
        values, vectors = np.linalg.eigh((A + A.T) / 2)
        return np.maximum(values, 1e-300), vectors

    def frame(self) -> Frame:
        """What the state is now."""
        rho = averages(self.density)
        Ny = self.grid.Ny
        return Frame(
            time=self.time,
            density=rho,
            moment=(rho @ self.grid.c.centres) * self.grid.c.width,
            potential=self.series[2][0].reshape(Ny).copy(),
            coefficients=self.series[-1][0] + self.scheme.target,
            loss=self.loss,
            mass=float(rho.sum() * self.grid.cell),
            minimum=float(rho.min()),
            dissipation=float(self.rates[0]),
            dissipated=self.dissipated,
            loss_increase=self.loss_increase,
            steps=self.steps,
        )


def points(density: Array, positive: bool) -> Array:
    """Values at the centres in c of a density given by cell averages (rows, Nc); `averages` undoes it.

    Where a value would be negative, the mass that changes hands is cut down until it is not.
    """
    Nc = density.shape[1]
    bands = np.array([np.full(Nc, 1 / 24), np.full(Nc, 22 / 24), np.full(Nc, 1 / 24)])
    bands[1, [0, -1]] = 23 / 24
    values = solve_banded((1, 1), bands, density.T).T
    if not positive or values.min() >= 0.0:
        return values
    flux = np.zeros((density.shape[0], Nc + 1))  # through the upper face of the cell before
    flux[:, 1:-1] = np.cumsum(density - values, axis=1)[:, :-1]
    out = np.maximum(flux[:, 1:], 0.0) - np.minimum(flux[:, :-1], 0.0)
    share = np.minimum(1.0, density / np.maximum(out, 1e-300))
    below = np.where(flux[:, 1:-1] > 0.0, share[:, :-1], share[:, 1:])
    flux[:, 1:-1] *= below
    return np.maximum(density - np.diff(flux, axis=1), 0.0)


def averages(values: Array) -> Array:
    """Cell averages in c, fourth order and positive, of values at the centres."""
    jump = np.diff(values, axis=-1) / 24
    density = values.copy()
    density[..., :-1] += jump
    density[..., 1:] -= jump
    return density


def _filtered(scheme: SemiLagrangian, filter: Array) -> Array:
    """The features with a symmetric filter along each axis of y, without the padding, (rows, M)."""
    values = np.asarray(scheme.features, dtype=float)
    for a, axis in enumerate(scheme.grid.y):
        values = np.moveaxis(values, a, 0)
        n = axis.cells
        values = sum(filter[abs(k)] * values[PAD + k : PAD + k + n] for k in range(1 - filter.size, filter.size))
        values = np.moveaxis(values, 0, a)
    return np.ascontiguousarray(values.reshape(-1, values.shape[-1]))


def _lines(table: Layout, grid: Grid) -> tuple[Array, Array, Array]:
    """For each axis: rows from a cell to the next, number of lines, and the padded cell that each line starts at."""
    rows, N = table.padded.size, len(grid.y)
    steps = np.array([int(np.prod(grid.Ny[a + 1 :])) for a in range(N)])
    counts = np.array([rows // n for n in grid.Ny])
    starts = np.zeros((N, counts.max()), dtype=np.int64)
    for a, n in enumerate(grid.Ny):
        line = np.arange(counts[a])
        starts[a, : counts[a]] = table.padded[line // steps[a] * (steps[a] * n) + line % steps[a]]
    return steps, counts, starts
