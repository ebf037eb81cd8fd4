"""Almost sure convergence along growing samples: sup_t ||f_n - f_0|| against n, each replica one line."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from liouville.judgement.sample import Suprema, envelope
from liouville.plots import style
from liouville.plots.clt import theory
from liouville.plots.readings import samples
from liouville.results import Run

Array = NDArray[np.floating]

MARKERS = "osD^vP"
MOST = 6  # replicas that are drawn


def draw(run: Run) -> Figure:
    """The suprema, the same times n^(1/2), and one replica over time. Raises ValueError where sizes are not nested."""
    suprema = _suprema(run)
    shown = min(MOST, len(suprema.values))
    title = f"{run.attributes['problem']}: almost sure convergence along {shown} growing samples"
    figure = style.figure(17, 6, title)
    left, middle, right = figure.subplots(1, 3)
    panel(left, run, suprema)
    _scaled(middle, run, suprema)
    _over_time(right, run)
    return figure


def nested(run: Run) -> bool:
    """Whether the sizes of a run are nested."""
    particles = run.plan.run.particles
    return particles is not None and particles.nested


def panel(ax: Axes, run: Run, suprema: Suprema | None = None) -> None:
    """sup_t ||f_n - f_0|| against n with n^(-1/2) and the envelope of the iterated logarithm."""
    suprema = suprema or _suprema(run)
    largest, trace = _largest(run)
    n = np.geomspace(suprema.sizes[0], suprema.sizes[-1], 200)
    _lines(ax, suprema.sizes, suprema.values)
    ax.plot(n, np.sqrt(trace / n), "--", color=style.BLACK, linewidth=1.4, label=r"$(\max_t\,\mathrm{tr}\,C/n)^{1/2}$")
    ax.plot(n, envelope(n, largest), color=style.BLACK, linewidth=1.4, label=r"$(2\lambda\log\log n/n)^{1/2}$")
    ax.set_yscale("log")
    _n_axis(ax)
    ax.set_ylabel(r"$\sup_t\ \|f_n - f_0\|$")
    slope = np.polyfit(np.log(suprema.sizes), np.log(suprema.values).T, 1)[0] if suprema.sizes.size > 1 else [np.nan]
    ax.set_title(f"slopes ${np.min(slope):.2f}$ ... ${np.max(slope):.2f}$ ($-1/2$ predicted)")
    ax.legend(loc="lower left")


def _scaled(ax: Axes, run: Run, suprema: Suprema) -> None:
    largest, trace = _largest(run)
    n = np.geomspace(suprema.sizes[0], suprema.sizes[-1], 200)
    _lines(ax, suprema.sizes, suprema.scaled)
    ax.plot(n, np.full(n.shape, np.sqrt(trace)), "--", color=style.BLACK, linewidth=1.4, label="rms of the limit")
    ax.plot(n, np.sqrt(n) * envelope(n, largest), color=style.BLACK, linewidth=1.4, label="iterated logarithm")
    for verdict in run.verdicts:
        if verdict.name == "sample-bound":
            ax.axhline(
                verdict.predicted, color=style.VERMILLION, linewidth=1.4, linestyle=":", label="99% bound, all together"
            )
    ax.set_ylim(bottom=0)
    _n_axis(ax)
    ax.set_ylabel(r"$n^{1/2}\ \sup_t\ \|f_n - f_0\|$")
    ax.set_title("the same times $n^{1/2}$: bounded, as the CLT says")
    style.legend_above(ax, 0.35, 2)


def _over_time(ax: Axes, run: Run) -> None:
    found = samples(run)
    colours = style.by_size(found)
    ordered = list(found)
    shown = set(ordered[:: max(1, len(ordered) // 5)]) | {ordered[-1]}
    for n, some in found.items():
        label = f"$n = {n}$" if n in shown else None
        times = np.asarray(some.view.time)
        ax.plot(times, np.sqrt(some.deviation[0]), color=colours[n], linewidth=1.4, label=label)
    ax.set_yscale("log")
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"$\|f_n - f_0\|$")
    ax.set_title("the first sample over time, every $n$")
    style.legend_above(ax, 0.25, 2)


def _lines(ax: Axes, sizes: Array, values: Array) -> None:
    colours = [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.SKY, style.VERMILLION]
    for k, row in enumerate(values[:MOST]):
        label = f"sample {k + 1}"
        ax.plot(sizes, row, color=colours[k], marker=MARKERS[k], markersize=5, linewidth=1.2, label=label)


def _n_axis(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator())
    ax.set_xlabel("particles $n$")


def _suprema(run: Run) -> Suprema:
    if not nested(run):
        raise ValueError(f"{run.path}: its sizes are not nested; `[particles] nested = true` and `liouville simulate`")
    return Suprema.of({n: some.deviation for n, some in samples(run).items()})


def _largest(run: Run) -> tuple[float, float]:
    """The largest eigenvalue and the largest trace of C(t, t) at any snapshot."""
    _, covariance = theory(run)
    return float(np.linalg.eigvalsh(covariance).max()), float(np.einsum("sii->s", covariance).max())
