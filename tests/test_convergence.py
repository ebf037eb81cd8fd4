"""`liouville convergence`: a study of small grids, its orders, its file and its picture."""

from pathlib import Path

import numpy as np
import pytest
import runs

import liouville as lv
from liouville import convergence, plots, runfile
from liouville.cli import run as command
from liouville.errors import InputError

TEXT = runs.text(final=1.0, snapshots=3, cells=[384, 192])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> lv.Run:
    folder = tmp_path_factory.mktemp("convergence")
    (folder / "run.toml").write_text(TEXT)
    assert command(["convergence", str(folder / "run.toml"), "-o", str(folder / "study.h5")]) == 0
    assert (folder / "study.png").stat().st_size > 20_000
    return lv.open(folder / "study.h5")


def test_orders_are_those_of_the_schemes(study: lv.Run) -> None:
    """At t <= 1: fourth order, and second without the product corrections.

    The semi-Lagrangian scheme is fourth order, too, but its automatic step falls as h^(2/3): error ~ h^(8/3).
    """
    view = study.convergence_orders
    order = dict(zip(map(str, view.name), view.order, strict=True))
    print(order)
    assert order["finite-volume"] > 3.7 and order["unlimited"] > 3.7
    assert order["semi-lagrangian"] > 2.5
    assert 1.5 < order["uncorrected"] < 2.5
    assert np.all(view.low < view.order) and np.all(view.order < view.high)


def test_limiter_keeps_the_density_positive_and_without_it_it_is_not(study: lv.Run) -> None:
    lowest = {v.name: getattr(study, f"convergence/{v.name}").minimum.min() for v in convergence.VARIANTS}
    assert lowest["finite-volume"] > -1e-14 and lowest["semi-lagrangian"] > -1e-14
    assert lowest["unlimited"] < -1e-4


def test_errors_fall_along_the_ladder_and_mass_is_kept(study: lv.Run) -> None:
    for variant in convergence.VARIANTS:
        view = getattr(study, f"convergence/{variant.name}")
        assert view.largest_error[-1] < view.largest_error[0] / 10
        assert view.mass_drift.max() < 1e-12
        assert np.all(view.seconds > 0)
        assert tuple(view.cells[-1]) == (384, 192)
        np.testing.assert_array_equal(view.largest_error, view.error.max(axis=1))


def test_picture_has_three_labelled_panels(study: lv.Run) -> None:
    figure = plots.draw(study, "convergence")
    assert len(figure.axes) == 3
    assert all(ax.get_title() and ax.has_data() for ax in figure.axes)


def test_ladders_end_at_the_run_file_and_hold_no_grid_twice() -> None:
    for cells in ((256, 128), (64, 64, 64), (33, 32)):
        grids = convergence.levels(cells)
        assert grids[-1] == cells and len(set(grids)) == len(grids)
        assert all(min(grid) >= convergence.LEAST for grid in grids)


def test_too_few_cells_are_refused_by_key(tmp_path: Path) -> None:
    run = runfile.parse(runs.text("linear-neuron", cells=[32, 32]))
    object.__setattr__(run.solver, "cells", (12, 12))
    with pytest.raises(InputError, match=r"solver\.cells: must leave three grids or more"):
        convergence.start(run, tmp_path / "a.h5")
