"""What is predicted of a study: ||r_0||^2, A = tr C, and the next order f_1 and B, at its snapshots."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from liouville import mean_field
from liouville.healing.study import Study
from liouville.mean_field import Reference
from solvers.fluctuations import Fluctuations

Array = NDArray[np.floating]


SURVEY: dict[str, Any] = {"most": 2500, "tolerance": 1e-2}
ORDER: dict[str, Any] = {"rank": 16, "tolerance": 3e-2}  # and B along a_n
SHARP: dict[str, Any] = {"tolerance": 1e-2}  # and at fixed times, where it is judged itself


@dataclass(frozen=True)
class Theory:
    """At the snapshots, (S,), each with its error.

    f0, f1 : (S, M).  residual : ||r_0||^2, what of f the unit cannot represent included.  drift : 2 <r_0, f_1>.
    A, B : of E||f_n - f_0||^2 = A/n + B/n^2 + ...
    """

    known: Reference
    fluctuations: Fluctuations
    f0: Array
    f1: Array
    residual: Array
    drift: Array
    A: Array
    A_error: Array
    B: Array
    B_error: Array

    @classmethod
    def of(cls, study: Study) -> Self:
        """For the problem, times and integrator of a study; f_1 and B up to a time, NaN beyond, or 0 if it is 0."""
        plan, expanded = study.plan, study.expanded
        known = mean_field.reference(plan)
        theory = mean_field.fluctuation_theory(plan, known, **(SURVEY if expanded == 0 else {}))
        rows, problem = known.steps.rows, plan.problem
        f0 = known.stepped
        f1: Array = np.zeros(f0.shape)
        B: Array = np.zeros(rows.size)
        B_error: Array = np.zeros(rows.size)
        if expanded > 0:
            order = mean_field.next_order(plan, known, expanded, **(ORDER if study.schedules else SHARP))
            there = rows[rows < order.times.size]
            f1, B, B_error = np.full(f0.shape, np.nan), np.full(rows.size, np.nan), np.full(rows.size, np.nan)
            f1[: there.size] = order.mean_correction[there]
            B[: there.size], B_error[: there.size] = order.next_order[there], order.next_order_error[there]
        residual = f0 - problem.projection
        return cls(
            known,
            theory,
            f0,
            f1,
            np.sum(residual**2, axis=1) + 2 * problem.floor,
            2 * np.sum(residual * f1, axis=1),
            theory.trace[rows],
            theory.trace_error[rows],
            B,
            B_error,
        )

    def deviation(self, n: int) -> Array:
        """E||f_n - f_0||^2 to order 1/n^2, (S,)."""
        return self.A / n + self.B / n**2

    def distance(self, n: int) -> Array:
        """E||f_n - f||^2, (S,)."""
        return self.residual + self.drift / n + self.deviation(n)
