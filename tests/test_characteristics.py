"""The method of characteristics: the independent values, an error estimate that holds, the range of c."""

import numpy as np
import pytest
from engines import FLAT, UNIT, WAVES, Array, nodes, orders, reference
from numpy.testing import assert_allclose

import liouville as lv
from particles import EULER, RK4, Closure, Tableau, Trigonometric, descend
from solvers.characteristics import extent, mean_field, solve


def test_nodes_integrate_the_initial_density() -> None:
    """Weights sum to 1, and mixed moments are those of independent y (uniform) and c (bump of variance 1)."""
    from liouville.problem import Problem
    from liouville.runfile import load

    initial = Problem.build(load("flat-fourier").problem).initial
    for ours, theirs in zip(initial.nodes(16, 12), nodes(16, 12), strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=1e-14)
    y, c, p = initial.nodes(16, 12)
    kurtosis = 11**2 * 3 / (11 * 13)  # <c^4> of the bump: A^4 B(5/2, 5)/B(1/2, 5)
    for value, exact in ((p.sum(), 1), (p @ c**2, 1), (p @ c**4, kurtosis), (p @ (c**2 * np.cos(y[0]) ** 2), 0.5)):
        assert value == pytest.approx(exact, abs=1e-13)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, pytest.param(1e-9, id="1e-09")])
def test_residuals_meet_the_tolerance_and_the_estimate_bounds_the_error(tolerance: float) -> None:
    solved = solve(FLAT, nodes, 6.0, 6, tolerance)
    true = np.linalg.norm(solved.coefficients - FLAT.target - reference()["residual"], axis=1)
    own = reference()["residual_error"]
    assert np.all(solved.error <= tolerance)
    assert np.all(true <= 10 * tolerance)
    assert np.all(true <= 3 * solved.error + own + 1e-12)


@pytest.mark.parametrize(("tableau", "steps"), [(EULER, 160), (RK4, 20)], ids=["euler", "rk4"])
def test_mean_field_converges_at_the_order_of_the_scheme(tableau: Tableau, steps: int) -> None:
    exact = reference()["residual"][2]
    runs = [mean_field(FLAT, nodes(1024, 32), 2.0 / n, n, tableau) for n in (steps, 2 * steps, 4 * steps)]
    errors = [float(np.linalg.norm(run.coefficients[-1] - FLAT.target - exact)) for run in runs]
    assert_allclose(orders(errors), tableau.order, rtol=0, atol=0.15)


def test_field_of_the_mean_field_moves_each_particle_as_the_ensemble_does() -> None:
    """The potential it hands over, given to free particles, reproduces the interacting ones."""
    y, c, p = nodes(32, 8)
    known = mean_field(FLAT, (y, c, p), 0.1, 10)
    free_y, free_c, own_y, own_c = (a[None].copy() for a in (y, c, y, c))
    free = descend(FLAT, free_y, free_c, p, 0.1, 10, RK4, field=known.field)
    descend(FLAT, own_y, own_c, p, 0.1, 10, RK4)
    assert_allclose(free_y, own_y, rtol=0, atol=1e-13)
    assert_allclose(free_c, own_c, rtol=0, atol=1e-13)
    assert_allclose(known.coefficients, free.coefficients[0, :: RK4.stages], rtol=0, atol=1e-14)


def test_one_mode_of_independent_c_decays_as_the_linear_equation_at_first() -> None:
    """M of (16) is the identity on the modes at t = 0, so r(t) = (1 - t) r(0) + O(t^2)."""
    t = 1e-4
    start, end = mean_field(FLAT, nodes(64, 16), t, 1).coefficients - FLAT.target
    assert_allclose(start, -FLAT.target, rtol=0, atol=1e-14)
    assert_allclose((start - end) / t, start, rtol=0, atol=10 * t)


