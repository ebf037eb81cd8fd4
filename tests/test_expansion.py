"""The next order in 1/n: against weighted characteristics, exact cases, ensembles, and its own error estimates."""

from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from engines import FLAT, Array, nodes, sample, threads, two_threads
from numpy.testing import assert_allclose, assert_array_equal
from test_linear_neuron import LINEAR, MEAN, START, few, slope

from liouville.problem import Problem
from liouville.runfile import load
from particles import RK4, Closure, Splines, Trigonometric, descend
from solvers import expansion, fluctuations
from solvers.characteristics import MeanField, mean_field
from solvers.expansion import Expansion
from solvers.expansion_level import Level
from solvers.fluctuations import Grid
from solvers.linear import one_blas_thread
from solvers.responses import responses

Rule = tuple[Array, Array, Array]


def multiples(known: MeanField, every: int) -> Grid:
    """Every `every`-th step."""
    return np.arange(0, known.lengths.size + 1, every)


def on_rule(closure: Closure, known: MeanField, rule: Rule, every: int, rank: int) -> Array:
    """f_1, B and Q of these nodes as they are, (T, M + 2)."""
    with one_blas_thread():
        return Level(closure, known, rule, multiples(known, every), closure.target.size, rank).table()


# -- order by order, against the nonlinear equations ------------------------------------------------------------------


def differences(closure: Closure, rule: Rule, nu: Array, dt: float, steps: int, h: float) -> tuple[Array, Array]:
    """g1, g2, g3 (3, T, M) of f with the weights p + eps nu, and a bound of their error.

    Two seven-point stencils in eps, of spacing h and h/2: each exact to order six in eps.
    """
    y, c, p = rule
    found = []
    for spacing in (h, h / 2):
        points = spacing * np.arange(-3, 4)
        f = [mean_field(closure, (y, c, p + eps * nu), dt, steps).coefficients for eps in points]
        powers = np.linalg.solve((points[:, None] ** np.arange(7)), np.reshape(f, (7, -1)))
        found.append(powers[1:4].reshape(3, *f[0].shape))
    return found[1], np.abs(found[1] - found[0]).max(axis=(1, 2))


def assert_derivatives(closure: Closure, rule: Rule, nu: Array, dt: float, steps: int, h: float) -> None:
    """g1, g2 and g3 are the derivatives by the weights, to what the grid of times and the differences leave.

    The grid errs by less than the next coarser one differs: its error is of eighth order.
    """
    exact, error = differences(closure, rule, nu, dt, steps, h)
    known = mean_field(closure, rule, dt, steps)
    coarser, found = (
        np.stack(responses(closure, known, rule, multiples(known, every), nu[:, None]))[..., 0] for every in (4, 2)
    )
    for j in range(3):
        of_grid = np.abs(found[j][::2] - coarser[j]).max()
        assert of_grid + error[j] <= 5e-3 * np.abs(exact[j]).max()  # the test tells something
        assert_allclose(found[j], exact[j][::2], rtol=0, atol=of_grid + error[j], err_msg=f"g{j + 1}")


@pytest.mark.parametrize(("kind", "h"), [("smooth", 0.02), ("atom", 0.004)])
def test_orders_of_a_perturbation_are_the_derivatives_by_the_weights(kind: str, h: float) -> None:
    """For a smooth nu and for delta_z - p, on few nodes, to t = 2."""
    rule = nodes(24, 6)
    y, c, p = rule
    nu = p * (np.cos(y[0]) + 0.4 * c + 0.3 * np.sin(2 * y[0]) * c) if kind == "smooth" else np.eye(p.size)[40]
    assert_derivatives(FLAT, rule, nu - p * nu.sum(), 0.025, 80, h)


@cache
def plane() -> tuple[Closure, Rule]:
    """tanh(a x + b) at three x as a closure in splines, N = 2, and eight nodes."""
    x = np.array([-1.0, 0.2, 0.9])
    basis, features = Splines.fit(lambda y: np.tanh(np.outer(y[0], x) + y[1][:, None]), (-3.0,) * 2, (3.0,) * 2, 1e-5)
    rng = np.random.default_rng(3)
    p = rng.uniform(0.5, 1.5, 8)
    return Closure(basis, features, np.array([0.5, -0.3, 0.8])), (
        rng.normal(0, 0.7, (2, 8)),
        rng.normal(0, 1, 8),
        p / p.sum(),
    )


