"""What a study has measured, with intervals of each point alone: E||f_n - f_0||^2, its exponent in n, and along a_n."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liouville.healing.judge import deviation, distance
from liouville.healing.norms import Norms
from liouville.healing.study import Study
from liouville.statistics import Estimate, critical
from liouville.verdicts import DIAGNOSTIC

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Curves:
    """Each with the ends of its 99% interval.

    deviation : E||f_n - f_0||^2, (sizes, S).  distance : E||f_n - f||^2, (sizes, S).  median : of ||f_n - f_0||^2.
    exponent : of (E||f_n - f_0||^2)^(1/2) between neighbouring sizes, (sizes - 1, S).
    """

    deviation: Array
    deviation_low: Array
    deviation_high: Array
    median: Array
    distance: Array
    distance_low: Array
    distance_high: Array
    exponent: Array
    exponent_low: Array
    exponent_high: Array

    @classmethod
    def of(cls, study: Study, norms: Mapping[int, Norms]) -> Self:
        """From all replicas."""
        sizes = list(study.sizes)
        off = [deviation(norms, n) for n in sizes]
        away = [distance(norms, n) for n in sizes]
        pairs = list(zip(pairwise(sizes), pairwise(off), strict=True))
        step = np.array([[2 * np.log(m / n)] for (n, m), _ in pairs])
        xi = np.array([np.log(positive(a) / positive(b)) for _, (a, b) in pairs]) / step
        half = np.array([np.hypot(half_width(a), half_width(b)) for _, (a, b) in pairs]) / step
        return cls(
            *_ends(off),
            np.array([np.median(norms[n].deviation, axis=0) for n in sizes]),
            *_ends(away),
            xi,
            xi - half,
            xi + half,
        )


def positive(estimate: Estimate) -> Array:
    """Its values, NaN where they are not positive."""
    return np.where(estimate.value > 0, estimate.value, np.nan)


def half_width(estimate: Estimate) -> Array:
    """Of the interval of its logarithm at each time alone."""
    return critical(estimate.at(0), DIAGNOSTIC) * estimate.error / positive(estimate)


def _ends(estimates: list[Estimate]) -> tuple[Array, Array, Array]:
    """Values and the ends of their intervals on the log scale, (sizes, S) each."""
    value = np.array([positive(estimate) for estimate in estimates])
    half = np.minimum(np.array([half_width(estimate) for estimate in estimates]), 30.0)
    return value, value * np.exp(-half), value * np.exp(half)
