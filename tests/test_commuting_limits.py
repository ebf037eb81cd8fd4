"""Prop. 3.1: no loss ever rises, E l_n has the limit l_0 at the order 1/n, large losses become rare; and when not."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import runs
from scipy import stats

from liouville import simulation
from liouville.judgement import Ensemble, Evidence
from liouville.judgement.density import density_distance, moment_distance
from liouville.judgement.deterministic import ROUNDING
from liouville.judgement.losses import binomial, excess_of_loss, limit_of_loss, monotone, tail_of_loss
from liouville.judgement.rates import decay_of_loss, loss_rates
from liouville.plan import Plan
from liouville.simulation import largest_increase
from particles import RK4, descend

QUICK = {"final": 3.0, "snapshots": 7, "cells": [64, 48], "step": 0.1}


def of_sizes(base: Evidence, sizes: list[int], replicas: list[int], seed: int = 1) -> Evidence:
    """The same theory with other particles."""
    plan = runs.plan(**QUICK, sizes=sizes, replicas=replicas, seed=seed)
    operator = simulation.PathOperator.build(base.reference, base.theory)
    return replace(base, plan=plan, ensembles=runs.particles(plan, base.reference, operator))


@pytest.fixture(scope="module")
def right() -> Evidence:
    return runs.evidence(runs.plan(**QUICK, sizes=[32, 128, 512], replicas=[600, 400, 300]))


@pytest.fixture(scope="module")
def few(right: Evidence) -> Evidence:
    """n (N + 1) = 2, 4, 6 parameters, below the rank 7 of the unit: no such network reaches the target."""
    return of_sizes(right, [1, 2, 3], [300, 300, 300])


def test_right_limits_are_not_rejected(right: Evidence) -> None:
    """Three diagnostics at 99% and one without chance: a false-alarm rate below 3%, fixed seed."""
    for verdict in (monotone(right), limit_of_loss(right), tail_of_loss(right), decay_of_loss(right)):
        assert verdict is not None
        assert verdict.outcome != "rejected", verdict
        assert not verdict.primary
    found = monotone(right)
    assert found is not None and found.outcome == "supported"


def test_networks_with_fewer_parameters_than_features_fail(few: Evidence) -> None:
    limit, tail = limit_of_loss(few), tail_of_loss(few)
    assert limit.outcome == tail.outcome == "rejected"
    assert "n (N + 1) = 6 < 7 = rank of phi" in limit.statement
    falling = monotone(few)
    assert falling is not None and falling.outcome == "supported"  # gradient descent goes down all the same


def test_increases_are_found_between_snapshots(right: Evidence) -> None:
    """One that is over at the next snapshot, in one replica of one size, is seen; rounding is not."""
    r = np.zeros((2, 5, 1))
    r[0, :, 0] = [2.0, 1.0, 1.1, 0.5, 0.4]
    r[1, :, 0] = [2.0, 1.0, 0.9, 0.5, 0.4]
    np.testing.assert_allclose(largest_increase(r), [0.5 * (1.1**2 - 1.0), 0.0], rtol=1e-14, atol=0)
    some = right.ensembles[0]
    risen = some.increase.copy()
    risen[7] = 1e-9
    wrong = replace(right, ensembles=(replace(some, increase=risen), *right.ensembles[1:]))
    found = monotone(wrong)
    assert found is not None and found.outcome == "rejected"


@pytest.mark.parametrize(("step", "rises"), [(2.0, True), (0.1, False)])
def test_a_step_too_long_for_the_flow_makes_losses_rise(step: float, rises: bool) -> None:
    """RK4 is stable up to 2.78 over the largest eigenvalue of M, about 2.4 late in this run."""
    plan = runs.plan()
    closure, target = plan.problem.closure, plan.problem.projection
    rng = np.random.default_rng(3)
    y, c = (np.ascontiguousarray(part) for part in _starts(plan, rng, 40, 64))
    run = descend(closure, y, c, np.full(64, 1 / 64), step, round(12 / step), RK4, record=RK4.stages)
    first = 0.5 * np.sum((run.coefficients[:, 0] - target) ** 2, axis=-1)
    relative = largest_increase(run.coefficients - target) / (first + 0.5 * target @ target)
    assert (relative.max() > ROUNDING) == rises


def _starts(plan: Plan, rng: np.random.Generator, replicas: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    starts = [plan.problem.initial.sample(rng, n) for _ in range(replicas)]
    return np.stack([y for y, _ in starts]), np.stack([c for _, c in starts])


def test_first_order_of_the_mean_is_seen_where_it_is_given(right: Evidence) -> None:
    """f_1 measured on other replicas and at another n is not rejected; with <r, f_1> off by 10 A it is."""
    (large,) = of_sizes(right, [1024], [1000], seed=5).ensembles
    measured = large.n * np.mean(large.f - right.f0 - large.path, axis=0)
    biased = replace(right, first_order=measured, ensembles=right.ensembles[-1:])
    assert limit_of_loss(biased).outcome != "rejected"
    r = right.f0[-1] - right.plan.problem.projection
    added = r / (r @ r) * 0.5 * right.trace[-1]  # <r, f_1> = A/2
    assert limit_of_loss(replace(biased, first_order=measured + 20 * added)).outcome == "rejected"


def test_control_variate_does_not_move_the_mean_of_the_loss(right: Evidence) -> None:
    """The plain mean of n (l_n - l_0) lies within its own 4 standard errors (6e-5) of the estimate."""
    some, r = right.largest, right.f0[-1] - right.plan.problem.projection
    value, half = excess_of_loss(some, right.f0[-1], r)
    delta = some.f[:, -1] - right.f0[-1]
    plain = some.n * (delta @ r + 0.5 * np.sum(delta**2, axis=-1))
    error = plain.std(ddof=1) / np.sqrt(plain.size)
    assert abs(plain.mean() - value) < 4 * error
    assert half < 2.6 * error  # 99% of the other is 2.6 standard errors


@pytest.mark.parametrize("skewed", [False, True])
def test_interval_of_the_excess_covers(skewed: bool) -> None:
    """400 synthetic ensembles at 99%: fewer than 388 covered has probability 1e-3 (Gaussian), late skewed data 96%."""
    rng = np.random.default_rng(31)
    covered = 0
    for _ in range(400):
        g = rng.standard_normal((200, 3)) if not skewed else rng.standard_t(5, (200, 3)) * np.sqrt(3 / 5)
        n, r, f0 = 1000, np.array([0.1, 0.0, 0.05]), np.zeros(3)
        path = np.zeros((200, 1, 3))
        path[:, 0] = g / np.sqrt(n)
        second = (g**2 - 1) / n
        some = Ensemble(n, path + second[:, None], path, np.empty(0), np.empty(0))
        truth = _excess(n, r, skewed)
        value, half = excess_of_loss(some, f0, r)
        covered += abs(value - truth) <= half
    print(f"covered {covered} of 400, skewed {skewed}")
    assert covered >= (384 if skewed else 388)


def _excess(n: int, r: np.ndarray, skewed: bool) -> float:
    """n E[<r, d> + |d|^2/2] of d = g/n^(1/2) + (g^2 - 1)/n componentwise: E g^4 = 3, or 9 for Student's 5, scaled."""
    fourth = 9.0 if skewed else 3.0
    return 0.5 * 3 * (1 + (fourth - 1) / n)


