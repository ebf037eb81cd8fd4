"""Particles on the line, in the plane and in space: splines against the unit itself, evaluated pair by pair."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from engines import Array, threads, two_threads
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import BSpline

from particles import EULER, RK4, Closure, Descent, Splines, descend, descent, tangent_flow
from particles.splines import WIDTH, pieces
from particles.stencil import CHARGE, FOUND, GROUP, INDEX, WORK, columns, deposit, gather, place
from particles.tiles import AXIS, BLOCK, STAGE_Y

EPS = np.finfo(float).eps
BOX = 4.0
TOLERANCE = {1: 1e-9, 2: 1e-7, 3: 1e-5}
every_dimension = pytest.mark.parametrize("N", [1, 2, 3])


@dataclass(frozen=True)
class Unit:
    """phi(x, y) on the points x of a measure of equal weights: values (P, M) and gradients (P, N, M) at y (N, P)."""

    values: Callable[[Array], Array]
    gradients: Callable[[Array], Array]
    target: Array


@cache
def unit(N: int) -> Unit:
    """A Gaussian exp(-(x - y)^2) on the line; tanh(a x + b) in the plane; tanh(a x_1 + b x_2 + d) / 2 in space."""
    rng = np.random.default_rng(N)
    x = np.linspace(-1.5, 1.5, 9) if N == 1 else rng.uniform(-0.8, 0.8, (N - 1, 6))
    scale = 1 / np.sqrt(x.shape[-1])
    f = scale * rng.uniform(-1, 1, x.shape[-1])
    if N == 1:

        def gauss(y: Array) -> Array:
            return np.asarray(scale * np.exp(-((y[0][:, None] - x) ** 2)))

        return Unit(gauss, lambda y: (-2 * (y[0][:, None] - x) * gauss(y))[:, None], f)
    scale = scale if N == 2 else scale / 2
    slope = np.concatenate([x, np.ones((1, x.shape[1]))])

    def tanh(y: Array) -> Array:
        return np.asarray(scale * np.tanh(y.T @ slope))

    return Unit(tanh, lambda y: slope * (scale / np.cosh(y.T @ slope) ** 2)[:, None], f)


@cache
def closure(N: int) -> Closure:
    """The same unit in splines."""
    basis, features = Splines.fit(unit(N).values, (-BOX,) * N, (BOX,) * N, TOLERANCE[N])
    assert basis.error <= TOLERANCE[N]
    return Closure(basis, features, unit(N).target)


def sample(N: int, replicas: int, n: int, seed: int = 0) -> tuple[Array, Array]:
    """Particles well inside the box."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-1.5, 1.5, (replicas, N, n)), rng.standard_normal((replicas, n))


def run(N: int, y: Array, c: Array, steps: int = 5, **options: int) -> Descent:
    """Equal weights, in place."""
    return descend(closure(N), y, c, np.full(c.shape[1], 1 / c.shape[1]), 0.1, steps, RK4, **options)


# -- the basis ------------------------------------------------------------------------------------------------------


def test_pieces_are_the_b_splines_of_degree_7_and_their_derivatives() -> None:
    """Against scipy's, all eight that meet in a cell, and a partition of unity."""
    x = np.linspace(-0.5, 0.5, 11)
    powers = x[:, None] ** np.arange(0, WIDTH, 2)
    for order in (0, 1, 2):
        table = pieces()[WIDTH * order : WIDTH * (order + 1)]
        even, odd = powers @ table[:4], x[:, None] * powers @ table[4:]
        mirrored = (even - odd) * (-1) ** order
        found = np.concatenate([even + odd, mirrored[:, ::-1]], axis=1)
        splines = [BSpline.basis_element(np.arange(-WIDTH + 1 + j, j + 2)) for j in range(WIDTH)]
        expected = np.stack([spline.derivative(order)(x + 0.5) if order else spline(x + 0.5) for spline in splines], 1)
        assert_allclose(found, expected, rtol=0, atol=8 * EPS)
        assert_allclose(found.sum(axis=1), float(order == 0), rtol=0, atol=8 * EPS)


