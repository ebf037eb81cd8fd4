"""The rate of false alarms, on real runs: the theory once, then a thousand seeds of particles."""

from dataclasses import replace

import numpy as np
import pytest
import runs
from scipy import stats

from liouville import judgement, simulation
from liouville.plan import Plan

RUNS = 1000


@pytest.mark.slow
def test_primary_verdicts_are_rejected_in_at_most_one_percent_of_right_runs() -> None:
    """1,000 real runs to t = 3 with a tenth of the default's particles.

    The rate is at most 1%: 10 rejections expected at the very most, more than 21 has probability 4e-4. The intervals
    alone, without the margins, are counted as well: how many miss what they estimate.
    """
    changes = {"final": 3.0, "snapshots": 7, "sizes": [64, 256, 1024], "replicas": [800, 400, 200]}
    plan = runs.plan(**changes)
    base = runs.evidence(plan, simulate=_none)
    operator = simulation.PathOperator.build(base.reference, base.theory)
    rejected = dict.fromkeys(("lln", "clt-paths", "clt-covariance", "healing"), 0)
    missed, outcomes, any_rejected = dict(rejected), {}, 0
    for seed in range(1, RUNS + 1):
        run = plan.run.model_copy(update={"particles": plan.run.particles.model_copy(update={"seed": seed})})
        verdicts = judgement.judge(replace(base, ensembles=runs.particles(Plan(run), base.reference, operator)))
        primary = [v for v in verdicts if v.primary]
        any_rejected += any(v.outcome == "rejected" for v in primary)
        for v in primary:
            if v.name in rejected:
                rejected[v.name] += v.outcome == "rejected"
                missed[v.name] += not v.low <= v.predicted <= v.high
                outcomes[v.outcome] = outcomes.get(v.outcome, 0) + 1
    print(f"{RUNS} runs, {any_rejected} with a rejected verdict: {rejected}; intervals that miss: {missed}; {outcomes}")
    assert stats.binom.sf(any_rejected - 1, RUNS, 0.01) > 4e-4
    assert missed["lln"] <= stats.binom.isf(1e-4, RUNS, 0.0025)


def _none(plan, known, operator, n, replicas):  # type: ignore[no-untyped-def]
    """No particles yet."""
    shape = (2, plan.times.size)
    yield simulation.Replicas(*(np.zeros((*shape, k)) for k in (plan.problem.rank, plan.problem.rank, 1, 1)))
