"""A result file in Python: `run = lv.open("run.h5")`; `run.density.rho`, `run.particles[256].f`, `run.verdicts`."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from liouville import storage
from liouville.plan import Plan
from liouville.runfile import parse
from liouville.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOTS = {
    "density": "density",
    "fluctuations": "clt",
    "particles": "lln",
}  # what a group draws when asked to plot


class GroupView:
    """One group; its variables and axes are attributes, read when asked for (frames not yet written are NaN)."""

    def __init__(self, run: "Run", path: str) -> None:
        self._run, self._path = run, path

    def __getattr__(self, name: str) -> NDArray[Any]:
        with storage.open_result(self._run.path) as file:
            if name.startswith("_") or name not in file[self._path]:
                raise AttributeError(f"{self._path} has no variable {name!r}; it has {', '.join(self.variables)}")
            return storage.read(file, self._path, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.variables]

    @property
    def variables(self) -> list[str]:
        """Names of its variables and axes."""
        with storage.open_result(self._run.path) as file:
            return [name for name, item in file[self._path].items() if isinstance(item, h5py.Dataset)]

    @property
    def committed(self) -> int:
        """Frames that are written."""
        with storage.open_result(self._run.path) as file:
            return storage.committed(file, self._path)

    def plot(self, kind: str | None = None) -> "Figure":
        """Draw it; `kind` as for `liouville plot`."""
        return self._run.plot(kind or PLOTS.get(self._path.strip("/").split("/")[0], "summary"))


class Run:
    """A result file, complete or still being written. Raises FileProblem where it is not one.

    plan : what it was run with, where that is at hand; else it is read from the file.
    """

    def __init__(self, path: str | Path, plan: Plan | None = None) -> None:
        self.path, self._plan = Path(path), plan
        with storage.open_result(self.path) as file:
            self.attributes = storage.attributes(file)

    @property
    def status(self) -> str:
        """running, completed, failed or interrupted."""
        return storage.status(self.path)

    @property
    def groups(self) -> list[str]:
        """Paths of the groups in the file."""
        with storage.open_result(self.path) as file:
            return storage.groups(file)

    def sizes(self) -> list[tuple[str, dict[str, int], int, int]]:
        """For each group with frames: path, length of each axis, frames written and frames in all."""
        with storage.open_result(self.path) as file:
            found = []
            for path in storage.groups(file):
                done, home = storage.committed(file, path), file[path]
                axes = {
                    name: len(item) for name, item in home.items() if isinstance(item, h5py.Dataset) and item.is_scale
                }
                if done or "committed" in home:
                    found.append((path, axes, done, axes[str(home.attrs["frame"])]))
            return found

    @cached_property
    def plan(self) -> Plan:
        """The problem and its times, from the run file that the result carries."""
        return self._plan or Plan(parse(self.attributes["runfile"], str(self.path)))

    def __getattr__(self, name: str) -> GroupView:
        if name.startswith("_") or f"/{name}" not in self.groups:
            raise AttributeError(f"{self.path} has no group {name!r}; it has {', '.join(self.groups)}")
        return GroupView(self, f"/{name}")

    @property
    def particles(self) -> dict[int, GroupView]:
        """The ensembles, by n."""
        paths = [path for path in self.groups if path.startswith("/particles/n")]
        return {int(path.rsplit("n", 1)[1]): GroupView(self, path) for path in paths}

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts, primary ones first; empty where the run has none (yet)."""
        if "/verdicts" not in self.groups:
            return []
        view = GroupView(self, "/verdicts")
        names = ("name", "statement", "statistic", "low", "high", "predicted", "margin", "paper", "primary")
        columns = {name: getattr(view, name) for name in (*names, "level", "p_value", "note")}
        rows = range(len(columns["name"]))
        return [Verdict(**{name: _plain(column[i]) for name, column in columns.items()}) for i in rows]

    def plot(self, kind: str = "summary") -> "Figure":
        """A matplotlib figure, one of `liouville.plots.KINDS`. Raises ValueError where the file lacks what it shows."""
        from liouville.plots import draw

        return draw(self, kind)

    def __repr__(self) -> str:
        return f"<liouville run {self.path}: {self.attributes['problem']}, {self.status}>"


def _plain(value: Any) -> Any:
    """numpy scalars as Python's; the column `primary` as bool."""
    if isinstance(value, np.integer):
        return bool(value)
    return float(value) if isinstance(value, np.floating) else str(value)
