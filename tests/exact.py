"""Exact solutions of (12) for the tests of the schemes, and how a scheme's order is measured against them.

Exact densities are point values: closed forms, or rho_in carried by scipy's DOP853 along the characteristics backwards,
times the compression on the way. Their cell averages are quadratures. Nothing here comes from the code under test but
the containers Axis and Grid.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.integrate import solve_ivp

from solvers.grid import Axis, Grid

Array = NDArray[np.floating]


class Order(NamedTuple):
    """The observed order, least squares of log error on log h, and its 95% interval (Student's t)."""

    slope: float
    low: float
    high: float


def order(cells: Sequence[float] | Array, errors: Sequence[float] | Array) -> Order:
    """The order of errors on grids of so many cells along each axis (or with lengths 1/cells)."""
    if len(cells) < 4:
        raise ValueError("an interval needs at least four grids")
    line = stats.linregress(-np.log(np.asarray(cells, dtype=float)), np.log(errors))
    half = stats.t.ppf(0.975, len(cells) - 2) * line.stderr
    return Order(float(line.slope), float(line.slope - half), float(line.slope + half))


def gauss(edges: Array, points: int) -> tuple[Array, Array]:
    """Gauss-Legendre points in every cell, (cells, points), and weights that average over a cell, (points,)."""
    s, w = np.polynomial.legendre.leggauss(points)
    return (edges[1:] + edges[:-1])[:, None] / 2 + np.diff(edges)[:, None] / 2 * s, w / 2


def padded(axes: tuple[Axis, ...], psi: Callable[..., Array], points: int = 6) -> Array:
    """Averages of psi(*y), (..., M), over the padded cells of y, (*(Ny + 2 PAD), M)."""
    rules = [gauss(axis.padded_edges, points) for axis in axes]
    values = psi(*np.meshgrid(*(nodes.ravel() for nodes, _ in rules), indexing="ij"))
    values = values.reshape(*(n for nodes, _ in rules for n in nodes.shape), values.shape[-1])
    for a in range(len(axes) - 1, -1, -1):
        values = np.tensordot(values, rules[a][1], axes=(2 * a + 1, 0))
    return np.asarray(values)


def averages(values: Array, points: Grid, grid: Grid) -> Array:
    """Averages over the cells of `grid` of the function whose values at the cell centres of `points` are given.

    Those of its trigonometric interpolant: a mode's average is sinc(k h/2) times its value at the centre of a cell. The
    error is what the points alias, exponentially small where the function is periodic, or vanishes at both ends.
    """
    for a, (there, here) in enumerate(zip((*points.y, points.c), (*grid.y, grid.c), strict=True)):
        m, n = there.cells, here.cells
        k = np.arange(m) - m // 2
        phase = 2 * np.pi / (n * here.width) * (here.centres[:, None] - there.centres)
        weights = np.cos(phase[..., None] * k) @ np.sinc(k / n) / m
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, a)), 0, a)
    return np.ascontiguousarray(values)


def at_centres(density: Callable[..., Array], grid: Grid) -> Array:
    """density(*y, c) at the centres of the cells."""
    return density(*np.meshgrid(*(axis.centres for axis in (*grid.y, grid.c)), indexing="ij"))


def carried(
    start: Callable[..., Array], slopes: Callable[..., tuple[Array, ...]], time: float, rtol: float = 1e-9
) -> Callable[..., Array]:
    """The density at `time` of the flow dy/dt = -c grad u, dc/dt = -u in a potential u(y) that does not change.

    start : rho_in(*y, c).  slopes : u(*y) and its gradient, then its Laplacian.
    The flow is followed backwards from each point; the density is compressed by exp int c Lap u dt on the way.
    """

    def density(*z: Array) -> Array:
        shape = (len(z) + 1, *z[0].shape)

        def backwards(_: float, state: Array) -> Array:
            *y, c, _compression = state.reshape(shape)
            u, *gradient, laplacian = slopes(*y)
            return np.stack([*(c * g for g in gradient), u, c * laplacian]).ravel()

        initial = np.stack([*z, np.zeros(z[0].shape)]).ravel()
        flow = solve_ivp(backwards, (0, time), initial, method="DOP853", t_eval=[time], rtol=rtol, atol=rtol)
        *origin, compression = flow.y[:, -1].reshape(shape)
        return np.asarray(start(*origin) * np.exp(compression))

    return density


def mean_field(
    psi: Callable[..., Array],
    gradient: Callable[..., Array],
    target: Array,
    nodes: Sequence[tuple[Array, Array]],
    time: float,
    steps: int,
) -> Array:
    """Coefficients of f_0 at `time`: characteristics of (12) from a product of rules for (*y, c), by plain RK4.

    psi(*y) is (..., M) and gradient(*y) is (N, ..., M); weights of a rule add up to 1.
    """
    z = np.stack([a.ravel() for a in np.meshgrid(*(x for x, _ in nodes), indexing="ij")])
    p = np.ones(1)
    for _, w in nodes:
        p = np.outer(p, w).ravel()

    def coefficients(z: Array) -> Array:
        return np.asarray((p * z[-1]) @ psi(*z[:-1]))

    def velocity(z: Array) -> Array:
        r = coefficients(z) - target
        return np.stack([*(-z[-1] * (d @ r) for d in gradient(*z[:-1])), -psi(*z[:-1]) @ r])

    dt = time / steps
    for _ in range(steps):
        k1 = velocity(z)
        k2 = velocity(z + dt / 2 * k1)
        k3 = velocity(z + dt / 2 * k2)
        k4 = velocity(z + dt * k3)
        z = z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return coefficients(z)


def normal_rule(points: int, mean: float, std: float, reach: float = 7.0) -> tuple[Array, Array]:
    """Gauss-Legendre nodes over mean +- reach std and weights of the normal law on them."""
    u, w = np.polynomial.legendre.leggauss(points)
    w = w * np.exp(-((reach * u) ** 2) / 2)
    return mean + std * reach * u, w / w.sum()


def hermite_rule(points: int, mean: float, std: float) -> tuple[Array, Array]:
    """Gauss-Hermite nodes and weights of the normal law: few, for short times."""
    u, w = np.polynomial.hermite_e.hermegauss(points)
    return mean + std * u, w / w.sum()
