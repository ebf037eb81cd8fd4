"""What a run says about the paper's statements: one function a verdict."""

import numpy as np
from numpy.typing import NDArray

from liouville.judgement.density import density_distance, moment_distance
from liouville.judgement.deterministic import deterministic
from liouville.judgement.diagnostics import (
    cell_counts,
    decay_of_trace,
    entries,
    gaussianity,
    one_particle,
)
from liouville.judgement.evidence import LEVEL, STATISTICAL, Ensemble, Evidence, at_snapshots, whitening
from liouville.judgement.losses import limit_of_loss, monotone, tail_of_loss
from liouville.judgement.primary import covariance, healing, law_of_large_numbers, paths
from liouville.judgement.rates import decay_of_loss
from liouville.judgement.sample import Suprema
from liouville.judgement.sample import judge as judge_samples
from liouville.mean_field import Reference
from liouville.verdicts import Verdict
from solvers.fluctuations import Fluctuations

Array = NDArray[np.floating]

__all__ = [
    "LEVEL",
    "STATISTICAL",
    "Ensemble",
    "Evidence",
    "along_samples",
    "at_snapshots",
    "cell_counts",
    "judge",
    "whitening",
]


def judge(evidence: Evidence) -> list[Verdict]:
    """All verdicts of a comparison, primary ones first."""
    verdicts = [
        *deterministic(evidence),
        law_of_large_numbers(evidence),
        paths(evidence),
        covariance(evidence),
        healing(evidence),
        entries(evidence),
        gaussianity(evidence),
        one_particle(evidence),
        decay_of_loss(evidence),
        decay_of_trace(evidence),
        monotone(evidence),
        limit_of_loss(evidence),
        tail_of_loss(evidence),
        density_distance(evidence),
        moment_distance(evidence),
    ]
    return [verdict for verdict in verdicts if verdict is not None]


def along_samples(known: Reference, theory: Fluctuations, f0: Array, ensembles: list[Ensemble]) -> list[Verdict]:
    """Diagnostics of a simulation whose sizes are nested: each replica is one growing sample."""
    rows = known.steps.rows
    deviations = {e.n: np.sum((e.f - f0) ** 2, axis=-1) for e in ensembles}
    return judge_samples(Suprema.of(deviations), theory.covariance[rows][:, :, rows])
