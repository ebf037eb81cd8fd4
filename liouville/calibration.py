"""A sequential test of a rate of false alarms: trials until the rate is known to lie in one of some regions.

At looks that grow geometrically the rate has Clopper and Pearson's interval, each at its own level; the shares of the
error that the looks may spend sum to `error`, so that all intervals hold together with probability 1 - error however
many looks there are (repeated confidence intervals, Jennison and Turnbull 1989). The first interval that lies within a
region decides for it, and where neighbouring regions overlap one is always found. What a given rate leads to, and
after how many trials, follows exactly from the binomial law of the trials between two looks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.floating]

REGIONS = {"below": (0.0, 0.007), "within": (0.005, 0.015), "above": (0.013, 1.0)}  # of a rate of 1%
TAIL = 1e-13  # of a binomial law that is left out


@dataclass(frozen=True)
class Decision:
    """Where the rate lies, from `count` events in `trials`, with the interval that decided."""

    region: str
    count: int
    trials: int
    low: float
    high: float

    def __str__(self) -> str:
        rate = self.count / self.trials
        return f"{self.region}: {self.count} in {self.trials}, {rate:.3%} in [{self.low:.3%}, {self.high:.3%}]"


@dataclass(frozen=True)
class Sequential:
    """regions : name -> (low, high), closed.  error : of all looks together.  first, growth : trials at the looks."""

    regions: Mapping[str, tuple[float, float]] = field(default_factory=lambda: REGIONS)
    error: float = 1e-3
    first: int = 1000
    growth: float = 1.25

    def trials(self, look: int) -> int:
        """Trials at a look, from 0 on."""
        return int(np.ceil(self.first * self.growth**look))

    def spent(self, look: int) -> float:
        """Of the error, at a look: shares 1/((k+1)(k+2)), which sum to 1."""
        return self.error / ((look + 1) * (look + 2))

    def interval(self, count: Any, look: int) -> tuple[Array, Array]:
        """Clopper and Pearson's interval after a look, of any array of counts."""
        tail, size, count = self.spent(look) / 2, self.trials(look), np.asarray(count)
        low = np.where(count > 0, scipy.stats.beta.ppf(tail, np.maximum(count, 1), size - count + 1), 0.0)
        high = np.where(count < size, scipy.stats.beta.isf(tail, count + 1, np.maximum(size - count, 1)), 1.0)
        return low, high

    def decided(self, count: Any, look: int) -> NDArray[np.integer]:
        """Place of the region that an array of counts decides for at a look, -1 where none; the first that fits."""
        low, high = self.interval(count, look)
        found = np.full(low.shape, -1)
        for k, (a, b) in reversed(list(enumerate(self.regions.values()))):
            found[(a <= low) & (high <= b)] = k
        return found

    def run(self, events: Callable[[int], int]) -> Decision:
        """Trials until a region is decided for. events : how many of the next `trials` are events."""
        count, done, look = 0, 0, 0
        while True:
            count, done = count + events(self.trials(look) - done), self.trials(look)
            k = int(self.decided(count, look))
            if k >= 0:
                low, high = self.interval(count, look)
                return Decision(list(self.regions)[k], count, done, float(low), float(high))
            look += 1

    def outcomes(self, rate: float, least: float = 1e-12) -> tuple[dict[str, float], float]:
        """Probability of each region at a given rate, and the expected number of trials, exactly.

        Looks go on until the probability that none has decided falls below `least`.
        """
        chances, law, done, look, expected = np.zeros(len(self.regions)), np.ones(1), 0, 0, 0.0
        first = 0  # the count that law[0] is the probability of
        while law.sum() > least:
            some = self.trials(look) - done
            done += some
            low, high = scipy.stats.binom.ppf([TAIL, 1 - TAIL], some, rate).astype(int)
            law = np.convolve(law, scipy.stats.binom.pmf(np.arange(low, high + 1), some, rate))
            first += low
            expected += some * (law.sum())
            where = self.decided(first + np.arange(law.size), look)
            for k in range(len(self.regions)):
                chances[k] += law[where == k].sum()
            law = np.where(where < 0, law, 0.0)
            look += 1
        return dict(zip(self.regions, chances.tolist(), strict=True)), expected
