"""The commands from Python."""

import tempfile
import weakref
from pathlib import Path

from liouville import comparison
from liouville.problem import Problem
from liouville.results import Run
from liouville.runfile import RunFile, load


def compare(problem: Problem | RunFile | str | Path, path: str | Path | None = None, *, force: bool = False) -> Run:
    """The main job: particles against the PDE and the fluctuation theory, with verdicts.

    problem : a loaded problem, a path of a run file or a shipped problem's name.
    path : the result file; by default a temporary one that lives as long as the returned Run.
    Raises InputError, FileProblem (the file exists and not `force`) or RunFailed.
    """
    return _start("compare", problem, path, force)


def solve(problem: Problem | RunFile | str | Path, path: str | Path | None = None, *, force: bool = False) -> Run:
    """The deterministic side only; arguments as for `compare`."""
    return _start("solve", problem, path, force)


def simulate(problem: Problem | RunFile | str | Path, path: str | Path | None = None, *, force: bool = False) -> Run:
    """The particles only; arguments as for `compare`."""
    return _start("simulate", problem, path, force)


def resume(path: str | Path) -> Run:
    """Go on where an interrupted run stopped: the same numbers, bit for bit."""
    comparison.resume(Path(path))
    return Run(path)


def open(path: str | Path) -> Run:
    """Open a result file, complete or still being written."""
    return Run(path)


def _start(command: str, problem: Problem | RunFile | str | Path, path: str | Path | None, force: bool) -> Run:
    if isinstance(problem, Problem):
        if problem.run is None:
            raise ValueError("this problem was not loaded from a run file; pass a run file or Problem.load(...)")
        run = problem.run
    else:
        run = problem if isinstance(problem, RunFile) else load(problem)
    folder = None
    if path is None:
        folder = tempfile.TemporaryDirectory(prefix="liouville-")
        path = Path(folder.name) / f"{run.problem.name}.h5"
    comparison.start(run, command, Path(path), force=force)
    result = Run(path)
    if folder is not None:
        weakref.finalize(result, folder.cleanup)
    return result
