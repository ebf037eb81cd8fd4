"""The rules of the verdicts, and intervals that cover what they claim."""

import numpy as np
import pytest
from scipy import stats

from liouville.judgement import cell_counts
from liouville.statistics import (
    combine,
    controlled,
    critical,
    dkw,
    effect_interval,
    extrapolation_weights,
    leading_coefficient,
    log_slope,
    median,
)
from liouville.verdicts import more_replicas, outcome, worst
from solvers.grid import Axis, Grid, circle


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.95, 1.05, "supported"),
        (1.02, 1.08, "supported"),  # excludes 1, but is known to lie within the margin
        (1.02, 1.12, "rejected"),
        (0.85, 1.05, "undecided"),
        (0.5, 1.5, "undecided"),
        (float("nan"), float("nan"), "undecided"),
    ],
)
def test_three_outcomes(low: float, high: float, expected: str) -> None:
    assert outcome(low, high, 1.0, 0.1) == expected


def test_the_worst_case_decides() -> None:
    value, half = np.array([1.0, 1.3, 1.0]), np.array([0.01, 0.1, 0.5])
    assert worst(value, value - half, value + half, 1.0, 0.1) == 1
    assert worst(value[::2], (value - half)[::2], (value + half)[::2], 1.0, 0.1) == 1


def test_so_many_more_replicas_would_decide() -> None:
    """Half-width 0.2 with margin 0.1: four times the replicas, when the estimate is on the spot."""
    assert "about 4 times" in more_replicas(1.0, 0.8, 1.2, 1.0, 0.1)
    assert more_replicas(1.0, 0.95, 1.05, 1.0, 0.1) == ""
    assert "too near" in more_replicas(1.0, -1e300, 1e300, 1.0, 0.1)


def test_errors_that_replicas_do_not_reduce_are_named_where_they_decide() -> None:
    """Of the half-width 0.2, 0.05 stays: what is left of the margin is 0.05, a third of 0.15."""
    assert "about 9 times" in more_replicas(1.0, 0.8, 1.2, 1.0, 0.1, bound=0.05, cause="the error of f_0")
    assert "no number of replicas decides: the error of f_0 (+-0.15" in more_replicas(
        1.0, 0.8, 1.2, 1.0, 0.1, bound=0.15, cause="the error of f_0"
    )


def test_extrapolation_is_exact_on_its_own_law() -> None:
    sizes, replicas = np.array([64.0, 256, 1024, 4096]), np.array([8000.0, 4000, 2000, 800])
    weights = extrapolation_weights(sizes, replicas)
    assert weights @ (3 + 50 / sizes + 900 / sizes**2) == pytest.approx(3.0, rel=1e-12)


def synthetic(rng: np.random.Generator, times: int = 6) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """n ||l_n||^2 with mean 1 (correlated chi-squares), an excess with mean 10/n and the heavy tail of late times."""
    paths, excess = {}, {}
    mixing = np.tril(np.ones((times, times))) / np.sqrt(np.arange(1, times + 1))[:, None]
    for n, replicas in ((64, 800), (256, 400), (1024, 200), (4096, 80)):
        g = rng.standard_normal((replicas, times)) @ mixing.T
        e = rng.standard_t(6, (replicas, times)) / np.sqrt(1.5)
        paths[n] = g**2
        excess[n] = 2 * 4 * g * e / np.sqrt(n) + 10 * (g * e) ** 2 / n
    return paths, excess


def test_simultaneous_intervals_cover_at_their_level() -> None:
    """600 synthetic runs at level 0.95: 570 +- 3.9 sd = 21 expected; false-alarm rate 1e-4, fixed seed."""
    rng = np.random.default_rng(2018)
    covered = 0
    for _ in range(600):
        estimate = leading_coefficient(*synthetic(rng), np.ones(6))
        log = estimate.log()
        covered += bool(np.all(np.abs(log.value) <= critical(estimate, 0.95) * log.error))
    print(f"covered {covered} of 600")
    assert abs(covered - 570) < 21 + 6  # 1% for the skewness that the log scale leaves


def test_control_variate_is_not_circular() -> None:
    """The estimate does not depend on the predicted A, so a wrong prediction cannot support itself."""
    paths, excess = synthetic(np.random.default_rng(3))
    estimate = leading_coefficient(paths, excess, np.ones(6))
    assert estimate.value == pytest.approx(np.ones(6), abs=5 * estimate.error.max())


