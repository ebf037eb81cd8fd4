"""`cells = "auto"`: the grid that is found meets its tolerance."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import runs

import liouville as lv
from liouville import comparison, mean_field, refinement, runfile
from liouville.errors import InputError
from solvers import characteristics

AUTO = runs.TINY | {"cells": '"auto"'}


@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-5])
def test_the_error_of_f0_meets_the_tolerance(tolerance: float) -> None:
    """Against characteristics refined to 1e-9; not much finer than it must be (a factor of 100)."""
    plan, trials = refinement.resolved(runs.plan(**AUTO | {"final": 4.0, "tolerance": tolerance}))
    assert trials[-1].cells == plan.cells and trials[-1].error <= tolerance
    on = mean_field.grid(plan)
    frames = mean_field.scheme(plan, on).solve(plan.problem.initial.cell_averages(on), plan.times)
    exact = characteristics.solve(plan.problem.closure, plan.problem.initial.nodes, 4.0, plan.intervals, 1e-9)
    error = np.linalg.norm([frame.coefficients for frame in frames] - exact.coefficients, axis=1).max()
    print(f"tolerance {tolerance:g}: {plan.cells}, error {error:.1e}")
    assert error <= tolerance
    assert len(trials) == 1 or error > tolerance / 100
    assert plan.cells[0] >= plan.cells[1]  # the fronts stand in y


def test_the_file_holds_the_cells_that_were_found(tmp_path: Path) -> None:
    comparison.start(runfile.parse(runs.text(**AUTO)), "solve", tmp_path / "a.h5")
    run = lv.open(tmp_path / "a.h5")
    assert run.plan.run.solver.cells == run.density.rho.shape[1:]


def test_a_tolerance_out_of_reach_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinement, "MOST", 64 * 64)
    with pytest.raises(InputError, match=r"solver\.tolerance: 1e-09 needs more than 4\.1e\+03 cells"):
        refinement.resolved(runs.plan(**AUTO | {"tolerance": 1e-9}))


def test_a_grid_that_resolves_nothing_warns_with_the_estimate() -> None:
    """Above a tenth of f_0's largest norm; not below."""
    plan = runs.plan(**runs.TINY)
    solved = mean_field.density(plan, mean_field.grid(plan), lambda k, frame: None)
    assert solved.warnings() == []
    largest = np.linalg.norm(solved.coefficients, axis=1).max()
    (message,) = replace(solved, error=np.array([0, 0, 0.11, 0, 0]) * largest).warnings()
    assert (
        message.startswith(f"the estimated error of f_0 is {0.11 * largest:.2g} at snapshot 2") and "48 x 32" in message
    )
