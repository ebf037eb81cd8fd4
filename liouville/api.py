"""The commands from Python."""

import tempfile
import weakref
from pathlib import Path
from typing import Any

from liouville import comparison
from liouville.errors import InputError
from liouville.plan import Plan
from liouville.problem import Problem
from liouville.results import Run
from liouville.runfile import RunFile, load

Source = Problem | RunFile | str | Path


def compare(problem: Source, path: str | Path | None = None, *, force: bool = False, **tables: Any) -> Run:
    """The main job: particles against the PDE and the fluctuation theory, with verdicts.

    problem : a problem, a run file or the path of one, or a shipped problem's name.
    path : the result file; by default a temporary one that lives as long as the returned Run.
    tables : for a problem made in Python, `time`, `solver` and `particles` as in a run file:
        lv.compare(problem, time={"final": 2.0}, particles={"sizes": [64, 256], "replicas": [200, 100]}).
    Raises InputError, FileProblem (the file exists and not `force`) or RunFailed.
    """
    return _start("compare", problem, path, force, tables)


def solve(problem: Source, path: str | Path | None = None, *, force: bool = False, **tables: Any) -> Run:
    """The deterministic side only; arguments as for `compare`."""
    return _start("solve", problem, path, force, tables)


def simulate(problem: Source, path: str | Path | None = None, *, force: bool = False, **tables: Any) -> Run:
    """The particles only; arguments as for `compare`."""
    return _start("simulate", problem, path, force, tables)


def resume(path: str | Path) -> Run:
    """Go on where an interrupted run stopped: the same numbers, bit for bit."""
    comparison.resume(Path(path))
    return Run(path)


def open(path: str | Path) -> Run:
    """Open a result file, complete or still being written."""
    return Run(path)


def _start(command: str, problem: Source, path: str | Path | None, force: bool, tables: dict[str, Any]) -> Run:
    if isinstance(problem, Problem) and problem.run is None:
        plan = Plan.of(problem, **tables)
    elif tables:
        raise InputError(f"{min(tables)}: the problem comes from a run file, which has this table")
    elif isinstance(problem, Problem):
        assert problem.run is not None
        plan = Plan(problem.run, problem)
    else:
        plan = Plan(problem if isinstance(problem, RunFile) else load(problem))
    folder = None
    if path is None:
        folder = tempfile.TemporaryDirectory(prefix="liouville-")
        path = Path(folder.name) / f"{plan.run.problem.name}.h5"
    comparison.start(plan, command, Path(path), force=force)
    result = Run(path, plan)
    if folder is not None:
        weakref.finalize(result, folder.cleanup)
    return result
