"""Fluctuation theory: C and the influence function against computations that share nothing with the Volterra form."""

from functools import cache

import numpy as np
import pytest
from engines import FLAT, REACH, SCALE, UNIT, Array, nodes, phi_gradient, psi, reference, threads, two_threads
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm

from particles import RK4, Closure
from solvers import fluctuations
from solvers.characteristics import MeanField, mean_field
from solvers.fluctuations import Fluctuations
from solvers.linear import add_product, one_blas_thread
from solvers.sources import sources
from solvers.volterra import integration_weights, resolvent

EPS = np.finfo(float).eps
Nodes = tuple[Array, Array, Array]


def theory(final: float, dt: float, every: int = 1) -> Fluctuations:
    """`flat-fourier` on steps of dt."""
    steps, points = round(final / dt), nodes(1024, 24)
    coarse, fine = mean_field(FLAT, points, dt, steps), mean_field(FLAT, points, dt / 2, 2 * steps)
    return fluctuations.solve(FLAT, nodes, coarse, fine, np.arange(0, steps + 1, every))


@cache
def flat_theory() -> Fluctuations:
    """To t = 6 on 61 times, as fine as a run has them."""
    return theory(6.0, 0.05, every=2)


# -- against the independent values ---------------------------------------------------------------------------------


def test_trace_agrees_with_the_reference_at_every_time() -> None:
    assert_allclose(flat_theory().trace[::10], reference()["trace_covariance"], rtol=1e-6, atol=0)


def test_error_estimate_bounds_the_error_of_the_trace() -> None:
    exact = reference()["trace_covariance"]
    apart = np.abs(flat_theory().trace[::10] - exact)
    assert np.all(apart <= 3 * flat_theory().trace_error[::10] + reference()["trace_relative_error"] * exact + 8 * EPS)
    assert np.all(flat_theory().trace_error <= 1e-6 * flat_theory().trace)


def test_estimate_sees_the_error_of_too_few_nodes_along_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 nodes for 16: wrong by more than 1e-5, by no more than twice what is said and no less than a tenth of it."""
    monkeypatch.setattr(fluctuations, "CIRCLE", (512, 2048, 10, 2000))
    few, exact = theory(3.0, 0.05, every=2), flat_theory().trace[:31]
    apart = np.max(np.abs(few.trace / exact - 1))
    said = np.max(few.trace_error / few.trace)
    print(f"10 nodes along c: off by {apart:.1e}, estimated {said:.1e}")
    assert apart > 1e-5 and 0.5 * apart <= said <= 10 * apart


def test_covariance_starts_as_that_of_one_particle() -> None:
    """C_0 = int c^2 psi psi' rho_in: a_k^2 on the diagonal, and M = 1 there, in the orthonormal modes."""
    assert_allclose(flat_theory().covariance[0, :, 0], np.diag(UNIT**2), rtol=0, atol=1e-13)
    assert_allclose(flat_theory().kernel_diagonal[0], np.eye(7), rtol=0, atol=1e-13)


def test_covariance_of_all_pairs_of_times_is_symmetric_and_positive() -> None:
    T, M = flat_theory().trace.size, 7
    C = flat_theory().covariance.reshape(T * M, T * M)
    assert_array_equal(C, C.T)
    values = np.linalg.eigvalsh(C)
    assert values[0] >= -1e-12 * values[-1]


def test_a_coarser_grid_in_time_gives_the_same_covariance() -> None:
    coarse = flat_theory().covariance[:21, :, :21]
    fine = theory(2.0, 0.05).covariance[::2, :, ::2]
    # ten points of interpolation at steps of 0.1: (0.1 x 2.4)^10 = 6e-7, 2.4 the largest rate, times less than 0.2
    assert_allclose(coarse, fine, rtol=0, atol=1.2e-7)


# -- the stationary problem -----------------------------------------------------------------------------------------


def test_stationary_covariance_decays_by_the_matrix_exponential() -> None:
    """f := f_in with <c|y> = 0.2 + 0.5 cos y: nothing moves, and C(s, t) = e^(-Ms) C_0 e^(-Mt)."""

    def shifted(Ny: int, Nc: int) -> Nodes:
        y, c, p = nodes(Ny, Nc)
        return y, c + 0.2 + 0.5 * np.cos(y[0]), p

    closure = Closure(FLAT.basis, FLAT.features, SCALE * np.array([0.2, 0.25, 0, 0, 0, 0, 0]))
    coarse, fine = (mean_field(closure, shifted(256, 16), 0.1 / k, 30 * k) for k in (1, 2))
    assert_allclose(coarse.coefficients, np.tile(closure.target, (31, 1)), rtol=0, atol=1e-12)
    solved = fluctuations.solve(closure, shifted, coarse, fine, np.arange(31))

    y = np.arange(64) * (2 * np.pi / 64)
    centre = 0.2 + 0.5 * np.cos(y)
    square = (1 + centre**2)[:, None]  # <c^2 | y>
    M = (psi(y).T @ psi(y) + (psi(y, 1) * square).T @ psi(y, 1)) / 64
    mean = psi(y).T @ centre / 64
    C0 = (psi(y) * square).T @ psi(y) / 64 - np.outer(mean, mean)
    assert_allclose(closure.target, mean, rtol=0, atol=1e-14)
    assert_allclose(solved.kernel_diagonal, np.tile(M, (31, 1, 1)), rtol=0, atol=1e-12)
    for s, t in ((0, 0), (5, 5), (30, 30), (4, 17), (30, 2)):
        exact = expm(-0.1 * s * M) @ C0 @ expm(-0.1 * t * M)
        assert_allclose(solved.covariance[s, :, t], exact, rtol=0, atol=1e-6)


