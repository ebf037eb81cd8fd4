"""Every scheme for (12) with a source, made so that a given density solves it: nonlinear, and it moves all the time.

    d_t rho = div_y(c grad U rho) + d_c(U rho) + S(t, y, c)

for rho = P(t, y) N(c; m(t, y), SIGMA^2), P = (1 + 0.6 cos(y - t))/(2 pi), m = 0.3 + 0.4 sin(y + 2 t), and the unit and
target of `flat-fourier`. The schemes have no source: half a step of it is added before and after each step of theirs,
its integral by Simpson's rule. That is of second order in the step, which therefore goes as the square of the cells'
width; what is observed is the order of the scheme.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engines import FLAT, flat_grid, psi
from exact import gauss, order, padded
from numpy.typing import NDArray

from solvers.finite_volume import FiniteVolume
from solvers.grid import Grid
from solvers.semi_lagrangian import SemiLagrangian

Array = NDArray[np.floating]

SIGMA, TIME = 0.5, 1.0
RANGE = (-3.4, 4.0)
NODES = 2 * np.pi / 64 * np.arange(64)  # exact for the products of modes here


def marginal(t: float, y: Array) -> tuple[Array, Array, Array]:
    """P and its derivatives in t and y."""
    slope = 0.6 * np.sin(y - t) / (2 * np.pi)
    return (1 + 0.6 * np.cos(y - t)) / (2 * np.pi), slope, -slope


def mean(t: float, y: Array) -> tuple[Array, Array, Array]:
    """m and its derivatives in t and y."""
    slope = 0.4 * np.cos(y + 2 * t)
    return 0.3 + 0.4 * np.sin(y + 2 * t), 2 * slope, slope


def coefficients(t: float) -> Array:
    """Of f_0: int psi P m dy."""
    return np.asarray((marginal(t, NODES)[0] * mean(t, NODES)[0]) @ psi(NODES) * 2 * np.pi / 64)


def potential(t: float, y: Array) -> tuple[Array, Array, Array]:
    """U and its first two derivatives, from its values at NODES, of which it is a polynomial of degree 3."""
    values = np.fft.rfft(psi(NODES) @ (coefficients(t) - FLAT.target)) / 64
    k = np.arange(4)
    waves = np.exp(1j * k * y[..., None]) * (values[:4] * np.where(k > 0, 2, 1))
    return waves.sum(-1).real, (1j * k * waves).sum(-1).real, (-(k**2) * waves).sum(-1).real


def density(t: float, y: Array, c: Array) -> tuple[Array, Array]:
    """rho and the source S = d_t rho - d_y(c U' rho) - d_c(U rho)."""
    P, P_t, P_y = marginal(t, y)
    m, m_t, m_y = mean(t, y)
    U, U_y, U_yy = potential(t, y)
    law = np.exp(-(((c - m) / SIGMA) ** 2) / 2) / (np.sqrt(2 * np.pi) * SIGMA)
    pull = (c - m) / SIGMA**2
    rho = P * law
    rho_t, rho_y, rho_c = (P_t + P * pull * m_t) * law, (P_y + P * pull * m_y) * law, -pull * rho
    return rho, rho_t - c * (U_yy * rho + U_y * rho_y) - U * rho_c


class Averages:
    """Averages of rho and S over the cells of a grid, by Gauss's rule."""

    def __init__(self, grid: Grid, points: int = 3) -> None:
        (y, self.wy), (c, self.wc) = gauss(grid.y[0].edges, points), gauss(grid.c.edges, points)
        self.y, self.c = y[:, None, :, None], c[None, :, None, :]

    def __call__(self, t: float) -> tuple[Array, Array]:
        rho, source = (np.einsum("ijab,a,b->ij", part, self.wy, self.wc) for part in density(t, self.y, self.c))
        return rho, source


def errors(scheme: Callable[..., Any], n: int, **options: Any) -> tuple[float, float]:
    """L1 error of rho, and the norm of the error of f_0, on n x n cells."""
    grid = flat_grid(n, n, RANGE)
    of = Averages(grid)
    method = scheme(grid, padded(grid.y, psi), FLAT.target, **options)
    steps = n * n // 4  # four times fewer, and f_0 has the error of the splitting
    dt = TIME / steps
    rho, source = of(0.0)
    for k in range(steps):
        _, quarter = of((k + 0.25) * dt)
        _, middle = of((k + 0.5) * dt)
        rho = np.maximum(rho + dt / 12 * (source + 4 * quarter + middle), 0.0)  # below 0 by 1e-9, far out in c
        rho = method.solve(rho, np.array([dt]))[-1].density
        _, quarter = of((k + 0.75) * dt)
        exact, source = of((k + 1) * dt)
        rho = rho + dt / 12 * (middle + 4 * quarter + source)
    end = method.solve(np.maximum(rho, 0.0), np.array([0.0]))[-1]
    return float(np.abs(rho - exact).sum() * grid.cell), float(np.linalg.norm(end.coefficients - coefficients(TIME)))


def test_the_source_is_what_the_equation_lacks() -> None:
    """Against finite differences of rho and of its fluxes; its integral is 0."""
    h, t, y, c = 1e-3, 0.4, np.array([0.3, 2.0, 4.5]), np.array([-0.2, 0.5, 1.1])

    def of(t: float, y: Array, c: Array) -> tuple[Array, Array, Array]:
        rho, (U, U_y, _) = density(t, y, c)[0], potential(t, y)
        return rho, c * U_y * rho, U * rho

    change = (of(t + h, y, c)[0] - of(t - h, y, c)[0]) / (2 * h)
    change -= (of(t, y + h, c)[1] - of(t, y - h, c)[1]) / (2 * h) + (of(t, y, c + h)[2] - of(t, y, c - h)[2]) / (2 * h)
    np.testing.assert_allclose(density(t, y, c)[1], change, rtol=0, atol=3e-6)
    grid = flat_grid(48, 48, RANGE)
    assert abs(Averages(grid)(t)[1].sum() * grid.cell) < 1e-9


@pytest.mark.parametrize("scheme", [FiniteVolume, SemiLagrangian])
def test_order_with_a_manufactured_source_is_four(scheme: Callable[..., Any]) -> None:
    cells = (20, 24, 28, 32, 40)
    found = [errors(scheme, n) for n in cells]
    for name, column in zip(("rho", "f_0"), zip(*found, strict=True), strict=True):
        p = order(cells, column)
        line = f"{scheme.__name__} {name}: {p.slope:.2f} [{p.low:.2f}, {p.high:.2f}]"
        print(f"{line}, errors {column[0]:.1e} ... {column[-1]:.1e}")
        assert p.low >= 3.5
