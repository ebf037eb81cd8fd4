"""The central limit theorem path by path: the predicted fluctuation l_n of each replica against the simulated one."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liouville.plots import style
from liouville.plots.clt import theory
from liouville.plots.readings import Samples, mean_field, place, samples, spread
from liouville.results import Run

Array = NDArray[np.floating]

TIMES = 4


def draw(run: Run) -> Figure:
    """One point a replica at four times, for the smallest and the largest n."""
    found = samples(run)
    rows = sorted({min(found), max(found)})
    times, f0 = mean_field(run)
    x, e = where(run)
    shown = spread(len(times), TIMES + 1)[1:] or [0]
    title = f"{run.attributes['problem']}: every replica's fluctuation at ${x}$, where $C$ is largest"
    figure = style.figure(3.6 * len(shown) + 0.6, 3.9 * len(rows) + 0.9, title)
    axes = figure.subplots(len(rows), len(shown), squeeze=False)
    colours = style.by_size(found)
    for row, n in zip(axes, rows, strict=True):
        for ax, s in zip(row, shown, strict=True):
            _scatter(ax, found[n], f0, e, s, colours[n])
            ax.set_title(f"$n = {n}$, $t = {times[s]:.3g}$")
        row[0].set_ylabel(r"simulated $n^{1/2}(f_n - f_0)$")
    for ax in axes[-1]:
        ax.set_xlabel(r"predicted $n^{1/2}\,l_n$")
    return figure


def panel(ax: Axes, run: Run) -> None:
    """The last snapshot at the largest n, for the summary."""
    found = samples(run)
    times, f0 = mean_field(run)
    x, e = where(run)
    n = max(found)
    _scatter(ax, found[n], f0, e, len(times) - 1, style.by_size(found)[n])
    ax.set_xlabel(r"predicted $n^{1/2}\,l_n(x)$")
    ax.set_ylabel(r"simulated $n^{1/2}(f_n - f_0)(x)$")
    ax.set_title(f"each replica, $n = {n}$, $t = {times[-1]:.3g}$, ${x}$")


def where(run: Run) -> tuple[str, Array]:
    """The node x, in words, where C(t, x, x) is largest at the last snapshot, and the basis there, (M,)."""
    problem = run.plan.problem
    covariance = theory(run)[1][-1]
    k = int(np.argmax(np.einsum("ki,ij,kj->k", problem.basis, covariance, problem.basis)))
    return place(problem, k), problem.basis[k]


def _scatter(ax: Axes, some: Samples, f0: Array, e: Array, s: int, colour: str) -> None:
    predicted = np.sqrt(some.n) * (some.path[:, s] @ e)
    simulated = np.sqrt(some.n) * ((some.f[:, s] - f0[s]) @ e)
    reach = 1.05 * float(max(np.abs(predicted).max(), np.abs(simulated).max(), 1e-300))
    ax.plot([-reach, reach], [-reach, reach], color=style.BLACK, linewidth=1, zorder=1)
    size = float(np.clip(4e3 / some.count, 3, 20))
    ax.scatter(
        predicted,
        simulated,
        s=size,
        color=colour,
        alpha=0.5 if some.count > 200 else 0.9,
        linewidths=0,
        rasterized=True,
        zorder=2,
    )
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")
    ax.locator_params(nbins=5)
    ax.text(0.05, 0.95, _agreement(predicted, simulated), transform=ax.transAxes, va="top", zorder=3)


def _agreement(predicted: Array, simulated: Array) -> str:
    """The correlation, with as many digits as tell it from 1."""
    if predicted.size < 3 or min(predicted.std(), simulated.std()) == 0:
        return f"{predicted.size} replicas"
    correlation = float(np.corrcoef(predicted, simulated)[0, 1])
    return f"correlation\n{correlation:.3f}" if correlation < 0.9995 else f"correlation\n{correlation:.6f}"
