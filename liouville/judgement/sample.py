"""Almost sure convergence (Prop. 3.1) along one growing sample: size n starts from the first n of one sequence.

n (f_n - f_0) is then a sum over the sample; in the limit n^(1/2) (f_n - f_0) at n_1 < n_2 < ... is (1/n)^(1/2) times a
Brownian motion at time n with values in the paths t -> g_t, whose covariance C(s, t) the fluctuation theory knows for
all pairs of times. So quantiles of sup_t ||f_n - f_0|| hold for a whole sample together. The law of the iterated
logarithm gives its envelope, limsup (n/(2 log log n))^(1/2) sup_t ||f_n - f_0|| = lambda^(1/2), lambda the largest
eigenvalue of C(t, t) at any t.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liouville.verdicts import DIAGNOSTIC, Verdict

Array = NDArray[np.floating]

DRAWS = 4000  # of a growing sample's suprema
TOGETHER = 250  # draws held at once
SLOPE_MARGIN = 0.1
REACH_MARGIN = 0.1


@dataclass(frozen=True)
class Suprema:
    """sup over the snapshots of ||f_n - f_0||. sizes : (K,), growing.  values : (R, K)."""

    sizes: Array
    values: Array

    @classmethod
    def of(cls, deviations: dict[int, Array]) -> "Suprema":
        """From n -> ||f_n - f_0||^2, (R, S); replicas that every size has."""
        count = min(len(group) for group in deviations.values())
        sizes = sorted(deviations)
        return cls(
            np.array(sizes, dtype=float),
            np.stack([np.sqrt(deviations[n][:count].max(axis=1)) for n in sizes], axis=1),
        )

    @property
    def scaled(self) -> Array:
        """n^(1/2) times the suprema, (R, K)."""
        return self.values * np.sqrt(self.sizes)


def judge(suprema: Suprema, covariance: Array) -> list[Verdict]:
    """Two diagnostics from C(s, t) on the snapshots, (S, M, S, M)."""
    found, sizes = suprema.scaled, suprema.sizes
    replicas = len(found)
    drawn = limits(covariance, sizes)
    bound = float(np.quantile(drawn.max(axis=1), DIAGNOSTIC ** (1 / replicas)))
    reach = float(found.max())
    verdicts = [
        Verdict.of(
            "sample-bound",
            f"n^(1/2) sup_t ||f_n - f_0|| stays bounded along {replicas} growing samples, n = {sizes[0]:g} ... "
            f"{sizes[-1]:g} (its largest, {reach:.3g}, against the 99% quantile of the limit, all together; one-sided)",
            (max(reach, bound),) * 3,
            bound,
            REACH_MARGIN * bound,
            primary=False,
            level=DIAGNOSTIC,
        )
    ]
    if len(sizes) > 2:
        value = float(slopes(sizes, found).mean()) - 0.5
        groups = slopes(sizes, drawn)
        groups = groups[: len(groups) // replicas * replicas].reshape(-1, replicas).mean(axis=1)
        low, high = np.quantile(groups, [(1 - DIAGNOSTIC) / 2, (1 + DIAGNOSTIC) / 2])
        verdicts.append(
            Verdict.of(
                "sample-slope",
                f"sup_t ||f_n - f_0|| falls like n^(-1/2) along a growing sample (slope in log n, mean of {replicas})",
                (value - high, value, value - low),
                -0.5,
                SLOPE_MARGIN,
                primary=False,
                level=DIAGNOSTIC,
            )
        )
    return verdicts


def slopes(sizes: Array, values: Array) -> Array:
    """Least-squares slopes of log values (..., K) in log n."""
    x = np.log(sizes) - np.log(sizes).mean()
    return np.asarray(np.log(values) @ x / (x @ x))


def limits(covariance: Array, sizes: Array, draws: int = DRAWS) -> Array:
    """n^(1/2) sup_t ||f_n - f_0|| of growing samples in the limit, (draws, K), by a fixed stream."""
    S, M = covariance.shape[:2]
    values, vectors = np.linalg.eigh(covariance.reshape(S * M, S * M))
    used = values > 1e-10 * values[-1]
    root = (vectors[:, used] * np.sqrt(values[used])).T
    steps = np.sqrt(np.diff(sizes, prepend=0.0))[:, None]
    rng = np.random.Generator(np.random.PCG64(20181203))
    found = []
    for low in range(0, draws, TOGETHER):
        some = min(TOGETHER, draws - low)
        motion = np.cumsum(steps * rng.standard_normal((some, sizes.size, len(root))), axis=1)
        g = (motion @ root).reshape(some, sizes.size, S, M)
        found.append(np.sqrt(np.sum(g**2, axis=-1).max(axis=-1) / sizes))
    return np.concatenate(found)


def envelope(sizes: Array, largest: float) -> Array:
    """(2 lambda log log n/n)^(1/2) of the law of the iterated logarithm, NaN up to n = 2; lambda = `largest`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(2 * largest * np.log(np.log(sizes)) / sizes))
