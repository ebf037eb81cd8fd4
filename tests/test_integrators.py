"""Euler's scheme and the adaptive pair: their steps, their order, and the fluctuation theory of each."""

from dataclasses import replace

import numpy as np
import pytest
import runs
from engines import FLAT, Array, nodes, orders, sample, threads, two_threads
from numpy.testing import assert_allclose, assert_array_equal

from liouville import judgement
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.runfile import parse
from liouville.steps import Steps
from particles import EULER, RK4, Closure, Tableau, Trigonometric, descend
from solvers import fluctuations
from solvers.characteristics import mean_field
from solvers.frames import SolverError
from solvers.sources import sources
from solvers.step_control import step_lengths
from solvers.volterra import euler_weights, integration_weights, resolvent

STOPS = np.linspace(0.0, 6.0, 7)


def plan(integrator: str, **changes: object) -> Plan:
    """A small run with an integrator, a key of [particles] that the shipped run files leave out."""
    source = runs.text(**runs.TINY | changes)
    return Plan(parse(source.replace("[particles]\n", f"[particles]\n{integrator}\n")))


# -- the pair -------------------------------------------------------------------------------------------------------


def adaptive(tolerance: float, stops: Array = STOPS, closure: Closure = FLAT) -> tuple[Array, Array]:
    return step_lengths(closure, nodes(64, 16), stops, tolerance, 0.05, 10**5)


def test_steps_meet_every_stop() -> None:
    lengths, reached = adaptive(1e-6)
    assert_allclose(np.append(0.0, np.cumsum(lengths))[reached], STOPS, rtol=1e-14, atol=0)
    assert np.all(lengths > 0) and reached[0] == 0 and reached[-1] == lengths.size


def test_error_of_the_mean_field_falls_with_the_tolerance() -> None:
    """Errors per step of size tolerance give steps ~ tolerance^(1/4), hence a global error ~ tolerance."""
    exact = mean_field(FLAT, nodes(64, 16), 6.0 / 2000, 2000).coefficients[-1]
    errors = []
    for tolerance in (1e-4, 1e-5, 1e-6, 1e-7):
        lengths, _ = adaptive(tolerance)
        end = mean_field(FLAT, nodes(64, 16), lengths, lengths.size).coefficients[-1]
        errors.append(float(np.linalg.norm(end - exact)))
    print("errors of f_0 at t = 6 for tolerances 1e-4 ... 1e-7:", errors)
    assert np.all(np.array(errors) <= [1e-4, 1e-5, 1e-6, 1e-7])
    assert np.all(np.array(errors[:-1]) / errors[1:] > 4)


def test_steps_grow_where_the_motion_dies_down() -> None:
    lengths, reached = adaptive(1e-6, np.array([0.0, 5.0, 60.0, 120.0]))
    early, late = lengths[: reached[1]], lengths[reached[2] :]
    print(f"mean step {early.mean():.3g} before t = 5, {late.mean():.3g} after t = 60, {lengths.size} steps")
    assert late.mean() > 2 * early.mean()


def test_stiff_features_take_short_steps_and_too_many_are_refused() -> None:
    stiff = Closure(Trigonometric(3), 10 * FLAT.features, FLAT.target)
    lengths, _ = adaptive(1e-6, STOPS[:2], stiff)
    loss = np.sum((mean_field(stiff, nodes(64, 16), lengths, lengths.size).coefficients - FLAT.target) ** 2, axis=1)
    assert lengths[0] < 0.1 * adaptive(1e-6, STOPS[:2])[0][0]
    assert np.all(np.diff(loss) <= 1e-6 * loss[0])
    with pytest.raises(SolverError, match="tolerance is too small"):
        step_lengths(FLAT, nodes(64, 16), STOPS, 1e-9, 0.05, 10)


def test_frozen_particles_keep_their_place_in_the_choice_of_steps() -> None:
    """The linear equation of frozen y: the pair's f_0 against the exponential."""
    frozen = replace(FLAT, moving=False)
    lengths, _ = adaptive(1e-8, STOPS, frozen)
    start, end = (mean_field(frozen, nodes(64, 16), lengths, lengths.size).coefficients[i] for i in (0, -1))
    decay = np.exp(-6.0 * np.diag(FLAT.features) ** 2 * np.where(np.arange(7) == 0, 1.0, 0.5))
    assert_allclose(end - FLAT.target, decay * (start - FLAT.target), rtol=0, atol=1e-8)


