"""The theory on `flat-fourier`: seconds for tr C with its error estimate, and the error against the reference.

    python benchmarks/theory.py

The particles and the grid have benchmarks of their own, `particles.py` and `pde.py`.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # `particles.py` here has the name of the engine

from liouville import mean_field, runfile
from liouville.plan import Plan

REFERENCE = Path(__file__).parent.parent / "data" / "reference-flat-fourier.json"


def theory(plan: Plan) -> None:
    """Seconds and error of tr C."""
    known = mean_field.reference(plan)
    start = time.perf_counter()
    found = mean_field.fluctuation_theory(plan, known)
    seconds = time.perf_counter() - start
    reference = np.array(json.loads(REFERENCE.read_text())["trace_covariance"])
    at = known.steps.rows[:: round(1.0 / plan.times[1])]
    error = np.max(np.abs(found.trace[at] / reference - 1))
    estimate = np.max(found.trace_error / found.trace)
    print(f"tr C: {seconds:.1f} s, relative error {error:.1e}, estimated {estimate:.1e}")


if __name__ == "__main__":
    theory(Plan(runfile.load("flat-fourier")))
