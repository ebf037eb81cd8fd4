"""Almost sure convergence along one growing sample: quantiles for the whole sample, and what breaks them."""

from pathlib import Path

import numpy as np
import pytest
import runs

import liouville as lv
from liouville import comparison, plots, runfile
from liouville.judgement.sample import Suprema, envelope, judge, limits, slopes
from liouville.results import Run

SIZES = [64, 256, 1024, 4096, 16384]


def covariance() -> np.ndarray:
    """C(s, t) of three modes at four times, decaying."""
    decay = np.exp(-np.outer(np.linspace(0, 2, 4), [0.5, 1.0, 2.0]))
    return np.einsum("sm,tn,mn->smtn", decay, decay, np.diag([1.0, 0.5, 0.2]))


def grown(rng: np.random.Generator, replicas: int) -> dict[int, np.ndarray]:
    """n -> ||f_n - f_0||^2 of f_n = averages of one sequence of vectors, moved as `covariance` says."""
    decay = np.exp(-np.outer(np.linspace(0, 2, 4), [0.5, 1.0, 2.0]))
    found = {n: np.empty((replicas, 4)) for n in SIZES}
    for r in range(replicas):
        z = rng.uniform(-1, 1, (SIZES[-1], 3)) * np.sqrt(3 * np.array([1.0, 0.5, 0.2]))
        total = np.cumsum(z, axis=0)
        for n in SIZES:
            found[n][r] = np.sum((total[n - 1] / n * decay) ** 2, axis=1)
    return found


def test_bounds_and_slopes_hold_along_right_samples() -> None:
    """60 groups of 2 samples: more than 4 false alarms of two verdicts at 99% together have probability 1e-2; fixed."""
    rng = np.random.default_rng(12)
    alarms, missed = 0, 0
    for _ in range(60):
        verdicts = judge(Suprema.of(grown(rng, 2)), covariance())
        alarms += any(v.outcome == "rejected" for v in verdicts)
        slope = next(v for v in verdicts if v.name == "sample-slope")
        missed += not slope.low <= -0.5 <= slope.high
    print(f"{alarms} of 60 rejected, {missed} slopes missed")
    assert alarms <= 4 and missed <= 4


def test_samples_that_do_not_converge_or_too_slowly_are_rejected() -> None:
    right = grown(np.random.default_rng(13), 3)
    biased = {n: values + 1e-3 for n, values in right.items()}
    slow = {n: values * np.sqrt(n / 64) for n, values in right.items()}
    for wrong in (biased, slow):
        assert "rejected" in [v.outcome for v in judge(Suprema.of(wrong), covariance())]


def test_limit_of_a_growing_sample_is_a_brownian_motion() -> None:
    """One mode at one time: n^(1/2) sup is |N(0, 1)| at every n, with correlation (n/m)^(1/2) of the signed ones."""
    drawn = limits(np.ones((1, 1, 1, 1)), np.array([100.0, 400.0]), 4000)
    assert np.all(np.abs(np.mean(drawn**2, axis=0) - 1) < 4 * np.sqrt(2 / 4000))
    expected = 2 * 0.5**2  # Cov of squares = 2 correlation^2
    assert abs(np.cov(drawn.T**2)[0, 1] - expected) < 4 * 3 / np.sqrt(4000)


def test_slopes_and_envelope_are_their_formulas() -> None:
    sizes = np.array([16.0, 64.0, 256.0])
    assert slopes(sizes, 3 * sizes**-0.5) == pytest.approx(-0.5, abs=1e-12)
    assert envelope(np.array([1e6]), 2.0)[0] == pytest.approx(np.sqrt(4 * np.log(np.log(1e6)) / 1e6))
    assert np.isnan(envelope(np.array([2.0]), 2.0)[0])


def test_a_nested_simulation_is_judged_and_drawn(tmp_path: Path) -> None:
    source = runs.text("one-sample", final=1.0, snapshots=5, sizes=[64, 512, 4096], replicas=[3, 3, 3])
    verdicts = comparison.start(runfile.parse(source), "simulate", tmp_path / "one.h5")
    assert [v.name for v in verdicts] == ["sample-bound", "sample-slope"]
    assert not [v for v in verdicts if v.outcome == "rejected" or v.primary]
    run = Run(tmp_path / "one.h5")
    assert [v.name for v in run.verdicts] == ["sample-bound", "sample-slope"]
    assert len(plots.draw(run, "sample").axes) == 3
    plots.draw(run, "summary")
    known = run.characteristics.f_stepped
    f = run.particles[512].f
    np.testing.assert_allclose(run.particles[512].deviation, ((f - known) ** 2) @ run.plan.problem.weights, rtol=1e-9)


def test_sizes_that_are_not_nested_have_no_such_picture(tmp_path: Path) -> None:
    lv.simulate(runfile.parse(runs.text(**runs.TINY)), tmp_path / "p.h5")
    with pytest.raises(ValueError, match="its sizes are not nested"):
        plots.draw(Run(tmp_path / "p.h5"), "sample")
