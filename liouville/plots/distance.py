"""Particles against rho_0 as densities: the distance of all particles of a replica against n, and its floor."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liouville.plots import style
from liouville.plots.moments import pointwise
from liouville.plots.readings import Samples, samples
from liouville.results import Run
from liouville.statistics import combine

Array = NDArray[np.floating]

KINDS = (
    ("density", r"$D^2$ of the particles from $\rho_0$"),
    ("moment", r"$D_G^2$ of their moment $G_n$ from $G(y) = \int c\,\rho_0(y, c)\,dc$"),
)


def draw(run: Run) -> Figure:
    """Two panels: the density and its moment G. Raises ValueError where the file has no distances."""
    found = samples(run)
    if any("density_distance" not in some.view.variables for some in found.values()):
        raise ValueError(f"{run.path}: has no density_distance; a new run writes it")
    title = f"{run.attributes['problem']}: $n$ particles against $\\rho_0$, bars are 99% intervals"
    figure = style.figure(13, 6, title)
    for ax, (kind, what) in zip(figure.subplots(1, 2), KINDS, strict=True):
        panel(ax, found, kind)
        ax.set_title(what)
    return figure


def panel(ax: Axes, found: dict[int, Samples], kind: str) -> None:
    """D^2 against n at both ends of the run, that of independent draws, and what the fluctuation theory predicts."""
    looks = (("the start", style.SKY, "o"), ("the end", style.VERMILLION, "s"))
    sizes = np.array(list(found), dtype=float)
    lines: dict[str, list[tuple[float, float, float]]] = {name: [] for name, _, _ in looks}
    floors, limits = [], []
    for some in found.values():
        values = some.measured(f"{kind}_distance")
        floors.append(getattr(some.view, f"{kind}_floor"))
        limits.append(getattr(some.view, f"{kind}_limit"))
        for end, (name, _, _) in enumerate(looks):
            estimate = combine([values[:, [end]]])
            low, high = (float(part[0]) for part in pointwise(estimate))
            lines[name].append((float(estimate.value[0]), low, high))
    predicted = "predicted at the end, order $1/n$"
    ax.plot(sizes, np.array(limits)[:, 1], color=style.BLACK, linewidth=1.3, label=predicted)
    for k, (name, colour, marker) in enumerate(looks):
        value, low, high = np.array(lines[name]).T
        beside = 1.05 ** (k - 0.5)
        ax.errorbar(
            beside * sizes, value, [value - low, high - value], fmt=marker, color=colour, capsize=3, label=f"at {name}"
        )
        label = f"independent draws of $\\rho_0$ at {name}"
        ax.plot(sizes, np.array(floors)[:, k], "--" if k else "-", color=colour, linewidth=1.3, label=label)
    ax.set_yscale("log")
    style.size_axis(ax, found)
    ax.set_ylabel("mean squared distance")
    style.legend_above(ax, 0.35, 1)
