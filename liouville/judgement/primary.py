"""The four primary statistical verdicts; their intervals miss together in at most 1% of the runs.

Three of them ask for the limit of a quadratic form of n^(1/2) (f_n - f_0), which is that of n^(1/2) l_n up to O(1/n):

    n E|W'(f_n - f_0)|^2 = n E|W' l_n|^2 + b/n + d/n^2 + ...

The first term is the same for every n, exactly, and is pooled over all replicas; the rest, small and correlated, is
extrapolated to n = infinity with b and d free. The predicted C enters neither.
"""

import numpy as np
from numpy.typing import NDArray

from liouville.judgement.evidence import Evidence, whitening
from liouville.statistics import (
    Estimate,
    combine,
    critical,
    extrapolation,
    leading_coefficient,
    log_slope,
    slope_weights,
)
from liouville.verdicts import Verdict, worst

Array = NDArray[np.floating]

RATIO_MARGIN = 0.1
SLOPE_MARGIN = 0.5  # half way to 1, the slope of a wrong theory
CAUSES = (  # of what is not sampling error in an interval, and what would lessen it
    "the error of tr C; a shorter particles.step or more snapshots would lessen it",
    "the error of f_0; more solver.cells or a smaller tolerance would lessen it",
    "the terms of the expansion in 1/n that are left out; larger sizes would lessen it",
)


def leading(evidence: Evidence, roots: list[Array]) -> tuple[Estimate, Array]:
    """lim n E|W_s'(f_n - f_0)|^2 at every snapshot s, and bounds (3, S) of what is not sampling error in it.

    The bounds, which add up, are by their CAUSES the error of the theory, that of f_0 and, where the corrections fall
    with n (those of a wrong theory grow), the size of the first term that the extrapolation leaves out: x^k after k
    terms, x the correction at the largest n.
    """
    paths, excess = {}, {}
    largest = evidence.largest
    for ensemble in evidence.ensembles:
        paths[ensemble.n] = ensemble.n * _squares(ensemble.path, roots)
        excess[ensemble.n] = ensemble.n * _squares(ensemble.f - evidence.f0, roots) - paths[ensemble.n]
    unit = np.ones(len(roots))
    weights, terms = extrapolation(excess, unit)
    from_f0 = np.zeros(len(roots))
    error, norm = evidence.f0_error, np.array([np.linalg.norm(W, 2) for W in roots])
    for ensemble, weight in zip(evidence.ensembles, np.abs(weights), strict=True):
        mean = np.mean(ensemble.f - evidence.f0, axis=0)
        slope = np.array([np.linalg.norm(W @ (W.T @ off)) for W, off in zip(roots, mean, strict=True)])
        from_f0 += weight * ensemble.n * (2 * slope * error + norm**2 * error**2)
    last = combine([excess[largest.n]])
    x = np.abs(last.value) + 3 * last.error
    falling = np.abs(last.value) <= np.abs(np.mean(excess[int(evidence.sizes.min())], axis=0))
    bounds = np.stack([evidence.trace_error, from_f0, np.where(falling, x**terms, 0.0)])
    return leading_coefficient(paths, excess, unit), bounds


def _squares(values: Array, roots: list[Array]) -> Array:
    """|W_s' values_s|^2, (R, S), of values (R, S, M)."""
    return np.stack([np.sum((values[:, s] @ W) ** 2, axis=-1) for s, W in enumerate(roots)], axis=1)


def _traces(evidence: Evidence) -> list[Array]:
    """Roots of the form |f_n - f_0|^2 / tr C."""
    identity = np.eye(evidence.f0.shape[1])
    return [identity / np.sqrt(max(trace, 1e-300)) for trace in evidence.trace]


def _ratio(name: str, statement: str, estimate: Estimate, bounds: Array, times: Array, level: float) -> Verdict:
    """A ratio that should be 1 at all times: simultaneous log-scale intervals, widened by `bounds`; {t}: the worst."""
    logs, bound = estimate.log(), bounds.sum(axis=0)
    half = critical(estimate, level) * logs.error
    low, high = np.exp(logs.value - half) - bound, np.exp(logs.value + half) + bound
    k = worst(estimate.value, low, high, 1.0, RATIO_MARGIN)
    interval = (low[k], estimate.value[k], high[k])
    statement = statement.format(t=f"{times[k]:g}")
    cause = CAUSES[int(np.argmax(bounds[:, k]))]
    return Verdict.of(
        name, statement, interval, 1.0, RATIO_MARGIN, primary=True, level=level, bound=float(bound[k]), cause=cause
    )