@every_dimension
def test_fit_meets_its_tolerance_where_nobody_looked(N: int) -> None:
    rng = np.random.default_rng(3)
    y = rng.uniform(-BOX, BOX, (N, 5000))
    y[:, :8] = np.sign(rng.standard_normal((N, 8))) * BOX  # corners
    psi, gradient = unit(N).values(y), unit(N).gradients(y)
    # the fit looks at some thousand points, the largest error may lie between them
    assert np.abs(closure(N).evaluate(y) - psi).max() <= 2 * TOLERANCE[N] * np.abs(psi).max()
    assert np.abs(closure(N).gradients(y) - gradient).max() <= 2 * TOLERANCE[N] * np.abs(gradient).max()


def test_fit_refines_each_axis_as_it_needs_and_stops_at_the_size_it_may_have() -> None:
    def psi(y: Array) -> Array:
        return np.asarray(np.sin(np.stack([6 * y[0] + y[1], y[1]], axis=1)))

    basis, features = Splines.fit(psi, (0.0, -1.0), (2.0, 3.0), 1e-8)
    assert basis.cells[0] > 2 * basis.cells[1] and basis.error <= 1e-8
    assert features.shape == (2, basis.size) and basis.size == np.prod(np.array(basis.cells) + 7)
    small, _ = Splines.fit(psi, (0.0, -1.0), (2.0, 3.0), 1e-8, most=250)
    assert small.size <= 250 and small.error > 1e-8


def test_polynomials_of_degree_7_are_met_exactly_with_all_derivatives() -> None:
    def psi(y: Array) -> Array:
        return np.stack([y[0] ** 7 - y[0] * y[1] ** 2, y[1] ** 3 + 1], axis=1)

    basis, features = Splines.fit(psi, (-1.0, -1.0), (1.0, 1.0), 1e-10)
    fitted = Closure(basis, features, np.zeros(2))
    y = np.random.default_rng(4).uniform(-1, 1, (2, 50))
    hessian = fitted.hessians(y)[..., 0]
    expected = np.array([[42 * y[0] ** 5, -2 * y[1]], [-2 * y[1], -2 * y[0]]])
    assert_allclose(fitted.evaluate(y), psi(y), rtol=0, atol=1e-12)
    assert_allclose(hessian, np.moveaxis(expected, -1, 0), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "arguments", [((0.0,), (1.0, 1.0), (3,)), ((0.0,), (0.0,), (3,)), ((0.0,), (1.0,), (0,)), ((), (), ())]
)
def test_meshes_that_are_none_are_refused(arguments: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"must be positive|do not fit"):
        Splines(*arguments)  # type: ignore[arg-type]


# -- gather and deposit ---------------------------------------------------------------------------------------------


@every_dimension
def test_deposit_is_the_transpose_of_gather(N: int) -> None:
    """<m, u> = sum_i q_i U(y_i) for random u and q, and U is what the basis says."""
    rng = np.random.default_rng(5)
    basis = Splines((-1.0,) * N, (0.31,) * N, (5,) * N)
    u, q, y = rng.standard_normal(basis.size), rng.standard_normal(GROUP), rng.uniform(-1.2, 0.8, (N, GROUP))
    work = np.empty(WORK)
    moments = np.zeros(basis.size)
    place(y.ravel(), 0, GROUP, GROUP, basis.mesh, pieces(), work, 1)
    work[CHARGE : CHARGE + GROUP] = q
    gather(work, GROUP, u, basis.mesh)
    deposit(work, GROUP, moments, basis.mesh)
    found = work[FOUND : FOUND + 4 * GROUP].reshape(4, GROUP)
    assert moments @ u == pytest.approx(q @ found[0], abs=1e-13 * (np.abs(q) @ np.abs(found[0])))
    single = Closure(basis, u[None], np.zeros(1))
    assert_allclose(found[0], single.evaluate(y)[:, 0], rtol=0, atol=1e-12)
    assert_allclose(found[4 - N :].T, single.gradients(y)[..., 0], rtol=0, atol=1e-11)


