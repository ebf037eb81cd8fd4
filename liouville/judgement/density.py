"""The law of large numbers and the central limit theorem for the density itself: n particles of a replica and rho_0."""

import numpy as np
from numpy.typing import NDArray

from liouville.judgement.evidence import Evidence
from liouville.statistics import Estimate, combine, critical, extrapolation_weights
from liouville.verdicts import DIAGNOSTIC, Verdict, outcome

Array = NDArray[np.floating]

MARGIN = 0.1
TERMS = 2  # a + b/n: the distances are measured for too few replicas to tell more apart


def density_distance(evidence: Evidence) -> Verdict | None:
    """n E D^2 = a + b/n at the end of the run, a as predicted without a fit; it grows where the density is another."""
    groups = {e.n: e.density_distance for e in evidence.ensembles}
    return _judged(evidence, groups, 0, "density-distance", "the particles of a replica approach rho_0 as a density")


def moment_distance(evidence: Evidence) -> Verdict | None:
    """The same of G_n, which is all that f_n sees of the density."""
    groups = {e.n: e.moment_distance for e in evidence.ensembles}
    return _judged(evidence, groups, 1, "moment-distance", "G_n = int c rho_n(y, dc) approaches G")


def _judged(evidence: Evidence, groups: dict[int, Array], kind: int, name: str, what: str) -> Verdict | None:
    """None where nothing was measured, or nothing is predicted."""
    known = {n: values[np.isfinite(values).all(axis=-1)] for n, values in groups.items()}
    if evidence.distance is None or min((len(values) for values in known.values()), default=0) < 2:
        return None
    limit = evidence.distance.limits[kind]
    floor = (evidence.distance.floor, evidence.distance.moment_floor)[kind]
    if not (np.isfinite(limit) and limit > 0):
        return None
    counts = np.array([len(values) for values in known.values()])
    scaled = {n: n * values / [floor[0], limit] for n, values in known.items()}
    estimate = extrapolated(scaled)
    half = critical(estimate, DIAGNOSTIC) * float(estimate.error[0]) + float(evidence.trace_error[-1])
    value = float(estimate.value[0])
    start = combine([len(ratio) / sum(map(len, scaled.values())) * ratio[:, [0]] for ratio in scaled.values()])
    decided = outcome(value - half, value + half, 1.0, MARGIN) != "undecided"
    return Verdict.of(
        name,
        f"{what}: n E D^2 = a + b/n at t = {evidence.times[-1]:g} with a computed ({limit / floor[1]:.3g} of what "
        f"independent draws have; a over its prediction; at the start {start.value[0]:.2f} +- {start.error[0]:.2f})",
        (value - half, value, value + half),
        1.0,
        MARGIN,
        primary=False,
        level=DIAGNOSTIC,
        note=""
        if decided
        else f"only {int(counts.sum())} replicas are measured, for what it costs; another seed may tell",
    )


def extrapolated(scaled: dict[int, Array]) -> Estimate:
    """a of E X = a + b/n from n -> (x, X), (R, 2), where x is correlated with X and has exactly the mean 1.

    X - beta (x - 1) is used, with beta from all sizes: for the density it explains two thirds of the variance.
    """
    centred = np.concatenate([values - values.mean(axis=0) for values in scaled.values()])
    beta = float(centred[:, 0] @ centred[:, 1] / max(centred[:, 0] @ centred[:, 0], 1e-300))
    sizes, counts = np.array(list(scaled), dtype=float), np.array([len(x) for x in scaled.values()], dtype=float)
    weights = extrapolation_weights(sizes, counts / sizes, TERMS)
    return combine([w * (x[:, [1]] - beta * (x[:, [0]] - 1)) for w, x in zip(weights, scaled.values(), strict=True)])
