"""Verdicts: statements of the paper with an estimate, its interval, the prediction and a margin."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

FALSE_ALARMS = 0.01  # of all primary statistical verdicts of a run together
DIAGNOSTIC = 0.99  # level of every other interval
OUTCOMES = ("rejected", "undecided", "supported")


@dataclass(frozen=True)
class Verdict:
    """One statement, judged.

    supported : [low, high] lies inside predicted +- margin.
    rejected : it excludes the prediction and does not lie inside.
    `level` is NaN where `low` and `high` are bounds of a deterministic error; `paper` is what the paper says.
    """

    name: str
    statement: str
    statistic: float
    low: float
    high: float
    predicted: float
    margin: float
    paper: float
    primary: bool
    level: float = float("nan")
    p_value: float = float("nan")
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        statement: str,
        interval: tuple[float, float, float],
        predicted: float,
        margin: float,
        *,
        primary: bool,
        level: float = float("nan"),
        p_value: float = float("nan"),
        note: str = "",
        bound: float = 0.0,
        cause: str = "",
        paper: float | None = None,
    ) -> Self:
        """From (low, statistic, high); the note says what would decide it.

        paper : what the paper says, where that is not what is predicted.

        bound, cause : what of the interval replicas do not reduce, as for `more_replicas`.
        """
        low, statistic, high = map(float, interval)
        note = note or more_replicas(statistic, low, high, predicted, margin, bound, cause)
        paper = predicted if paper is None else paper
        return cls(name, statement, statistic, low, high, predicted, margin, paper, primary, level, p_value, note)

    @property
    def outcome(self) -> str:
        """supported, rejected or undecided."""
        return outcome(self.low, self.high, self.predicted, self.margin)


def outcome(low: float, high: float, predicted: float, margin: float) -> str:
    """The rule of all verdicts; NaN is undecided."""
    if predicted - margin <= low and high <= predicted + margin:
        return "supported"
    return "rejected" if predicted < low or high < predicted else "undecided"


def worst(value: Array, low: Array, high: Array, predicted: float, margin: float) -> int:
    """Index of the case that decides when all must hold: rejected, undecided, supported; then the farthest."""
    ranks = [OUTCOMES.index(outcome(a, b, predicted, margin)) for a, b in zip(low, high, strict=True)]
    reach = np.maximum(np.abs(low - predicted), np.abs(high - predicted))
    return min(range(value.size), key=lambda i: (ranks[i], -np.nan_to_num(reach[i], nan=np.inf)))


def more_replicas(
    value: float, low: float, high: float, predicted: float, margin: float, bound: float = 0.0, cause: str = ""
) -> str:
    """How many replicas would decide, for an interval that shrinks with their square root but for `bound` at each end.

    cause : what the bound comes from and what would lessen it, named where it decides alone.
    """
    if outcome(low, high, predicted, margin) != "undecided":
        return ""
    off = abs(value - predicted)
    half = max(value - low, high - value) - bound
    if not np.isfinite(half) or not np.isfinite(margin):
        return "this run cannot decide it"
    # inside the margin: shrink until it fits; outside: until the prediction is excluded
    room = (margin - off if off < margin else off) - bound
    if room <= 0 and bound > 0:
        return f"no number of replicas decides: {cause} (+-{bound:.2g} in the interval)"
    ratio = half / max(room, 1e-300)
    if ratio > 100:
        return "too near the margin to decide with more replicas"
    return f"about {max(2, int(np.ceil(ratio**2)))} times the replicas would decide"