def test_lengths_given_one_by_one_are_those_given_at_once() -> None:
    lengths = np.array([0.1, 0.02, 0.3, 0.05])
    y, c = sample(1, 3, 300)
    at_once = descend(FLAT, *(together := (y.copy(), c.copy())), np.full(300, 1 / 300), lengths, 4, RK4)
    for length in lengths:
        descend(FLAT, y, c, np.full(300, 1 / 300), length, 1, RK4)
    assert_array_equal(together[0], y)
    assert_array_equal(together[1], c)
    assert at_once.coefficients.shape == (3, 17, 7)


def test_any_stages_and_steps_go_on_record() -> None:
    y, c = sample(2, 2, 300)
    weights = np.full(300, 1 / 300)
    whole = descend(FLAT, y.copy(), c.copy(), weights, 0.1, 6, RK4, keep=3)
    stages, steps = np.array([0, 3, 4, 17, 24]), np.array([0, 1, 5])
    some = descend(FLAT, y.copy(), c.copy(), weights, 0.1, 6, RK4, keep=3, record=stages, every=steps)
    assert_array_equal(some.coefficients, whole.coefficients[:, stages])
    assert_array_equal(some.y, whole.y[:, steps])
    assert_array_equal(some.c, whole.c[:, steps])


# -- the fluctuation theory of a discrete scheme ----------------------------------------------------------------------


def response(tableau: Tableau, lengths: Array, grid: Array) -> tuple[Array, Array, Array]:
    """g = R h for a random perturbation of the weights of a few nodes, and the same by differences: (T, M) each."""
    y, c, p = nodes(24, 6)
    nu = p * np.random.default_rng(3).standard_normal(p.size)
    nu -= p * nu.sum()
    known = mean_field(FLAT, (y, c, p), lengths, lengths.size, tableau)
    h, A, B = sources(FLAT, known, y, c, grid)
    times = known.times[grid]
    weights = euler_weights(times) if tableau is EULER else integration_weights(times, 8)
    R = resolvent(np.einsum("q,tmiq,sniq->tmsn", p, A, B, optimize=True), weights)
    g = np.einsum("tmsn,snq,q->tm", R, h, nu, optimize=True)

    def moved(step: float) -> Array:
        ends = [
            mean_field(FLAT, (y, c, p + s * nu), lengths, lengths.size, tableau).coefficients for s in (step, -step)
        ]
        return np.asarray((ends[0] - ends[1])[grid] / (2 * step))

    return g, (4 * moved(0.005) - moved(0.01)) / 3, times


def test_response_of_eulers_scheme_is_exact_at_any_step() -> None:
    """Steps of 0.2, of 5% of f_0: the theory is that of the scheme, not of the equation; so it is for uneven ones."""
    for lengths in (np.full(20, 0.2), np.linspace(0.05, 0.3, 20)):
        g, differences, _ = response(EULER, lengths, np.arange(21))
        assert_allclose(g, differences, rtol=0, atol=1e-8 * np.abs(differences).max())


def test_response_on_uneven_steps_converges_at_the_order_of_the_scheme() -> None:
    """Kutta's scheme on steps that grow by a factor of four, each halved twice."""
    lengths = np.linspace(0.05, 0.2, 16)
    found = []
    for k in (1, 2, 4):
        g, differences, _ = response(RK4, np.repeat(lengths / k, k), np.arange(16 * k + 1))
        found.append(float(np.abs(g - differences).max()))
    print("g - differences for halved steps:", found, "orders", orders(found))
    assert np.all(orders(found) > 3.5)
    assert found[-1] < 1e-6


