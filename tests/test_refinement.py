"""`cells = "auto"`: the grid that is found meets its tolerance."""

from dataclasses import replace
from pathlib import Path

import engines
import numpy as np
import pytest
import runs

import liouville as lv
from liouville import comparison, mean_field, refinement, runfile
from liouville.errors import InputError
from liouville.plan import Plan
from solvers import characteristics

AUTO = runs.TINY | {"cells": '"auto"'}


@pytest.mark.parametrize("scheme", ["finite-volume", "semi-lagrangian"])
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("flat-fourier", 1e-3),
        ("flat-fourier", 1e-4),
        ("flat-fourier", 1e-5),
        pytest.param("von-mises", 1e-5, marks=pytest.mark.slow),
        ("relu-circle", 1e-4),
        ("linear-neuron", 1e-5),
        ("gaussian-mixture", 1e-4),  # its initial density jumps
    ],
)
def test_the_error_of_f0_meets_the_tolerance(name: str, tolerance: float, scheme: str) -> None:
    """Against characteristics with a hundredth of it; not much finer than it must be (a factor of 100)."""
    loaded = runfile.load(name)
    solver = {"cells": "auto", "tolerance": tolerance, "scheme": scheme}
    plan = Plan(loaded.model_copy(update={"solver": loaded.solver.model_copy(update=solver)}))
    plan, trials = refinement.resolved(plan)
    assert trials[-1].cells == plan.cells and trials[-1].error <= tolerance
    problem, on = plan.problem, mean_field.grid(plan)
    frames = mean_field.scheme(plan, on).solve(problem.initial.cell_averages(on), plan.times)
    exact = characteristics.solve(
        problem.closure, problem.initial.nodes, plan.run.time.final, plan.intervals, tolerance / 100
    )
    error = np.linalg.norm([frame.coefficients for frame in frames] - exact.coefficients, axis=1).max()
    print(f"{name}, {scheme}, tolerance {tolerance:g}: {plan.cells}, {len(trials)} grids, error {error:.1e}")
    assert error <= tolerance
    assert len(trials) == 1 or error > tolerance / 100
    assert plan.cells[0] >= plan.cells[1]  # the fronts stand in y


def test_a_near_miss_is_followed_by_one_grid_finer_along_all_axes() -> None:
    """5e-5 is missed by 1.2 on the first grid of `flat-fourier`: no grids to see along which axis."""
    loaded = runfile.load("flat-fourier")
    solver = loaded.solver.model_copy(update={"cells": "auto", "tolerance": 5e-5})
    first, *others = refinement.search(Plan(loaded.model_copy(update={"solver": solver})))
    assert 5e-5 < first.error < refinement.NEAR * 5e-5
    assert len(others) == 1 and np.all(np.greater(others[0].cells, first.cells)) and others[0].error <= 5e-5


@pytest.mark.parametrize("tolerance", [1e-4, 5e-6])
def test_grids_beside_the_characteristics_are_those_after_them_to_the_bit(tolerance: float) -> None:
    """The first alone, and with those that are sure to be needed; one thread does it all in turn."""
    loaded = runfile.load("flat-fourier")
    solver = loaded.solver.model_copy(update={"cells": "auto", "tolerance": tolerance})
    plan = Plan(loaded.model_copy(update={"solver": solver}))
    found = []
    for count in (1, 2):
        with engines.threads(count):
            found.append(refinement.search(plan))
    assert [trial.cells for trial in found[0]] == [trial.cells for trial in found[1]]
    assert all(np.array_equal(a.coefficients, b.coefficients) for a, b in zip(*found, strict=True))
    assert [trial.error for trial in found[0]] == [trial.error for trial in found[1]]


def test_the_file_holds_the_cells_that_were_found(tmp_path: Path) -> None:
    comparison.start(runfile.parse(runs.text(**AUTO)), "solve", tmp_path / "a.h5")
    run = lv.open(tmp_path / "a.h5")
    assert run.plan.run.solver.cells == run.density.rho.shape[1:]


def test_a_tolerance_out_of_reach_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinement, "MOST", 64 * 64)
    with pytest.raises(InputError, match=r"solver\.tolerance: 1e-09 needs more than 4\.1e\+03 cells"):
        refinement.resolved(runs.plan(**AUTO | {"tolerance": 1e-9}))


def test_a_tolerance_that_the_characteristics_do_not_reach_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: no grid could be seen to meet it."""
    monkeypatch.setitem(characteristics.MAX_NODES, 1, 1000)
    with pytest.raises(InputError, match=r"solver\.tolerance: 1e-09 cannot be checked, .* reach \d\.\de-0[4-8]"):
        refinement.resolved(runs.plan(**AUTO | {"tolerance": 1e-9, "final": 6.0}))


def test_a_grid_that_resolves_nothing_warns_with_the_estimate() -> None:
    """Above a tenth of f_0's largest norm; not below."""
    plan = runs.plan(**runs.TINY)
    solved = mean_field.density(plan, mean_field.grid(plan), lambda k, frame: None)
    assert solved.warnings(plan.times) == []
    largest = np.linalg.norm(solved.coefficients, axis=1).max()
    (message,) = replace(solved, error=np.array([0, 0, 0.11, 0, 0]) * largest).warnings(plan.times)
    assert message.startswith(f"the estimated error of f_0 is {0.11 * largest:.2g} at t = 0.5") and "48 x 32" in message
