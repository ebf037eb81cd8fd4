"""Finite volumes against characteristics, and the structure that the equation keeps exactly."""

import numpy as np

from liouville.judgement.evidence import Evidence
from liouville.verdicts import Verdict

ROUNDING = 1e-14


def deterministic(evidence: Evidence) -> list[Verdict]:
    """Five verdicts with error bounds in place of intervals."""
    solved, known, times = evidence.solved, evidence.reference.characteristics, evidence.times
    scale = float(solved.loss[0] + 0.5 * np.sum(evidence.plan.problem.projection**2) + 0.5 * evidence.trace[0])
    distance = np.linalg.norm(solved.coefficients - known.coefficients, axis=1)
    error = solved.error + known.error + ROUNDING
    k = int(np.argmax(distance / error))
    j = int(np.argmax(np.abs(solved.defect)))
    defect_error = float(solved.defect_error.max()) + 10 * ROUNDING * scale
    drift = np.max(np.abs(solved.mass - solved.mass[0]))
    return [
        _bounded(
            "pde-characteristics",
            f"f_0 of the finite volumes is that of the characteristics (norm of the difference at t = {times[k]:g})",
            distance[k],
            error[k],
            10 * error[k],
        ),
        _bounded("mass", "the mass of rho_0 is conserved (largest drift)", drift, 1e-15, 1e-12),
        _bounded("positivity", "rho_0 >= 0 (largest undershoot)", max(0.0, -solved.minimum.min()), 0.0, ROUNDING),
        _bounded(
            "energy",
            "the energy of rho_0 never increases (largest relative increase in a step)",
            solved.loss_increase / scale,
            0.0,
            ROUNDING,
        ),
        _bounded(
            "dissipation",
            f"dl/dt = -int (c^2 |grad U|^2 + U^2) rho (largest defect of its integral, at t = {times[j]:g})",
            abs(solved.defect[j]),
            defect_error,
            10 * defect_error,
        ),
    ]


def _bounded(name: str, statement: str, value: float, error: float, margin: float) -> Verdict:
    """A quantity that should be 0 and is known up to an error."""
    interval = (max(0.0, float(value - error)), value, value + error)
    return Verdict.of(name, statement, interval, 0.0, float(margin), primary=True)
