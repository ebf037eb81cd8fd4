"""What the tests of the two engines share: the problem `flat-fourier` in closed form and its reference values.

phi(x, y) = a_0 + 2 sum_k a_k cos k(x - y), k <= 3, a_k = 1/sqrt(1 + k^2), on the uniform circle, with
f = 0.25 + 0.5 cos x - 0.2 cos 3x + 0.35 sin 2x. On the orthonormal e = (1, sqrt2 cos kx, sqrt2 sin kx) the features are
psi(y) = scale trig(y). Nothing here comes from the code under test but the containers Closure and Grid.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from particles import Closure, Trigonometric
from solvers.grid import Axis, Grid, circle

Array = NDArray[np.floating]

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "data" / "reference-flat-fourier.json"

MODES = 3
WAVES = np.array([0, 1, 2, 3, 1, 2, 3])  # k of each entry of trig(y)
UNIT = 1 / np.sqrt(1.0 + WAVES**2)  # a_k
SCALE = UNIT * np.where(WAVES == 0, 1.0, np.sqrt(2.0))
TARGET = np.array([0.25, 0.5, 0.0, -0.2, 0.0, 0.35, 0.0])  # Fourier coefficients of f
FLAT = Closure(Trigonometric(MODES), np.diag(SCALE), TARGET / np.where(WAVES == 0, 1.0, np.sqrt(2.0)))
REACH = np.sqrt(11.0)  # c has density ~ (1 - c^2/REACH^2)^4, standard deviation 1
C_RANGE = (-3.9, 4.4)  # holds all but 1e-9 of the mass to t = 6

two_threads = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")


def basis(y: Array, derivative: int = 0) -> Array:
    """The modes 1, cos ky, sin ky of `flat-fourier` or a derivative of theirs, (..., 7), by numpy's cos alone."""
    phase = np.where(np.arange(7) > MODES, -np.pi / 2, 0.0) + derivative * np.pi / 2
    values = WAVES**derivative * np.cos(np.asarray(y)[..., None] * WAVES + phase)
    return np.asarray(values)


def psi(y: Array, derivative: int = 0) -> Array:
    """The features of `flat-fourier` or a derivative of theirs, (..., 7)."""
    return SCALE * basis(y, derivative)


def phi_gradient(y: Array, c: Array) -> Array:
    """grad Phi of the features, (..., 7, 2) with the last axis (y, c)."""
    return np.stack([c[..., None] * psi(y, 1), psi(y)], axis=-1)


def nodes(Ny: int, Nc: int) -> tuple[Array, Array, Array]:
    """Quadrature of the initial density of `flat-fourier`: trapezoid in y (1, Q), Gauss-Jacobi in c."""
    u, w = special.roots_jacobi(Nc, 4.0, 4.0)
    y = np.arange(Ny) * (2 * np.pi / Ny)
    return np.repeat(y, Nc)[None], np.tile(REACH * u, Ny), np.tile(w / w.sum(), Ny) / Ny


def initial_density(c: Array) -> Array:
    """rho_in(y, c) of `flat-fourier`: 1/(2 pi) times the bump, 315/(256 A) (1 - (c/A)^2)^4."""
    return 315 / (256 * REACH) * np.clip(1 - (c / REACH) ** 2, 0, None) ** 4 / (2 * np.pi)


def flat_grid(Ny: int, Nc: int, c_range: tuple[float, float] = C_RANGE) -> Grid:
    """The circle and a range of c in so many cells."""
    return Grid((circle(Ny),), Axis(*c_range, Nc))


def initial_averages(grid: Grid) -> Array:
    """Exact cell averages of the initial density of `flat-fourier`, by the antiderivative of the polynomial."""
    bump = np.polynomial.Polynomial([1, 0, -1]) ** 4
    primitive = (315 / 256 * bump).integ()(np.clip(grid.c.edges / REACH, -1, 1))
    return np.tile(np.diff(primitive) / (2 * np.pi * grid.c.width), (grid.Ny[0], 1))


def features(grid: Grid) -> Array:
    """Padded cell averages of the features; that of a mode is sinc(k dy/2) times its value at the centre."""
    edges = grid.y[0].padded_edges
    return psi((edges[1:] + edges[:-1]) / 2) * np.sinc(WAVES * grid.dy / (2 * np.pi))


def sample(seed: int, replicas: int, n: int) -> tuple[Array, Array]:
    """Independent particles of the initial density of `flat-fourier`, y (replicas, 1, n) and c (replicas, n)."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 2 * np.pi, (replicas, 1, n)), REACH * (2 * rng.beta(5, 5, (replicas, n)) - 1)


@cache
def reference() -> dict[str, Array]:
    """The reference values, see data/README.md; the residual as (7 times, 7 coefficients on e)."""
    table = json.loads(REFERENCE.read_text(encoding="utf-8"))
    cos, sin = np.array(table["residual_cos"]), np.array(table["residual_sin"])
    residual = np.concatenate([cos, sin[:, 1:]], axis=1) / np.where(WAVES == 0, 1.0, np.sqrt(2.0))
    arrays = ("time", "residual_error", "loss", "trace_covariance", "trace_relative_error")
    return {"residual": residual} | {name: np.array(table[name], dtype=float) for name in arrays}


def orders(errors: list[float]) -> Array:
    """Observed orders between successive errors, the resolution doubling each time."""
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run with so many threads."""
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)
