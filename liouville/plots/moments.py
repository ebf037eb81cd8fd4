"""Estimates of n E||f_n - f_0||^2 that the pictures share, with their intervals; (V1) and (V2)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liouville.plots.readings import FLUCTUATIONS, Samples, require, samples
from liouville.results import Run
from liouville.statistics import TERMS, Estimate, combine, critical, leading_coefficient, log_slope, usable
from liouville.verdicts import DIAGNOSTIC

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Collapse:
    """What is drawn of E||f_n - f_0||^2. times, trace : (S,), the snapshots and tr C there."""

    times: Array
    trace: Array
    samples: dict[int, Samples]

    @classmethod
    def of(cls, run: Run) -> "Collapse":
        """From a result file; raises ValueError where it lacks the theory or the particles."""
        ensembles = samples(run)
        view, count = require(run, FLUCTUATIONS)
        return cls(view.time[:count], view.trace[:count], ensembles)

    @property
    def sizes(self) -> list[int]:
        """All n."""
        return list(self.samples)

    @cached_property
    def _parts(self) -> tuple[dict[int, Array], dict[int, Array]]:
        paths = {n: n * some.path_square for n, some in self.samples.items()}
        return paths, {n: n * some.deviation - paths[n] for n, some in self.samples.items()}

    def square(self, n: int) -> Estimate:
        """n E||f_n - f_0||^2 by (V2): n ||l_n||^2, its mean over replicas of all sizes, plus the mean excess at n."""
        return self._squares[n]

    @cached_property
    def _squares(self) -> dict[int, Estimate]:
        paths, excess = self._parts
        total = sum(len(group) for group in paths.values())
        found = {}
        for n in paths:
            shares = {m: group * (len(group) / total) for m, group in paths.items()}
            found[n] = combine([*(group for m, group in shares.items() if m != n), shares[n] + excess[n]])
        return found

    def leading(self) -> Estimate:
        """A/tr C: the limit of n E||f_n - f_0||^2 for large n, extrapolated, over its prediction."""
        return leading_coefficient(*self._parts, self.trace).scaled(1 / self.trace)

    def fit(self, s: int) -> Array:
        """a, b, d (as many as there are sizes) of n E||f_n - f_0||^2 = a + b/n + d/n^2 at snapshot s.

        The same weighted least squares as the extrapolation, so that a is `leading` times tr C.
        """
        used = usable(self._parts[1], self.trace)[:, s]
        sizes = np.array(self.sizes, dtype=float)[used]
        replicas = np.array([some.count for some in self.samples.values()], dtype=float)[used]
        values = np.array([self.square(n).value[s] for n in self.sizes])[used]
        X = sizes[:, None] ** -np.arange(min(TERMS, sizes.size), dtype=float)
        XW = X.T * (sizes * replicas)
        return np.asarray(np.linalg.solve(XW @ X, XW @ values))

    def slope(self) -> Array | None:
        """Slope of the log of the rms of f_n - f_0 in log n at every snapshot, (S,); None with one size."""
        deviations = {n: some.deviation for n, some in self.samples.items()}
        return 0.5 * log_slope(deviations).value if len(deviations) > 1 else None

    def remainder(self) -> dict[int, Array]:
        """n -> n^2 ||f_n - f_0 - l_n||^2 at all but the first snapshot, (R, S - 1)."""
        return {n: n**2 * some.path_deviation[:, 1:] for n, some in self.samples.items()}

    def remainder_slope(self) -> Estimate | None:
        """Slope of the log of its mean in log n; None with one size."""
        return log_slope(self.remainder()) if len(self.samples) > 1 else None


def pointwise(estimate: Estimate, level: float = DIAGNOSTIC) -> tuple[Array, Array]:
    """Interval of a positive quantity at each time alone, symmetric on the log scale."""
    return positive(estimate, critical(estimate.at(0), level))


def positive(estimate: Estimate, z: float) -> tuple[Array, Array]:
    """value e^(-+ z error/value), NaN where the estimate is not positive."""
    value = np.where(estimate.value > 0, estimate.value, np.nan)
    half = np.minimum(z * estimate.error / value, 30.0)
    return value * np.exp(-half), value * np.exp(half)
