"""Finite volumes for (12): against independent values, order with and without each ingredient, what is conserved."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from engines import (
    FLAT,
    REACH,
    SCALE,
    TARGET,
    Array,
    features,
    flat_grid,
    initial_averages,
    initial_density,
    nodes,
    orders,
    psi,
    reference,
    threads,
    two_threads,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from scipy.integrate import dblquad
from scipy.interpolate import RectBivariateSpline
from scipy.special import ndtr

from liouville.problem import Problem
from liouville.runfile import load
from particles import RK4, tangent_flow
from solvers.characteristics import mean_field
from solvers.finite_volume import FiniteVolume
from solvers.frames import Frame, SolverError
from solvers.grid import PAD, Axis, Grid, circle
from solvers.potential import PRODUCT, differentiate, layout, moments, sharpen, velocities
from solvers.strong_stability import SSPRK54

LEVELS = ((64, 64), (128, 128), (256, 256))
TIMES = np.arange(7.0)
EPS = np.finfo(float).eps


def scheme(grid: Grid) -> FiniteVolume:
    """The scheme for `flat-fourier`."""
    return FiniteVolume(grid, features(grid), FLAT.target)


@cache
def solved(
    cells: tuple[int, int], final: float = 1.0, corrections: bool = True, limiter: bool = True
) -> tuple[Frame, ...]:
    """Frames of `flat-fourier` at t = 0, 1, ..., final."""
    grid = flat_grid(*cells)
    method = replace(scheme(grid), corrections=corrections, limiter=limiter)
    return tuple(method.solve(initial_averages(grid), TIMES[final >= TIMES]))


def error(frame: Frame) -> float:
    """Norm of the error of f_0 at an integer time."""
    return float(np.linalg.norm(frame.coefficients - FLAT.target - reference()["residual"][int(frame.time)]))


# -- accuracy -------------------------------------------------------------------------------------------------------


def test_residuals_agree_with_the_reference_at_every_time() -> None:
    for frame, residual, loss in zip(
        solved((256, 128), 6.0), reference()["residual"], reference()["loss"], strict=True
    ):
        assert_allclose(frame.coefficients - FLAT.target, residual, rtol=0, atol=1e-5)
        assert abs(np.sqrt(2 * frame.loss) - np.sqrt(2 * loss)) <= 1e-5


def test_order_is_four() -> None:
    assert np.all(orders([error(solved(cells)[-1]) for cells in LEVELS]) >= 3.8)


def test_order_is_two_without_the_corrections() -> None:
    observed = orders([error(solved(cells, corrections=False)[-1]) for cells in LEVELS])
    assert np.all((observed >= 1.7) & (observed <= 2.5))


def test_defect_of_the_dissipation_identity_falls_with_the_grid() -> None:
    """dl/dt = -int (c^2 U'^2 + U^2) rho holds for the equation, not for the scheme."""
    defects = []
    for cells in LEVELS:
        start, end = solved(cells)
        defects.append(abs(end.loss - start.loss + end.dissipated))
    assert np.all(orders(defects) >= 3.5)


def test_dissipation_is_the_quadratic_form_of_the_residual_at_the_start() -> None:
    """<r, M r> of (16) for independent y and c: M = int psi psi' + <c^2> int d psi d psi' is 1 on the modes."""
    start = solved((256, 256))[0]
    assert_allclose(start.dissipation, FLAT.target @ FLAT.target, rtol=1e-8, atol=0)


@cache
def distance_to_the_carried_density(cells: int) -> float:
    """L1 distance at t = 1 between the finite volumes and rho(Z_t(z)) = rho_in(z)/det J carried by characteristics.

    The integral is over the starts z, midpoints of the support; point values come from the quintic spline through the
    integral of the cell averages, periodic in y by wrapping 16 cells round.
    """
    grid = flat_grid(cells, cells)
    field = mean_field(FLAT, nodes(1024, 32), 0.02, 50).field
    y, c = ((np.arange(n) + 0.5) / n for n in (200, 150))
    y, c = (a.ravel() for a in np.meshgrid(2 * np.pi * y, REACH * (2 * c - 1), indexing="ij"))
    yt, ct, J = tangent_flow(FLAT, y[None], c, field, 0.02, 50, RK4, every=50)
    volume = np.linalg.det(J[-1])

    pad = 16
    rho = np.pad(solved((cells, cells))[-1].density, ((pad, pad), (0, 0)), mode="wrap")
    integral = np.zeros((rho.shape[0] + 1, rho.shape[1] + 1))
    integral[1:, 1:] = rho.cumsum(axis=0).cumsum(axis=1) * grid.dy * grid.c.width
    edges = (np.arange(rho.shape[0] + 1) - pad) * grid.dy
    spline = RectBivariateSpline(edges, grid.c.edges, integral, kx=5, ky=5)
    there = spline.ev(yt[-1, 0] % (2 * np.pi), ct[-1], dx=1, dy=1)
    apart = np.abs(there * volume - initial_density(c))
    return float(apart.sum() * 2 * np.pi * 2 * REACH / y.size)


def test_density_is_the_one_carried_by_characteristics() -> None:
    distances = [distance_to_the_carried_density(cells) for cells in (64, 128, 256)]
    assert distances[-1] < 1e-5  # of a total mass of 1
    assert np.all(orders(distances) >= 3.5)  # 64^2 does not resolve the stretched fronts: order 4 comes from below


def test_reconstruction_is_fifth_order_upwind() -> None:
    """phi = 1 pushes all particles alike: U = U_0 e^(-t), and c ~ N(0, 1) moves rigidly by -U_0 (1 - e^(-t))."""
    final = 0.5
    errors = []
    for Nc in (40, 80, 160):
        grid = flat_grid(8, Nc, (-7.0, 7.0))
        constant = np.ones((8 + 2 * PAD, 1))
        # the moment of the density is int c rho dy dc = <c>, hence U = <c> + 1 for the target -1
        method = FiniteVolume(grid, constant, np.array([-1.0]), limiter=False, cfl=0.3)

        def normal(shift: float, grid: Grid = grid) -> Array:
            return np.tile(np.diff(ndtr(grid.c.edges + shift)) / (2 * np.pi * grid.c.width), (8, 1))

        end = method.solve(normal(0.0), np.array([final]))[-1]
        assert end.coefficients[0] + 1 == pytest.approx(np.exp(-final), abs=1e-6)
        errors.append(float(np.abs(end.density - normal(1 - np.exp(-final))).sum() * grid.dy * grid.c.width))
    assert_allclose(orders(errors), 5, rtol=0, atol=0.4)  # 6 were it centred, and 4 in time with an error far below


# -- positivity and conservation ------------------------------------------------------------------------------------


def test_density_stays_positive() -> None:
    for cells in ((64, 64), (256, 128)):
        assert min(frame.minimum for frame in solved(cells, 6.0)) >= -1e-14


def test_density_undershoots_without_the_limiter() -> None:
    assert min(frame.minimum for frame in solved((64, 64), 6.0, limiter=False)) < -1e-3


def test_limiter_keeps_the_error_where_the_density_is_smooth() -> None:
    limited, free = (error(solved((256, 256), 1.0, limiter=limiter)[-1]) for limiter in (True, False))
    assert limited <= 1.05 * free


def test_mass_is_conserved_to_rounding() -> None:
    for limiter in (True, False):
        masses = np.array([frame.mass for frame in solved((64, 64), 6.0, limiter=limiter)])
        assert np.max(np.abs(masses - masses[0])) <= 1e-12
    masses = np.array([frame.mass for frame in solved((256, 128), 6.0)])
    assert np.max(np.abs(masses - masses[0])) <= 1e-12


def test_loss_never_increases() -> None:
    for cells in ((64, 64), (256, 128)):
        frames = solved(cells, 6.0)
        assert frames[-1].loss_increase <= EPS
        assert np.all(np.diff([frame.loss for frame in frames]) < 0)


def test_a_cell_holding_all_the_mass_spreads_without_going_negative() -> None:
    """The worst start for positivity: a discontinuity in every direction, from both signs of c."""
    grid = flat_grid(40, 48)
    for j in (12, 30):
        density = np.zeros((40, 48))
        density[7, j] = 1 / (grid.dy * grid.c.width)
        frames = replace(scheme(grid), tail=np.inf).solve(density, np.linspace(0, 1, 5))
        assert min(frame.minimum for frame in frames) >= -1e-14
        assert frames[-1].mass == pytest.approx(1, abs=1e-13)


# -- symmetry and bits ----------------------------------------------------------------------------------------------


def test_turning_the_circle_by_some_cells_turns_the_solution() -> None:
    """Every chunk of rows computes the same: 40 rows are a chunk and a quarter, and the turn moves their border."""
    grid, turn = flat_grid(40, 32), 11
    x = np.arange(16) * (2 * np.pi / 16)
    target = np.linalg.lstsq(psi(x) / SCALE, psi(x - turn * grid.dy) / SCALE @ TARGET, rcond=None)[0]
    turned = target / np.where(np.arange(7) == 0, 1.0, np.sqrt(2.0))
    plain = scheme(grid).solve(initial_averages(grid), np.array([0.5]))[-1]
    moved = FiniteVolume(grid, features(grid), turned).solve(initial_averages(grid), np.array([0.5]))[-1]
    assert_allclose(moved.density, np.roll(plain.density, turn, axis=0), rtol=0, atol=1e-13)


@two_threads
def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    grid = flat_grid(104, 64)
    frames = []
    for count in (1, 2):
        with threads(count):
            frames.append(scheme(grid).solve(initial_averages(grid), np.array([0.0, 0.5]))[-1])
    assert_array_equal(frames[0].density, frames[1].density)
    assert_array_equal(frames[0].coefficients, frames[1].coefficients)
    assert frames[0].dissipated == frames[1].dissipated


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("c_range", "message"),
    [((-3.4, 5.0), "lower end c = -3.4"), ((-5.0, 3.6), "upper end c = 3.6")],
)
def test_mass_at_an_end_of_the_c_range_stops_the_run_by_name(c_range: tuple[float, float], message: str) -> None:
    grid = flat_grid(64, 64, c_range)
    with pytest.raises(SolverError, match=rf"{message} at t = [\d.]+ \(step \d+\); widen c_range"):
        scheme(grid).solve(initial_averages(grid), TIMES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_density_that_is_not_finite_is_refused_by_name(value: float) -> None:
    grid = flat_grid(40, 32)
    density = initial_averages(grid)
    density[3, 16] = value
    with pytest.raises(SolverError, match="not finite"):
        scheme(grid).solve(density, TIMES)


def test_an_unstable_run_ends_in_an_error_and_not_in_numbers() -> None:
    grid = flat_grid(64, 64)
    method = replace(scheme(grid), cfl=30.0, tail=np.inf)
    with pytest.raises(SolverError, match=r"at t = [\d.]+ \(step \d+\)"):
        method.solve(initial_averages(grid), TIMES)


# -- what the scheme is made of -------------------------------------------------------------------------------------


def test_ssprk54_is_of_order_four() -> None:
    """The logistic equation u' = u (1 - u), whose solution is u_0 e^t/(1 - u_0 + u_0 e^t), through the arrays alone."""

    def end(steps: int) -> float:
        u, dt = 0.1, 3.0 / steps
        for _ in range(steps):
            stages = [u]
            for i in range(SSPRK54.stages):
                known = np.array(stages)
                row = slice(0, i + 1)
                stages.append(float(SSPRK54.alpha[i, row] @ known + dt * SSPRK54.beta[i, row] @ (known * (1 - known))))
            u = stages[-1]
        return u

    exact = 0.1 * np.exp(3.0) / (0.9 + 0.1 * np.exp(3.0))
    observed = orders([abs(end(steps) - exact) for steps in (10, 20, 40, 80)])
    assert SSPRK54.order == 4
    assert_allclose(observed, 4, rtol=0, atol=0.15)


def test_ssprk54_meets_the_order_conditions_to_its_printed_digits() -> None:
    """The eight conditions to order 4 on its Butcher tableau: slopes k_j = L(u_j), u_i = u_0 + dt sum_j A_ij k_j."""
    stages = SSPRK54.stages
    A = np.zeros((stages + 1, stages))
    for i in range(stages):
        A[i + 1] = SSPRK54.alpha[i] @ A[:stages] + SSPRK54.beta[i]
    A, b, c = A[:-1], A[-1], A[:-1].sum(axis=1)
    values = [
        b.sum(),
        b @ c,
        b @ c**2,
        b @ A @ c,
        b @ c**3,
        (b * c) @ A @ c,
        b @ A @ c**2,
        b @ A @ A @ c,
    ]
    assert_allclose(values, [1, 1 / 2, 1 / 3, 1 / 6, 1 / 4, 1 / 8, 1 / 12, 1 / 24], rtol=0, atol=2e-14)


def test_ssprk54_stages_are_convex_combinations_of_euler_steps() -> None:
    alpha, beta = SSPRK54.alpha, SSPRK54.beta
    assert_allclose(alpha.sum(axis=1), 1, rtol=0, atol=2e-15)  # printed to 15 digits
    assert np.all(alpha >= 0) and np.all(beta >= 0) and np.all(alpha[beta > 0] > 0)
    assert SSPRK54.euler_step == pytest.approx(1 / 1.50818004918983, rel=1e-8)  # the scheme's SSP coefficient


def test_features_on_a_grid_are_the_closed_form() -> None:
    problem = Problem.build(load("flat-fourier").problem)
    grid = flat_grid(48, 32)
    assert_allclose(problem.on_grid(grid), features(grid), rtol=0, atol=2e-14)


def padded(axes: tuple[Axis, ...], function: Callable[..., Array]) -> Array:
    """Averages of a function of y over padded cells, by 12 Gauss points an axis, as (rows,)."""
    s, w = np.polynomial.legendre.leggauss(12)
    points, weights = [], []
    for axis in axes:
        edges = axis.padded_edges
        points.append(((edges[1:] + edges[:-1]) / 2)[:, None] + 0.5 * axis.width * s)
        weights.append(w / 2)
    mesh = np.meshgrid(*(p.ravel() for p in points), indexing="ij")
    values = function(*mesh).reshape([n for p in points for n in p.shape])
    for a in range(len(axes) - 1, -1, -1):
        values = np.tensordot(values, weights[a], axes=(2 * a + 1, 0))
    return values


def test_stencils_of_the_potential_are_of_order_eight_and_moments_exact_for_smooth_densities() -> None:
    """U = sin(y1) cos(y2 - 0.3) from its averages: slopes on faces and at centres, and int U G for a localised G."""
    errors = []
    for n in (16, 32):
        axes = (Axis(-2.5, 2.5, n), Axis(-2.5, 2.5, n + 4))
        where = layout(Grid(axes, Axis(-1, 1, 8)))
        U = padded(axes, lambda y1, y2: np.sin(y1) * np.cos(y2 - 0.3))
        found = velocities(where.padded.size)
        differentiate(U.ravel(), where, found, False)
        inner = np.s_[1:-1, 1:-1]

        def apart(ours: Array, exact: Array, inner: tuple[slice, slice] = inner, n: int = n) -> float:
            return float(np.abs(ours.reshape(n, n + 4) - exact)[inner].max())

        y1, y2 = np.meshgrid(axes[0].centres, axes[1].centres, indexing="ij")
        right = axes[0].edges[1:, None]
        s = np.sinc(axes[1].width / (2 * np.pi))  # the average of cos over a cell of the other axis
        errors.append(
            [
                apart(found.faces[0], np.cos(right) * np.cos(y2 - 0.3) * s),
                apart(found.slopes[1], -np.sin(y1) * np.sin(y2 - 0.3)),
                apart(found.centre, np.sin(y1) * np.cos(y2 - 0.3)),
                apart(found.cross[0, 1], -np.cos(right) * np.sin(y2 - 0.3)),
            ]
        )
        assert np.all(found.faces[0].reshape(n, n + 4)[-1] == 0) and np.all(
            found.faces[1].reshape(n, n + 4)[:, -1] == 0
        )
        assert not np.any(found.slopes[2]) and not np.any(found.faces[2])
    observed = np.log2(np.array(errors[0]) / np.array(errors[1]))
    assert np.all(observed >= [7.5, 3.8, 3.5, 1.6])


def test_moments_are_of_order_eight() -> None:
    """int psi G for psi = cos 5y on the circle and G = e^cos y, whose averages come from 12 Gauss points: I_5(1)."""
    errors = []
    for n in (24, 48):
        axis = circle(n)
        where = layout(Grid((axis,), Axis(-1, 1, 8)))
        psi_, G = (padded((axis,), f) for f in (lambda y: np.cos(5 * y), lambda y: np.exp(np.cos(y))))
        G = np.ascontiguousarray(G[PAD:-PAD])
        sharpen(G, where.near, 1, PRODUCT, np.empty(n))
        moment = moments(psi_[:, None], G, where.padded, np.empty((1, 1)), False)[0] * axis.width
        errors.append(abs(moment - 2 * np.pi * special.iv(5, 1.0)))
    assert orders(errors)[0] >= 7.5


def test_sharpening_sees_zeros_beyond_walls() -> None:
    """Against numpy's convolution, axis by axis; what stands in memory behind the numbers is not read."""
    shape = (9, 11)
    where = layout(Grid((Axis(-1, 1, 9), Axis(-1, 1, 11)), Axis(-1, 1, 8)))
    values = np.random.default_rng(1).random(shape)
    rows, work = values.flatten(), np.full(values.size + 16, np.nan)
    sharpen(rows, where.near, 2, PRODUCT, work[: values.size])
    kernel = np.concatenate([PRODUCT[:0:-1], PRODUCT])
    for a in range(2):
        values = np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), a, values)
    assert_allclose(rows.reshape(shape), values, rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", ["flat-fourier", "stationary", "flat-fourier-normal"])
def test_initial_cell_averages_are_exact(name: str) -> None:
    """Against adaptive quadrature of the density written here; the sum is the mass of the range."""
    grid = flat_grid(32, 32, (-6.0, 6.0))
    averages = Problem.build(load(name).problem).initial.cell_averages(grid)
    beyond = 2e-9 if name == "flat-fourier-normal" else 0.0  # P(|N(0, 1)| > 6)
    assert averages.sum() * grid.dy * grid.c.width == pytest.approx(1 - beyond, abs=1e-10 if beyond else 1e-14)

    def density(c: float, y: float) -> float:
        if name == "flat-fourier-normal":
            return float(np.exp(-c * c / 2) / np.sqrt(2 * np.pi) / (2 * np.pi))
        centre = 0.2 + 0.5 * np.cos(y) if name == "stationary" else 0.0
        return float(initial_density(np.array(c - centre)))

    for i, j in ((0, 16), (3, 18), (7, 7), (20, 24), (31, 15), (5, 26)):
        left, low = i * grid.dy, -6.0 + j * grid.c.width
        exact, _ = dblquad(density, left, left + grid.dy, low, low + grid.c.width, epsabs=1e-12, epsrel=1e-10)
        assert_allclose(averages[i, j], exact / (grid.dy * grid.c.width), rtol=1e-8, atol=1e-10, err_msg=f"{i, j}")
