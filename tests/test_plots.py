"""Every picture is drawn from complete, partial and interrupted results, and says in one line why one cannot be."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liouville import comparison, plots, runfile
from liouville.judgement import whitening
from liouville.layout import COMMITTED
from liouville.plots import lln, readings, style
from liouville.plots.clt import theory
from liouville.plots.moments import Collapse
from liouville.progress import Advance, Quiet
from liouville.results import Run

SMALL = """
[problem]
name = "small"
unit = { kind = "fourier", coefficients = [1.0, 0.7, 0.4] }
target = { kind = "fourier", constant = 0.25, cos = [0.5], sin = [0.0, 0.35] }
initial = { y = { kind = "uniform" }, c = { kind = "bump", mean = 0.0, std = 1.0, exponent = 4 } }
[time]
final = 1.0
snapshots = 5
[solver]
cells = [32, 32]
[particles]
sizes = [16, 32, 64]
replicas = [40, 30, 20]
seed = 3
"""
OF_OTHERS = ("convergence", "sample", "correction", "study")  # of other runs: tests of these names, test_healing.py
OF_RUNS = tuple(kind for kind in plots.KINDS if kind not in OF_OTHERS)
PARTICLES = ("lln", "clt", "paths", "healing")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("plots") / "small.h5"
    comparison.start(runfile.parse(SMALL), "compare", path)
    return Run(path)


def altered(run: Run, path: Path, without: tuple[str, ...] = (), committed: dict[str, int] | None = None) -> Run:
    """A copy of a result that lacks some groups, and in which only so many frames of others are there yet."""
    shutil.copy(run.path, path)
    with h5py.File(path, "r+") as file:
        for group in without:
            del file[group]
        for group, frames in (committed or {}).items():
            file[group][COMMITTED][()] = frames
    return Run(path)


def visible(figure: Figure) -> list[Axes]:
    """The panels, without colour bars."""
    return [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]


@pytest.mark.parametrize("kind", OF_RUNS)
def test_every_kind_is_written_with_labelled_panels(run: Run, kind: str, tmp_path: Path) -> None:
    plots.save(run, kind, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "picture.png").stat().st_size > 20_000
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    for ax in visible(plots.draw(run, kind)):
        assert ax.get_title()
        assert ax.has_data()


@pytest.mark.parametrize(("suffix", "start"), [(".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_equal_results_make_equal_pictures(run: Run, suffix: str, start: bytes, tmp_path: Path) -> None:
    first, second = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
    for path in (first, second):
        plots.save(run, "representation", path)
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()


def test_nothing_global_changes(run: Run) -> None:
    before = dict(matplotlib.rcParams)
    plots.draw(run, "summary")
    assert dict(matplotlib.rcParams) == before


def test_an_unknown_kind_names_the_kinds(run: Run) -> None:
    with pytest.raises(ValueError, match=r"kind: must be one of summary, density, .*, not 'portrait'"):
        plots.draw(run, "portrait")


def test_an_unknown_suffix_names_the_suffixes(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a picture is \.png, \.pdf, \.svg, not '\.gif'"):
        plots.save(run, "density", tmp_path / "picture.gif")
    assert not list(tmp_path.iterdir())


def test_of_solve_there_is_all_but_the_particles(run: Run, tmp_path: Path) -> None:
    solved = altered(run, tmp_path / "solve.h5", ("particles", "verdicts"))
    for kind in PARTICLES:
        with pytest.raises(
            ValueError, match="has no /particles; `liouville compare` and `liouville simulate` write it"
        ):
            plots.draw(solved, kind)
    assert len(visible(plots.draw(solved, "summary"))) == 2
    plots.draw(solved, "representation")


def test_of_simulate_there_is_all_but_the_density(tmp_path: Path) -> None:
    comparison.start(runfile.parse(SMALL), "simulate", tmp_path / "simulate.h5")
    simulated = Run(tmp_path / "simulate.h5")
    with pytest.raises(ValueError, match="has no /density; `liouville compare` and `liouville solve` write it"):
        plots.draw(simulated, "density")
    assert len(visible(plots.draw(simulated, "summary"))) == 4
    for kind in ("lln", "paths", "representation"):
        plots.draw(simulated, kind)


def test_one_size_of_two_replicas_is_drawn(run: Run, tmp_path: Path) -> None:
    without = ("particles/n00032", "particles/n00064", "verdicts")
    tiny = altered(run, tmp_path / "tiny.h5", without, {"particles/n00016": 2})
    plots.save(tiny, "lln", tmp_path / "picture.png")
    for kind in ("clt", "paths", "healing", "representation"):
        plots.draw(tiny, kind)


def test_before_the_first_frame_it_says_so(run: Run, tmp_path: Path) -> None:
    nothing = {group: 0 for group, *_ in run.sizes()}
    empty = altered(run, tmp_path / "empty.h5", ("verdicts",), nothing)
    for kind in OF_RUNS:
        with pytest.raises(ValueError, match=r"empty\.h5: /.* has no frames yet, the run is completed$"):
            plots.draw(empty, kind)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_density_that_is_not_finished_is_drawn_as_far_as_it_is(run: Run, frames: int, tmp_path: Path) -> None:
    committed = {group: 0 for group, *_ in run.sizes() if "particles" in group} | {"density": frames}
    partial = altered(run, tmp_path / "partial.h5", ("verdicts",), committed)
    figure = plots.draw(partial, "density")
    figure.draw_without_rendering()  # one frame is no range for an axis
    assert len(visible(figure)) == frames + 4
    assert len(visible(plots.draw(partial, "summary"))) == 2
    with pytest.raises(ValueError, match="/particles has no frames yet, the run is completed"):
        plots.draw(partial, "lln")


def test_an_interrupted_run_is_drawn_as_far_as_it_is(tmp_path: Path) -> None:
    class Stop(Quiet):
        @contextmanager
        def stage(self, name: str, total: float) -> Iterator[Advance]:
            if name == "particles, n = 64":
                raise KeyboardInterrupt
            yield lambda amount: None

    with pytest.raises(KeyboardInterrupt):
        comparison.start(runfile.parse(SMALL), "compare", tmp_path / "partial.h5", stages=Stop())
    partial = Run(tmp_path / "partial.h5")
    assert list(readings.samples(partial)) == [16, 32]
    for kind in PARTICLES:
        plots.draw(partial, kind)
    summary = plots.draw(partial, "summary")
    assert len(visible(summary)) == 5
    assert summary.get_suptitle() == "small, seed 3, interrupted, what is there so far"


def test_coefficients_come_back_from_some_of_the_nodes(run: Run) -> None:
    problem = run.plan.problem
    known = np.random.default_rng(5).standard_normal((3, problem.rank))
    some = np.random.default_rng(6).permutation(problem.x.size)[: problem.rank + 1]
    values = problem.values(known)[:, some]
    np.testing.assert_allclose(readings.coefficients(problem, problem.x[some], values), known, rtol=1e-9, atol=1e-11)


def test_curves_pass_through_the_nodes(run: Run) -> None:
    problem = run.plan.problem
    at = readings.inputs(problem, 360 * problem.x.size + 1)
    nearest = np.abs(at.positions - problem.x[:, None]).argmin(axis=1)
    np.testing.assert_allclose(at.basis[nearest], problem.basis, rtol=0, atol=1e-12)
    np.testing.assert_allclose(at.target[nearest], problem.f, rtol=0, atol=1e-12)


def test_the_fit_extrapolates_to_the_estimate_of_the_verdict(run: Run) -> None:
    collapse = Collapse.of(run)
    limit = [collapse.fit(s)[0] / collapse.trace[s] for s in range(len(collapse.times))]
    np.testing.assert_allclose(limit, collapse.leading().value, rtol=1e-9, atol=0)
    (verdict,) = (v for v in run.verdicts if v.name == "lln")
    np.testing.assert_allclose(limit[-1], verdict.statistic, rtol=1e-6, atol=0)


def test_predicted_covariance_has_the_trace_and_is_whitened(run: Run) -> None:
    _, covariance = theory(run)
    np.testing.assert_allclose(np.einsum("sii->s", covariance), run.fluctuations.trace, rtol=1e-9, atol=0)
    W = whitening(covariance[-1])
    np.testing.assert_allclose(W.T @ covariance[-1] @ W, np.eye(W.shape[1]), rtol=0, atol=1e-8)


def test_intervals_of_the_law_contain_their_estimates(run: Run) -> None:
    value, low, high = lln._at(Collapse.of(run), -1)
    assert np.all((low < value) & (value < high))


def test_sizes_have_distinct_colours_in_any_order() -> None:
    colours = style.by_size([4096, 64, 256, 1024])
    assert list(colours) == [64, 256, 1024, 4096]
    assert len(set(colours.values())) == 4
