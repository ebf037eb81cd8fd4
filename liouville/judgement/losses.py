"""Commuting limits of Prop. 3.1 as statements that can fail: the loss of no replica rises, its mean has the limit l_0.

With delta = f_n - f_0, the identity l_n - l_0 = <r, delta> + |delta|^2/2 and E delta = f_1/n + O(n^-2) give

    n (E l_n - l_0) = A/2 + <r, f_1> + O(1/n),      A = tr C.

Where f_1 is not known it is bounded by data of the same run: n (delta - l_n) has the mean f_1 + O(1/n), for l_n is
centred, hence |f_1|^2 <= Q = n^2 E|delta - l_n|^2 and <r, f_1> <= |r| Q^(1/2).
"""

import itertools

import numpy as np
import scipy
from numpy.typing import NDArray

from liouville.judgement.deterministic import ROUNDING
from liouville.judgement.evidence import Ensemble, Evidence
from liouville.statistics import DRAWS, combine, critical
from liouville.verdicts import DIAGNOSTIC, Verdict, worst

Array = NDArray[np.floating]

BOUND_MARGIN = 0.1  # of the limit of n (E l_n - l_0)
TAIL_MARGIN = 0.05  # of a probability


def monotone(evidence: Evidence) -> Verdict | None:
    """No replica's loss ever rises in a step by more than rounding; None where steps were not looked at."""
    found = [e for e in evidence.ensembles if e.increase.size]
    if not found:
        return None
    target = evidence.plan.problem.projection
    worst_of = []
    for ensemble in found:
        start = 0.5 * np.sum((ensemble.f[:, 0] - target) ** 2, axis=-1)
        worst_of.append(float(np.max(ensemble.increase / (start + 0.5 * target @ target))))
    k = int(np.argmax(worst_of))
    count = sum(e.increase.size for e in found)
    return Verdict.of(
        "loss-monotone",
        f"the loss of none of {count} replicas ever rises (largest relative rise in a step of at most "
        f"{evidence.reference.steps.lengths.max():.3g}, n = {found[k].n})",
        (worst_of[k], worst_of[k], worst_of[k]),
        0.0,
        ROUNDING,
        primary=False,
    )


def limit_of_loss(evidence: Evidence) -> Verdict:
    """n (E l_n - l_0) at the last snapshot and the largest n: A/2 + <r, f_1>, or no more than its bound.

    Per replica n (l_n - l_0 - <r, l_n>) has the same mean, for E l_n = 0, and a standard deviation that does not grow.
    """
    largest, r = evidence.largest, evidence.f0[-1] - evidence.plan.problem.projection
    value, half = excess_of_loss(largest, evidence.f0[-1], r)
    reach = largest.n * float(evidence.f0_error[-1]) * (float(np.linalg.norm(r)) + _rms(largest, evidence.f0[-1]))
    half += reach
    half_trace = 0.5 * float(evidence.trace[-1])
    what = f"n (E l_n - l_0) at n = {largest.n}, t = {evidence.times[-1]:g}"
    if evidence.first_order is not None:
        term = float(r @ evidence.first_order[-1])
        unit = half_trace + abs(term)
        predicted = (half_trace + term) / unit
        return Verdict.of(
            "loss-limit",
            f"{what}, is A/2 + <r, f_1> (in units of A/2 + |<r, f_1>| = {unit:.3g})",
            ((value - half) / unit, value / unit, (value + half) / unit),
            predicted,
            BOUND_MARGIN,
            primary=False,
            level=DIAGNOSTIC,
        )
    square = np.sum((largest.f[:, -1] - evidence.f0[-1] - largest.path[:, -1]) ** 2, axis=-1)
    unit = half_trace + float(np.linalg.norm(r)) * largest.n * float(np.sqrt(square.mean()))
    ratio = value / unit
    low, value, high = (max(1.0, ratio + sign * half / unit) for sign in (-1, 0, 1))  # less is no objection
    return Verdict.of(
        "loss-limit",
        f"{what}, is {ratio:.2f} of its bound A/2 + |r| Q^(1/2) = {unit:.3g} (|f_1|^2 <= Q = "
        f"n^2 E|f_n - f_0 - l_n|^2; one-sided; l_0 is {_share(evidence):.2g} of its start{_few(evidence)})",
        (low, value, high),
        1.0,
        BOUND_MARGIN,
        primary=False,
        level=DIAGNOSTIC,
    )


def excess_of_loss(ensemble: Ensemble, f0: Array, r: Array) -> tuple[float, float]:
    """n (E l_n - l_0) at the last snapshot by the control variate <r, l_n>, and the half-width of its interval."""
    delta = ensemble.f[:, -1] - f0
    excess = (delta - ensemble.path[:, -1]) @ r + 0.5 * np.sum(delta**2, axis=-1)
    estimate = combine([ensemble.n * excess[:, None]])
    return float(estimate.value[0]), critical(estimate, DIAGNOSTIC) * float(estimate.error[0])


