"""The first start: half of the kernels come from another process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from liouville import runfile, warming
from liouville.plan import Plan


@pytest.mark.parametrize("problem", ["flat-fourier", "gaussian-mixture"])
def test_two_processes_get_to_the_end_of_their_halves(problem: str) -> None:
    assert warming.compile_kernels(Plan(runfile.load(problem)))


@pytest.mark.parametrize("code", ["pass", "import sys; sys.stdin.buffer.readline(); raise SystemExit(1)"])
def test_another_process_that_dies_does_no_harm(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "START", [sys.executable, "-c", code])
    assert not warming.compile_kernels(Plan(runfile.load("flat-fourier")))


def test_what_is_in_the_cache_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's index is looked for, and must not be older than its source."""
    plan = Plan(runfile.load("flat-fourier"))
    monkeypatch.setattr(warming, "_cached", lambda: False)
    monkeypatch.setattr("numba.get_num_threads", lambda: 2)
    assert warming.wanted(plan)
    assert not warming.wanted(plan.with_solver(scheme="semi-lagrangian"))
    assert not warming.wanted(Plan(runfile.load("tanh-plane")))
    monkeypatch.setattr(warming, "_cached", lambda: True)
    assert not warming.wanted(plan)


@pytest.mark.slow
def test_a_first_start_compiles_half_of_its_kernels(tmp_path: Path) -> None:
    """In an empty cache: theory and replicas come from the other process, and the next start compiles nothing."""
    code = (
        "from numba.core import event\nfrom liouville import cli\n"
        "with event.install_recorder('numba:compile') as recorder:\n"
        "    cli.run(['compare', 'flat-fourier', '--force', '-o', 'r.h5'])\n"
        "names = {e.data['dispatcher'].py_func.__module__ for _, e in recorder.buffer}\n"
        "print('solvers.sources' in names, 'solvers.march' in names)"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for expected in ("False True", "False False"):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        print(done.stdout.splitlines()[-1])
        assert done.stdout.splitlines()[-1] == expected
