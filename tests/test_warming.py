"""The first start: half of the kernels come from another process."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from liouville import runfile, warming
from liouville.plan import Plan


@pytest.mark.parametrize("problem", ["flat-fourier", "gaussian-mixture"])
def test_two_processes_get_to_the_end_of_their_halves(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever modules stand in the folder that the user is in."""
    (tmp_path / "particles.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    assert warming.compile_kernels(Plan(runfile.load(problem)))
    assert warming.cached(warming.LAST)


@pytest.mark.parametrize("code", ["pass", "import sys; sys.stdin.buffer.readline(); raise SystemExit(1)"])
def test_another_process_that_dies_does_no_harm(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "START", [sys.executable, "-c", code])
    assert not warming.compile_kernels(Plan(runfile.load("flat-fourier")))


def test_a_kernel_is_cached_where_its_index_is_no_older_than_its_source(tmp_path: Path) -> None:
    source = tmp_path / "guided.py"
    source.write_text("def guide_replicas(): pass")
    function = SimpleNamespace(__code__=SimpleNamespace(co_filename=str(source)), __name__="guide_replicas")
    kernel = SimpleNamespace(py_func=function, stats=SimpleNamespace(cache_path=str(tmp_path)))
    assert not warming.cached(kernel)
    index = tmp_path / "guided.guide_replicas-76.py311.nbi"
    index.touch()
    assert warming.cached(kernel)
    os.utime(index, (0, 0))
    assert not warming.cached(kernel)


def test_only_what_is_worth_it_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(runfile.load("flat-fourier"))
    monkeypatch.setattr(warming, "cached", lambda kernel: False)
    monkeypatch.setattr("numba.get_num_threads", lambda: 2)
    assert warming.wanted(plan)
    assert not warming.wanted(plan.with_solver(scheme="semi-lagrangian"))
    assert not warming.wanted(Plan(runfile.load("tanh-plane")))
    monkeypatch.setattr(warming, "cached", lambda kernel: True)
    assert not warming.wanted(plan)


@pytest.mark.slow
def test_a_first_start_compiles_half_of_its_kernels(tmp_path: Path) -> None:
    """In an empty cache: theory, replicas and the march's parts come from the other process; then all are there."""
    code = (
        "from numba.core import event\nfrom liouville import cli\n"
        "with event.install_recorder('numba:compile') as recorder:\n"
        "    cli.run(['compare', 'flat-fourier', '--force', '-o', 'r.h5'])\n"
        "names = {e.data['dispatcher'].py_func.__module__ for _, e in recorder.buffer}\n"
        "others = ('solvers.sources', 'solvers.potential', 'solvers.fluxes', 'solvers.limiter')\n"
        "print(any(name in names for name in others), 'solvers.march' in names, len(names))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for expected in ("False True", "False False 0"):
        command, begin = [sys.executable, "-c", code], time.monotonic()
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        print(f"{done.stdout.splitlines()[-1]}, {time.monotonic() - begin:.0f} s")
        assert done.stdout.splitlines()[-1].startswith(expected)