def test_slope_of_a_power_law_is_its_exponent() -> None:
    rng = np.random.default_rng(4)
    groups = {n: n**0.7 * rng.gamma(5.0, 1.0, (400, 3)) for n in (16, 64, 256)}
    slope = log_slope(groups)
    assert np.all(np.abs(slope.value - 0.7) < 4 * slope.error)
    assert np.all(slope.error < 0.02)


def test_combination_of_groups_is_the_sum_of_means() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((50, 2)), rng.standard_normal((30, 2))
    estimate = combine([a, b])
    np.testing.assert_allclose(estimate.value, a.mean(0) + b.mean(0), rtol=1e-14)
    np.testing.assert_allclose(estimate.error**2, a.var(0, ddof=1) / 50 + b.var(0, ddof=1) / 30, rtol=1e-13)


def test_simultaneous_quantile_lies_between_one_and_independent() -> None:
    rng = np.random.default_rng(6)
    independent = combine([rng.standard_normal((5000, 20))])
    one = combine([rng.standard_normal((5000, 1)) @ np.ones((1, 20))])
    expected = stats.norm.ppf((1 + 0.99 ** (1 / 20)) / 2)
    assert critical(independent, 0.99) == pytest.approx(expected, abs=0.1)
    assert critical(one, 0.99) == pytest.approx(stats.norm.ppf(0.995), abs=0.1)


def test_effect_interval_covers_the_true_effect() -> None:
    """99% of 200 noncentral draws: at least 191 are covered with probability 0.9999, fixed seed."""
    rng = np.random.default_rng(7)
    draws = stats.ncx2.rvs(31, 20.0, size=200, random_state=rng)
    inside = [low <= 0.02 <= high for low, high in (effect_interval(d, 31, 1000, 0.99) for d in draws)]
    assert sum(inside) >= 191


def test_control_variate_gives_the_pseudo_values_of_the_jackknife() -> None:
    """R times the estimate from all replicas less R - 1 times that without one, each with a factor of its own."""
    rng = np.random.default_rng(10)
    values = rng.gamma(0.3, 1.0, (12, 2))
    control, mean = values + rng.normal(size=(12, 2)), np.array([0.3, 0.31])

    def estimate(kept: list[int]) -> np.ndarray:
        v, c = values[kept], control[kept]
        factor = [np.cov(v[:, k], c[:, k])[0, 1] / np.var(c[:, k], ddof=1) for k in range(2)]
        return v.mean(axis=0) - factor * (c.mean(axis=0) - mean)

    every = list(range(12))
    expected = [12 * estimate(every) - 11 * estimate(every[:i] + every[i + 1 :]) for i in every]
    np.testing.assert_allclose(controlled(values, control, mean), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        controlled(values, np.zeros((12, 2)), np.zeros(2)), values, rtol=1e-12, atol=1e-12
    )  # a control that does not move changes nothing


@pytest.mark.parametrize("replicas", [10, 80, 2000])
def test_interval_of_the_median_covers_without_any_moment(replicas: int) -> None:
    """Cauchy numbers, of which not even the mean exists: 2,000 medians at 99%, more than 39 misses have probability
    1e-4, fixed seed; with 80 replicas or more it is not a wide one either: 90% would be missed too often."""
    rng = np.random.default_rng(9)
    low, value, high = median(rng.standard_cauchy((replicas, 2000)), 0.99)
    missed = np.sum((low > 0) | (high < 0))
    assert missed <= stats.binom.isf(1e-4, 2000, 0.01)
    assert np.all((low <= value) & (value <= high))
    if replicas >= 80:
        low, _, high = median(rng.standard_cauchy((replicas, 2000)), 0.9)
        assert np.sum((low > 0) | (high < 0)) > 2000 * 0.05


def test_dkw_band_is_massarts() -> None:
    assert dkw(200, 0.99) == pytest.approx(np.sqrt(np.log(200.0) / 400))


def test_cells_have_about_equal_mass_and_count_every_particle() -> None:
    rng = np.random.default_rng(8)
    grid = Grid((circle(64),), Axis(-2.0, 2.0, 40))
    rho = np.tile(np.diff(stats.norm.cdf(grid.c.edges, scale=0.6)), (64, 1))
    y, c = rng.uniform(0, 2 * np.pi, 3000), np.clip(rng.normal(0, 0.6, 3000), -1.99, 1.99)
    counts, expected = cell_counts(rho, grid, y, c)
    assert counts.sum() == 3000
    assert expected.sum() == pytest.approx(3000, rel=1e-12)
    assert expected.min() > 10
    statistic = np.sum((counts - expected) ** 2 / expected)
    assert stats.chi2.sf(statistic, counts.size - 1) > 1e-3  # false-alarm rate 0.1%, fixed seed
