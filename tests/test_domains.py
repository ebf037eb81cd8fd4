"""The whole job on the line, in the plane and in space: compared, nothing rejected, and every picture drawn."""

import numpy as np
import pytest
import runs
from test_plots import OF_OTHERS

import liouville as lv
from liouville import comparison, plots, runfile

ENSEMBLES = runs.TINY | {"sizes": [32, 64, 128], "replicas": [400, 300, 200]}
TEXTS = {
    "line": runs.text("linear-neuron", **ENSEMBLES | {"cells": [96, 64]}),
    "interval of measured points": runs.text("linear-neuron", **ENSEMBLES | {
        "cells": [96, 64], "unit": '{ kind = "gaussian", width = 1.0 }', "tolerance": 1e-4,
        "measure": "{ kind = \"points\", x = [-1.0, 0.0, 0.5, 2.0] }",
        "target": "{ kind = \"gaussians\", weights = [1.0], means = [0.0], stds = [1.0] }",
    }),
    "plane": runs.text("tanh-plane", **ENSEMBLES | {"cells": [40, 40, 32], "snapshots": 3, "final": 0.5}),
    "space": runs.changed(
        runs.SPACE,
        initial='{ y = { kind = "normal", std = 0.5 }, c = { kind = "bump", std = 1.0 } }',
        measure='{ kind = "uniform", low = -1.0, high = 1.0, nodes = 3 }',
        final=0.5, snapshots=3, cells=[32, 32, 32, 32],
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=TEXTS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> lv.Run:
    path = tmp_path_factory.mktemp("domains") / "run.h5"
    comparison.start(runfile.parse(TEXTS[request.param]), "compare", path)
    return lv.open(path)


def test_nothing_is_rejected(run: lv.Run) -> None:
    assert run.status == "completed"
    assert [v.name for v in run.verdicts if v.primary and v.outcome == "rejected"] == []
    outcome = {v.name: v.outcome for v in run.verdicts}
    for name in ("pde-characteristics", "mass", "positivity", "energy", "dissipation"):
        assert outcome[name] == "supported"


def test_every_picture_is_drawn_where_the_inputs_are(run: lv.Run) -> None:
    for kind in plots.KINDS:
        if kind not in OF_OTHERS:
            figure = plots.draw(run, kind)
            assert all(ax.has_data() for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>")
    problem = run.plan.problem
    left = plots.draw(run, "representation").axes[0]
    inputs = problem.x if problem.x.ndim == 1 else np.arange(1, len(problem.x) + 1)
    for line in left.get_lines():
        assert inputs.min() - 1e-9 <= min(line.get_xdata()) and max(line.get_xdata()) <= inputs.max() + 1e-9


def test_rank_is_counted_against_the_nodes(run: lv.Run) -> None:
    rank = [
        value for name, value in zip(run.hypotheses.hypothesis, run.hypotheses.value, strict=True) if "rank" in name
    ]
    assert rank == [f"{run.plan.problem.rank} of {len(run.plan.problem.weights)}"]


def test_the_file_opens_with_xarray(run: lv.Run) -> None:
    xr = pytest.importorskip("xarray")
    with xr.open_dataset(run.path, group="density") as density:
        assert density.rho.dims[0] == "time" and density.rho.shape[1:] == run.plan.cells
