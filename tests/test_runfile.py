"""The run file: what is accepted, and the one line that refuses the rest."""

import pytest
import runs

from liouville import runfile
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
    ("cells = [256, 128]", "cells = [256]", "solver.cells.1: field required"),
    ("tail = 1e-9", "tial = 1e-9", "solver.tial: unknown key; allowed are scheme, cells, tolerance, c_range, tail"),
    ('c_range = "auto"', "c_range = [3, 1]", "solver.c_range: must be 'auto' or [low, high] with low < high"),
    ('scheme = "finite-volume"', 'scheme = "magic"', "solver.scheme: input should be 'finite-volume', not \"magic\""),
    ("sizes = [64, 256, 1024, 4096]", "sizes = []", "particles.sizes: list should have at least 1 item, not 0"),
    ("sizes = [64, 256, 1024, 4096]", "sizes = [64, 64, 1024, 4096]", "particles: sizes must differ"),
    ("sizes = [64, 256, 1024, 4096]", "sizes = [64]", "particles: replicas must have 1 entries"),
    ("seed = 1", 'seed = "x"', 'particles.seed: input should be a valid integer, not "x"'),
    ("seed = 1", "seed = true", "particles.seed: input should be a valid integer, not true"),
    ("keep = 0", "keep = 65", "particles: keep must be at most the smallest of sizes, 64"),
    ("step = 0.05", "step = 1e-9", "run file: particles.step must be at least time.final/100000"),
    ("[particles]", "[partikels]", "partikels: unknown key; allowed are problem, time, solver, particles"),
    ("std = 1.0", "sd = 1.0", "problem.initial.c.std: field required"),
    ("mean = 0.0", "mean = { a = 3 }", "problem.initial.c.mean.a: unknown key; allowed are constant, cos, sin"),
    ('kind = "bump"', 'kind = "bumpy"', "problem.initial.c.kind: must be one of 'normal', 'bump', not 'bumpy'"),
    ('unit = { kind = "fourier"', 'unit = { kind = "sinus"', "problem.unit.kind: input should be 'fourier'"),
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
