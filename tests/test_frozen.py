"""Random features: y stays, every mode of r decays by itself, and tr C has a closed form.

With complex modes k = -K, ..., K of the unit, lambda_k = a_k^2, y uniform and c independent of it with mean 0 and
variance 1,

    tr C = sum_k lambda_k e^(-2 lambda_k t)
           + sum_(k != l) lambda_k lambda_l |r_l(0)|^2 [(e^(-lambda_l t) - e^(-lambda_k t))/(lambda_k - lambda_l)]^2.
"""

import numpy as np
import runs
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from liouville import mean_field

MODES = {0: 0.25, 1: 0.25, 2: 0.175, 3: 0.1}  # of the target: |f_k|, the same for -k


def trace(t: NDArray[np.floating]) -> NDArray[np.floating]:
    """tr C(t, t) of `frozen`, whose unit has a_k^2 = 1/(1 + k^2)."""
    modes = range(-3, 4)
    rate = {k: 1 / (1 + k**2) for k in modes}
    total = np.sum([rate[k] * np.exp(-2 * rate[k] * t) for k in modes], axis=0)
    for k in modes:
        for l in modes:
            if k != l:
                if rate[k] == rate[l]:
                    bracket = t * np.exp(-rate[k] * t)
                else:
                    bracket = (np.exp(-rate[l] * t) - np.exp(-rate[k] * t)) / (rate[k] - rate[l])
                total += rate[k] * rate[l] * MODES[abs(l)] ** 2 * bracket**2
    return np.asarray(total)


def test_trace_is_the_closed_form_of_random_features() -> None:
    plan = runs.plan("frozen")
    known = mean_field.reference(plan)
    theory = mean_field.fluctuation_theory(plan, known)
    exact = trace(theory.times)
    print(f"tr C: off by {np.max(np.abs(theory.trace / exact - 1)):.1e}")
    assert_allclose(theory.trace, exact, rtol=1e-6, atol=0)
    assert np.all(np.abs(theory.trace - exact) <= 3 * theory.trace_error + 1e-9 * exact)