@every_dimension
def test_columns_hold_all_that_particles_meet(N: int) -> None:
    """The splines of 8^N at every particle lie in the range, which is narrow where particles are few; all for NaN."""
    rng = np.random.default_rng(6)
    basis = Splines((-1.0,) * N, (0.05,) * N, (40,) * N)
    for trial in range(200):
        size, work = int(rng.integers(1, GROUP + 1)), np.empty(WORK)
        y = rng.uniform(-1.5, 1.5, N)[:, None] + 0.01 * 10.0 ** rng.uniform(-1, 2) * rng.uniform(-1, 1, (N, GROUP))
        tile = np.zeros((4 + 3 * N) * BLOCK)
        for axis in range(N):
            tile[STAGE_Y + axis * AXIS :][:size] = y[axis, :size]
        place(tile, STAGE_Y, AXIS, size, basis.mesh, pieces(), work, 0)
        first, end = columns(tile, size, basis.mesh)
        strides = basis.mesh[3 - N :, 3]
        assert first <= work[INDEX : INDEX + size].min()
        assert work[INDEX : INDEX + size].max() + 7 * strides.sum() < end <= basis.size
        if N > 1:
            assert end - first <= work[INDEX : INDEX + size].max() - work[INDEX : INDEX + size].min() + 9 * strides[0]
        tile[STAGE_Y + trial % size] = np.nan
        assert columns(tile, size, basis.mesh) == (0, basis.size)


# -- against the formula ----------------------------------------------------------------------------------------------


def pairwise(N: int, y: Array, c: Array, dt: float, steps: int) -> Array:
    """(9) pair by pair with K(y, y') = sum_x phi(x, y) phi(x, y')/P, F likewise, by RK4: (N + 1, n)."""
    of, n = unit(N), c.size

    def velocity(z: Array) -> Array:
        y, c = z[:-1], z[-1]
        psi, gradient = of.values(y), of.gradients(y)
        K, F = psi @ psi.T, psi @ of.target
        dK, dF = np.einsum("inm,jm->ijn", gradient, psi), gradient @ of.target
        return np.concatenate([c * (dF - np.einsum("ijn,j->in", dK, c) / n).T, [F - K @ c / n]])

    z = np.concatenate([y, c[None]])
    for _ in range(steps):
        k1 = velocity(z)
        k2 = velocity(z + dt / 2 * k1)
        k3 = velocity(z + dt / 2 * k2)
        k4 = velocity(z + dt * k3)
        z = z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return z


@every_dimension
@pytest.mark.parametrize("n", [1, 7, 300])
def test_descent_is_equation_9_pair_by_pair(N: int, n: int) -> None:
    y, c = sample(N, 1, n)
    expected = pairwise(N, y[0], c[0], 0.1, 10)
    left = run(N, y, c, 10).left
    # the velocity errs by the fit's tolerance times |c| and the norm of the residual, both of order one, in unit time
    assert_allclose(np.concatenate([y[0], c]), expected, rtol=0, atol=10 * TOLERANCE[N])
    assert_array_equal(left, 0)


