"""The problem layer against closed forms and brute-force quadrature."""

import numpy as np
import pytest
import runs
from scipy import integrate, stats

from liouville.densities import BumpC, FourierSeries, Initial, NormalC, UniformY, VonMisesY
from liouville.problem import Problem
from particles import stream
from solvers.grid import Grid

A = [1.0, 0.5**0.5, 0.2**0.5, 0.1**0.5]  # coefficients of the shipped unit, 1/sqrt(1 + k^2)


def phi(x, y):  # type: ignore[no-untyped-def]
    return A[0] + 2 * sum(a * np.cos(k * (x - y)) for k, a in enumerate(A) if k)


def f(x):  # type: ignore[no-untyped-def]
    return 0.25 + 0.5 * np.cos(x) - 0.2 * np.cos(3 * x) + 0.35 * np.sin(2 * x)


def mean(g) -> float:  # type: ignore[no-untyped-def]
    """int g dx/(2 pi) by adaptive quadrature."""
    return integrate.quad(g, 0, 2 * np.pi, epsabs=1e-13)[0] / (2 * np.pi)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem.load("flat-fourier")


def test_F_and_K_are_the_integrals_of_5(problem: Problem) -> None:
    for y, z in ((0.3, 0.3), (1.0, 4.0), (5.5, 2.2)):
        assert problem.F(np.array(y)) == pytest.approx(mean(lambda x, y=y: f(x) * phi(x, y)), rel=1e-11, abs=1e-12)
        expected = mean(lambda x, y=y, z=z: phi(x, y) * phi(x, z))
        assert problem.K(np.array(y), np.array(z)) == pytest.approx(expected, rel=1e-11, abs=1e-12)


def test_U_M_loss_and_energy_are_those_of_particles(problem: Problem) -> None:
    """(13), (16), (3) and (4) by sums over three weighted particles and fine quadrature in x."""
    y, c, p = np.array([0.2, 2.0, 4.4]), np.array([1.0, -0.7, 0.4]), np.array([0.5, 0.3, 0.2])
    x = np.arange(400) * (2 * np.pi / 400)
    values = sum(w * ci * phi(x, yi) for w, ci, yi in zip(p, c, y, strict=True))
    residual = values - f(x)
    g = (p * c) @ problem.closure.coefficients(_trig(y))
    np.testing.assert_allclose(problem.values(g), np.interp(problem.x, x, values, period=2 * np.pi), rtol=0, atol=1e-3)
    assert problem.loss(g) == pytest.approx(0.5 * np.mean(residual**2), rel=1e-12)
    assert problem.energy(g) == pytest.approx(0.5 * np.mean(residual**2) - 0.5 * np.mean(f(x) ** 2), rel=1e-12)
    assert problem.U(np.array(1.1), g) == pytest.approx(np.mean(residual * phi(x, 1.1)), rel=1e-12)
    h = 1e-5
    slopes = [ci * (phi(x, yi + h) - phi(x, yi - h)) / (2 * h) for ci, yi in zip(c, y, strict=True)]
    M = sum(w * (np.outer(s, s) + np.outer(phi(x, yi), phi(x, yi))) for w, s, yi in zip(p, slopes, y, strict=True))
    e = _fine_basis(problem, x)
    np.testing.assert_allclose(problem.M(y, c, p), e.T @ M @ e / 400**2, rtol=1e-8, atol=1e-9)


def _trig(y):  # type: ignore[no-untyped-def]
    from particles import trig

    return trig(y, 3)


def _fine_basis(problem: Problem, x):  # type: ignore[no-untyped-def]
    """e_j at any x, from phi(x, y) = sum_j e_j(x) psi_j(y)."""
    return np.linalg.lstsq(problem.closure.features.T, problem.unit.series(x).T, rcond=None)[0].T


def test_basis_is_orthonormal_and_expands_the_unit(problem: Problem) -> None:
    for of in (problem, Problem.load("co2-season")):
        np.testing.assert_allclose((of.weights[:, None] * of.basis).T @ of.basis, np.eye(of.rank), rtol=0, atol=1e-13)
        y = np.array([0.1, 3.0])
        np.testing.assert_allclose(
            of.closure.coefficients(_trig(y)) @ of.basis.T, phi(of.x, y[:, None]), rtol=0, atol=1e-13
        )


def test_M_is_the_identity_for_flat_fourier(problem: Problem) -> None:
    """a_k^2 (1 + k^2 <c^2>) = 1 on every mode: what the name of the problem says."""
    np.testing.assert_allclose(problem.M(*problem.initial.nodes(64, 16)), np.eye(7), rtol=0, atol=1e-13)