def law_of_large_numbers(evidence: Evidence) -> Verdict:
    """E||f_n - f_0||^2 = A/n + B/n^2 + D/n^3 over n, B and D free: A against tr C at the last snapshot."""
    estimate, bounds = leading(evidence, _traces(evidence))
    statement = "E||f_n - f_0||^2 = A/n + B/n^2 + D/n^3 with A = tr C (A/tr C at t = {t})"
    return _ratio("lln", statement, estimate.at(-1), bounds[:, [-1]], evidence.times[[-1]], evidence.level)


def healing(evidence: Evidence) -> Verdict:
    """The same law at every snapshot together, while tr C falls."""
    estimate, bounds = leading(evidence, _traces(evidence))
    fall = evidence.trace[-1] / evidence.trace[0]
    statement = (
        f"A(t) = tr C(t) at every snapshot while tr C goes to {fall:.2g} of its start "
        "(A/tr C at the worst, t = {t}; simultaneous interval)"
    )
    return _ratio("healing", statement, estimate, bounds, evidence.times, evidence.level)


def covariance(evidence: Evidence) -> Verdict:
    """Joint covariance of n^(1/2) (f_n - f_0) against C: tr(C^-1 Chat)/d at every snapshot, on the modes that matter.

    The 1/n correction, which the smallest modes of C feel first, is taken out with the other sizes.
    """
    roots = [W / np.sqrt(W.shape[1]) for W in map(whitening, evidence.covariance)]
    estimate, bounds = leading(evidence, roots)
    statement = (
        f"n Cov(f_n - f_0) -> C, from n up to {evidence.largest.n} (tr(C^-1 Chat)/{roots[-1].shape[1]} "
        "at the worst snapshot, t = {t}; simultaneous interval)"
    )
    return _ratio("clt-covariance", statement, estimate, bounds, evidence.times, evidence.level)


def paths(evidence: Evidence) -> Verdict:
    """n^2 E||f_n - f_0 - l_n||^2 stays bounded in n: slope 0 (or less, at small n), 1 if anything is wrong."""
    statement = "f_n - f_0 = l_n + O(1/n) replica by replica (slope of log n^2 E||f_n - f_0 - l_n||^2 in log n"
    if len(evidence.ensembles) < 2:
        nan = float("nan")
        return Verdict.of(
            "clt-paths",
            f"{statement})",
            (nan, nan, nan),
            0.0,
            SLOPE_MARGIN,
            primary=True,
            level=evidence.level,
            note="needs at least two sizes",
        )
    remainder = {}
    widen = np.zeros((2, evidence.times.size - 1))  # what the errors of l_n and of f_0 do to the log
    weights = np.abs(slope_weights(evidence.sizes, evidence.replicas))
    for ensemble, weight in zip(evidence.ensembles, weights, strict=True):
        square = np.sum((ensemble.f - evidence.f0 - ensemble.path) ** 2, axis=-1)[:, 1:]
        remainder[ensemble.n] = ensemble.n**2 * square
        rms = np.sqrt(np.maximum(np.mean(square, axis=0), 1e-300))
        path_error = 0.5 * evidence.trace_error * np.sqrt(evidence.trace / ensemble.n)
        widen += weight * 2 * np.stack([path_error, evidence.f0_error])[:, 1:] / rms
    slope = log_slope(remainder)
    half = critical(slope, evidence.level) * slope.error + widen.sum(axis=0)
    low, high = (np.maximum(end, -SLOPE_MARGIN) for end in (slope.value - half, slope.value + half))  # one-sided
    k = worst(slope.value, low, high, 0.0, SLOPE_MARGIN)
    return Verdict.of(
        "clt-paths",
        f"{statement}, at the worst snapshot, t = {evidence.times[k + 1]:g}; simultaneous one-sided interval)",
        (low[k], slope.value[k], high[k]),
        0.0,
        SLOPE_MARGIN,
        primary=True,
        level=evidence.level,
        bound=float(widen[:, k].sum()),
        cause=CAUSES[int(np.argmax(widen[:, k]))],
    )
