"""What a run says about the paper's statements: one function a verdict."""

from liouville.judgement.deterministic import deterministic
from liouville.judgement.diagnostics import (
    cell_counts,
    decay_of_loss,
    decay_of_trace,
    entries,
    gaussianity,
    one_particle,
)
from liouville.judgement.evidence import Ensemble, Evidence, at_snapshots, whitening
from liouville.judgement.primary import LEVEL, covariance, healing, law_of_large_numbers, paths
from liouville.verdicts import Verdict

__all__ = [
    "LEVEL",
    "Ensemble",
    "Evidence",
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
    ]
    return [verdict for verdict in verdicts if verdict is not None]
