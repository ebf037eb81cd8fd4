"""Prop. 3.1: the rate at which the loss decays does not depend on n."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liouville.judgement.evidence import Evidence
from liouville.statistics import Estimate, combine, critical
from liouville.verdicts import DIAGNOSTIC, Verdict, worst

Array = NDArray[np.floating]

NAN = float("nan")
DETERMINISTIC = 20.0  # ||r_0||^2 over tr C/n from which the fluctuations hardly move the loss
LEAST = 4  # snapshots that a rate is fitted to


@dataclass(frozen=True)
class Rate:
    """Fitted decay rate of E||f_n - f||^2 with the half-width of its interval, and that of ||f_0 - f||^2 meanwhile.

    until : the last snapshot of the fit.
    """

    value: float
    half: float
    mean_field: float
    until: int


def loss_rates(
    times: Array, mean_field: Array, trace: Array, groups: Mapping[int, Array], level: float
) -> dict[int, Rate]:
    """The rates by n, where ||r_0||^2 >= 20 tr C/n from the start on for at least LEAST snapshots.

    mean_field : ||f_0 - f||^2, (S,), trace : tr C, (S,), and groups : n -> ||f_n - f||^2, (R, S), all in the span.
    """
    found = {}
    for n, squares in groups.items():
        early = mean_field >= DETERMINISTIC * trace / n
        window = np.arange(early.size if early.all() else int(np.argmin(early)))  # from t = 0 until it first fails
        if window.size < LEAST:
            continue
        t = times[window] - times[window].mean()
        weights = -t / np.sum(t**2)
        logs = combine([squares[:, window]]).log()
        fitted = Estimate(weights[None] @ logs.value, (weights @ logs.covariance @ weights)[None, None], logs.dof)
        half = critical(fitted, level) * float(fitted.error[0])
        rate = float(weights @ np.log(mean_field[window]))
        found[n] = Rate(float(fitted.value[0]), half, rate, int(window[-1]))
    return found


def decay_of_loss(evidence: Evidence) -> Verdict:
    """The loss decays at a rate that does not depend on n, where ||r_0||^2 >= 20 tr C/n."""
    target = evidence.plan.problem.projection
    groups = {e.n: np.sum((e.f - target) ** 2, axis=-1) for e in evidence.ensembles}
    mean_field = np.sum((evidence.f0 - target) ** 2, axis=-1)
    level = 1 - (1 - DIAGNOSTIC) / len(groups)
    rates = loss_rates(evidence.times, mean_field, evidence.trace, groups, level)
    statement = (
        "the loss decays at the rate of l_0 for every n, where ||r_0||^2 >= 20 tr C/n (ratio of fitted rates, worst n"
    )
    if not rates:
        interval, note = (NAN, NAN, NAN), "no size has enough snapshots where ||r_0||^2 >= 20 tr C/n"
    else:
        value, half = np.array([(r.value / r.mean_field, r.half / abs(r.mean_field)) for r in rates.values()]).T
        k = worst(value, value - half, value + half, 1.0, 0.1)
        interval, note = (value[k] - half[k], value[k], value[k] + half[k]), ""
        statement += "; " + ", ".join(f"{v:.3f} at n = {n}" for n, v in zip(rates, value, strict=True))
    return Verdict.of("loss-decay", f"{statement})", interval, 1.0, 0.1, primary=False, level=DIAGNOSTIC, note=note)
