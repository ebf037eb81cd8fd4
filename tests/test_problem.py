"""The problem layer against closed forms and brute-force quadrature."""

import numpy as np
import pytest
import runs
from scipy import integrate, special
from units import BUMP, CASES, A, Case, density

from liouville.errors import InputError
from liouville.problem import Problem
from solvers.grid import PAD, Axis, Grid, circle

POINTS = {1: [[0.3, 1.0, -1.7]], 2: [[0.3, 1.0, -0.7], [0.2, -0.9, 0.4]]}


@pytest.fixture(scope="module", params=CASES)
def case(request) -> tuple[Case, Problem]:  # type: ignore[no-untyped-def]
    return CASES[request.param], Problem(**CASES[request.param].tables)


@pytest.fixture(scope="module")
def flat() -> Problem:
    return Problem.load("flat-fourier")


def test_F_and_K_are_the_integrals_of_5(case: tuple[Case, Problem]) -> None:
    of, problem = case
    y = np.array(POINTS[problem.dimension])
    z = y[:, ::-1]
    F, K = problem.F(y), problem.K(y, z)
    for i in range(y.shape[1]):
        exact = of.integral(lambda x, i=i: of.f(x) * of.phi(x, *y[:, i]))
        assert F[i] == pytest.approx(exact, rel=1e-11, abs=of.accuracy)
        exact = of.integral(lambda x, i=i: of.phi(x, *y[:, i]) * of.phi(x, *z[:, i]))
        assert K[i] == pytest.approx(exact, rel=1e-11, abs=of.accuracy)


def test_loss_energy_U_and_M_are_those_of_particles(case: tuple[Case, Problem]) -> None:
    """(3), (4), (13) and (16) for three weighted particles, gradients by central differences of the tests' own phi."""
    of, problem = case
    y, c, p = np.array(POINTS[problem.dimension]), np.array([1.0, -0.7, 0.4]), np.array([0.5, 0.3, 0.2])

    def residual(x):  # type: ignore[no-untyped-def]
        return sum(w * ci * of.phi(x, *yi) for w, ci, yi in zip(p, c, y.T, strict=True)) - of.f(x)

    g = (p * c) @ problem.features(y)
    assert problem.loss(g) == pytest.approx(0.5 * of.integral(lambda x: residual(x) ** 2), rel=1e-10, abs=of.accuracy)
    energy = 0.5 * of.integral(lambda x: residual(x) ** 2) - 0.5 * of.integral(lambda x: of.f(x) ** 2)
    assert problem.energy(g) == pytest.approx(energy, rel=1e-9, abs=of.accuracy)
    exact = of.integral(lambda x: residual(x) * of.phi(x, *y[:, 1]))
    assert problem.U(y[:, 1:2], g)[0] == pytest.approx(exact, rel=1e-10, abs=of.accuracy)

    # a^T M a = sum_i p_i (c_i^2 |grad F_i|^2 + F_i^2) with a the coefficients of f: the dissipation of the target
    def F(y):  # type: ignore[no-untyped-def]
        return of.integral(lambda x: of.f(x) * of.phi(x, *y))

    h, exact = 1e-4, 0.0
    for w, ci, yi in zip(p, c, y.T, strict=True):
        slopes = [(F(yi + h * e) - F(yi - h * e)) / (2 * h) for e in np.eye(problem.dimension)]
        exact += w * (ci**2 * sum(s**2 for s in slopes) + F(yi) ** 2)
    b = problem.projection
    assert b @ problem.M(y, c, p) @ b == pytest.approx(exact, rel=1e-6, abs=1e3 * of.accuracy)


def test_basis_is_orthonormal_and_expands_the_unit(case: tuple[Case, Problem]) -> None:
    """To 1e-12 of its size; relu lacks the modes after 64 (1/(pi 64)), relu_plane some kinks between the samples."""
    of, problem = case
    e, w = problem.basis, problem.weights
    np.testing.assert_allclose((w[:, None] * e).T @ e, np.eye(problem.rank), rtol=0, atol=1e-13)
    y = problem.initial.sample(np.random.default_rng(1), 50)[0]
    phi = of.phi(problem.x[:, None], *y)
    error = np.abs(e @ problem.features(y).T - phi).max() / np.abs(phi).max()
    assert error < {"relu": 5e-3, "relu_plane": 1e-3}.get(problem.unit.kind, 3e-12)