def test_covariance_of_eulers_scheme_is_below_that_of_the_equation() -> None:
    """tr C of steps of 0.1 over that of Kutta's: 0.96067, 0.93687, 0.90144 at t = 1, 4, 6 on 256 x 12 nodes.

    By central differences in the weight of each single node, with step 1e-3. Other nodes move the ratio by 5e-4.
    """
    traces = []
    for tableau, fine in ((EULER, None), (RK4, mean_field(FLAT, nodes(512, 16), 0.05, 120))):
        coarse = mean_field(FLAT, nodes(512, 16), 0.1, 60, tableau)
        traces.append(fluctuations.solve(FLAT, nodes, coarse, fine, np.arange(61)).trace)
    ratio = traces[0] / traces[1]
    print("Euler over Kutta:", ratio[[10, 40, 60]])
    assert_allclose(ratio[[10, 40, 60]], [0.96067, 0.93687, 0.90144], rtol=0, atol=5e-4)


def test_weights_integrate_polynomials_on_uneven_times() -> None:
    t = np.concatenate([[0.0], np.cumsum(np.random.default_rng(1).uniform(0.5, 2.0, 20))])
    t /= t[-1]
    for degree in range(6):
        integral = integration_weights(t, 6) @ t**degree
        assert_allclose(integral, t ** (degree + 1) / (degree + 1), rtol=0, atol=1e-13)


# -- the main job -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=['integrator = "euler"', 'integrator = "adaptive"'])
def evidence(request: pytest.FixtureRequest) -> judgement.Evidence:
    """A comparison at 1/4 of SMALL's replicas; Euler at steps of 0.05 is off by 1.5% of f_0."""
    small = runs.SMALL | {"replicas": [1000, 500, 250, 150], "cells": [96, 64]}
    return runs.evidence(plan(request.param, **small))


def test_a_right_theory_is_not_rejected_with_any_integrator(evidence: judgement.Evidence) -> None:
    """Ten intervals together at less than 2% of false alarms, at this seed."""
    verdicts = {v.name: v for v in judgement.judge(evidence)}
    assert "rejected" not in [v.outcome for v in verdicts.values()]
    assert verdicts["clt-paths"].outcome == "supported"
    assert verdicts["lln"].high - verdicts["lln"].low < 0.3


@pytest.mark.parametrize("evidence", ['integrator = "euler"'], indirect=True)
def test_the_equations_own_f_0_is_rejected_for_eulers_scheme(evidence: judgement.Evidence) -> None:
    """What is compared is the scheme's own mean field: without its shift the law of large numbers fails."""
    known = evidence.reference
    unshifted = replace(known, characteristics=replace(known.characteristics, coefficients=known.stepped))
    outcomes = {v.name: v.outcome for v in judgement.judge(replace(evidence, reference=unshifted))}
    assert "rejected" in (outcomes["lln"], outcomes["clt-paths"], outcomes["healing"])


@two_threads
def test_steps_of_the_pair_do_not_depend_on_threads() -> None:
    found = []
    for count in (1, 2):
        with threads(count):
            found.append(Steps.of(plan('integrator = "adaptive"')))
    assert_array_equal(found[0].lengths, found[1].lengths)
    assert_array_equal(found[0].grid, found[1].grid)
    assert np.all(np.isin(found[0].snapshots, found[0].grid))


def test_times_of_the_volterra_system_resolve_the_fastest_mode() -> None:
    """M = 1 at t = 0 on `flat-fourier`: steps of 0.1 at most, uneven with five of the run's between snapshots."""
    of = runs.plan()
    steps = Steps.of(of)
    times = np.concatenate([[0.0], np.cumsum(steps.lengths)])[steps.grid]
    assert_allclose(of.spacing, 0.1, rtol=1e-12)
    assert np.diff(times).max() <= of.spacing * (1 + 1e-12) and np.all(np.isin(steps.snapshots, steps.grid))
    assert_array_equal(steps.grid[:4], [0, 2, 3, 5])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('integrator = "heun"', "particles.integrator"),
        ("tolerance = 1e-6", "unless integrator = 'adaptive'"),
        ('integrator = "adaptive"\ntolerance = 0', "particles.tolerance"),
    ],
)
def test_integrators_that_cannot_be_are_refused(lines: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(lines)


def test_more_steps_of_euler_than_its_theory_can_bear_are_refused() -> None:
    fine = plan('integrator = "euler"', final=6.0, step=0.005)
    with pytest.raises(InputError, match="euler takes at most 713 steps, not 1200"):
        fine.check()
