"""Estimates with intervals, from replicas that are independent within and between sizes.

Every estimate here is a sum of means over groups of replicas, so its standard error and its covariance over times
follow from what each replica contributes; intervals of positive quantities are taken on the log scale, where the skewed
late data are nearer to normal, and simultaneous ones use the maximum of the correlated normal scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.floating]

TERMS = 3  # of a + b/n + d/n^2
TOO_LARGE = 2.0  # correction, relative to what it corrects, at which an expansion in 1/n is not to be trusted
DRAWS = 20_000  # of the maximum of correlated normal scores


@dataclass(frozen=True)
class Estimate:
    """An estimate at several times. value : (S,).  covariance : (S, S) of the estimates.

    dof : degrees of freedom of the standard errors, those of the smallest group of replicas.
    """

    value: Array
    covariance: Array
    dof: float = np.inf

    @property
    def error(self) -> Array:
        """Standard errors, (S,)."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))

    def scaled(self, factor: Array) -> "Estimate":
        """Each time's estimate multiplied by a known number, (S,)."""
        return Estimate(self.value * factor, self.covariance * np.outer(factor, factor), self.dof)

    def log(self) -> "Estimate":
        """Of the logarithm, by the delta method."""
        value = np.maximum(self.value, 1e-300)
        return Estimate(np.log(value), self.covariance / np.outer(value, value), self.dof)

    def at(self, index: int) -> "Estimate":
        """The estimate at one time."""
        return Estimate(self.value[[index]], self.covariance[np.ix_([index], [index])], self.dof)


def combine(groups: Sequence[Array]) -> Estimate:
    """The sum over groups of replicas of the groups' means; each group is (R, S)."""
    value = np.sum([group.mean(axis=0) for group in groups], axis=0)
    covariance = np.sum([_covariance(group) / len(group) for group in groups], axis=0)
    return Estimate(value, covariance, min(len(group) for group in groups) - 1)


def _covariance(group: Array) -> Array:
    """Of the columns of (R, S), (S, S); what numpy.cov computes, without its copies."""
    centred = group - group.mean(axis=0)
    return np.asarray(centred.T @ centred / (len(group) - 1))


def controlled(values: Array, control: Array, mean: Array) -> Array:
    """Of values (R, S) whose mean is wanted, what is left by a control variate (R, S) of known mean (S,).

    The factor that leaves the least variance is estimated from the same replicas, and the few that decide a late mean
    decide it too: plain residuals then look smaller than they are. These are the jackknife's pseudo-values of the whole
    estimate, factor included; their mean has a bias of order 1/R^2, and their spread gives its standard error.
    """
    replicas, off = len(values), control - control.mean(axis=0)
    square = np.maximum(np.sum(off**2, axis=0), 1e-300)
    centred = values - values.mean(axis=0)
    factor = np.sum(centred * off, axis=0) / square
    shift = mean - control.mean(axis=0)
    weight = 1 / replicas + off / square * shift  # of a value in the estimate, a regression read off at the known mean
    kept = np.maximum(1 - 1 / replicas - off**2 / square, 1e-12)  # 1 less the leverage of a replica
    without = weight * (centred - factor * off) / kept  # what the estimate loses with a replica
    return np.asarray(values.mean(axis=0) + factor * shift + (replicas - 1) * without)


def pooled(values: Array, n: int, controls: Mapping[int, Array]) -> Estimate:
    """The mean of values (R, S) of size n, with control variates (R_m, S) of the same mean for every size m.

    That mean is the one over the replicas of all sizes, see `controlled` for the rest.
    """
    total = sum(len(group) for group in controls.values())
    shares = {m: len(group) / total for m, group in controls.items()}
    means = {m: group.mean(axis=0) for m, group in controls.items()}
    mean = np.sum([shares[m] * means[m] for m in controls], axis=0)
    off = controls[n] - means[n]
    factor = np.sum((values - values.mean(axis=0)) * off, axis=0) / np.maximum(np.sum(off**2, axis=0), 1e-300)
    groups = {m: factor * shares[m] * (group - means[m]) for m, group in controls.items()}  # of mean 0: how `mean` errs
    groups[n] = groups[n] + controlled(values, controls[n], mean)
    return combine(list(groups.values()))


@lru_cache(maxsize=4)
def _normal(count: int) -> Array:
    """DRAWS times `count` normal numbers of a fixed stream."""
    return np.random.Generator(np.random.PCG64(20181203)).standard_normal((DRAWS, count))


def critical(estimate: Estimate, level: float) -> float:
    """z such that all |error| <= z standard errors together with probability `level`: the simultaneous quantile.

    Drawn from the estimated correlations with a fixed stream, so equal data give equal intervals; then taken from the
    normal to Student's law of the estimate's degrees of freedom.
    """
    error = estimate.error
    moving = error > 1e-12 * max(error.max(), 1e-300)
    z = float(scipy.stats.norm.ppf((1 + level) / 2))
    if moving.sum() > 1:
        correlation = estimate.covariance[np.ix_(moving, moving)] / np.outer(error[moving], error[moving])
        values, vectors = np.linalg.eigh(correlation)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        z = float(np.quantile(np.abs(_normal(len(root)) @ root.T).max(axis=1), level))
    return float(scipy.stats.t.isf(scipy.stats.norm.sf(z), estimate.dof)) if np.isfinite(estimate.dof) else z