def test_basis_continues_between_the_nodes(case: tuple[Case, Problem]) -> None:
    """The leading half of it: the rest has singular values too small to be divided by."""
    _, problem = case
    half = (problem.rank + 1) // 2
    found = problem.basis_at(problem.x)[:, :half]
    np.testing.assert_allclose(found, problem.basis[:, :half], rtol=0, atol=1e-6 * np.abs(problem.basis).max())


def test_gradients_are_those_of_the_features(case: tuple[Case, Problem]) -> None:
    _, problem = case
    y, h = np.array(POINTS[problem.dimension]), 1e-4
    gradients = problem.gradients(y)
    assert gradients.shape == (3, problem.dimension, problem.rank)
    for i, e in enumerate(np.eye(problem.dimension)[:, :, None]):
        slopes = (problem.features(y + h * e) - problem.features(y - h * e)) / (2 * h)
        if problem.unit.kind == "relu_plane":  # a node between the two kinks moves a feature by its weight
            continue
        # h^2/6 of a third derivative: 64^3 times the features' size at most
        np.testing.assert_allclose(gradients[:, i], slopes, rtol=0, atol=1e-6 * (1 + np.abs(slopes).max()))


def test_features_are_sorted_by_importance(case: tuple[Case, Problem]) -> None:
    """Mean squares over the box fall; not for the Fourier unit, whose basis is that of the modes."""
    _, problem = case
    if problem.unit.kind == "fourier":
        return
    low, high = problem.box
    y = low[:, None] + (high - low)[:, None] * np.random.default_rng(3).random((problem.dimension, 4000))
    size = np.mean(problem.features(y) ** 2, axis=0)
    large = size[size > 1e-6 * size[0]]
    assert np.all(large[1:] < 1.2 * large[:-1])  # sampled at random: 4000 points know a mean square to a few per cent


def test_kernel_of_von_mises() -> None:
    problem = Problem(**CASES["von_mises"].tables)
    y, z = np.array([[0.3, 1.0, 2.0]]), np.array([[0.3, 4.0, 5.1]])
    exact = np.exp(-8.0) * special.i0(8 * np.cos((y - z) / 2))
    np.testing.assert_allclose(problem.K(y, z), exact[0], rtol=1e-11, atol=1e-14)
    shipped = Problem.load("von-mises")  # scaled to mean 1
    np.testing.assert_allclose(shipped.K(y, z), exact[0] / special.i0e(4.0) ** 2, rtol=1e-11, atol=1e-12)


def test_kernel_of_relu_on_the_circle() -> None:
    """[(pi - d) cos d + sin d]/(4 pi), up to the modes left out: 2 sum of a_k^2 <= 1/(3 pi^2 32^3)."""
    problem = Problem.load("relu-circle")
    y = np.array([[0.0, 1.0, 2.0, 3.0]])
    d = np.array([0.0, 0.4, 1.5, 3.1])
    exact = ((np.pi - d) * np.cos(d) + np.sin(d)) / (4 * np.pi)
    np.testing.assert_allclose(problem.K(y, y + d), exact, rtol=0, atol=1 / (3 * np.pi**2 * 32**3))


def test_kernel_and_F_of_gaussian_mixture() -> None:
    problem = Problem.load("gaussian-mixture")
    y, z = np.array([[-1.5, 0.2, 2.0]]), np.array([[0.3, 0.2, -1.0]])
    np.testing.assert_allclose(problem.K(y, z), density(y - z, 0.0, 1.0)[0], rtol=0, atol=1e-12)
    terms = ((1 / 3, -2.0, 0.5), (-2 / 3, 0.0, 1.0), (1 / 3, 2.0, 0.5))
    exact = sum(w * density(y[0], m, v + 0.5) for w, m, v in terms)
    np.testing.assert_allclose(problem.F(y), exact, rtol=0, atol=1e-12)
    assert 0.5 * problem.weights @ problem.f**2 == pytest.approx(0.0688683, abs=5e-8)