def test_orders_are_the_derivatives_in_two_dimensions() -> None:
    closure, rule = plane()
    assert_derivatives(closure, rule, np.eye(8)[3] - rule[2], 0.025, 40, 0.01)


# -- averages over all perturbations, against a cubature --------------------------------------------------------------


def gaussian_cubature(k: int) -> tuple[Array, Array]:
    """Points (k, 2 k^2 + 1) and weights, exact for polynomials of degree 5 under N(0, 1) in k dimensions.

    Stroud's E_k^(r^2) 5-3 (Approximate Calculation of Multiple Integrals, 1971), for unit variances.
    """
    columns, weights = [np.zeros(k)], [2 / (k + 2)]
    for i in range(k):
        for sign in (1, -1):
            columns.append(sign * np.sqrt(k + 2) * np.eye(k)[i])
            weights.append((4 - k) / (2 * (k + 2) ** 2))
    for i, j in combinations(range(k), 2):
        for a in (1, -1):
            for b in (1, -1):
                columns.append(np.sqrt((k + 2) / 2) * (a * np.eye(k)[i] + b * np.eye(k)[j]))
                weights.append(1 / (k + 2) ** 2)
    return np.stack(columns, axis=1), np.array(weights)


def averaged(closure: Closure, known: MeanField, rule: Rule, every: int) -> tuple[Array, Array, Array]:
    """f_1, B and Q on these nodes by the definitions: E g2, third cumulant + E|g2|^2 + 2 E<g1, g3>, and E|g2|^2."""
    root = np.sqrt(rule[2])
    basis = np.linalg.svd(np.eye(root.size) - np.outer(root, root))[0][:, :-1]
    points, weights = gaussian_cubature(root.size - 1)
    grid = multiples(known, every)
    g1, g2, g3 = responses(closure, known, rule, grid, root[:, None] * (basis @ points))
    atoms = np.eye(root.size) - root[:, None] ** 2
    L, half, _ = responses(closure, known, rule, grid, atoms)
    Q = np.sum(g2**2, axis=1) @ weights
    skew = 2 * np.sum(L * half, axis=1) @ root**2
    return g2 @ weights, skew + Q + 2 * np.sum(g1 * g3, axis=1) @ weights, Q


def assert_averages(closure: Closure, rule: Rule) -> None:
    """To rounding: both sides have the same nodes and times."""
    known = mean_field(closure, rule, 0.1, 20)
    f_1, B, Q = averaged(closure, known, rule, 2)
    found = on_rule(closure, known, rule, 2, 100)
    assert_allclose(found[:, :-2], f_1, rtol=0, atol=1e-10 * np.abs(f_1).max())
    assert_allclose(found[:, -2], B, rtol=0, atol=1e-10 * (np.abs(B) + Q).max())
    assert_allclose(found[:, -1], Q, rtol=0, atol=1e-10 * Q.max())


@pytest.mark.parametrize("moving", [True, False])
def test_averages_are_those_of_the_single_perturbations(moving: bool) -> None:
    """On 12 nodes nu has 11 dimensions, and a cubature of 243 points is exact for E|g2|^2 and E<g1, g3>."""
    y, c, p = nodes(4, 3)
    rule = y + 0.2 * c + 0.1, c + 0.3 * np.cos(y[0]), p  # no symmetry
    assert_averages(Closure(FLAT.basis, FLAT.features, FLAT.target, moving), rule)


def test_averages_are_those_of_the_single_perturbations_in_two_dimensions() -> None:
    assert_averages(*plane())


# -- exact cases: f_n a function of a few means of the sample ---------------------------------------------------------


def delta_method(taylor: Array, second: Array, third: Array) -> tuple[Array, Array, Array]:
    """f_1, B and Q, (T,) each, of a function of two means.

    taylor : d^(i + j) F / dx^i dx'^j at their expectations, (i, j, T), i + j <= 3.
    second, third : cumulants of what they are the means of, (2, 2) and (2, 2, 2).
    """

    def derivative(*axes: int) -> Array:
        return np.asarray(taylor[axes.count(0), axes.count(1)])

    both = (0, 1)
    trace = sum(second[i, j] * derivative(i, j) for i, j in product(both, both))
    Q = trace**2 / 4
    B = 0.0
    for i, j, k, l in product(both, both, both, both):
        Q = Q + second[i, j] * second[k, l] * derivative(i, k) * derivative(j, l) / 2
        B = B + second[i, j] * second[k, l] * derivative(i) * derivative(j, k, l)
    for i, j, k in product(both, both, both):
        B = B + third[i, j, k] * derivative(i) * derivative(j, k)
    return trace / 2, B + Q, Q