def test_rank_falls_when_points_or_modes_are_missing() -> None:
    points = runs.plan(initial='{ c = { kind = "normal", std = 1.0 } }').problem
    assert points.rank == 7
    source = runs.text().replace("target =", 'measure = { kind = "points", x = [0.1, 2.0, 2.0, 4.0] }\ntarget =')
    few = runs.Plan(runs.runfile.parse(source)).problem
    assert few.rank == 3
    np.testing.assert_allclose((few.weights[:, None] * few.basis).T @ few.basis, np.eye(3), rtol=0, atol=1e-13)
    gap = runs.plan(unit='{ kind = "fourier", coefficients = [1.0, 0.0, 0.5] }').problem
    assert gap.rank == 3


def test_floor_is_the_distance_to_the_span() -> None:
    out = runs.plan(target='{ kind = "fourier", cos = [0.5, 0, 0, -0.3] }').problem
    assert out.floor == pytest.approx(0.5 * 0.5 * 0.09, rel=1e-12)


def test_initial_target_is_the_representation_of_the_initial_density() -> None:
    """c has mean 0.2 + 0.5 cos y and y is uniform: f_in = 0.2 a_0 + 0.5 a_1 cos x."""
    problem = Problem.load("stationary")
    np.testing.assert_allclose(problem.f, 0.2 * A[0] + 0.5 * A[1] * np.cos(problem.x), rtol=0, atol=1e-14)


LAWS = [
    Initial(y=UniformY(), c=BumpC(std=0.7, mean=0.3, exponent=4.0)),
    Initial(y=VonMisesY(mean=1.0, concentration=3.0), c=NormalC(std=0.5)),
    Initial(y=VonMisesY(mean=5.0, concentration=0.5), c=BumpC(std=1.0, mean=FourierSeries(constant=0.2, cos=(0.5,)))),
]


def density(law: Initial, y, c):  # type: ignore[no-untyped-def]
    """rho_in(y, c) from scipy's own laws."""
    py = (
        stats.uniform(0, 2 * np.pi).pdf(y)
        if isinstance(law.y, UniformY)
        else (stats.vonmises(law.y.concentration, loc=law.y.mean).pdf(y))
    )
    u = (c - law.c.centre(y)) / law.c.std
    if isinstance(law.c, NormalC):
        return py * stats.norm.pdf(u) / law.c.std
    reach, p = law.c.reach, law.c.exponent + 1
    return py * stats.beta(p, p, loc=-reach, scale=2 * reach).pdf(u) / law.c.std


@pytest.mark.parametrize("law", LAWS)
def test_cell_averages_are_exact(law: Initial) -> None:
    grid = Grid(16, 12, -4.0, 4.0)
    averages = law.cell_averages(grid)
    for i, j in ((0, 6), (7, 5), (13, 8)):
        y, c = i * grid.dy, grid.c_edges[j]
        exact = integrate.dblquad(lambda c, y: density(law, y, c), y, y + grid.dy, c, c + grid.dc, epsabs=1e-12)[0]
        # 8 Gauss points in y where the mean moves with y: 1e-9 on cells this wide
        assert averages[i, j] * grid.dy * grid.dc == pytest.approx(exact, rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("law", LAWS)
def test_nodes_integrate_smooth_functions(law: Initial) -> None:
    y, c, p = law.nodes(64, 16)
    assert p.sum() == pytest.approx(1.0, rel=1e-13)

    def g(y, c):  # type: ignore[no-untyped-def]
        return (1 + np.sin(y + 0.3)) * c**2 + c * np.cos(2 * y)

    exact = integrate.dblquad(lambda c, y: g(y, c) * density(law, y, c), 0, 2 * np.pi, -6, 6, epsabs=1e-10)[0]
    assert p @ g(y, c) == pytest.approx(exact, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("law", LAWS)
def test_samples_follow_the_density(law: Initial) -> None:
    """Kolmogorov-Smirnov for y and for (c - mean)/std: fixed seeds; false-alarm rate 2e-4 for the six together."""
    y, c = law.sample(stream(5, 20_000, 0), 20_000)
    marginal = stats.uniform(0, 1).cdf
    if isinstance(law.y, UniformY):
        u = y / (2 * np.pi)
    else:
        u = stats.vonmises.cdf(y, law.y.concentration, loc=law.y.mean) % 1.0  # mod 1: a circular shift keeps it uniform
    assert stats.kstest(u, marginal).pvalue > 2e-4 / 6
    v = (c - law.c.centre(y)) / law.c.std
    assert stats.kstest(law.c.cdf(v), marginal).pvalue > 2e-4 / 6
    assert np.std(c - law.c.centre(y)) == pytest.approx(law.c.std, rel=5 * 0.75 / 20_000**0.5)