@pytest.mark.parametrize("tail", [1e-2, 1e-4, 1e-9])
def test_extent_holds_all_but_the_tail_of_the_mass_and_little_more(tail: float) -> None:
    """Counted on many more nodes, at many times."""
    seen = extent(FLAT, nodes, 6.0, 6, tail)
    low, high = seen.low, seen.high
    y, c, p = nodes(1024, 256)
    run = descend(FLAT, y[None].copy(), c[None].copy(), p, 0.05, 120, RK4, every=10, keep=c.size)
    outside = np.array([p[(snapshot < low[1]) | (snapshot > high[1])].sum() for snapshot in run.c[0]])
    # a node of the finer rule carries at most this much mass
    assert outside.max() <= tail + 2 * p.max()
    reached = run.c[0].max() - run.c[0].min()  # by the whole support
    assert high[1] - low[1] <= 1.1 * reached
    if tail == 1e-2:
        assert high[1] - low[1] <= 0.95 * reached  # a tail makes a difference


def test_extent_of_a_stationary_start_is_found_at_the_first_step() -> None:
    """Its loss is rounding alone, which rises and falls: no sign of a step that is too long."""
    y, c, p = nodes(48, 24)
    stationary = Closure(FLAT.basis, FLAT.features, (p * (c + 0.3)) @ FLAT.evaluate(y))
    seen = extent(stationary, lambda Ny, Nc: (y, c + 0.3, p), 6.0, 6)
    assert seen.substeps <= 8 and np.all(np.isfinite([seen.low, seen.high]))


def test_extent_and_solution_of_a_stiff_unit() -> None:
    """a = (10, 2, 2, 2): M has the eigenvalue 100, for which RK4 diverges at steps above 0.028."""
    a = np.array([10.0, 2.0, 2.0, 2.0])
    scale = a[WAVES] * np.where(WAVES == 0, 1.0, np.sqrt(2.0))
    stiff = Closure(Trigonometric(3), np.diag(scale), FLAT.target)
    seen = extent(stiff, nodes, 2.0, 4, 1e-9)
    low, high = seen.low, seen.high
    y, c, p = nodes(512, 64)
    run = descend(stiff, y[None].copy(), c[None].copy(), p, 0.0025, 800, RK4, every=20, keep=c.size)
    assert low[1] <= run.c.min() and run.c.max() <= high[1]
    assert high[1] - low[1] <= 1.1 * (run.c.max() - run.c.min())
    solved = solve(stiff, nodes, 2.0, 4, 1e-5)
    assert np.all(solved.error <= 1e-5)
    expected = run.coefficients[0, :: 4 * 200]
    assert_allclose(solved.coefficients, expected, rtol=0, atol=5e-5)


def test_estimate_holds_for_steep_neurons_with_normal_laws_in_the_plane() -> None:
    """tanh(a x + b), a and b ~ N(0, 2^2): their moments take 32 nodes an axis, where normal laws alone take 20."""
    problem = lv.Problem(
        unit={"kind": "tanh"},
        target=np.sign,
        initial={"y": {"kind": "normal", "std": 2.0}, "c": {"kind": "normal", "std": 1.0}},
        measure={"kind": "uniform", "low": -1.0, "high": 1.0, "nodes": 8},
    )
    solved = solve(problem.closure, problem.initial.nodes, 0.5, 2, 1e-5)
    finer = mean_field(problem.closure, problem.initial.nodes(96, 20), 0.03125, 16).coefficients[::8]
    true = np.linalg.norm(solved.coefficients - finer, axis=1).max()
    print(f"Ny {solved.Ny}, estimate {solved.error.max():.1e}, true {true:.1e}")
    assert true <= solved.error.max() <= 1e-5


def test_unit_and_target_are_those_of_the_paper_example() -> None:
    """F and K of (5) from the closure, against integrals over x by the trapezoid rule on 64 nodes."""
    x = np.arange(64) * (2 * np.pi / 64)
    y = np.array([0.3, 2.0, 5.5])

    def phi(y: Array) -> Array:
        return sum((1 if k == 0 else 2) * UNIT[k] * np.cos(k * (x - y[:, None])) for k in range(4))

    f = 0.25 + 0.5 * np.cos(x) - 0.2 * np.cos(3 * x) + 0.35 * np.sin(2 * x)
    assert max(WAVES) == 3
    psi = FLAT.evaluate(y[None])
    assert_allclose(psi @ FLAT.target, phi(y) @ f / 64, rtol=0, atol=1e-14)
    assert_allclose(psi @ psi.T, phi(y) @ phi(y).T / 64, rtol=0, atol=1e-14)