def assert_exact(found: Expansion, f_1: Array, B: Array, Q: Array, rtol: float) -> None:
    """To rtol on the grid of times within, which is every second here, and everywhere within the error estimates.

    The floor is for rounding, and for steps of the mean field that both sides of an error estimate share.
    """
    for ours, error, exact in (
        (found.mean_correction[:, 0], found.mean_correction_error, f_1),
        (found.next_order, found.next_order_error, B),
        (found.path_remainder, found.path_remainder_error, Q),
    ):
        scale = np.abs(exact).max()
        assert_allclose(ours[::2], exact[::2], rtol=0, atol=rtol * scale)
        assert np.all(np.abs(ours - exact) <= error + 1e-9 * scale)


def test_linear_neuron_has_the_expansion_of_the_delta_method() -> None:
    """f_n = m(S_n, D_n) x with the derivatives of m from values around a circle (Cauchy).

    (c + y)^2 and (c - y)^2 are independent, scaled noncentral chi squared: for a normal of mean a and variance v = 2
    the cumulants are k_r = 2^(r - 1) (r - 1)! v^r (1 + r a^2/v).
    """
    coarse, fine = (mean_field(LINEAR, few(48, 16), 0.0125 / k, k * 240) for k in (1, 2))
    found = expansion.solve(LINEAR, few, coarse, fine, multiples(coarse, 4))
    around = 0.5 * np.exp(2j * np.pi * np.arange(32) / 32)
    S, D = START + around[:, None, None], START + around[None, :, None]
    values = np.fft.fft2(slope(S, D, found.times), axes=(0, 1)) / 32**2
    factor = np.array([1.0, 1.0, 2.0, 6.0]) * 0.5 ** -np.arange(4)
    taylor = values[:4, :4].real * factor[:, None, None] * factor[None, :, None]
    third = np.zeros((2, 2, 2))
    third[0, 0, 0] = third[1, 1, 1] = 8 * 8 * (1 + 3 * MEAN**2 / 2)
    assert_exact(found, *delta_method(taylor, 8 * (1 + MEAN**2) * np.eye(2), third), rtol=1e-5)


def test_frozen_single_feature_has_the_expansion_of_the_delta_method() -> None:
    """y frozen and psi = cos y: r_n(t) = r_n(0) e^(-m_n t), r_n(0) = <c cos y> - b and m_n = <cos^2 y> of the sample.

    y uniform, c of variance 1: k(r, r) = 1/2, k(m, m) = 1/8, k(r, r, m) = <c^2 cos^4> - 1/4 = 1/8, the others vanish.
    """
    closure = Closure(Trigonometric(1), np.array([[0.0, 1.0, 0.0]]), np.array([0.7]), moving=False)
    coarse, fine = (mean_field(closure, nodes(16, 8), 0.05 / k, k * 60) for k in (1, 2))
    found = expansion.solve(
        closure, lambda Ny, Nc: nodes(16, Nc), coarse, fine, multiples(coarse, 1)
    )  # exact to cos^15
    t = found.times
    taylor = np.zeros((4, 4, t.size))
    for j in range(4):
        taylor[0, j], taylor[1, j] = (a * (-t) ** j * np.exp(-t / 2) for a in (-0.7, 1.0))
    third = np.zeros((2, 2, 2))
    third[0, 0, 1] = third[0, 1, 0] = third[1, 0, 0] = 1 / 8
    # RK4 with steps of 0.05 at the rate 1/2: (0.025)^4/120 a unit of time
    assert_exact(found, *delta_method(taylor, np.diag([1 / 2, 1 / 8]), third), rtol=1e-7)


# -- ensembles --------------------------------------------------------------------------------------------------------


