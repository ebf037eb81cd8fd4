"""The run file: what is accepted, and the one line that refuses the rest."""

import pytest
import runs

from liouville import runfile
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.problem import Problem


@pytest.mark.parametrize("name", runfile.shipped())
def test_shipped_run_files_are_valid_and_survive_being_written_out(name: str) -> None:
    run = runfile.load(name)
    assert run.problem.name == name
    assert runfile.parse(runfile.dump(run)) == run


def test_default_problem_comes_first() -> None:
    assert runfile.shipped()[0] == "flat-fourier"


BAD = [
    ("final = 6.0", "final = -1", "time.final: input should be greater than 0, not -1"),
    ("final = 6.0", "final = nan", "time.final: input should be"),
    ("final = 6.0", 'final = "abc"', 'time.final: input should be a valid number, not "abc"'),
    ("final = 6.0", "", "time.final: field required"),
    ("snapshots = 25", "snapshots = 25.5", "time.snapshots: input should be a valid integer, not 25.5"),
    ("snapshots = 25", "snapshots = 1", "time.snapshots: input should be greater than or equal to 2, not 1"),
    ("cells = [256, 128]", "cells = [-3, 128]", "solver.cells.0: input should be greater than or equal to 32, not -3"),
    ("cells = [256, 128]", "cells = [256]", "solver.cells: list should have at least 2 items, not 1"),
    (
        "tail = 1e-9",
        "tial = 1e-9",
        "solver.tial: unknown key; allowed are scheme, cells, tolerance, c_range, y_range, tail",
    ),
    ('c_range = "auto"', "c_range = [3, 1]", "solver.c_range: must be 'auto' or [low, high] with low < high"),
    (
        'scheme = "finite-volume"',
        'scheme = "magic"',
        "solver.scheme: input should be 'finite-volume' or 'semi-lagrangian', not \"magic\"",
    ),
    ("sizes = [64, 256, 1024, 4096]", "sizes = []", "particles.sizes: list should have at least 1 item, not 0"),
    ("sizes = [64, 256, 1024, 4096]", "sizes = [64, 64, 1024, 4096]", "particles: sizes must differ"),
    ("sizes = [64, 256, 1024, 4096]", "sizes = [64]", "particles: replicas must have 1 entries"),
    ("seed = 1", 'seed = "x"', 'particles.seed: input should be a valid integer, not "x"'),
    ("seed = 1", "seed = true", "particles.seed: input should be a valid integer, not true"),
    ("keep = 0", "keep = 65", "particles: keep must be at most the smallest of sizes, 64"),
    ("step = 0.05", "step = 1e-9", "particles.step: must be at least time.final/100000"),
    ("[particles]", "[partikels]", "partikels: unknown key; allowed are problem, time, solver, particles"),
    ("std = 1.0", "sd = 1.0", "problem.initial.c.std: field required"),
    ("mean = 0.0", "mean = { a = 3 }", "problem.initial.c.mean.a: unknown key; allowed are constant, cos, sin"),
    ('kind = "bump"', 'kind = "bumpy"', "problem.initial.c.kind: must be one of 'normal', 'bump', not 'bumpy'"),
    (
        'unit = { kind = "fourier"',
        'unit = { kind = "sinus"',
        "problem.unit.kind: must be one of 'fourier', 'von_mises'",
    ),
    ('name = "flat-fourier"', 'name = "a/b"', "problem.name: string should match pattern"),
    ("= 6.0", "= =", "not TOML: Invalid value"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD)
def test_bad_run_files_are_refused_in_one_line_with_file_and_key(old: str, new: str, message: str) -> None:
    source = runs.text()
    assert old in source
    with pytest.raises(runfile.InputError) as refused:
        runfile.parse(source.replace(old, new, 1), "my.toml")
    line = str(refused.value)
    assert line.startswith("my.toml: ")
    assert message in line
    assert "\n" not in line


C = 'c = { kind = "bump", std = 1.0 }'
SQUARE = '{ kind = "uniform", low = -1.0, high = 1.0 }'
ON_CIRCLE = "'uniform' without low, high or 'von_mises' for the unit 'fourier' on the circle"
ON_LINE = "'uniform' with low, high, 'normal' or 'beta' for the unit 'gaussian' on the line"
PARTS = [  # shipped problem, key, what is put there, and the refusal
    ("flat-fourier", "unit", "3", "problem.unit: must be a table, not 3"),
    ("flat-fourier", "unit", "{ coefficients = [1.0] }", "problem.unit.kind: field required"),
    (
        "flat-fourier",
        "unit",
        '{ kind = "fourier", coefficients = 3 }',
        "problem.unit.coefficients: must be a list, not 3",
    ),
    (
        "flat-fourier",
        "unit",
        '{ kind = "von_mises", concentration = -1 }',
        "problem.unit.concentration: input should be greater",
    ),
    ("flat-fourier", "unit", '{ kind = "tanh", inputs = 3 }', "problem.unit.inputs: input should be 1 or 2, not 3"),
    ("flat-fourier", "unit", '{ kind = "relu", mode = 2 }', "problem.unit.mode: unknown key; allowed are kind, modes"),
    ("gaussian-mixture", "unit", '{ kind = "gaussian" }', "problem.unit.width: field required"),
    ("flat-fourier", "target", '"a"', 'problem.target: must be a table, not "a"'),
    ("flat-fourier", "target", '{ kind = "fourier", cos = 1.0 }', "problem.target.cos: must be a list, not 1.0"),
    (
        "flat-fourier",
        "target",
        '{ kind = "bumps", amplitudes = [1.0], centres = [1.0, 2.0], concentrations = [1.0] }',
        "problem.target: centres must have 1 entries, one for each of amplitudes",
    ),
    (
        "gaussian-mixture",
        "target",
        '{ kind = "bumps", amplitudes = [1.0], centres = [1.0], concentrations = [1.0] }',
        "problem.target: must not be 'bumps', which live on the circle, for the unit 'gaussian' on the line",
    ),
    (
        "flat-fourier",
        "target",
        '{ kind = "gaussians", weights = [1.0], means = [1.0], stds = [1.0] }',
        "problem.target: must not be 'gaussians', which have no period, for the unit 'fourier' on the circle",
    ),
    (
        "flat-fourier",
        "target",
        '{ kind = "teacher", neurons = [3] }',
        "problem.target.neurons.0: must be a table, not 3",
    ),
    (
        "flat-fourier",
        "target",
        '{ kind = "teacher", neurons = [{ c = 1.0, y = "x" }] }',
        'problem.target.neurons.0.y: must be a number or a list, not "x"',
    ),
    (
        "tanh-plane",
        "target",
        '{ kind = "teacher", neurons = [{ c = 1.0, y = 1.0 }] }',
        "problem.target.neurons: must have y of 2 numbers for the unit 'tanh' on the line",
    ),
    ("flat-fourier", "initial", "3", "problem.initial: must be a table, not 3"),
    ("flat-fourier", "initial", f"{{ y = 3, {C} }}", "problem.initial.y: must be a table or a list, not 3"),
    (
        "flat-fourier",
        "initial",
        '{ c = { kind = "bump", std = 1.0, mean = "a" } }',
        "c.mean: must be a number or a table",
    ),
    ("flat-fourier", "initial", f'{{ y = {{ kind = "normal", std = 1.0 }}, {C} }}', f"initial.y: must be {ON_CIRCLE}"),
    ("gaussian-mixture", "initial", f"{{ {C} }}", f"problem.initial.y: must be {ON_LINE}"),
    (
        "gaussian-mixture",
        "initial",
        f'{{ y = {{ kind = "uniform", low = 1.0, high = 0.0 }}, {C} }}',
        "problem.initial.y: low must be below high",
    ),
    (
        "gaussian-mixture",
        "initial",
        '{ y = { kind = "normal", std = 1.0 }, c = { kind = "bump", std = 1.0, mean = { cos = [1.0] } } }',
        "problem.initial.c.mean: must be a number for the unit 'gaussian' on the line",
    ),
    (
        "tanh-plane",
        "initial",
        f'{{ y = {{ kind = "normal", mean = [1.0, 2.0, 3.0], std = 1.0 }}, {C} }}',
        "problem.initial.y.mean: must be a number or a list of 2, not of 3",
    ),
    (
        "tanh-plane",
        "initial",
        f'{{ y = [{{ kind = "normal", std = 1.0 }}], {C} }}',
        "problem.initial.y: must be a table, or a list of 2 tables without lists",
    ),
    (
        "tanh-plane",
        "initial",
        f'{{ y = [{{ kind = "normal", std = 1.0 }}, {{ kind = "beta", low = 0.0 }}], {C} }}',
        "problem.initial.y.1.high: field required",
    ),
    ("gaussian-mixture", "measure", '{ kind = "uniform" }', "problem.measure: must be 'uniform' with low, high"),
    ("gaussian-mixture", "measure", '{ kind = "lebesgue", low = 1.0 }', "problem.measure.high: field required"),
    ("gaussian-mixture", "measure", "[1]", "problem.measure: must be a table, not [1]"),
    (
        "gaussian-mixture",
        "measure",
        '{ kind = "points", x = [] }',
        "problem.measure.x: list should have at least 1 item",
    ),
    ("gaussian-mixture", "measure", '{ kind = "points", x = [[1.0, 2.0]] }', "problem.measure.x: must be numbers"),
    (
        "gaussian-mixture",
        "measure",
        '{ kind = "points", x = [1.0], weights = [0.0] }',
        "problem.measure.weights.0: input",
    ),
    (
        "gaussian-mixture",
        "measure",
        '{ kind = "normal", std = [1.0, 2.0] }',
        "measure.std: must be a number or a list of 1",
    ),
    ("gaussian-mixture", "measure", "", "problem.measure: field required, 'uniform' with low, high"),
    ("frozen", "frozen_y", "1", "problem.frozen_y: input should be a valid boolean, not 1"),
    ("flat-fourier", "cells", "256", 'solver.cells: must be "auto" or a list, not 256'),
    ("flat-fourier", "cells", "[64, 64, 64]", "solver.cells: must be 'auto' or 2 integers, y axes first, c last"),
    ("tanh-plane", "cells", "[64, 64]", "solver.cells: must be 'auto' or 3 integers, y axes first, c last"),
    (
        "tanh-plane",
        "y_range",
        "[[0.0, 1.0]]",
        "solver.y_range: must be 'auto' or 2 [low, high], one for each axis of y",
    ),
    (
        "tanh-plane",
        "y_range",
        "[[0.0, 1.0], [1.0, 0.0]]",
        "solver.y_range: must be 'auto' or one [low, high] with low < high",
    ),
    ("tanh-plane", "y_range", "3", 'solver.y_range: must be "auto" or a list, not 3'),
    ("tanh-plane", "potential", '"fourier"', "particles.potential: must not be 'fourier' for the unit 'tanh'"),
    (
        "tanh-plane",
        "potential",
        '"grid"',
        "particles.potential: input should be 'auto', 'fourier', 'mesh' or 'quadrature'",
    ),
    (
        "nile",
        "target",
        '{ kind = "samples", file = "package:nile.csv" }',
        "package:nile.csv has no column 'x'; it has year",
    ),
    ("nile", "unit", '{ kind = "tanh", inputs = 2 }', "problem.target.columns: must be 3 or 4 names"),
]


@pytest.mark.parametrize(("name", "key", "value", "message"), PARTS)
def test_parts_that_cannot_be_are_refused_in_one_line(name: str, key: str, value: str, message: str) -> None:
    source = runs.text(name, **{key: value})
    if not value:
        source = source.replace(f"{key} = \n", "")
    with pytest.raises(runfile.InputError) as refused:
        runfile.parse(source, "my.toml")
    line = str(refused.value)
    assert line.startswith("my.toml: ")
    assert message in line
    assert "\n" not in line
    assert "instance of" not in line and "dictionary" not in line


def test_y_range_on_the_circle_is_refused() -> None:
    with pytest.raises(
        runfile.InputError, match=r"solver\.y_range: must be 'auto' for the unit 'fourier' on the circle"
    ):
        runfile.parse(runs.text().replace("tail =", "y_range = [[0.0, 1.0]]\ntail ="))


def test_cells_that_are_not_given_fit_the_dimension() -> None:
    for name, cells in (("gaussian-mixture", (256, 128)), ("tanh-plane", (64, 64, 64))):
        lines = [line for line in runs.text(name).splitlines() if not line.startswith("cells")]
        run = runfile.parse("\n".join(lines))
        assert run.solver.cells == cells
        assert runfile.parse(runfile.dump(run)) == run


VALID = [
    ("unit", '{ kind = "von_mises", concentration = 3, normalize = false }'),
    ("unit", '{ kind = "relu" }'),
    ("target", '{ kind = "bumps", amplitudes = [1.0, -1], centres = [1.0, 2.0], concentrations = [1.0, 5.0] }'),
    ("target", '{ kind = "teacher", neurons = [{ c = 1.0, y = 1.0 }, { c = 1.0, y = [2.0] }] }'),
    ("initial", f'{{ y = {{ kind = "von_mises", mean = 1.0, concentration = 2.0 }}, {C} }}'),
    ("initial", f'{{ y = [{{ kind = "uniform" }}], {C} }}'),
    ("initial", '{ c = { kind = "normal", std = 1.0, mean = { constant = 1.0, sin = [0.5] } } }'),
    ("c_range", "[-5, 5.0]"),
    ("scheme", '"semi-lagrangian"'),
    ("cells", '"auto"'),
    ("potential", '"mesh"'),
]
VALID_ON_THE_SQUARE = [
    ("target", '{ kind = "initial" }'),
    ("initial", f'{{ y = {{ kind = "uniform", low = [-1, -2.0, -3.0], high = 4 }}, {C} }}'),
    (
        "initial",
        f'{{ y = [{{ kind = "normal", std = 1 }}, {SQUARE}, {{ kind = "beta", low = 0, high = 1, exponent = 2 }}], '
        f"{C} }}",
    ),
    ("measure", '{ kind = "normal", std = [1.0, 2.0], nodes = 8 }'),
    ("measure", '{ kind = "points", x = [[0.0, 1.0], [1.0, 0.5]], weights = [1.0, 3.0] }'),
    ("measure", '{ kind = "lebesgue", low = -1, high = [1.0, 2.0], nodes = 8 }'),
]


@pytest.mark.parametrize(("key", "value"), VALID)
def test_what_a_run_file_may_say_survives_being_written_out(key: str, value: str) -> None:
    run = runfile.parse(runs.text(**{key: value}))
    assert runfile.parse(runfile.dump(run)) == run
    assert Problem.build(run.problem, run).rank > 0


@pytest.mark.parametrize(("key", "value"), VALID_ON_THE_SQUARE)
def test_what_a_run_file_with_two_inputs_may_say_survives_being_written_out(key: str, value: str) -> None:
    tables = {
        "unit": '{ kind = "sigmoid", inputs = 2 }',
        "target": '{ kind = "teacher", neurons = [{ c = 1.0, y = [1.0, 2.0, 3.0] }] }',
        "measure": SQUARE[:-2] + ", nodes = 8 }",
        "cells": "[32, 32, 32, 32]",
        "y_range": "[[-8, 8], [-8, 8], [-8, 8.5]]",
    }
    run = runfile.parse(runs.text("tanh-plane", **(tables | {key: value})))
    assert runfile.parse(runfile.dump(run)) == run
    problem = Problem.build(run.problem, run)
    assert problem.rank > 0
    assert problem.box[1][2] == 8.5


SAMPLES = 'target = { kind = "samples", file = "data.csv"'


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, "", "cannot read"),
        ("x,f\n", "", "needs a header and at least one row"),
        ("x,g\n1,2\n", "", "has no column 'f'; it has x, g"),
        ("x,f\n1,abc\n", "", "a value in x, f that is not a number"),
        ("x,f\n1\n", "", "a value in x, f that is not a number"),
        ("x,f\n1,nan\n", "", "values that are not finite"),
        ("x,f,weight\n1,2,0\n", "", "weights in"),
        ("x,f\n1,2\n", ", x_range = [0.0, 1.0]", "problem.target.x_range: x of"),
        ("x,f\n1,2\n2,2\n", ", standardize = true", "problem.target.standardize: f of"),
        ("x,f,w\n1,2,0\n", ', columns = ["x", "f", "w"]', "problem.target: weights in"),
        ("x,f\n1,2\n", ", period = 1.0, x_range = [0.0, 1.0]", "period and x_range cannot both be given"),
        ("x,f\n1,2\n", ", period = 0", "problem.target.period: input should be greater than 0"),
        ("x,f\n1,2\n", ', columns = ["x"]', "problem.target.columns: list should have at least 2 items"),
    ],
)
def test_bad_samples_are_refused_by_name(content: str | None, options: str, message: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    if content is not None:
        (tmp_path / "data.csv").write_text(content)
    with pytest.raises(runfile.InputError, match=r"problem\.target") as refused:
        runfile.parse(runs.text(target=SAMPLES[9:] + options + " }"), "my.toml", tmp_path)
    assert message in str(refused.value)


def test_samples_are_read_relative_to_the_run_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Two columns by name, an angle by its period, mean 0 and variance 1 under the weights."""
    rows = "\n".join(f"{day},{day % 7},{1 + day % 2}" for day in range(0, 360, 10))
    (tmp_path / "data.csv").write_text("day,flow,w\n" + rows + "\n")
    (tmp_path / "my.toml").write_text(
        runs.text(
            target=SAMPLES[9:] + ', columns = ["day", "flow", "w"], period = 360, standardize = true, scale = 2.0 }'
        )
    )
    problem = Problem.load(tmp_path / "my.toml")
    assert problem.x[9] == pytest.approx(90 * 2 * 3.141592653589793 / 360, rel=1e-15)
    assert problem.weights.sum() == pytest.approx(1.0, rel=1e-14)
    assert problem.weights @ problem.f == pytest.approx(0.0, abs=1e-14)
    assert problem.weights @ problem.f**2 == pytest.approx(4.0, rel=1e-13)


def test_target_mode_out_of_reach_is_a_warning_with_its_share() -> None:
    """-0.3 cos 4x adds 0.045 to <f, f> = 0.31875, out of reach of three modes."""
    found = runs.plan(
        target='{ kind = "fourier", constant = 0.25, cos = [0.5, 0, -0.2, -0.3], sin = [0, 0.35] }'
    ).warnings()
    assert len(found) == 1
    assert f"{0.045 / (0.0625 + 0.5 * (0.25 + 0.04 + 0.1225) + 0.045):.2g} of the target's squared norm" in found[0]
    assert Plan(runfile.load("flat-fourier")).warnings() == []


def test_a_tolerance_below_what_rounding_allows_is_refused_by_name() -> None:
    """Not by a search without end."""
    with pytest.raises(InputError, match=r"solver\.tolerance: .* greater than or equal to 0.000000001, not 1e-14"):
        runfile.parse(runs.text(tolerance="1e-14"))
