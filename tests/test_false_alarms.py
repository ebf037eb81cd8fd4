"""The rate of false alarms, on real runs: the theory once, then a thousand seeds of particles."""

from dataclasses import replace

import numpy as np
import pytest
import runs
from scipy import stats
from synthetic import Synthetic

from liouville import judgement, simulation
from liouville.calibration import Sequential
from liouville.judgement.primary import covariance, healing, law_of_large_numbers, paths
from liouville.plan import Plan
from liouville.resampling import Library

RUNS = 1000
PRIMARY = (law_of_large_numbers, paths, covariance, healing)


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


@pytest.mark.slow
def test_the_rate_is_known_to_lie_in_one_region() -> None:
    """Of the four primary verdicts together, on runs for which all their predictions are exactly right.

    A tenth of the default's replicas to t = 6. The sequential test goes on until the rate lies below 0.7%, within
    0.5-1.5% or above 1.3%, wrong with probability 1e-3; the last fails. It took 5,961 runs. Intervals that miss what
    is predicted, whatever the margin, are counted beside: near 0.6%, between two edges, some 90,000 runs would decide.
    """
    plan = runs.plan(snapshots=4, step=0.1, tolerance=1e-5, sizes=[64], replicas=[4000])
    library = Library.made(plan)
    evidence, some = library.evidence, library.evidence.ensembles[0]
    square = np.mean(np.sum((some.f - evidence.f0 - some.path) ** 2, axis=-1), axis=0)
    synthetic, rng = Synthetic.of(library, some.n**2 * square / evidence.trace), np.random.default_rng(5)
    each: dict[str, list[int]] = {}

    def events(trials: int) -> int:
        count = 0
        for _ in range(trials):
            drawn = synthetic.run(rng, (64, 256, 1024, 4096), (800, 400, 200, 80))
            found = [judge(drawn) for judge in PRIMARY]
            wrong = {
                "rejected": [v.outcome == "rejected" for v in found],
                "missed": [not v.low <= v.predicted <= v.high for v in found],
            }
            for kind, flags in wrong.items():
                for name, flag in zip(("any", *(v.name for v in found)), (any(flags), *flags), strict=True):
                    each.setdefault(name, [0, 0])[kind == "missed"] += flag
            count += any(wrong["rejected"])
        return count

    decision = Sequential().run(events)
    print(f"rejected, of the four together: {decision}; [rejected, missed] of each: {each}")
    assert decision.region != "above"


def _none(plan, known, operator, part):  # type: ignore[no-untyped-def]
    """No particles yet."""
    shape = (2, plan.times.size)
    yield simulation.Replicas(*(np.zeros((*shape, k)) for k in (plan.problem.rank, plan.problem.rank, 1, 1)))