def ensemble(n: int, replicas: int, field: MeanField, rows: Array) -> tuple[Array, Array]:
    """n E(f_n - f_0 - l_n) on 7 features, n^2 E|f_n - f_0 - l_n|^2 and n^2 (E|f_n - f_0|^2 - E|l_n|^2) at t = 1 ... 6.

    (6, 9) with standard errors. E|l_n|^2 = A/n exactly, so the last tends to B with little noise.
    """
    found = []
    for k in range(replicas // 1000):
        y, c = sample(1000 * n + k, 1000, n)
        p = np.full(n, 1 / n)
        free = descend(FLAT, y.copy(), c.copy(), p, 0.1, 60, RK4, field=field.field, record=4).coefficients
        run = descend(FLAT, y, c, p, 0.1, 60, RK4, record=40).coefficients[:, 1:] - field.coefficients[10::10]
        line = ((free - field.coefficients).reshape(1000, -1) @ rows.T).reshape(1000, 6, 7)
        rest = run - line
        second = [np.mean(np.sum(rest**2, axis=2), axis=0), np.mean(np.sum(run**2 - line**2, axis=2), axis=0)]
        found.append(np.column_stack([n * rest.mean(axis=0), n**2 * np.transpose(second)]))
    return np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(len(found))


@pytest.mark.slow
def test_ensembles_have_these_means_and_norms() -> None:
    """n = 256 and 512 extrapolated linearly in 1/n, to four standard errors and half of what the extrapolation adds.

    Q from t = 3 on takes more particles than can be had: the remainder is stretched by |J| up to 200 there, and its
    expansion needs n^(1/2) beyond that.
    """
    coarse, fine = (mean_field(FLAT, nodes(1024, 24), 0.1 / k, k * 60) for k in (1, 2))
    grid = multiples(coarse, 1)
    rows = fluctuations.solve(FLAT, nodes, coarse, fine, grid, tolerance=1e-4).resolvent[10::10].reshape(42, -1)
    found = expansion.solve(FLAT, nodes, coarse, fine, grid)
    exact = np.column_stack([found.mean_correction, found.path_remainder, found.next_order])[10::10]
    (few, few_error), (many, many_error) = (ensemble(n, k, coarse, rows) for n, k in ((256, 100_000), (512, 60_000)))
    limit, error = 2 * many - few, np.hypot(2 * many_error, few_error)
    print("limits", limit, "standard errors", error, "computed", exact, sep="\n")
    apart = np.abs(limit - exact) - 4 * error - np.abs(many - few) / 2 - 0.01 * np.abs(exact)
    assert np.all(apart[:, :7] <= 0), "f_1"
    assert np.all(apart[:2, 7] <= 0), "Q"
    assert np.all(apart[:, 8] <= 0), "B"


# -- the error estimates ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flat-fourier", "von-mises"])
def test_error_estimates_hold_against_finer_runs(name: str) -> None:
    """Half the step, more nodes along both axes and more modes, at once; the features that respond are the same."""
    problem = Problem.build(load(name).problem)
    rule = problem.initial.nodes(512, 16)
    coarse, fine = (mean_field(problem.closure, rule, 0.05 / k, k * 30) for k in (1, 2))
    found = expansion.solve(problem.closure, problem.initial.nodes, coarse, fine, multiples(coarse, 1))
    with one_blas_thread():
        table = Level(
            problem.closure, fine, problem.initial.nodes(512, 10), multiples(fine, 1), found.features, 32
        ).table()[::2]
    B, Q = table[:, -2:].T
    print(found.Ny, found.next_order[::5], found.next_order_error[::5], B[::5], sep="\n")
    assert np.all(found.next_order_error <= 0.02 * (np.abs(B) + Q).max())
    f_1 = np.linalg.norm(found.mean_correction[:, : found.features] - table[:, :-2], axis=1)
    assert np.all(f_1 <= found.mean_correction_error + 1e-9)
    assert np.all(np.abs(found.next_order - B) <= found.next_order_error + 1e-9)
    assert np.all(np.abs(found.path_remainder - Q) <= found.path_remainder_error + 1e-9)


# -- bits -------------------------------------------------------------------------------------------------------------


@two_threads
def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    rule = nodes(48, 6)
    known = mean_field(FLAT, rule, 0.1, 10)
    tables = []
    for count in (1, 2):
        with threads(count):
            tables.append(on_rule(FLAT, known, rule, 1, 12))
    assert_array_equal(*tables)