def test_linear_neuron_has_rank_one() -> None:
    problem = Problem.load("linear-neuron")
    assert problem.rank == 1
    y, z = np.array([[0.5, -2.0]]), np.array([[3.0, 1.0]])
    np.testing.assert_allclose(problem.K(y, z), (y * z)[0], rtol=1e-14, atol=0)
    np.testing.assert_allclose(problem.F(y), y[0], rtol=1e-14, atol=0)


def test_M_is_the_identity_for_flat_fourier(flat: Problem) -> None:
    """a_k^2 (1 + k^2 <c^2>) = 1 on every mode: what the name of the problem says."""
    np.testing.assert_allclose(flat.M(*flat.initial.nodes(64, 16)), np.eye(7), rtol=0, atol=1e-13)


def test_M_of_a_frozen_y_has_the_motion_of_c_only() -> None:
    """a_k^2 on mode k, sine and cosine: the eigenvalues lambda_k of the closed form."""
    problem = Problem.load("frozen")
    exact = np.sort([A[0] ** 2, *(a**2 for a in A[1:] for _ in range(2))])
    found = np.linalg.eigvalsh(problem.M(*problem.initial.nodes(64, 16)))
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=0)


def test_trap_sits_at_a_zero_of_F() -> None:
    problem = Problem.load("trap")
    y = np.array([[problem.initial.y.mean]])
    assert abs(problem.F(y)[0]) < 1e-15
    assert abs((problem.gradients(y)[0] @ problem.projection)[0]) == pytest.approx(0.704, abs=1e-3)


def test_nile_is_standardised_on_the_interval() -> None:
    problem = Problem.load("nile")
    assert problem.x.shape == (100,)
    assert (problem.x.min(), problem.x.max()) == (-1.0, 1.0)
    assert problem.weights @ problem.f == pytest.approx(0.0, abs=1e-14)
    assert problem.weights @ problem.f**2 == pytest.approx(1.0, rel=1e-13)
    before = problem.f[problem.x < -1 + 2 * (1898.5 - 1871) / 99]
    assert before.mean() > 0.5 > 0 > problem.f[len(before) :].mean()  # the change point


def test_rank_falls_when_points_or_modes_are_missing() -> None:
    points = runs.plan(initial='{ c = { kind = "normal", std = 1.0 } }').problem
    assert points.rank == 7
    source = runs.text().replace("target =", 'measure = { kind = "points", x = [0.1, 2.0, 2.0, 4.0] }\ntarget =')
    few = runs.Plan(runs.runfile.parse(source)).problem
    assert few.rank == 3
    np.testing.assert_allclose((few.weights[:, None] * few.basis).T @ few.basis, np.eye(3), rtol=0, atol=1e-13)
    gap = runs.plan(unit='{ kind = "fourier", coefficients = [1.0, 0.0, 0.5] }').problem
    assert gap.rank == 3


@pytest.mark.parametrize("name", CASES)
def test_a_measure_of_one_point_is_a_problem_of_rank_one(name: str) -> None:
    """Without a warning: these are errors in the tests."""
    problem = Problem(**(CASES[name].tables | {"measure": {"kind": "points", "x": [0.4]}}))
    assert problem.rank == 1
    assert problem.floor == pytest.approx(0.0, abs=1e-25)


def test_a_unit_that_vanishes_on_mu_has_rank_zero() -> None:
    problem = Problem(**(CASES["linear"].tables | {"measure": {"kind": "points", "x": [0.0]}}))
    assert problem.rank == 0
    assert problem.features(np.zeros((1, 5))).shape == (5, 0)
    assert problem.floor == pytest.approx(0.5 * float(problem.f[0]) ** 2, rel=1e-15)


def test_floor_is_the_distance_to_the_span() -> None:
    out = runs.plan(target='{ kind = "fourier", cos = [0.5, 0, 0, -0.3] }').problem
    assert out.floor == pytest.approx(0.5 * 0.5 * 0.09, rel=1e-12)