# -- the influence function, on a few nodes -------------------------------------------------------------------------


def influence_operator(points: Nodes, dt: float, steps: int) -> tuple[Array, Array]:
    """R (T, M, T, M) and h = Phi(Z_t(z_q)) (T, M, Q) of the nodes themselves, for every time."""
    y, c, p = points
    h, A, B = sources(FLAT, mean_field(FLAT, points, dt, steps), y, c, 1)
    kernel = np.einsum("q,tmiq,sniq->tmsn", p, A, B, optimize=True)
    return resolvent(kernel, integration_weights(dt * np.arange(len(kernel)), 8)), h


def hessian_product(z: Array, r: Array, pi: Array) -> Array:
    """H pi of each particle for V = c U, U = psi . r; z (2, Q), pi (M, Q, 2)."""
    y, c = z
    d1, d2 = psi(y, 1) @ r, psi(y, 2) @ r
    return np.stack([c * d2 * pi[..., 0] + d1 * pi[..., 1], d1 * pi[..., 0]], axis=-1)


def carried(points: Nodes, dt: float, steps: int) -> tuple[list[Array], list[Array]]:
    """Positions (2, Q) and residuals (7,) of weighted particles at every step, by the classical scheme."""
    y, c, p = points[0][0], *points[1:]

    def residual(z: Array) -> Array:
        return np.asarray((p * z[1]) @ psi(z[0]) - FLAT.target)

    def velocity(z: Array) -> Array:
        r = residual(z)
        return np.stack([-z[1] * (psi(z[0], 1) @ r), -(psi(z[0]) @ r)])

    path = [np.stack([y, c])]
    for _ in range(steps):
        z = path[-1]
        k1 = velocity(z)
        k2 = velocity(z + dt / 2 * k1)
        k3 = velocity(z + dt / 2 * k2)
        k4 = velocity(z + dt * k3)
        path.append(z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return path, [residual(z) for z in path]


def adjoint_influence(points: Nodes, final: float, steps: int) -> Array:
    """L_t(.; z_q), (M, Q), backward in time: pi_t = grad Phi(Z_t), d pi/ds = H pi + grad Phi(Z_s) . b_s,
    b_s = sum_q p_q pi_q . grad Phi(Z_s), and L = Phi(Z_t) - int Phi(Z_s) . b_s ds by Simpson's rule."""
    p, dt = points[2], final / steps
    path, residuals = carried(points, dt / 2, 2 * steps)

    def source(i: int, pi: Array) -> Array:
        return np.einsum("q,mqi,qji->mj", p, pi, phi_gradient(*path[i]), optimize=True)

    def slope(i: int, pi: Array) -> Array:
        pushed = np.einsum("mj,qji->mqi", source(i, pi), phi_gradient(*path[i]), optimize=True)
        return hessian_product(path[i], residuals[i], pi) + pushed

    pi = np.moveaxis(phi_gradient(*path[-1]), 1, 0)
    b = [source(2 * steps, pi)]
    for i in range(2 * steps, 0, -2):
        k1 = slope(i, pi)
        k2 = slope(i - 1, pi - dt / 2 * k1)
        k3 = slope(i - 1, pi - dt / 2 * k2)
        k4 = slope(i - 2, pi - dt * k3)
        pi = pi - dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        b.append(source(i - 2, pi))
    simpson = np.full(steps + 1, 2.0)
    simpson[1::2], simpson[0], simpson[-1] = 4.0, 1.0, 1.0
    L = (path[-1][1] * psi(path[-1][0]).T).astype(float)
    for weight, source_at, z in zip(simpson * dt / 3, b[::-1], path[::2], strict=True):
        L = L - weight * source_at @ (z[1] * psi(z[0]).T)
    return np.asarray(L)


def test_influence_function_is_that_of_the_adjoint_equations() -> None:
    points = nodes(128, 12)
    p = points[2]
    R, h = influence_operator(points, 0.025, 20)
    ours = np.einsum("msn,snq->mq", R[-1], h)
    theirs = adjoint_influence(points, 0.5, 20)
    # both err by (rate dt)^4 of their integrations, rates of at most |H| ~ 6: far below
    assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())

    def covariance(L: Array) -> Array:
        centred = L - (L @ p)[:, None]
        return (centred * p) @ centred.T

    scale = np.trace(covariance(theirs))
    assert_allclose(covariance(ours), covariance(theirs), rtol=0, atol=1e-5 * scale)
    S = np.einsum("q,tmq,snq->tmsn", p, h, h, optimize=True) - np.einsum("tm,sn->tmsn", h @ p, h @ p)
    C = np.einsum("msn,snuk,luk->ml", R[-1], S, R[-1], optimize=True)
    assert_allclose(C, covariance(theirs), rtol=0, atol=1e-5 * scale)


