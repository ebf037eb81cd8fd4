"""The main job end to end, on runs small enough for a test."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import runs
import xarray
from numpy.testing import assert_allclose

import liouville as lv
from liouville import comparison, runfile, simulation, storage
from liouville.plan import Plan
from particles import stream

TEXT = runs.text(**runs.TINY)


def same(a: Path, b: Path) -> list[str]:
    """Datasets that differ in a bit between two result files."""
    different = []
    with h5py.File(a) as one, h5py.File(b) as other:

        def check(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                x, y = item[()], other[name][()]
                if not np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f"):
                    different.append(name)

        one.visititems(check)
        assert len(one) == len(other)
    return different


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "tiny.h5"
    comparison.start(runfile.parse(TEXT), "compare", path)
    return path


def test_every_group_is_there_and_agrees_with_itself(finished: Path) -> None:
    run = lv.open(finished)
    problem = run.plan.problem
    assert run.status == "completed"
    assert set(run.particles) == {16, 32, 64}
    for n, ensemble in run.particles.items():
        # f_0 of the grid, moved by what the particles' integrator adds to it
        shift = run.characteristics.f_stepped - run.characteristics.f
        f, f0, path = ensemble.f, run.density.f + shift, ensemble.path
        np.testing.assert_allclose(ensemble.loss, 0.5 * ((f - problem.f) ** 2) @ problem.weights, rtol=1e-10)
        np.testing.assert_allclose(ensemble.deviation, ((f - f0) ** 2) @ problem.weights, rtol=1e-9)
        np.testing.assert_allclose(
            ensemble.path_deviation, ((f - f0 - path) ** 2) @ problem.weights, rtol=1e-7, atol=1e-18
        )
        assert f.shape == (run.plan.run.particles.replicas[run.plan.run.particles.sizes.index(n)], 5, 16)
    trace = np.einsum("txx,x->t", run.fluctuations.covariance, problem.weights)
    np.testing.assert_allclose(run.fluctuations.trace, trace, rtol=1e-10)
    np.testing.assert_allclose(np.diagonal(run.fluctuations.two_time_trace), trace, rtol=1e-10)
    mass = run.density.rho.sum(axis=(1, 2)) * np.diff(run.density.y)[0] * np.diff(run.density.c)[0]
    np.testing.assert_allclose(mass, 1.0, rtol=1e-12)


def test_paths_start_as_the_fluctuation_itself(finished: Path) -> None:
    """At t = 0 nothing has responded yet: l_n = f_n - f_0, up to the error of f_0 on this coarse grid."""
    run = lv.open(finished)
    error = np.linalg.norm((run.density.f - run.characteristics.f)[0] * np.sqrt(run.density.weight))
    assert error < 1e-7
    for ensemble in run.particles.values():
        assert np.sqrt(ensemble.path_deviation[:, 0].max()) < error + 1e-12


def test_xarray_reads_every_group(finished: Path) -> None:
    for group in lv.open(finished).groups:
        with xarray.open_dataset(finished, group=group) as data:
            assert len(data.variables)


def test_equal_runs_are_equal_files(finished: Path, tmp_path: Path) -> None:
    comparison.start(runfile.parse(TEXT), "compare", tmp_path / "again.h5")
    assert same(finished, tmp_path / "again.h5") == []


@pytest.mark.parametrize("threads", ["1", "4"])
def test_threads_change_no_bit(finished: Path, tmp_path: Path, threads: str) -> None:
    """Of numba and of BLAS alike, in a new process."""
    (tmp_path / "tiny.toml").write_text(TEXT)
    environment = os.environ | {
        "NUMBA_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "OMP_NUM_THREADS": threads,
    }
    subprocess.run([*LIOUVILLE, "compare", "tiny.toml", "-o", "t.h5"], cwd=tmp_path, env=environment, check=False)
    assert same(finished, tmp_path / "t.h5") == []


def test_more_sizes_and_replicas_leave_the_old_ones_alone(finished: Path, tmp_path: Path) -> None:
    more = runs.text(**runs.TINY | {"sizes": [64, 20, 16], "replicas": [30, 5, 50]})
    comparison.start(runfile.parse(more), "simulate", tmp_path / "more.h5")
    old, new = lv.open(finished), lv.open(tmp_path / "more.h5")
    assert np.array_equal(old.particles[16].f, new.particles[16].f[:40])
    assert np.array_equal(old.particles[64].f, new.particles[64].f[:20])
    assert np.array_equal(old.particles[16].path, new.particles[16].path[:40])


LIOUVILLE = [sys.executable, "-c", "from liouville.cli import main; main()"]


LONGER = runs.text(**runs.TINY | {"sizes": [16, 32, 20000], "replicas": [40, 30, 120]})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    comparison.start(runfile.parse(LONGER), "compare", path)
    return path


def _listen() -> None:
    """A process to come minds Ctrl-C, which shells have it ignore if they start these tests in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_resumes_to_the_same_bits(whole: Path, tmp_path: Path, sign: signal.Signals) -> None:
    """Stopped in the middle of the particles, at a moment that differs with the machine's load."""
    (tmp_path / "run.toml").write_text(LONGER)
    cut = tmp_path / "cut.h5"
    process = subprocess.Popen(
        [*LIOUVILLE, "compare", "run.toml", "-o", "cut.h5"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_listen,
    )
    deadline = time.monotonic() + 60
    done = 0
    while done == 0 and time.monotonic() < deadline:
        time.sleep(0.005)
        if cut.exists():
            with storage.open_result(cut) as file:
                done = storage.committed(file, "/particles/n20000")
    process.send_signal(signal.SIGSTOP)  # however long it takes to look
    seen = lv.open(cut).status
    process.send_signal(sign)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert seen == "running"
    assert 0 < done < 120
    assert lv.open(cut).status == "interrupted"
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert b"Traceback" not in errors
    with storage.open_result(cut) as file:
        assert storage.verify(file) == []
    comparison.resume(cut)
    assert lv.open(cut).status == "completed"
    assert same(whole, cut) == []


def test_added_replicas_are_those_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dataset equal, the verdicts and the kept trajectories too; also if interrupted and resumed meanwhile."""
    few = runs.TINY | {"replicas": [24, 16, 8], "keep": 2}
    comparison.start(runfile.parse(runs.text(**few)), "compare", tmp_path / "few.h5")
    comparison.start(runfile.parse(runs.text(**few | {"replicas": [40, 32, 24]})), "compare", tmp_path / "all.h5")
    comparison.add(tmp_path / "few.h5", [8])
    right = simulation.simulate

    def interrupted(plan, known, operator, part, **options):  # type: ignore[no-untyped-def]
        if part.n == 32:
            raise KeyboardInterrupt
        yield from right(plan, known, operator, part, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(simulation, "simulate", interrupted)
        comparison.add(tmp_path / "few.h5", [8, 8, 8])
    assert lv.open(tmp_path / "few.h5").status == "interrupted"
    assert lv.open(tmp_path / "few.h5").particles[32].committed == 24
    with pytest.raises(storage.FileProblem, match="is not completed; `liouville resume` goes on with it first"):
        comparison.add(tmp_path / "few.h5", [8])
    comparison.resume(tmp_path / "few.h5")
    assert lv.open(tmp_path / "few.h5").status == "completed"
    assert same(tmp_path / "few.h5", tmp_path / "all.h5") == []
    assert lv.open(tmp_path / "few.h5").attributes["runfile"] == lv.open(tmp_path / "all.h5").attributes["runfile"]
    with pytest.raises(runfile.InputError, match="--add: must be one number of replicas, or 3 with commas"):
        comparison.add(tmp_path / "few.h5", [1, 2])


def test_mass_at_an_end_of_c_is_refused_with_the_range_it_needs(tmp_path: Path) -> None:
    run = runfile.parse(runs.text(**runs.TINY | {"c_range": "[-1.0, 1.0]"}))
    with pytest.raises(runfile.InputError, match=r"solver.c_range: \[-1, 1\] loses more than tail .* needs \[-"):
        comparison.start(run, "compare", tmp_path / "x.h5")
    assert not (tmp_path / "x.h5").exists()


def test_a_failing_run_keeps_its_frames_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from liouville import mean_field
    from solvers.finite_volume import SolverError

    right = mean_field.density

    def failing(plan, grid, visit):  # type: ignore[no-untyped-def]
        def stop(k, frame):  # type: ignore[no-untyped-def]
            if k == 2:
                raise SolverError("density is not finite at t = 0.5 (step 7)")
            visit(k, frame)

        return right(plan, grid, stop)

    monkeypatch.setattr(mean_field, "density", failing)
    with pytest.raises(comparison.RunFailed, match="density is not finite"):
        comparison.start(runfile.parse(TEXT), "compare", tmp_path / "bad.h5")
    run = lv.open(tmp_path / "bad.h5")
    assert run.status == "failed"
    assert "step 7" in run.attributes["stop_reason"]
    assert run.density.committed == 2
    assert np.isfinite(run.density.rho[:2]).all()
    assert np.isnan(run.density.rho[2:]).all()


def test_solve_and_simulate_write_their_groups_alone(tmp_path: Path) -> None:
    comparison.start(runfile.parse(TEXT), "solve", tmp_path / "s.h5")
    comparison.start(runfile.parse(TEXT), "simulate", tmp_path / "p.h5")
    assert "/density" in lv.open(tmp_path / "s.h5").groups
    assert not lv.open(tmp_path / "s.h5").particles
    assert "/density" not in lv.open(tmp_path / "p.h5").groups
    assert set(lv.open(tmp_path / "p.h5").particles) == {16, 32, 64}


def test_a_particle_that_leaves_the_given_interval_stops_the_run(tmp_path: Path) -> None:
    """None is moved by what the features' splines are outside of their box."""
    changes = runs.TINY | {"y_range": "[[-3.5, 4.0]]", "sizes": [4], "replicas": [500]}
    with pytest.raises(comparison.RunFailed, match=r"n = 4, replica \d+: a particle went .* beyond y in \[-3.5, 4\]"):
        comparison.start(runfile.parse(runs.text("linear-neuron", **changes)), "simulate", tmp_path / "out.h5")
    run = lv.open(tmp_path / "out.h5")
    assert run.status == "failed"
    assert "solver.y_range must be wider" in run.attributes["stop_reason"]


def test_a_network_that_is_not_finite_any_more_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from liouville.densities import Initial

    right = Initial.sample

    def wild(self, rng, n):  # type: ignore[no-untyped-def]
        y, c = right(self, rng, n)
        return y, c * (1e150 if n == 32 else 1.0)

    monkeypatch.setattr(Initial, "sample", wild)
    with pytest.raises(comparison.RunFailed, match=r"n = 32, replica 0: f_n is not finite at t = 0\.25"):
        comparison.start(runfile.parse(TEXT), "simulate", tmp_path / "wild.h5")
    run = lv.open(tmp_path / "wild.h5")
    assert run.status == "failed" and run.particles[16].committed == 40


def start_of(plan: Plan, n: int, replica: int, part: range | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The start of a replica, or a part of its particles."""
    part = part or range(n)
    y, c = np.empty((1, len(part))), np.empty(len(part))
    simulation.sample(plan, n, replica, part, y, c)
    return y, c


@pytest.mark.parametrize("nested", [False, True])
def test_parts_of_a_start_are_parts_of_the_whole(monkeypatch: pytest.MonkeyPatch, nested: bool) -> None:
    """Ranks draw their own particles, block by block; a start of one block is what it was without blocks."""
    plan = runs.plan(**runs.TINY, nested=nested)
    alone = start_of(plan, 1000, 2)
    monkeypatch.setattr(simulation, "DRAWN", 300)
    monkeypatch.setattr(simulation, "NESTED", 300)
    y, c = start_of(plan, 1000, 2)
    assert not np.array_equal(y[:, :300], y[:, 300:600])
    if not nested:
        drawn = plan.problem.initial.sample(stream(1, 1000, 2), 300)
        np.testing.assert_array_equal(y[:, :300], drawn[0])
        assert not np.array_equal(alone[1][300:], c[300:])
    for part in (range(0, 10), range(250, 700), range(600, 1000), range(999, 1000)):
        some_y, some_c = start_of(plan, 1000, 2, part)
        np.testing.assert_array_equal(some_y, y[:, part.start : part.stop])
        np.testing.assert_array_equal(some_c, c[part.start : part.stop])


def test_nested_sizes_start_from_one_sequence_whatever_the_largest(tmp_path: Path) -> None:

    largest = runs.plan(**runs.TINY | {"sizes": [16, 32, 9000]}, nested=True)
    smaller = runs.plan(**runs.TINY, nested=True)
    y, c = start_of(largest, 9000, 3)
    for plan, n in ((largest, 16), (smaller, 64), (largest, 5000)):
        first_y, first_c = start_of(plan, n, 3)
        np.testing.assert_array_equal(first_y, y[:, :n])
        np.testing.assert_array_equal(first_c, c[:n])
    assert not np.array_equal(y[:, :4096], y[:, 4096:8192])
    assert not np.array_equal(start_of(largest, 16, 4)[1], c[:16])
    with pytest.raises(runfile.InputError, match=r"particles\.nested: must be false for `liouville compare`"):
        comparison.start(smaller.run, "compare", tmp_path / "n.h5")


def test_kept_trajectories_are_those_of_replica_zero(tmp_path: Path) -> None:
    comparison.start(runfile.parse(runs.text(**runs.TINY | {"keep": 7})), "simulate", tmp_path / "k.h5")
    ensemble = lv.open(tmp_path / "k.h5").particles[32]
    assert ensemble.y.shape == (5, 7)
    np.testing.assert_array_equal(ensemble.y[:, 0], ensemble.first_y[0])
    np.testing.assert_array_equal(ensemble.c[:, 0], ensemble.first_c[0])


def test_many_points_are_thinned_where_they_would_outgrow_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from liouville import plan

    monkeypatch.setattr(plan, "STORED", 1000)
    comparison.start(runfile.parse(runs.text("co2-season", **runs.TINY)), "simulate", tmp_path / "thin.h5")
    run = lv.open(tmp_path / "thin.h5")
    ensemble, problem = run.particles[16], run.plan.problem
    assert ensemble.x.size == 18  # every third: at least 2 M + 1 = 15
    g = run.plan.recover(ensemble.f)
    np.testing.assert_allclose(problem.loss(g), ensemble.loss, rtol=1e-10)


def test_python_interface_runs_the_job_in_a_temporary_file() -> None:
    run = lv.compare(runfile.parse(TEXT))
    assert [v.name for v in run.verdicts][:2] == ["pde-characteristics", "mass"]
    assert run.density.rho.shape == (5, 48, 32)
    with pytest.raises(AttributeError, match="has no variable 'nothing'; it has"):
        _ = run.density.nothing
    path = run.path
    del run
    assert not path.exists()


def test_a_problem_made_in_python_is_solved_and_compared() -> None:
    """A unit of the line with its gradient, a function as target; f_0 of the file is that of the plan's own problem."""
    problem = lv.Problem(
        unit=lv.Unit(lambda x, y: np.tanh(x * y), gradient=lambda x, y: x / np.cosh(x * y) ** 2),
        target=lambda x: np.sin(2 * x),
        initial={"y": {"kind": "normal", "std": 1.0}, "c": {"kind": "normal", "std": 1.0}},
        measure={"kind": "uniform", "low": -1.0, "high": 1.0},
    )
    time, solver = {"final": 1.0, "snapshots": 5}, {"cells": "auto", "tolerance": 1e-3}
    solved = lv.solve(problem, time=time, solver=solver)
    run = lv.compare(problem, time=time, solver=solver, particles={"sizes": [32, 128], "replicas": [40, 20]})
    assert run.status == "completed"
    assert not [verdict.name for verdict in run.verdicts if verdict.outcome == "rejected" and verdict.primary]
    assert np.array_equal(solved.density.rho, run.density.rho)
    assert_allclose(run.density.f, run.characteristics.f, rtol=0, atol=2e-3)


def test_replicas_are_not_added_to_a_file_that_recorded_less(tmp_path: Path) -> None:
    comparison.start(runfile.parse(TEXT), "simulate", tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        home = file["/particles/n00016"]
        home.attrs["framed"] = str(home.attrs["framed"]).replace(" loss_increase", "")
    with pytest.raises(storage.FileProblem, match="an older version recorded less of each replica; start anew"):
        comparison.add(tmp_path / "old.h5", [8])
    assert lv.open(tmp_path / "old.h5").status == "completed"
