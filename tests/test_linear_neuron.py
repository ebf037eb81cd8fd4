"""A linear neuron on the line, phi = x y: exact solutions for the mean field and for its covariance.

With s = int x^2 dmu, f = m* x and Gaussian rho_in the density stays Gaussian. In terms of S = <(c + y)^2>_0 and
D = <(c - y)^2>_0 the flow is c + y = q^(-1/2) (c + y)_0, c - y = q^(1/2) (c - y)_0, so that f_t = m x with

    m = (S/q - D q)/4,  (q - q+)/(q - q-) = (1 - q+)/(1 - q-) e^(-s w t),  w = sqrt(4 m*^2 + S D), q+- = (-2 m* +- w)/D.

f_n depends on the sample through S and D alone: its covariance to leading order is that of the delta method.
Here mu = N(0, 1) and f = x, hence s = m* = 1, with y ~ N(0.3, 1) and c ~ N(0, 1).
"""

import numpy as np
import pytest
from engines import Array
from numpy.testing import assert_allclose

from particles import RK4, Closure, Splines, descend
from solvers import fluctuations
from solvers.characteristics import extent, mean_field, solve

MEAN = 0.3
START = 2 + MEAN**2  # S and D at t = 0


def linear() -> Closure:
    """psi(y) = y in splines, exact on any mesh."""
    basis, features = Splines.fit(lambda y: y.T.copy(), (-30.0,), (30.0,), 1e-12)
    return Closure(basis, features, np.ones(1))


LINEAR = linear()


def nodes(Ny: int, Nc: int) -> tuple[Array, Array, Array]:
    """Gauss-Hermite in y and c: exact, since all that is integrated is of second or fourth degree."""
    y, p = np.polynomial.hermite_e.hermegauss(Ny)
    c, w = np.polynomial.hermite_e.hermegauss(Nc)
    weights = np.outer(p / p.sum(), w / w.sum()).ravel()
    return np.repeat(y + MEAN, Nc)[None], np.tile(c, Ny), weights


def few(Ny: int, Nc: int) -> tuple[Array, Array, Array]:
    """The same rule on at most 16 nodes an axis, however many are asked for: weights of more underflow."""
    return nodes(min(Ny, 48), min(Nc, 16))


def slope(S: complex, D: complex, t: Array) -> Array:
    """m(t) in closed form."""
    w = np.sqrt(4 + S * D)
    plus, minus = (-2 + w) / D, (-2 - w) / D
    ratio = (1 - plus) / (1 - minus) * np.exp(-w * t)
    q = (plus - minus * ratio) / (1 - ratio)
    return np.asarray((S / q - D * q) / 4)


def covariance(t: Array) -> Array:
    """Var m for n = 1 by the delta method: c + y and c - y are independent normals of means +-0.3 and variance 2."""
    variance = 2 * 2.0**2 + 4 * MEAN**2 * 2.0
    by_S = slope(START + 1e-30j, START, t).imag / 1e-30
    by_D = slope(START, START + 1e-30j, t).imag / 1e-30
    return np.asarray(variance * (by_S**2 + by_D**2))


def test_closed_form_solves_the_equation() -> None:
    """dm/dt = -<c^2 + y^2> (m - 1) with <c^2 + y^2> = (S/q + D q)/2: by differences, at t = 0 and on."""
    h = 1e-4
    assert slope(START, START, np.zeros(1))[0] == pytest.approx(0, abs=1e-15)
    rate = (slope(START, START, np.array([h])) - slope(START, START, np.array([-h])))[0] / (2 * h)
    assert rate == pytest.approx(START, abs=1e-6)  # <c^2 + y^2> (1 - 0)


def test_characteristics_are_exact() -> None:
    solved = solve(LINEAR, few, 3.0, 6, 1e-9)
    exact = slope(START, START, np.linspace(0, 3, 7))
    assert np.all(solved.error <= 1e-9)
    assert_allclose(solved.coefficients[:, 0], exact, rtol=0, atol=3e-9)


def test_particles_follow_the_closed_form_of_their_own_sample() -> None:
    rng = np.random.default_rng(1)
    y, c = rng.normal(MEAN, 1, (5, 1, 100)), rng.standard_normal((5, 100))
    S, D = np.mean((c + y[:, 0]) ** 2, axis=1), np.mean((c - y[:, 0]) ** 2, axis=1)
    # only for samples with <c y> = m(0) = (S - D)/4 is q(0) = 1: always
    run = descend(LINEAR, y, c, np.full(100, 0.01), 0.01, 200, RK4)
    assert np.all(run.left == 0)
    exact = np.stack([slope(s, d, np.linspace(0, 2, 201)) for s, d in zip(S, D, strict=True)])
    assert_allclose(run.coefficients[:, ::4, 0], exact, rtol=0, atol=1e-7)


def test_covariance_is_that_of_the_delta_method() -> None:
    dt, steps = 0.0125, 240
    coarse, fine = (mean_field(LINEAR, few(48, 16), dt / k, k * steps) for k in (1, 2))
    solved = fluctuations.solve(LINEAR, few, coarse, fine, np.arange(0, steps + 1, 4))
    exact = covariance(solved.times)
    assert solved.features == 1 and np.all(solved.neglected == 0)
    assert_allclose(solved.trace, exact, rtol=1e-6, atol=0)
    assert np.all(np.abs(solved.trace - exact) <= 3 * solved.trace_error + 1e-9 * exact)


def test_extent_holds_what_the_linear_flow_makes_of_the_mass() -> None:
    """(c + y) and (c - y) are only stretched, so the extremes of a box of starts are at its corners."""
    seen = extent(LINEAR, few, 3.0, 6, 1e-6)
    low, high = seen.low, seen.high
    t = np.linspace(0, 3, 301)
    w = np.sqrt(4 + START**2)
    plus, minus = (-2 + w) / START, (-2 - w) / START
    ratio = (1 - plus) / (1 - minus) * np.exp(-w * t)
    q = (plus - minus * ratio) / (1 - ratio)
    y, c, p = nodes(48, 48)
    forward, backward = (c + y[0]) * q[:, None] ** -0.5, (c - y[0]) * q[:, None] ** 0.5
    for k, z in enumerate(((forward - backward) / 2, (forward + backward) / 2)):
        outside = np.where((z < low[k]) | (z > high[k]), p, 0).sum(axis=1)
        assert outside.max() <= 1e-6
        assert high[k] - low[k] < 25