@pytest.mark.slow
def test_reference_values_are_those_of_the_test_codes() -> None:
    """The residuals by `carried` to t = 6, and tr C by the adjoint equations to t = 2."""
    _, residuals = carried(nodes(1024, 24), 0.025, 240)
    for i, exact in enumerate(reference()["residual"]):
        assert_allclose(residuals[40 * i], exact, rtol=0, atol=1e-7, err_msg=f"t = {i}")
    points = nodes(512, 16)
    for t in (1, 2):
        L, p = adjoint_influence(points, float(t), 40 * t), points[2]
        centred = L - (L @ p)[:, None]
        assert_allclose(np.sum(centred**2 @ p), reference()["trace_covariance"][t], rtol=1e-5, atol=0)


def test_influence_is_the_derivative_of_the_mean_field_by_the_weights() -> None:
    y, c, p = points = nodes(64, 10)
    dt, steps = 0.025, 40
    nu = p * np.random.default_rng(1).standard_normal(p.size)
    nu -= p * nu.sum()
    R, h = influence_operator(points, dt, steps)
    ours = np.einsum("tmsn,snq,q->tm", R, h, nu, optimize=True)

    def derivative(step: float) -> Array:
        ends = [mean_field(FLAT, (y, c, p + s * nu), dt, steps).coefficients for s in (step, -step)]
        return (ends[0] - ends[1]) / (2 * step)

    coarse, fine = derivative(0.02), derivative(0.01)
    theirs = (4 * fine - coarse) / 3
    atol = float(np.max(np.abs(theirs - fine)))  # more than what the extrapolation leaves
    assert atol < 1e-4 * np.abs(theirs).max()
    assert_allclose(ours, theirs, rtol=0, atol=atol + 1e-6 * np.abs(theirs).max())


def test_diagonal_of_the_kernel_is_m_of_equation_16() -> None:
    points = nodes(1024, 16)
    (path, _), p = carried(points, 0.05, 20), points[2]
    gradient = phi_gradient(*path[-1])
    M = np.einsum("q,qmi,qni->mn", p, gradient, gradient)
    assert_allclose(flat_theory().kernel_diagonal[10], M, rtol=0, atol=1e-5)


def test_free_particles_contribute_what_their_definitions_say() -> None:
    """h, A and B of single particles at rest, where J = 1: A = B = grad Phi."""
    y, c = np.array([0.3, 4.0]), np.array([-1.2, 0.7])
    at_rest = MeanField(np.zeros((3, 7)), np.zeros((2 * RK4.stages, 7)), np.full(2, 0.1), RK4)
    h, A, B = sources(FLAT, at_rest, y[None], c, 1)
    for t in range(3):
        assert_allclose(h[t], c * psi(y).T, rtol=0, atol=1e-14)
        assert_allclose(A[t], np.moveaxis(phi_gradient(y, c), 0, -1), rtol=0, atol=1e-14)
        assert_allclose(B[t], A[t], rtol=0, atol=1e-14)


# -- bits -----------------------------------------------------------------------------------------------------------


@two_threads
def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    results = []
    for count in (1, 2):
        with threads(count):
            results.append(theory(0.8, 0.1))
    for name in ("resolvent", "covariance", "kernel_diagonal", "trace_error"):
        assert_array_equal(getattr(results[0], name), getattr(results[1], name), err_msg=name)


@two_threads
def test_products_are_right_and_have_the_same_bits_for_every_number_of_threads() -> None:
    rng = np.random.default_rng(2)
    left, right, start = (rng.standard_normal(shape) for shape in ((300, 70), (41, 70), (300, 41)))
    totals = []
    for count in (1, 2):
        total = start.copy()
        with threads(count), one_blas_thread():
            add_product(total, left, right)
        totals.append(total)
    assert_array_equal(*totals)
    exact = start + np.einsum("ak,bk->ab", left, right)
    assert np.all(np.abs(totals[0] - exact) <= 72 * EPS * (np.abs(start) + np.abs(left) @ np.abs(right).T))


def test_support_of_the_bump_is_that_of_the_shipped_problem() -> None:
    from liouville.problem import Problem
    from liouville.runfile import load

    assert Problem.build(load("flat-fourier").problem).initial.c.width == pytest.approx(REACH, rel=1e-15)
