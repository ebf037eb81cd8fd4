"""Verdicts of a study: the law in n with its next order, and the orders reached along a_n, with a gap and without.

Means of ||f_n - f_0||^2 and ||f_n - f||^2 have ||l_n||^2 as control variate (V2), whose mean is A/n with the same A for
all n. That A is taken from the replicas of all sizes, not from the theory, which must not judge itself.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from liouville.healing.norms import Norms
from liouville.healing.study import Study, described
from liouville.healing.theory import Theory
from liouville.schedules import LogSchedule
from liouville.statistics import (
    Estimate,
    combine,
    critical,
    extrapolation_weights,
    leading_coefficient,
    pooled,
    slope_weights,
)
from liouville.verdicts import Verdict, worst

Array = NDArray[np.floating]

EVERYWHERE = slice(None)
FIXED_TIMES = 3  # verdicts
LIMIT_MARGIN = 0.1  # of A against tr C
ORDER_MARGIN = 0.25  # of B and of f_1 against what is computed
EXPONENT_MARGIN = 0.1
PAPER = 1.0  # the order in n that fluctuations heal to: (20) has any exponent below it
TRUSTED = 0.5  # B/(n A) up to which the expansion in 1/n is used
FITTED = 4  # sizes that B and D/n are told apart by
LARGER = "the terms of the expansion in 1/n that are left out; larger healing.sizes would lessen it"


def count(study: Study) -> int:
    """Verdicts that `judge` will give."""
    return len(study.schedules) * (1 if study.control else 2) or FIXED_TIMES


def judge(study: Study, theory: Theory, norms: Mapping[int, Norms], level: float) -> list[Verdict]:
    """All verdicts of a study, each at `level`: of the law at fixed times, or of the orders along each schedule."""
    if not study.schedules:
        return [of(theory, norms, study.plan.times, level) for of in (limit, next_order, mean)]
    found = []
    for k in range(len(study.schedules)):
        if not study.control:
            found.append(exponent(study, k, theory, norms, level))
        found.append(order(study, k, theory, norms, level))
    return found


def deviation(norms: Mapping[int, Norms], n: int, at: slice = EVERYWHERE) -> Estimate:
    """E||f_n - f_0||^2 at some snapshots."""
    return pooled(norms[n].deviation[:, at], n, {m: m * some.path[:, at] for m, some in norms.items()})


def distance(norms: Mapping[int, Norms], n: int, at: slice = EVERYWHERE) -> Estimate:
    """E||f_n - f||^2 at some snapshots."""
    return pooled(norms[n].distance[:, at], n, {m: m * some.path[:, at] for m, some in norms.items()})


def limit(theory: Theory, norms: Mapping[int, Norms], times: Array, level: float) -> Verdict:
    """n E||f_n - f_0||^2 = A + B/n + D/n^2 collapses on A = tr C, B and D free."""
    used = _expanded(theory, norms)
    paths = {n: n * some.path[:, used] for n, some in norms.items()}
    excess = {n: n * some.deviation[:, used] - paths[n] for n, some in norms.items()}
    A = theory.A[used]
    estimate = leading_coefficient(paths, excess, A).scaled(1 / A)
    left_out = (np.abs(theory.B[used]) / (max(norms) * A)) ** 3
    return _ratio(
        "healing-limit",
        f"n E||f_n - f_0||^2 collapses on tr C(t) + B/n + D/n^2 while tr C falls to {A[-1] / theory.A[0]:.2g} of it "
        "(A/tr C at the worst snapshot, t = {t}; simultaneous interval)",
        (estimate, theory.A_error[used] / A + left_out, times[used]),
        level,
        LIMIT_MARGIN,
    )


def next_order(theory: Theory, norms: Mapping[int, Norms], times: Array, level: float) -> Verdict:
    """n (n E||f_n - f_0||^2 - A) -> B: measured with ||l_n||^2 in the place of A/n, D/n free, against B computed.

    At the snapshots where B passes A, so that it can be seen, and where D/n can be told from it, for which the
    expansion must reach FITTED sizes; at others where there are none such.
    """
    size, A = np.abs(theory.B), theory.A
    reached = np.sum(size <= TRUSTED * np.array(list(norms))[:, None] * A, axis=0)
    used = _expanded(theory, norms) & (theory.B_error < 0.1 * size)
    for condition in (size >= A, reached >= FITTED):
        used &= condition | (not np.any(used & condition))
    B = theory.B[used]
    values = {n: n**2 * (some.deviation - some.path)[:, used] / B for n, some in norms.items()}
    estimate, left_out = _extrapolated(values, np.abs(B / theory.A[used]))
    return _ratio(
        "healing-next-order",
        "n (n E||f_n - f_0||^2 - tr C) -> B(t), computed "
        "(measured over computed at the worst snapshot, t = {t}; simultaneous interval)",
        (estimate, theory.B_error[used] / np.abs(B) + left_out, times[used]),
        level,
        ORDER_MARGIN,
    )


def mean(theory: Theory, norms: Mapping[int, Norms], times: Array, level: float) -> Verdict:
    """n E(f_n - f_0) -> f_1, along f_1, by the control variate f_n - f_0 - l_n."""
    square = np.sum(theory.f1**2, axis=1)
    used = _expanded(theory, norms) & (np.arange(square.size) > 0)
    values = {n: n * some.drift[:, used] / square[used] for n, some in norms.items()}
    estimate, left_out = _extrapolated(values, np.abs(theory.B / theory.A)[used])
    return _ratio(
        "healing-mean",
        "n E(f_n - f_0) -> f_1(t), computed "
        "(part along f_1 over f_1 at the worst snapshot, t = {t}; simultaneous interval)",
        (estimate, left_out, times[used]),
        level,
        ORDER_MARGIN,
    )


def exponent(study: Study, k: int, theory: Theory, norms: Mapping[int, Norms], level: float) -> Verdict:
    """The local exponent of (E||f_n - f_0||^2)^(1/2) along a_n, 1/2 at fixed t, at the largest two sizes."""
    pair = dict(list(norms.items())[-2:])
    (n, at), (m, then) = list(zip(norms, study.at[k], strict=True))[-2:]
    times = study.plan.times
    return _exponent(
        f"healing-exponent-{k + 1}",
        f"(E||f_n - f_0||^2)^(1/2) falls like n^-xi along a_n = {described(study.schedules[k])} "
        f"(xi from n = {n} to {m}, t = {times[at]:.3g} to {times[then]:.3g}",
        _fitted(norms, pair, study.at[k][-2:], deviation),
        *_predicted(theory, norms, pair, study.at[k][-2:], theory.deviation),
        study,
        k,
        level,
    )


def order(study: Study, k: int, theory: Theory, norms: Mapping[int, Norms], level: float) -> Verdict:
    """(20): the order in n of (E||f_n - f||^2)^(1/2) along a_n, fitted over all sizes."""
    found = _fitted(norms, norms, study.at[k], distance)
    value = found.value[0]
    return _exponent(
        (f"healing-control-{study.name}" if study.control else "healing-order") + f"-{k + 1}",
        f"(E||f_n - f||^2)^(1/2) falls like n^-xi along a_n = {described(study.schedules[k])} "
        f"(xi fitted to n = {min(norms)} ... {max(norms)}; (20) with 0.9 {'holds' if value > 0.9 else 'fails'}",
        found,
        *_predicted(theory, norms, norms, study.at[k], theory.distance),
        study,
        k,
        level,
    )


def _fitted(
    norms: Mapping[int, Norms], sizes: Iterable[int], at: NDArray[np.integer], of: Callable[..., Estimate]
) -> Estimate:
    """-1/2 times the slope in log n of the log of what is estimated at one snapshot for each n.

    The sizes share the mean of the control variate: neighbours err alike, so that the error is rather too large.
    """
    weights = _weights(sizes)
    parts = [of(norms, n, slice(s, s + 1)).log() for n, s in zip(sizes, at, strict=True)]
    return Estimate(
        np.sum([w * part.value for w, part in zip(weights, parts, strict=True)], axis=0),
        np.sum([w**2 * part.covariance for w, part in zip(weights, parts, strict=True)], axis=0),
        min(part.dof for part in parts),
    )


def _weights(sizes: Iterable[int]) -> Array:
    n = np.array(list(sizes), dtype=float)
    return -0.5 * slope_weights(n, np.ones(n.size))


def _predicted(
    theory: Theory,
    norms: Mapping[int, Norms],
    sizes: Iterable[int],
    at: NDArray[np.integer],
    of: Callable[[int], Array],
) -> tuple[float, float]:
    """The same of a predicted quantity, and a bound of its error.

    The bound has the errors of A and B, and D/n^3, which is left out, as it is measured.
    """
    third = _third(theory, norms)
    cases = list(zip(sizes, at, strict=True))
    known = np.array([of(n)[s] for n, s in cases])
    wrong = np.array([theory.A_error[s] / n + theory.B_error[s] / n**2 + third[s] / n**3 for n, s in cases])
    weights = _weights(n for n, _ in cases)
    return float(weights @ np.log(known)), float(np.abs(weights) @ (wrong / known))


def _third(theory: Theory, norms: Mapping[int, Norms]) -> Array:
    """A bound of |D| of E||f_n - f_0||^2 = A/n + B/n^2 + D/n^3, from the replicas: two standard errors more, (S,)."""
    sizes = np.array(list(norms), dtype=float)
    replicas = np.array([len(some.path) for some in norms.values()], dtype=float)
    found = np.empty(theory.A.size)
    for s in range(found.size):
        used = np.abs(theory.B[s]) <= sizes * theory.A[s]
        used[-2:] = True
        # Y = n^2 (||f_n - f_0||^2 - ||l_n||^2) - B = D/n + E/n^2, with a variance that grows like n
        X = sizes[used, None] ** -np.array([1.0, 2.0])
        XW = X.T * (replicas[used] / sizes[used])
        weights = np.zeros(sizes.size)
        weights[used] = np.linalg.solve(XW @ X, XW)[0]
        values = [n**2 * (some.deviation - some.path)[:, [s]] - theory.B[s] for n, some in norms.items()]
        D = combine([w * value for w, value in zip(weights, values, strict=True)])
        found[s] = np.abs(D.value[0]) + 2 * D.error[0]
    return found


def _extrapolated(values: Mapping[int, Array], x: Array) -> tuple[Estimate, Array]:
    """Limit in 1/n of the means of values (R, S), from sizes whose correction x/n is small, and what is left out."""
    sizes = np.array(list(values), dtype=float)
    replicas = np.array([len(group) for group in values.values()], dtype=float)
    weights = np.zeros((sizes.size, x.size))
    terms = np.ones(x.size)
    for s in range(x.size):
        used = x[s] / sizes <= TRUSTED
        used[-1] = True
        # the variance of n^2 (||f_n - f_0||^2 - ||l_n||^2) grows like n
        weights[used, s] = extrapolation_weights(sizes[used], replicas[used] / sizes[used] ** 2, 2)
        terms[s] = min(2, used.sum())
    return combine([w * group for w, group in zip(weights, values.values(), strict=True)]), (x / sizes[-1]) ** terms


def _expanded(theory: Theory, norms: Mapping[int, Norms]) -> NDArray[np.bool_]:
    """The snapshots at which the largest size is in the reach of the expansion in 1/n, (S,)."""
    return np.asarray(np.abs(theory.B) <= TRUSTED * max(norms) * theory.A)


def _ratio(name: str, statement: str, known: tuple[Estimate, Array, Array], level: float, margin: float) -> Verdict:
    """An estimate of 1, its bound and their times: all must hold together. {t} in the statement is the worst."""
    estimate, bound, times = known
    half = critical(estimate, level) * estimate.error + bound
    k = worst(estimate.value, estimate.value - half, estimate.value + half, 1.0, margin)
    interval = (estimate.value[k] - half[k], estimate.value[k], estimate.value[k] + half[k])
    return Verdict.of(
        name, statement.format(t=f"{times[k]:.3g}"), interval, 1.0, margin,
        primary=True, level=level, bound=float(bound[k]), cause=LARGER,
    )  # fmt: skip


def _exponent(
    name: str, statement: str, found: Estimate, predicted: float, bound: float, study: Study, k: int, level: float
) -> Verdict:
    """Against the computed exponent; against (20), 1 or more, where the next order is not known so late.

    What the paper has is 1 where a_n outgrows log n. That (20) may fail along tau log n is no dissent.
    """
    half = critical(found, level) * float(found.error[0])
    value, high = float(found.value[0]), np.inf
    outgrows = not isinstance(study.schedules[k], LogSchedule)
    if not np.isfinite(predicted) and outgrows:
        predicted, bound, high = PAPER, 0.0, PAPER + EXPONENT_MARGIN
        statement += f"; measured {value:.3g}: one-sided, more than {high:g} counts as that"
    ends = np.minimum([value - half - bound, value, value + half + bound], high)
    return Verdict.of(
        name, f"{statement})", (ends[0], ends[1], ends[2]), predicted, EXPONENT_MARGIN,
        primary=True, level=level, bound=bound, cause=LARGER, paper=PAPER if outgrows else predicted,
    )  # fmt: skip