def test_initial_target_is_the_representation_of_the_initial_density() -> None:
    """c has mean 0.2 + 0.5 cos y and y is uniform: f_in = 0.2 a_0 + 0.5 a_1 cos x."""
    problem = Problem.load("stationary")
    np.testing.assert_allclose(problem.f, 0.2 * A[0] + 0.5 * A[1] * np.cos(problem.x), rtol=0, atol=1e-14)


def test_initial_target_on_the_line() -> None:
    """c has mean 0.5, y ~ N(1, 0.3^2), phi = N(x; y, 1/2): f_in = N(x; 1, 1/2 + 0.09)/2."""
    tables = CASES["gaussian"].tables | {
        "target": {"kind": "initial"},
        "initial": {"y": {"kind": "normal", "mean": 1.0, "std": 0.3}, "c": {"kind": "normal", "mean": 0.5, "std": 1.0}},
    }
    problem = Problem(**tables)
    np.testing.assert_allclose(problem.f, 0.5 * density(problem.x, 1.0, 0.59), rtol=0, atol=1e-13)


def test_averages_on_the_circle_are_exact_and_wrap(flat: Problem) -> None:
    axis = circle(16)
    averages = flat.on_grid(Grid((axis,), Axis(-4, 4, 8)))
    assert averages.shape == (16 + 2 * PAD, 7)
    np.testing.assert_array_equal(averages[:PAD], averages[-2 * PAD : -PAD])
    np.testing.assert_array_equal(averages[-PAD:], averages[PAD : 2 * PAD])
    for i in (0, 3, 15):
        for j in (0, 3, 6):
            low, high = axis.edges[i : i + 2]
            exact = integrate.quad(lambda y, j=j: flat.features(np.array([[y]]))[0, j], low, high)[0] / axis.width
            assert averages[i + PAD, j] == pytest.approx(exact, rel=1e-12, abs=1e-14)


def test_averages_on_the_line_are_those_of_quadrature() -> None:
    """4 Gauss points on cells of 0.1: order 8, and phi varies on the scale 0.7."""
    problem = Problem.load("gaussian-mixture")
    axis = Axis(-3.0, 3.0, 60)
    averages = problem.on_grid(Grid((axis,), Axis(-4, 4, 8)))
    assert averages.shape == (60 + 2 * PAD, problem.rank)
    for i in (0, 20, 67):
        for j in (0, 3, 10):
            low, high = axis.padded_edges[i : i + 2]
            exact = integrate.quad(lambda y, j=j: problem.features(np.array([[y]]))[0, j], low, high)[0] / axis.width
            assert averages[i, j] == pytest.approx(exact, rel=1e-11, abs=1e-13)


def test_averages_on_the_plane_are_those_of_quadrature() -> None:
    problem = Problem.load("tanh-plane")
    a, b = Axis(-3.0, 3.0, 30), Axis(-2.0, 2.0, 20)
    averages = problem.on_grid(Grid((a, b), Axis(-4, 4, 8)))
    assert averages.shape == (30 + 2 * PAD, 20 + 2 * PAD, problem.rank)
    u, w = special.roots_legendre(24)
    for i, k in ((0, 0), (20, 9), (37, 27)):
        edges = a.padded_edges[i : i + 2], b.padded_edges[k : k + 2]
        y = np.stack(np.meshgrid(*(e[0] + 0.2 * (u + 1) / 2 for e in edges), indexing="ij")).reshape(2, -1)
        exact = np.outer(w, w).ravel() / 4 @ problem.features(y)
        np.testing.assert_allclose(averages[i, k], exact, rtol=0, atol=1e-9)