def median(group: Array, level: float) -> tuple[Array, Array, Array]:
    """Low, value and high of the median of a group (R, S), at each time alone, from order statistics.

    It needs no moments: where a tail is heavy a mean follows a few replicas, and the median the others. Ends that the
    level puts beyond all replicas are infinite.
    """
    ordered, ranks = np.sort(group, axis=0), np.arange(len(group))
    ends = scipy.stats.quantile_test(ranks, q=0, p=0.5).confidence_interval(level)
    low, high = (
        ordered[int(end)] if np.isfinite(end) else np.full(group.shape[1], beyond)
        for end, beyond in zip((ends.low, ends.high), (-np.inf, np.inf), strict=True)
    )
    return low, np.median(ordered, axis=0), high


def extrapolation_weights(sizes: Array, replicas: Array, terms: int = TERMS) -> Array:
    """w with sum_n w_n X_n the least-squares estimate of a in X_n = a + b/n + d/n^2, (len(sizes),).

    Each X_n is weighted with n R_n, as the variance of n (||f_n - f_0||^2 - ||l_n||^2), what it is used for, falls with
    the inverse; with fewer sizes than terms the highest orders are dropped.
    """
    X = sizes[:, None] ** -np.arange(min(terms, sizes.size), dtype=float)
    XW = X.T * (sizes * replicas)
    return np.asarray(np.linalg.solve(XW @ X, XW)[0])


def slope_weights(sizes: Array, replicas: Array) -> Array:
    """w with sum_n w_n log X_n the weighted least-squares slope of log X_n in log n (weights R_n)."""
    x = np.log(sizes)
    centred = x - np.average(x, weights=replicas)
    return np.asarray(replicas * centred / np.sum(replicas * centred**2))


def usable(excess: Mapping[int, Array], unit: Array) -> NDArray[np.bool]:
    """Which sizes an expansion in 1/n may use at each time, (len(excess), S): their correction is at most TOO_LARGE.

    excess : n -> n (||f_n - f_0||^2 - ||l_n||^2), (R, S).  unit : (S,), what it corrects. The largest n is always used.
    """
    used = np.array([np.abs(group.mean(axis=0)) <= TOO_LARGE * unit for group in excess.values()])
    used[list(excess).index(max(excess))] = True
    return used


def extrapolation(excess: Mapping[int, Array], unit: Array) -> tuple[Array, Array]:
    """Weights (len(excess), S) that extrapolate the usable sizes to n = infinity, and their number of terms (S,)."""
    sizes = np.array(list(excess), dtype=float)
    replicas = np.array([len(group) for group in excess.values()], dtype=float)
    used = usable(excess, unit)
    weights = np.zeros(used.shape)
    for s in range(used.shape[1]):
        weights[used[:, s], s] = extrapolation_weights(sizes[used[:, s]], replicas[used[:, s]])
    return weights, np.minimum(used.sum(axis=0), TERMS)


def leading_coefficient(paths: Mapping[int, Array], excess: Mapping[int, Array], unit: Array) -> Estimate:
    """a of n E||f_n - f_0||^2 = a + b/n + d/n^2, by (V2) without assuming a.

    paths : n -> n ||l_n||^2, (R, S), whose mean is a for every n exactly (pooled over all sizes);
    excess : n -> n (||f_n - f_0||^2 - ||l_n||^2), (R, S), of order 1/n, extrapolated to n = infinity from usable sizes;
    unit : (S,), the size of a, which decides what is usable.
    """
    total = sum(len(group) for group in paths.values())
    weights, _ = extrapolation(excess, unit)
    return combine([len(paths[n]) / total * paths[n] + w * excess[n] for n, w in zip(paths, weights, strict=True)])


def log_slope(groups: Mapping[int, Array]) -> Estimate:
    """Slope of log E X_n in log n, at every time, from X_n (R, S) for each n."""
    sizes = np.array(list(groups), dtype=float)
    replicas = np.array([len(group) for group in groups.values()], dtype=float)
    weights = slope_weights(sizes, replicas)
    parts = [combine([group]).log() for group in groups.values()]
    return Estimate(
        np.sum([w * part.value for w, part in zip(weights, parts, strict=True)], axis=0),
        np.sum([w**2 * part.covariance for w, part in zip(weights, parts, strict=True)], axis=0),
        min(part.dof for part in parts),
    )


def dkw(samples: int, level: float) -> float:
    """Half-width of the Dvoretzky-Kiefer-Wolfowitz band of an empirical distribution (Massart's constant)."""
    return float(np.sqrt(np.log(2 / (1 - level)) / (2 * samples)))


def effect_interval(statistic: float, dof: int, samples: int, level: float) -> tuple[float, float]:
    """Interval of the effect size phi^2 = sum (p - p0)^2/p0 from a chi-square statistic, through the noncentral law."""

    def noncentrality(probability: float) -> float:
        if scipy.stats.chi2.cdf(statistic, dof) <= probability:
            return 0.0
        low, high = 0.0, max(statistic, 1.0) * 10
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if scipy.stats.ncx2.cdf(statistic, dof, middle) > probability else (low, middle)
        return low

    return noncentrality((1 + level) / 2) / samples, noncentrality((1 - level) / 2) / samples