@pytest.mark.parametrize(("replicas", "n"), [(1, 300), (40, 60), (1, 9000)])
def test_what_lies_beside_the_particles_changes_no_bit(replicas: int, n: int) -> None:
    """An ensemble in the middle of a wide box, and its own residuals as a given field, for which all of u is known."""
    rng = np.random.default_rng(8)
    basis = Splines((-4.0, -4.0), (0.1, 0.2), (80, 40))
    closure = Closure(basis, 0.1 * rng.standard_normal((37, basis.size)), rng.standard_normal(37))
    y, c = 0.3 * rng.standard_normal((replicas, 2, n)), rng.standard_normal((replicas, n))
    weights = np.full(n, 1 / n)
    own_y, own_c = y.copy(), c.copy()
    left = descend(closure, own_y, own_c, weights, 0.01, 4, RK4)
    assert np.all(left.left == 0)
    for k in range(replicas):
        field = left.coefficients[k, :-1] - closure.target
        again = descend(closure, y[k : k + 1], c[k : k + 1], weights, 0.01, 4, RK4, field=field)
        assert_array_equal(again.coefficients[0], left.coefficients[k])
        assert_array_equal(y[k], own_y[k])
        assert_array_equal(c[k], own_c[k])


@every_dimension
def test_frozen_particles_stay_even_where_c_overflows(N: int) -> None:
    """y keeps its bits and nothing seems to have left the box, where an unstable step carries c beyond all numbers."""
    y, c = sample(N, 2, 70)
    of, start = closure(N), y.copy()
    frozen = Closure(of.basis, of.features, of.target, moving=False)
    left = descend(frozen, y, c, np.full(70, 1 / 70), 1e80, 20, RK4)
    assert not np.all(np.isfinite(c))
    assert_array_equal(y, start)
    assert_array_equal(left.left, 0)


@every_dimension
@pytest.mark.parametrize("n", [1, 64])
def test_loss_never_increases(N: int, n: int) -> None:
    """The exact flow's statement for the splines' own unit, so up to rounding, not up to the fit."""
    y, c = sample(N, 100, n)
    loss = 0.5 * np.sum((run(N, y, c, 60).coefficients[:, :: RK4.stages] - unit(N).target) ** 2, axis=-1)
    assert np.all(np.diff(loss, axis=1) <= 16 * EPS * loss[:, :1])


@every_dimension
def test_given_residuals_move_free_particles_as_their_own_would(N: int) -> None:
    y, c = sample(N, 1, 100)
    free_y, free_c = y.copy(), c.copy()
    own = run(N, y, c)
    weights = np.full(100, 0.01)
    residuals = own.coefficients[0, :-1] - unit(N).target
    free = descend(closure(N), free_y, free_c, weights, 0.1, 5, RK4, field=residuals)
    assert_allclose(free_y, y, rtol=0, atol=1e-13)
    assert_allclose(free.coefficients, own.coefficients, rtol=0, atol=1e-13)


def test_a_field_too_long_to_be_held_at_once_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    residuals = np.random.default_rng(6).standard_normal((7 * RK4.stages, 6)) / 10
    results = []
    for stored in (descent.STORED, 2 * RK4.stages * closure(2).basis.size):
        monkeypatch.setattr(descent, "STORED", stored)
        y, c = sample(2, 3, 70)
        out = descend(closure(2), y, c, np.full(70, 1 / 70), 0.1, 7, RK4, field=residuals, every=3, keep=4)
        results.append((y, c, out.coefficients, out.y, out.c))
    for whole, parts in zip(*results, strict=True):
        assert_array_equal(whole, parts)


# -- bits --------------------------------------------------------------------------------------------------------------