def tail_of_loss(evidence: Evidence) -> Verdict:
    """P[l_n(T) > delta] falls with n, at the largest n to what the Gaussian limit says.

    Two claims in one number, neither of which minds less: the largest rise from one size to the next, and the excess
    at the largest n over P[l_0 + <r, g>/n^(1/2) + |g|^2/(2 n) > delta], g of covariance C, which tends to 0. Neither
    minds less than TAIL_MARGIN: tails at finite n are not Gaussian, and one loss above delta excludes P = 0.
    """
    delta = threshold(evidence)
    ordered = sorted(evidence.ensembles, key=lambda ensemble: ensemble.n)
    level = 1 - (1 - DIAGNOSTIC) / len(ordered)
    ends = np.array([exceeding(evidence, ensemble, delta, level) for ensemble in ordered])  # (sizes, 3)
    expected = gaussian_tail(evidence, ordered[-1].n, delta)
    rises = [[b[0] - a[2], b[1] - a[1], b[2] - a[0] if b[1] > a[1] else 0.0] for a, b in itertools.pairwise(ends)]
    low, value, high = np.array([ends[-1] - expected, *rises]).T
    low, value, high = (np.maximum(end, 0.0) for end in (low, value, high))
    low = np.where(low > TAIL_MARGIN, low, 0.0)
    k = worst(value, low, high, 0.0, TAIL_MARGIN)
    what = f"excess over {expected:.2g} at the largest n" if k == 0 else "largest rise"
    shown = ", ".join(f"{end[1]:.2g}" for end in ends)
    return Verdict.of(
        "loss-tail",
        f"P(l_n(T) > l_0(T) + {delta - _loss(evidence):.2g}) falls with n to 0 ({what}; one-sided; {shown} at n = "
        f"{', '.join(str(e.n) for e in ordered)})",
        (low[k], value[k], high[k]),
        0.0,
        TAIL_MARGIN,
        primary=False,
        level=DIAGNOSTIC,
    )


def threshold(evidence: Evidence) -> float:
    """delta of `tail_of_loss`, without the floor: predicted mean and standard deviation of l_n(T) at the least n."""
    r, n = evidence.f0[-1] - evidence.plan.problem.projection, evidence.sizes.min()
    deviation = np.sqrt(max(0.0, float(r @ evidence.covariance[-1] @ r)) / n)
    return float(_loss(evidence) + 0.5 * evidence.trace[-1] / n + deviation)


def gaussian_tail(evidence: Evidence, n: int, delta: float) -> float:
    """P[l_0 + <r, g>/n^(1/2) + |g|^2/(2 n) > delta], g ~ N(0, C) at the last snapshot; a fixed stream."""
    values, vectors = np.linalg.eigh(evidence.covariance[-1])
    draws = np.random.Generator(np.random.PCG64(20181203)).standard_normal((DRAWS, values.size))
    f = evidence.f0[-1] + draws @ (vectors * np.sqrt(np.maximum(values, 0.0) / n)).T
    loss = 0.5 * np.sum((f - evidence.plan.problem.projection) ** 2, axis=-1)
    return float(np.mean(loss > delta))


def _loss(evidence: Evidence) -> float:
    """l_0(T), without the floor."""
    return 0.5 * float(np.sum((evidence.f0[-1] - evidence.plan.problem.projection) ** 2))


def exceeding(evidence: Evidence, ensemble: Ensemble, delta: float, level: float) -> tuple[float, float, float]:
    """P[l_n(T) > delta] with Clopper and Pearson's interval: low, value, high."""
    loss = 0.5 * np.sum((ensemble.f[:, -1] - evidence.plan.problem.projection) ** 2, axis=-1)
    return binomial(int(np.sum(loss > delta)), loss.size, level)


def binomial(count: int, size: int, level: float) -> tuple[float, float, float]:
    """Clopper and Pearson's interval of a probability: low, value, high."""
    tail = (1 - level) / 2
    low = float(scipy.stats.beta.ppf(tail, count, size - count + 1)) if count else 0.0
    high = float(scipy.stats.beta.isf(tail, count + 1, size - count)) if count < size else 1.0
    return low, count / size, high


def _rms(ensemble: Ensemble, f0: Array) -> float:
    return float(np.sqrt(np.mean(np.sum((ensemble.f[:, -1] - f0) ** 2, axis=-1))))


def _few(evidence: Evidence) -> str:
    """Why it cannot hold, where a network of the largest size has too few parameters to reach a general target."""
    problem, n = evidence.plan.problem, evidence.largest.n
    parameters = n * (problem.dimension + 1)
    return f"; n (N + 1) = {parameters} < {problem.rank} = rank of phi" if parameters < problem.rank else ""


def _share(evidence: Evidence) -> float:
    loss = np.sum((evidence.f0 - evidence.plan.problem.projection) ** 2, axis=-1)
    return float(loss[-1] / max(loss[0], 1e-300))