def test_probabilities_have_exact_intervals() -> None:
    assert binomial(0, 100, 0.99)[0] == 0.0
    assert binomial(0, 100, 0.99)[2] == pytest.approx(1 - 0.005 ** (1 / 100))
    assert binomial(100, 100, 0.99)[2] == 1.0
    low, value, high = binomial(30, 100, 0.95)
    assert value == 0.3
    assert stats.binom.sf(29, 100, low) == pytest.approx(0.025)
    assert stats.binom.cdf(30, 100, high) == pytest.approx(0.025)


def test_rates_are_those_of_exponentials_and_see_one_that_depends_on_n() -> None:
    rng = np.random.default_rng(2)
    times = np.linspace(0, 3, 7)
    mean_field, trace = np.exp(-2 * times), 1e-3 * np.ones(7)
    noise = {n: 1 + rng.normal(0, 0.05, (400, 1)) for n in (64, 256)}
    groups = {64: noise[64] * np.exp(-2 * times), 256: noise[256] * np.exp(-1.5 * times)}
    found = loss_rates(times, mean_field, trace, groups, 0.99)
    assert found[64].value == pytest.approx(2.0, abs=1e-9)
    assert found[256].value == pytest.approx(1.5, abs=1e-9)
    assert found[64].mean_field == pytest.approx(2.0, abs=1e-12)
    assert not loss_rates(times, mean_field, 0.2 + trace, {2: groups[64]}, 0.99)  # 20 tr C/n > |r_0|^2 from the start


@pytest.mark.slow
def test_diagnostics_of_prop_3_1_are_rejected_as_seldom_as_they_claim() -> None:
    """150 real runs, late (t = 6) and skewed: each diagnostic at 99%, more than 7 rejections have probability 2e-4."""
    late = runs.evidence(runs.plan(**QUICK | {"final": 6.0}, sizes=[64, 256, 1024], replicas=[2, 2, 2]))
    judges = (limit_of_loss, tail_of_loss, density_distance, moment_distance)
    rejected, missed = dict.fromkeys((judge.__name__ for judge in judges), 0), 0
    for seed in range(1, 151):
        plan = runs.plan(**QUICK | {"final": 6.0}, sizes=[64, 256, 1024], replicas=[256, 128, 64], seed=seed)
        operator = simulation.PathOperator.build(late.reference, late.theory)
        simulate = partial(simulation.simulate, distance=late.distance)
        ensembles = runs.particles(plan, late.reference, operator, simulate)
        for judge in judges:
            verdict = judge(replace(late, plan=plan, ensembles=ensembles))
            assert verdict is not None
            rejected[judge.__name__] += verdict.outcome == "rejected"
            missed += judge is density_distance and not verdict.low <= 1 <= verdict.high
    print(f"rejected of 150: {rejected}; the interval of density-distance missed 1 in {missed}")
    assert max(rejected.values()) <= 7
    assert missed <= 7
