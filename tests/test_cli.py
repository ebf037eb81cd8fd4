"""The commands as a user types them."""

import subprocess
import sys
from pathlib import Path

import pytest
import runs

from liouville import cli

TEXT = runs.text(**runs.TINY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TEXT)
    return tmp_path


def test_compare_names_its_files_and_overwrites_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compare", "tiny.toml"]) in (0, 1)
    out = capsys.readouterr().out
    assert "primary verdicts" in out
    assert "flat-fourier.h5" in out
    first = (folder / "flat-fourier.h5").read_bytes()
    assert cli.run(["solve", "tiny.toml"]) == 0
    assert (folder / "flat-fourier-2.h5").exists()
    assert (folder / "flat-fourier-2.png").stat().st_size > 10_000
    assert cli.run(["solve", "tiny.toml", "-o", "flat-fourier.h5"]) == 2
    error = capsys.readouterr().err
    assert error == "liouville: flat-fourier.h5: exists already and is not overwritten\n"
    assert (folder / "flat-fourier.h5").read_bytes() == first
    assert cli.run(["info", "flat-fourier.h5"]) == 0
    out = capsys.readouterr().out
    assert "status       completed" in out
    assert "gap of M at t = 0" in out
    assert "one-particle" in out
    assert cli.run(["resume", "flat-fourier.h5"]) == 2
    assert "is completed, there is nothing to resume" in capsys.readouterr().err
    assert cli.run(["plot", "flat-fourier.h5", "lln", "-o", "x.pdf"]) == 0
    assert cli.run(["plot", "flat-fourier.h5", "lln", "-o", "x.pdf"]) == 2
    assert "x.pdf: exists already" in capsys.readouterr().err


BAD = [
    (["compare", "nothing.toml"], "nothing.toml: No such file or directory; shipped problems are flat-fourier"),
    (["compare", "bad.toml"], "bad.toml: time.final: input should be greater than 0, not -6"),
    (["compare", "."], ".: Is a directory"),
    (["compare", "tiny.toml", "-o", "no/such/folder.h5"], "no/such/folder.h5: the folder no/such does not exist"),
    (["compare", "narrow.toml"], "narrow.toml: solver.c_range: [-1, 1] loses more than tail"),
    (["simulate", "solver-only.toml"], "solver-only.toml: particles: the table [particles] is needed"),
    (["info", "nothing.h5"], "nothing.h5: no such file"),
    (["info", "tiny.toml"], "tiny.toml: is not an HDF5 file"),
    (["plot", "nothing.h5"], "nothing.h5: no such file"),
    (["problems", "nothing"], "nothing: no such problem; shipped are flat-fourier"),
    (["nothing"], "No such command 'nothing'"),
    (["compare", "--nothing"], "No such option: --nothing"),
    (["plot"], "Missing argument 'RUN.h5'"),
    (["compare", "tiny.toml", "-o", "tiny.toml", "--force"], "tiny.toml: is the run file itself"),
    (["compare", "huge.toml"], "huge.toml: problem.unit.coefficients: the largest coefficient must be between"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_one_line_and_status_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (folder / "bad.toml").write_text(runs.text(final=-6))
    (folder / "narrow.toml").write_text(runs.text(**runs.TINY | {"c_range": "[-1.0, 1.0]"}))
    (folder / "solver-only.toml").write_text(TEXT[: TEXT.index("[particles]")])
    huge = '{ kind = "fourier", coefficients = [1e300, 1.0] }'
    (folder / "huge.toml").write_text(runs.text(**runs.TINY | {"unit": huge}))
    before = sorted(p.name for p in folder.iterdir())
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"liouville: {message}")
    assert captured.err.count("\n") == 1
    assert sorted(p.name for p in folder.iterdir()) == before


def test_plot_refuses_an_unknown_kind_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["solve", "tiny.toml", "-o", "r.h5"]) == 0
    capsys.readouterr()
    assert cli.run(["plot", "r.h5", "nothing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.run(["plot", "r.h5", "lln"]) == 2
    assert "particles" in capsys.readouterr().err


def test_problems_lists_and_prints_run_files_that_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["problems"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "flat-fourier"
    assert cli.run(["problems", "co2-season"]) == 0
    source = capsys.readouterr().out
    assert "package:co2-season.csv" in source
    assert runs.runfile.parse(source).problem.name == "co2-season"


def test_out_of_reach_target_is_a_warning_on_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "co2.toml").write_text(runs.text("co2-season", **runs.TINY))
    assert cli.run(["solve", "co2.toml"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("liouville: co2.toml: warning: the unit cannot represent 0.0011 of the target's")
    assert "warning" not in captured.out


@pytest.mark.parametrize("name", ["particles", "solvers"])
def test_another_project_of_the_same_name_is_noticed_in_one_line(folder: Path, name: str) -> None:
    """A package that stands before ours on the path; the command shows no traceback."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("VERSION = 1\n")
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from liouville.cli import main; main()"
    found = subprocess.run([sys.executable, "-c", code, "problems"], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith(
        f"liouville: the package {name!r} in {folder / name} is not the one that liouville needs"
    )
    assert found.stderr.count("\n") == 1


def test_rejected_prediction_sets_status_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from liouville import judgement

    right = judgement.at_snapshots
    monkeypatch.setattr(judgement, "at_snapshots", lambda *known: 3 * right(*known))
    assert cli.run(["compare", "tiny.toml"]) == 1


def test_a_second_start_compiles_nothing(folder: Path) -> None:
    """Every kernel of a whole comparison comes from the cache in a new process."""
    code = (
        "import sys, numba\nfrom numba.core import event\nfrom liouville import cli\n"
        "with event.install_recorder('numba:compile') as recorder:\n"
        "    cli.run(['compare', 'tiny.toml', '--force', '-o', 'r.h5'])\n"
        "print('compiled', len(recorder.buffer))"
    )
    cli.run(["compare", "tiny.toml"])
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "compiled 0"


@pytest.mark.parametrize("arguments", [["problems"], ["info", "flat-fourier.h5"]])
def test_a_reader_who_has_seen_enough_changes_no_status(folder: Path, arguments: list[str]) -> None:
    cli.run(["solve", "tiny.toml"])
    code = "from liouville.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 0
