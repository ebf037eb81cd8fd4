"""Healing of the fluctuations (Prop. 3.3): n E||f_n - f_0||^2 over time, while tr C(t) falls."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liouville.judgement import LEVEL
from liouville.plots import style
from liouville.plots.moments import Collapse, pointwise, positive
from liouville.results import Run
from liouville.statistics import combine, critical, median
from liouville.verdicts import DIAGNOSTIC

MARGIN = 0.1  # of the verdict


def draw(run: Run) -> Figure:
    """The collapse on tr C, the extrapolated ratio and the remainder of the paths."""
    collapse = Collapse.of(run)
    figure = style.figure(17, 5.8, f"{run.attributes['problem']}: healing, $n^{{1/2}}(f_n - f_0)$ over time")
    left, middle, right = figure.subplots(1, 3)
    panel(left, collapse)
    _ratio(middle, collapse)
    _remainder(right, collapse)
    return figure


def panel(ax: Axes, collapse: Collapse) -> None:
    """n E||f_n - f_0||^2 over time for every n, with 99% intervals, and tr C; dotted, the median in place of the mean.

    They part where the tail is heavy: a few replicas then carry the mean.
    """
    for n, colour in style.by_size(collapse.sizes).items():
        estimate = collapse.square(n)
        low, high = pointwise(estimate)
        ax.fill_between(collapse.times, low, high, color=colour, alpha=0.3, linewidth=0)
        ax.plot(collapse.times, estimate.value, color=colour, label=f"$n = {n}$")
        low, value, high = median(n * collapse.samples[n].deviation, DIAGNOSTIC)
        ax.fill_between(collapse.times, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.plot(collapse.times, value, ":", color=colour)
    ax.plot([], [], ":", color=style.GREY, label="medians over replicas")
    ax.plot(collapse.times, collapse.trace, "--", color=style.BLACK, label=r"predicted $\mathrm{tr}\,C(t)$")
    style.decades(ax)
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"$n\,E\|f_n - f_0\|^2$")
    ax.set_title(rf"$\mathrm{{tr}}\,C$ falls to {collapse.trace[-1] / collapse.trace[0]:.2g} of its start")
    ax.legend()


def _ratio(ax: Axes, collapse: Collapse) -> None:
    estimate = collapse.leading()
    low, high = positive(estimate, critical(estimate, LEVEL))
    ax.axhspan(1 - MARGIN, 1 + MARGIN, color=style.GREY, alpha=0.2, linewidth=0, label=rf"margin $\pm{MARGIN:g}$")
    ax.axhline(1, color=style.BLACK, linestyle="--", linewidth=1.2)
    band = f"{100 * LEVEL:g}% band, all times together"
    ax.fill_between(collapse.times, low, high, color=style.BLUE, alpha=0.35, linewidth=0, label=band)
    ax.plot(collapse.times, estimate.value, color=style.BLUE, label=r"$\hat A/\mathrm{tr}\,C$")
    ends = np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)], [1 - 2 * MARGIN, 1 + 2 * MARGIN]])
    ax.set_ylim(max(0.0, float(ends.min())), min(3.0, float(ends.max())))
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"$\hat A(t)/\mathrm{tr}\,C(t)$, extrapolated to $n = \infty$")
    inside = np.all((low >= 1 - MARGIN) & (high <= 1 + MARGIN))
    ax.set_title(
        "the limit is $\\mathrm{tr}\\,C(t)$ within 10%" if inside else "the limit against $\\mathrm{tr}\\,C(t)$"
    )
    ax.legend(loc="upper left")


def _remainder(ax: Axes, collapse: Collapse) -> None:
    times, trace = collapse.times[1:], collapse.trace[1:]
    for n, square in collapse.remainder().items():
        estimate = combine([square]).scaled(1 / trace)
        low, high = pointwise(estimate)
        colour = style.by_size(collapse.sizes)[n]
        ax.fill_between(times, low, high, color=colour, alpha=0.3, linewidth=0)
        ax.plot(times, estimate.value, color=colour, label=f"$n = {n}$")
    style.decades(ax)
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"$n^2\,E\|f_n - f_0 - l_n\|^2 / \mathrm{tr}\,C$")
    slope = collapse.remainder_slope()
    if slope is None:
        ax.set_title("remainder of the predicted paths")
    else:
        last = slope.at(-1)
        half = critical(last, DIAGNOSTIC) * last.error[0]
        ax.set_title(
            f"paths: slope in $\\log n$ at $t = {times[-1]:.3g}$: ${last.value[0]:.2f} \\pm {half:.2f}$\n"
            "(0: bounded in $n$; 1: wrong theory)"
        )
    ax.legend(loc="lower right")
