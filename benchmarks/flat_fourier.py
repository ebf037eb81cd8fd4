"""The problem `flat-fourier` in plain numpy, for the peers of `pde.py`; it imports nothing of this project.

    d_t rho = d_y(c U' rho) + d_c(U rho),    U(y) = psi(y) . r,    r = int psi(y) c rho - b,    f_0 = r + b

(y, c) in [0, 2 pi) x [low, high], y periodic and c closed; psi(y) = (a_0, sqrt2 a_k cos ky, sqrt2 a_k sin ky),
a_k = 1/sqrt(1 + k^2), k <= 3, on the orthonormal functions 1, sqrt2 cos kx, sqrt2 sin kx of L^2(mu). At t = 0 y is
uniform and c has the density (1 - c^2/11)^4 up to a factor: mean 0, variance 1.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

REFERENCE = Path(__file__).parent.parent / "data" / "reference-flat-fourier.json"
TIMES = np.arange(7.0)  # the snapshots that the reference has
TARGET = np.array([0.25, 0.5, 0.0, -0.2, 0.0, 0.35, 0.0]) / np.sqrt([1, 2, 2, 2, 2, 2, 2])  # b
SUPPORT = (-3.5713, 4.0325)  # the characteristics that start with all but 1e-9 of the mass stay inside up to t = 6
MARGIN = 4  # cells beyond the support at either end, as `c_range = "auto"` leaves them
MODES = np.array([0, 1, 2, 3, 1, 2, 3])  # k of each component of psi


def _series(y: Array, slope: bool = False) -> Array:
    """psi(y), or psi'(y), (..., 7)."""
    k = np.arange(1, 4)
    size = np.sqrt(2 / (1 + k**2))
    ky = np.asarray(y)[..., None] * k
    if slope:
        return np.concatenate([0 * ky[..., :1], -size * k * np.sin(ky), size * k * np.cos(ky)], axis=-1)
    return np.concatenate([1 + 0 * ky[..., :1], size * np.cos(ky), size * np.sin(ky)], axis=-1)


@dataclass(frozen=True)
class Cells:
    """Ny x Nc equal cells; arrays on them are (Ny, Nc). Faces are named by the cell to their right."""

    Ny: int
    Nc: int

    @cached_property
    def box(self) -> tuple[float, float]:
        """Ends of c."""
        margin = (SUPPORT[1] - SUPPORT[0]) * MARGIN / (self.Nc - 2 * MARGIN)
        return SUPPORT[0] - margin, SUPPORT[1] + margin

    @cached_property
    def dy(self) -> float:
        """Width along y."""
        return 2 * np.pi / self.Ny

    @cached_property
    def dc(self) -> float:
        """Width along c."""
        return (self.box[1] - self.box[0]) / self.Nc

    @cached_property
    def y(self) -> Array:
        """Centres along y."""
        return (np.arange(self.Ny) + 0.5) * self.dy

    @cached_property
    def c(self) -> Array:
        """Centres along c."""
        return self.box[0] + (np.arange(self.Nc) + 0.5) * self.dc

    @cached_property
    def psi(self) -> Array:
        """psi at the centres, (Ny, 7)."""
        return _series(self.y)

    @cached_property
    def curvature(self) -> Array:
        """psi'' at the centres, (Ny, 7)."""
        return -(MODES**2) * self.psi

    @cached_property
    def averages(self) -> Array:
        """Averages of psi over the cells, (Ny, 7)."""
        return self.psi * np.sinc(MODES * self.dy / (2 * np.pi))

    @cached_property
    def slopes(self) -> Array:
        """psi' at the centres, (Ny, 7)."""
        return _series(self.y, slope=True)

    @cached_property
    def face_psi(self) -> Array:
        """psi at the left faces, (Ny, 7)."""
        return _series(self.y - self.dy / 2)

    @cached_property
    def face_slopes(self) -> Array:
        """psi' at the left faces, (Ny, 7)."""
        return _series(self.y - self.dy / 2, slope=True)

    @cached_property
    def weights(self) -> Array:
        """int psi G dy = weights^T G from cell averages G of a smooth function, to fourth order, (Ny, 7)."""
        return self.psi / np.sinc(MODES * self.dy / (2 * np.pi)) * self.dy

    def residual(self, rho: Array, weights: Array | None = None) -> Array:
        """r from cell averages of rho; from point values with `weights` = psi dy. (7,)."""
        return (rho @ (self.c * self.dc)) @ (self.weights if weights is None else weights) - TARGET

    def initial(self) -> Array:
        """Cell averages of rho at t = 0, exact, (Ny, Nc)."""
        edges = np.linspace(*self.box, self.Nc + 1) / np.sqrt(11)
        bump = np.polynomial.Polynomial([1, 0, -4, 0, 6, 0, -4, 0, 1]).integ()  # of (1 - u^2)^4
        mass = np.diff(bump(np.clip(edges, -1, 1))) / (bump(1) - bump(-1))
        return np.tile(mass / (2 * np.pi * self.dc), (self.Ny, 1))

    def initial_points(self) -> Array:
        """rho at the centres at t = 0, (Ny, Nc)."""
        row = np.maximum(1 - self.c**2 / 11, 0) ** 4
        return np.tile(row / (row.sum() * self.dc * 2 * np.pi), (self.Ny, 1))


def reference() -> Array:
    """f_0 at TIMES on the orthonormal functions, by characteristics, to 1e-9, (7, 7)."""
    known = json.loads(REFERENCE.read_text())
    residual = np.concatenate([np.array(known["residual_cos"]), np.array(known["residual_sin"])[:, 1:]], axis=1)
    residual[:, 1:] /= np.sqrt(2)
    return residual + TARGET


def errors(coefficients: Array) -> Array:
    """L^2(mu) norm of the error of f_0 at each of TIMES, (7,)."""
    return np.linalg.norm(coefficients - reference(), axis=1)