def test_averages_in_three_dimensions() -> None:
    """3 Gauss points an axis on cells h = 0.25: error h^6/2016000 per sixth derivative, of tanh at most 400: 5e-8."""
    problem = Problem(
        unit={"kind": "tanh", "inputs": 2},
        target={"kind": "teacher", "neurons": [{"c": 1.0, "y": [1.0, 0.5, 0.2]}]},
        initial={"y": {"kind": "normal", "std": 0.3}, "c": BUMP},
        measure={"kind": "uniform", "low": -1.0, "high": 1.0, "nodes": 6},
    )
    axes = tuple(Axis(-0.5, 0.5, 4) for _ in range(3))
    averages = problem.on_grid(Grid(axes, Axis(-4, 4, 8)))
    assert averages.shape == (12, 12, 12, problem.rank)
    u, w = special.roots_legendre(10)
    edges = [axes[0].padded_edges[i] for i in (0, 5, 11)]
    y = np.stack(np.meshgrid(*(e + 0.25 * (u + 1) / 2 for e in edges), indexing="ij")).reshape(3, -1)
    exact = np.einsum("i,j,k->ijk", w, w, w).ravel() / 8 @ problem.features(y)
    np.testing.assert_allclose(averages[0, 5, 11], exact, rtol=0, atol=2e-7)


def test_two_inputs_are_those_of_a_double_integral() -> None:
    problem = Problem(
        unit={"kind": "sigmoid", "inputs": 2},
        target=lambda x: np.sin(x[:, 0]) * x[:, 1],
        initial={"y": {"kind": "normal", "mean": [0.1, 0.2, 0.3], "std": 0.3}, "c": BUMP},
        measure={"kind": "uniform", "low": [-1.0, 0.0], "high": 1.0, "nodes": 12},
    )
    y = np.array([[0.4], [-0.8], [0.1]])

    def value(x1: float, x2: float) -> float:
        return np.sin(x1) * x2 / (1 + np.exp(-(0.4 * x1 - 0.8 * x2 + 0.1))) / 2

    exact = integrate.dblquad(lambda x2, x1: value(x1, x2), -1, 1, 0, 1, epsabs=1e-13)[0]
    assert problem.F(y)[0] == pytest.approx(exact, rel=1e-10, abs=1e-13)


def test_shipped_nodes_integrate_products_of_phi() -> None:
    """Twice as many nodes change K and F by less than 1e-12 of the largest K; the others are their nodes."""
    for name, count in (("von-mises", 200), ("linear-neuron", 16), ("gaussian-mixture", 256)):
        problem = Problem.load(name)
        table = problem.measure.model_dump() if problem.measure else {"kind": "uniform"}
        finer = Problem(problem.unit, problem.target, problem.initial, table | {"nodes": count})
        low, high = problem.initial.reach()
        y = np.linspace(low[0], high[0], 40)[None]
        z = y[:, ::-1]
        atol = 1e-12 * problem.K(y, y).max()
        np.testing.assert_allclose(problem.K(y, z), finer.K(y, z), rtol=0, atol=atol)
        np.testing.assert_allclose(problem.F(y), finer.F(y), rtol=0, atol=atol)


def test_closures_agree_with_the_features_where_particles_go() -> None:
    """In modes exactly, on a mesh to 1e-10 of the largest value, and to 1e-10 per length of the gradient."""
    assert Problem.load("von-mises").closure.features.shape == (37, 43)
    for name in ("von-mises", "gaussian-mixture", "linear-neuron"):
        problem = Problem.load(name)
        low, high = (ends[:-1] for ends in problem.initial.reach())
        y = low[:, None] + (high - low)[:, None] * np.random.default_rng(1).random((1, 200))
        psi, slope = problem.features(y), problem.gradients(y)
        scale = np.abs(psi).max()
        np.testing.assert_allclose(problem.closure.evaluate(y), psi, rtol=0, atol=2e-10 * scale)
        np.testing.assert_allclose(problem.closure.gradients(y), slope, rtol=0, atol=4e-10 * np.abs(slope).max())


def test_a_unit_that_overflows_is_refused_in_one_line() -> None:
    tables = CASES["linear"].tables | {"initial": {"y": {"kind": "uniform", "low": 0.0, "high": 1e200}, "c": BUMP}}
    tables["measure"] = {"kind": "points", "x": [1e200]}
    with pytest.raises(InputError, match="not finite"), np.errstate(over="ignore"):
        _ = Problem(**tables).basis
