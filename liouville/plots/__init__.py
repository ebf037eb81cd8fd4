"""Pictures of a result file: `draw(run, kind)` makes a matplotlib figure, `save` writes it.

Nothing global is touched: no pyplot, no backend, no rcParams. Of a run in progress, what is committed is drawn.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from liouville.beside import aside
from liouville.plots import (
    clt,
    convergence,
    correction,
    density,
    distance,
    healing,
    lln,
    loss,
    paths,
    representation,
    sample,
    study,
    style,
    summary,
)
from liouville.results import Run

__all__ = ["KINDS", "draw", "save"]

PICTURES: dict[str, Callable[[Run], Figure]] = {
    "summary": summary.draw,
    "density": density.draw,
    "representation": representation.draw,
    "lln": lln.draw,
    "clt": clt.draw,
    "paths": paths.draw,
    "healing": healing.draw,
    "correction": correction.draw,
    "study": study.draw,
    "loss": loss.draw,
    "distance": distance.draw,
    "sample": sample.draw,
    "convergence": convergence.draw,
}
KINDS: tuple[str, ...] = tuple(PICTURES)
SUFFIXES: dict[str, dict[str, Any]] = {
    ".png": {},
    ".pdf": {"metadata": {"CreationDate": None}},
    ".svg": {"metadata": {"Date": None}},
}  # without dates: equal results make equal pictures


def draw(run: Run, kind: str) -> Figure:
    """The picture of one of KINDS. ValueError, in one line: another kind, or the file lacks what it shows."""
    if kind not in PICTURES:
        raise ValueError(f"kind: must be one of {', '.join(KINDS)}, not {kind!r}")
    with style.styled():
        return PICTURES[kind](run)


def save(run: Run, kind: str, path: str | Path) -> None:
    """Draw and write by suffix (.png, .pdf, .svg), aside and then moved into place; ValueError as for `draw`."""
    _suffix(Path(path))
    write(draw(run, kind), path)


def write(figure: Figure, path: str | Path) -> None:
    """Write a figure by suffix, aside and then moved into place. Raises ValueError for another suffix."""
    path = Path(path)
    suffix = _suffix(path)
    with style.styled(), aside(path) as new:
        figure.savefig(new, format=suffix[1:], dpi=style.DPI, **SUFFIXES[suffix])


def _suffix(path: Path) -> str:
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: a picture is {', '.join(SUFFIXES)}, not {path.suffix or 'a name without suffix'!r}")
    return path.suffix.lower()
