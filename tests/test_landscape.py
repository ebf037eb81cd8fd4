"""Section 3.1: the loss is convex in G, (6)-(8), not in the parameters; fixed points that are no minima are left."""

from pathlib import Path

import numpy as np
import pytest
import runs

from liouville.cli import run as command
from liouville.convexity import chord_of_moments, chord_of_parameters, chords, loss_of_network
from liouville.errors import InputError
from liouville.escape import escape, slope_of, zeros
from particles import RK4, descend

YSTAR = 1.8815062467559458  # of the run file `trap`


@pytest.mark.parametrize("name", ["flat-fourier", "linear-neuron", "tanh-plane"])
def test_loss_is_a_convex_quadratic_of_the_moment(name: str) -> None:
    """Second difference along G_0 + s (G_1 - G_0) against the double sum of K over all pairs of particles of both."""
    problem = runs.plan(name).problem
    rng = np.random.default_rng(1)
    first, second = problem.initial.sample(rng, 5), problem.initial.sample(rng, 7)
    s = np.linspace(0, 1, 5)
    loss = chord_of_moments(problem, first, second, s)
    y = np.concatenate([first[0], second[0]], axis=1)
    charge = np.concatenate([-first[1] / 5, second[1] / 7])
    pairs = np.array([[problem.K(y[:, [i]], y[:, [j]])[0] for j in range(12)] for i in range(12)])
    expected = charge @ pairs @ charge
    assert expected > 0
    np.testing.assert_allclose(np.diff(loss, 2) / 0.25**2, expected, rtol=1e-8)
    assert loss[0] == pytest.approx(loss_of_network(problem, *first), rel=1e-12)
    assert loss[-1] == pytest.approx(loss_of_network(problem, *second), rel=1e-12)


def test_loss_is_not_convex_in_the_parameters() -> None:
    """A network and itself renumbered: equal loss at both ends, far more between."""
    found = chords(runs.plan("flat-fourier", final=3.0))
    assert found.parameters[0] == pytest.approx(found.parameters[-1], rel=1e-10)
    assert found.barrier > 10
    assert found.second_difference == pytest.approx(found.curvature, rel=1e-10)


def test_a_chord_of_parameters_takes_the_shorter_way_round_the_circle() -> None:
    problem = runs.plan("flat-fourier").problem
    y, c = np.array([[0.1, 2.0]]), np.array([1.0, -0.5])
    around = chord_of_parameters(problem, (y, c), (y + 2 * np.pi, c), np.linspace(0, 1, 5))
    np.testing.assert_allclose(around, loss_of_network(problem, y, c), rtol=1e-12)


def test_zeros_of_F_are_zeros_and_the_trap_is_one_of_them() -> None:
    problem = runs.plan("trap").problem
    found = zeros(problem)
    F = lambda y: problem.F(np.array([[y]]))[0]  # noqa: E731
    assert len(found) % 2 == 0  # on a circle
    assert found[0][0] == pytest.approx(YSTAR, abs=1e-12)
    for at in found:
        assert abs(F(at[0])) < 1e-14
        difference = (F(at[0] + 1e-5) - F(at[0] - 1e-5)) / 2e-5
        assert slope_of(problem, at) == pytest.approx(difference, rel=1e-8)


def test_the_fixed_point_stays() -> None:
    """delta_(y*, 0), as 9 particles: what moves is rounding, 1e-16 e^(|F'| t)."""
    problem = runs.plan("trap").problem
    y, c = np.full((1, 1, 9), YSTAR), np.zeros((1, 9))
    run = descend(problem.closure, y, c, np.full(9, 1 / 9), 0.05, 200, RK4)
    assert np.abs(y - YSTAR).max() < 1e-15 * np.exp(0.7043 * 10) * 4
    np.testing.assert_allclose(problem.loss(run.coefficients[0]), problem.loss(np.zeros(problem.rank)), rtol=1e-12)


def test_escape_has_the_computed_rate_and_takes_a_time_like_the_log_of_the_spread() -> None:
    """Error of the rate: of RK4, (dt |F'|)^4/120 = 4e-7, and of what is not linear below an rms of 1e-2, (1e-2)^2."""
    found = escape(runs.plan("trap").problem)
    assert found.residual < 1e-15
    assert found.rates[-1] == pytest.approx(found.rate, rel=1e-4)
    assert found.slope == pytest.approx(1 / found.rate, rel=1e-3)
    assert np.all(np.isfinite(found.left)) and np.all(np.diff(found.left) > 0)
    assert np.all(found.loss[:, -1] < 0.1)  # however small the spread, the trap is left
    other = escape(runs.plan("trap").problem, zeros(runs.plan("trap").problem)[1])
    assert other.rate < 0.5 * found.rate  # a test that cannot tell these apart says nothing
    assert other.rates[-1] == pytest.approx(other.rate, rel=1e-4)


def test_particles_leave_the_trap_with_their_mean_field() -> None:
    """Every one of 40 replicas of 64 particles from a spread of 1e-3, within two times 1/|F'| of the mean field."""
    problem = runs.plan("trap").problem
    known = escape(problem, spreads=(1e-2, 1e-3, 1e-4))
    rng = np.random.default_rng(6)
    y = YSTAR + 1e-3 * rng.standard_normal((40, 1, 64))
    c = 1e-3 * rng.standard_normal((40, 64))
    dt = 0.05
    run = descend(problem.closure, y, c, np.full(64, 1 / 64), dt, 400, RK4, record=RK4.stages)
    loss = problem.loss(run.coefficients) / problem.loss(np.zeros(problem.rank))
    assert np.all(loss[:, -1] < 0.9)
    left = dt * np.argmax(loss < 0.9, axis=1)
    assert np.all(np.abs(left - known.left[1]) < 2 / known.rate)


def test_more_components_have_no_such_study() -> None:
    with pytest.raises(InputError, match="one component of y only"):
        zeros(runs.plan("tanh-plane").problem)


def test_landscape_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["landscape", "trap", "-o", str(tmp_path / "l.png")]) == 0
    assert "escape rate" in capsys.readouterr().out
    assert (tmp_path / "l.png").read_bytes().startswith(b"\x89PNG")
    assert command(["landscape", "trap", "-o", str(tmp_path / "l.png")]) == 2
