"""The sequential test of a rate errs no more often than it says, computed exactly and tried out."""

import numpy as np
import pytest
from scipy import stats

from liouville.calibration import REGIONS, Sequential


@pytest.mark.parametrize("rate", [0.005, 0.007, 0.01, 0.013, 0.015])
def test_a_wrong_region_is_decided_for_with_less_than_the_error(rate: float) -> None:
    """Exactly, for rates inside the regions and on their edges, where a wrong decision is the most likely."""
    test = Sequential()
    chances, trials = test.outcomes(rate)
    wrong = sum(chances[name] for name, (low, high) in REGIONS.items() if not low <= rate <= high)
    assert sum(chances.values()) == pytest.approx(1.0, abs=1e-9)
    assert wrong < test.error
    assert trials < 120_000


def test_an_error_spent_at_every_look_is_too_large() -> None:
    """What the shares are for: the whole error at each look lets rates on an edge pass more often than it says."""

    class Greedy(Sequential):
        def spent(self, look: int) -> float:
            return self.error

    assert Greedy(error=0.05).outcomes(0.013)[0]["above"] > 0.025 + 0.015
    assert Sequential(error=0.05).outcomes(0.013)[0]["above"] < 0.025


def test_repeated_intervals_hold_together() -> None:
    """2,000 streams at error 0.05 and rate 0.1: intervals of 12 looks all hold in 95% at least.

    So at most 100 misses are expected; more than 138 has probability 1e-4, fixed seed.
    """
    test, rng, rate = Sequential(error=0.05, first=100), np.random.default_rng(1), 0.1
    sizes = np.diff([0, *(test.trials(k) for k in range(12))])
    counts = np.cumsum(rng.binomial(sizes, rate, (2000, 12)), axis=1)
    ends = [test.interval(counts[:, k], k) for k in range(12)]
    missed = np.any([(rate < low) | (high < rate) for low, high in ends], axis=0)
    assert missed.sum() <= stats.binom.isf(1e-4, 2000, 0.05)
    assert missed.any()


def test_trials_follow_the_computed_law() -> None:
    """150 decisions at 1% take as many trials as computed, within 5 standard errors (probability 6e-7), fixed seed."""
    test, rng = Sequential(error=0.05, first=500), np.random.default_rng(2)
    found = [test.run(lambda trials: rng.binomial(trials, 0.01)) for _ in range(150)]
    trials = np.array([decision.trials for decision in found])
    chances, expected = test.outcomes(0.01)
    assert abs(trials.mean() - expected) < 5 * trials.std() / np.sqrt(150)
    within = np.mean([decision.region == "within" for decision in found])
    assert abs(within - chances["within"]) < 5 * np.sqrt(chances["within"] * (1 - chances["within"]) / 150) + 1e-9
    assert all(REGIONS[d.region][0] <= d.low and d.high <= REGIONS[d.region][1] for d in found)
