"""A verdict that cannot reject is none: each deliberately wrong prediction is rejected by the verdict made for it."""

from dataclasses import replace

import numpy as np
import pytest
import runs

from liouville import judgement, mean_field, simulation
from liouville.judgement import Evidence
from liouville.simulation import Replicas
from particles import stream, tangent_flow, trig, trig_derivative
from solvers.sources import sources

pytestmark = pytest.mark.wrong_prediction


@pytest.fixture(scope="module")
def right() -> Evidence:
    return runs.evidence(runs.plan(**runs.SMALL))


def outcomes(evidence: Evidence) -> dict[str, str]:
    verdicts = judgement.judge(evidence)
    for v in verdicts:
        print(f"{v.name:20s} {v.outcome:10s} {v.statistic:9.3g} in [{v.low:.3g}, {v.high:.3g}], not {v.predicted:g}")
    return {v.name: v.outcome for v in verdicts if v.primary}


def test_right_predictions_are_not_rejected(right: Evidence) -> None:
    assert "rejected" not in outcomes(right).values()


def test_covariance_scaled_by_1_3_is_rejected(right: Evidence) -> None:
    wrong = replace(right, covariance=1.3 * right.covariance)
    found = outcomes(wrong)
    assert {found["lln"], found["healing"], found["clt-covariance"]} == {"rejected"}


def test_pde_with_potential_off_by_two_percent_is_rejected(right: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features and target times a: U = (a psi) . (a m - a b), and the moments a m say what f_0 is."""
    scheme, a = mean_field.scheme, np.sqrt(1.02)

    def off(plan, grid):  # type: ignore[no-untyped-def]
        made = scheme(plan, grid)
        return replace(made, features=a * made.features, target=a * made.target)

    monkeypatch.setattr(mean_field, "scheme", off)
    solved = mean_field.density(right.plan, right.solved.grid, lambda k, frame: None)
    solved = replace(solved, coefficients=solved.coefficients / a, error=solved.error / a)
    assert outcomes(replace(right, solved=solved))["pde-characteristics"] == "rejected"


def test_response_without_inverse_tangent_flow_is_rejected() -> None:
    def without(closure, field, y, c, every, features):  # type: ignore[no-untyped-def]
        """B = grad Phi(Z_s) in place of J_s^-1 grad Phi(Z_s)."""
        h, A, _ = sources(closure, field, y, c, every, features)
        steps = field.lengths.size
        yt, ct, _ = tangent_flow(closure, y, c, field.field, field.lengths, steps, field.tableau, every=every)
        psi = np.stack([closure.evaluate(at) for at in yt])
        slope = ct[..., None] * np.stack([closure.gradients(at)[:, 0] for at in yt])
        return h, A, np.stack([slope, psi], axis=-1).transpose(0, 2, 3, 1).copy()

    plan = runs.plan(**runs.SMALL | {"cells": [64, 48]})
    found = outcomes(runs.evidence(plan, flow=without))
    assert found["clt-paths"] == "rejected"
    assert found["clt-covariance"] == "rejected"


def test_too_few_or_too_small_sizes_are_undecided_and_never_rejected(right: Evidence) -> None:
    """The 1/n corrections of a right theory are not taken for its failure."""
    late = runs.plan(**runs.SMALL | {"final": 6.0, "sizes": [16, 32, 64], "replicas": [1000, 500, 400]})
    small = runs.evidence(late)
    for few in (small, replace(small, ensembles=small.ensembles[-1:]), replace(right, ensembles=right.ensembles[:1])):
        found = outcomes(few)
        assert "rejected" not in found.values()
        assert found["healing"] == "undecided"


def test_right_predictions_on_other_problems_are_not_rejected() -> None:
    """Late on `stationary` n = 32 ... 512 is far from its limit; a normal c leaves mass outside the range of c."""
    late = {"final": 6.0, "replicas": [1000, 500, 250, 120]}
    for name, changes in (("stationary", late), ("flat-fourier-normal", {"final": 0.5, "snapshots": 3})):
        assert "rejected" not in outcomes(runs.evidence(runs.plan(name, **runs.SMALL | changes))).values()
    tiny = runs.TINY | {"cells": [64, 64], "sizes": [16, 64, 256], "replicas": [200, 100, 50]}
    nothing_moves = {"target": '{ kind = "initial" }'}  # f_in = 0
    fast = {
        "unit": '{ kind = "fourier", coefficients = [3.0, 2.0, 1.0] }'
    }  # few steps where the CFL number asks for few
    for changes in (nothing_moves, fast):
        assert "rejected" not in outcomes(runs.evidence(runs.plan(**tiny | changes))).values()


@pytest.mark.parametrize("term", ["interaction in dY", "target in dC"])
def test_particles_with_one_sign_turned_are_rejected(term: str) -> None:
    """(9) in plain numpy, with the sign of one of its four terms turned."""

    def turned(plan, known, operator, part, keep=1):  # type: ignore[no-untyped-def]
        closure, steps = plan.problem.closure, plan.intervals * plan.substeps
        n, replicas = part.n, part.replicas
        right = list(simulation.simulate(plan, known, operator, part))
        path = np.concatenate([part.path for part in right])
        seed = plan.run.particles.seed
        starts = [plan.problem.initial.sample(stream(seed, n, r), n) for r in range(replicas)]
        y, c = np.stack([y[0] for y, _ in starts]), np.stack([c for _, c in starts])
        modes = closure.basis.modes

        def f(y, c):  # type: ignore[no-untyped-def]
            return np.einsum("rn,rnl->rl", c / n, trig(y, modes)) @ closure.features.T

        def velocity(y, c):  # type: ignore[no-untyped-def]
            g, target = f(y, c), closure.target
            psi = trig(y, modes) @ closure.features.T
            slope = trig_derivative(y, modes) @ closure.features.T
            sign_y, sign_c = (-1, 1) if term == "interaction in dY" else (1, -1)
            dy = c * (slope @ target) - sign_y * c * np.einsum("rnm,rm->rn", slope, g)
            dc = sign_c * psi @ target - np.einsum("rnm,rm->rn", psi, g)
            return dy, dc

        frames = [f(y, c)]
        for step in range(1, steps + 1):
            k = [velocity(y, c)]
            for ahead in (0.5, 0.5, 1.0):
                k.append(velocity(y + ahead * plan.dt * k[-1][0], c + ahead * plan.dt * k[-1][1]))
            dy, dc = (sum(w * slope[i] for w, slope in zip((1, 2, 2, 1), k, strict=True)) / 6 for i in (0, 1))
            y, c = y + plan.dt * dy, c + plan.dt * dc
            if step % plan.substeps == 0:
                frames.append(f(y, c))
        first = np.concatenate([part.y for part in right]), np.concatenate([part.c for part in right])
        yield Replicas(np.stack(frames, axis=1), path, *first)

    small = {"final": 1.0, "snapshots": 3, "cells": [64, 48], "step": 0.1}
    plan = runs.plan(**small, sizes=[32, 128, 512], replicas=[200, 100, 50])
    found = outcomes(runs.evidence(plan, simulate=turned))
    assert found["clt-paths"] == "rejected"
    assert found["lln"] == "rejected"