@every_dimension
def test_bits_depend_neither_on_batches_nor_on_threads_nor_on_how_a_replica_is_spread(N: int) -> None:
    def results(batches: list[slice]) -> list[Array]:
        y, c = sample(N, 20, 4200)  # two chunks
        runs = [run(N, y[batch], c[batch], 2, keep=2) for batch in batches]
        return [y, c, np.concatenate([r.coefficients for r in runs]), np.concatenate([r.y for r in runs])]

    whole = results([slice(0, 20)])
    with threads(1):
        apart = results([slice(0, 1), slice(1, 12), slice(12, 20)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "LARGE", 1)
        spread = results([slice(0, 20)])
    for ours, theirs, others in zip(whole, apart, spread, strict=True):
        assert_array_equal(ours, theirs)
        assert_array_equal(ours, others)


# -- outside the box ------------------------------------------------------------------------------------------------


@every_dimension
def test_particles_that_leave_the_box_are_reported_and_harm_nobody(N: int) -> None:
    y, c = sample(N, 4, 70)
    y[1, 0, 3] = BOX + 0.25
    y[2, -1, 5] = -1e300
    y[3, 0, 7] = np.nan
    alone_y, alone_c = y[:1].copy(), c[:1].copy()
    left = run(N, y, c, 0).left
    with np.errstate(over="ignore"):
        assert_allclose(left[:3], [0, 0.25, 1e300], rtol=1e-12, atol=0)
    assert left[3] == np.inf
    assert np.all(run(N, y.copy(), c, 3).left[1:] > 0)
    run(N, alone_y, alone_c, 3)
    assert np.all(np.isfinite(alone_y))


@every_dimension
def test_beyond_the_box_the_last_cells_polynomial_goes_on(N: int) -> None:
    y = np.full((1, N, 1), -BOX)
    y[0, 0] = BOX + 0.3 * closure(N).basis.spacing[0]  # type: ignore[union-attr]
    expected = closure(N).evaluate(y[0])
    coefficients = descend(closure(N), y, np.ones((1, 1)), np.ones(1), 0.1, 0, EULER).coefficients
    assert_allclose(coefficients[0], expected, rtol=0, atol=1e-12)


# -- the tangent flow -----------------------------------------------------------------------------------------------


@every_dimension
def test_tangent_flow_is_the_derivative_of_the_discrete_flow(N: int) -> None:
    y, c = (values[0] for values in sample(N, 1, 70))
    dt, steps, h = 0.2, 5, 1e-3
    M = unit(N).target.size
    residuals = np.random.default_rng(7).uniform(-1, 1, (steps * RK4.stages, M))

    def flow(z: Array) -> Array:
        y, c = z[None, :-1].copy(), z[None, -1].copy()
        weights = np.full(c.size, 1 / c.size)
        descend(closure(N), y, c, weights, dt, steps, RK4, field=residuals)
        return np.concatenate([y[0], c])

    z = np.concatenate([y, c[None]])
    yt, ct, J = tangent_flow(closure(N), y, c, residuals, dt, steps, RK4, every=2)
    assert yt.shape == (3, N, 70) and J.shape == (3, 70, N + 1, N + 1)
    yt, ct, J = tangent_flow(closure(N), y, c, residuals, dt, steps, RK4)
    assert_allclose(np.concatenate([yt[-1], ct[-1:]]), flow(z), rtol=0, atol=1e-13)

    def differences(h: float) -> Array:
        shifts = h * np.eye(N + 1)[:, :, None]
        columns = [(flow(z + shift) - flow(z - shift)) / (2 * h) for shift in shifts]
        return np.moveaxis(np.stack(columns, axis=1), 2, 0)

    coarse, fine = differences(h), differences(h / 2)
    theirs = (4 * fine - coarse) / 3
    # extrapolated: errs by much less than its last move, and by rounding eps |z|/(h/2)
    atol = 0.1 * np.abs(fine - coarse).max() + 16 * EPS / (h / 2)
    assert atol < 1e-5
    assert_allclose(J[-1], theirs, rtol=0, atol=atol)


@two_threads
def test_tangent_flow_has_the_same_bits_for_every_number_of_threads() -> None:
    y, c = (values[0] for values in sample(2, 1, 500))
    residuals = np.random.default_rng(8).standard_normal((5 * RK4.stages, 6))
    both = tangent_flow(closure(2), y, c, residuals, 0.05, 5, RK4)
    with threads(1):
        one = tangent_flow(closure(2), y, c, residuals, 0.05, 5, RK4)
    for ours, theirs in zip(one, both, strict=True):
        assert_array_equal(ours, theirs)
