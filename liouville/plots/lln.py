"""Law of large numbers: f_n - f_0 against n."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liouville.judgement import LEVEL
from liouville.plots import style
from liouville.plots.moments import Collapse, pointwise, positive
from liouville.plots.readings import spread
from liouville.results import Run
from liouville.statistics import critical

Array = NDArray[np.floating]

TIMES = 4


def draw(run: Run) -> Figure:
    """The rms of f_n - f_0 against n, and its square times n over tr C."""
    collapse = Collapse.of(run)
    figure = style.figure(13, 6, f"{run.attributes['problem']}: law of large numbers, bars are 99% intervals")
    left, right = figure.subplots(1, 2)
    _rms(left, collapse)
    panel(right, collapse, TIMES)
    return figure


def _rms(ax: Axes, collapse: Collapse) -> None:
    sizes = np.array(collapse.sizes, dtype=float)
    n = np.geomspace(sizes[0] / 1.3, sizes[-1] * 1.3, 200)
    shown = spread(len(collapse.times), TIMES)
    for s, colour in zip(shown, style.by_time(len(shown)), strict=True):
        value, low, high = _at(collapse, s)
        rms = np.sqrt(value / sizes)
        bars = [rms - np.sqrt(low / sizes), np.sqrt(high / sizes) - rms]
        ax.errorbar(sizes, rms, bars, fmt="o", color=colour, capsize=3, label=f"$t = {collapse.times[s]:.3g}$")
        ax.plot(n, np.sqrt(collapse.trace[s] / n), "--", color=colour, linewidth=1.2)
        ax.plot(n, np.sqrt(np.maximum(_curve(collapse, s, n), 0) / n), color=colour, linewidth=1.2)
    ax.plot([], [], "--", color=style.GREY, label=r"predicted $(\mathrm{tr}\,C/n)^{1/2}$")
    ax.plot([], [], color=style.GREY, label=_law(len(sizes)))
    ax.set_yscale("log")
    style.size_axis(ax, collapse.sizes)
    ax.set_ylabel(r"$(E\|f_n - f_0\|^2)^{1/2}$")
    slope = collapse.slope()
    if slope is None:
        ax.set_title("size of $f_n - f_0$")
    else:
        first, last = collapse.times[[0, -1]]
        ax.set_title(f"fitted slope ${slope[0]:.2f}$ at $t = {first:.3g}$, ${slope[-1]:.2f}$ at $t = {last:.3g}$")
    style.legend_above(ax, 0.3)


def panel(ax: Axes, collapse: Collapse, times: int) -> None:
    """n E||f_n - f_0||^2/tr C against n, and its limit."""
    sizes = np.array(collapse.sizes, dtype=float)
    n = np.geomspace(sizes[0] / 1.3, sizes[-1] * 1.3, 200)
    shown = spread(len(collapse.times), times)
    ax.axhline(1, color=style.BLACK, linestyle="--", linewidth=1.2, label="predicted limit 1")
    for k, (s, colour) in enumerate(zip(shown, style.by_time(len(shown)), strict=True)):
        value, low, high = _at(collapse, s) / collapse.trace[s]
        beside = 1.03 ** (k - (len(shown) - 1) / 2)  # each time a little aside, or the bars hide each other
        ax.errorbar(beside * sizes, value, [value - low, high - value], fmt="o", color=colour, capsize=3)
        curve = _curve(collapse, s, n) / collapse.trace[s]
        ax.plot(beside * n, curve, color=colour, linewidth=1.2, label=f"$t = {collapse.times[s]:.3g}$")
    style.size_axis(ax, collapse.sizes)
    ax.set_ylabel(r"$n\,E\|f_n - f_0\|^2 / \mathrm{tr}\,C$")
    last = collapse.leading().at(-1)
    a, b = (float(end[0]) for end in positive(last, critical(last, LEVEL)))
    limit = "extrapolates to" if len(sizes) > 1 else "one size:"
    ax.set_title(f"at $t = {collapse.times[-1]:.3g}$ {limit} {last.value[0]:.3f} in [{a:.3f}, {b:.3f}]")
    style.legend_above(ax, 0.2)


def _at(collapse: Collapse, s: int) -> Array:
    """n E||f_n - f_0||^2 at snapshot s for every n with its 99% interval, (3, sizes)."""
    rows = []
    for n in collapse.sizes:
        one = collapse.square(n).at(s)
        rows.append([one.value[0], *(float(end[0]) for end in pointwise(one))])
    return np.array(rows).T


def _curve(collapse: Collapse, s: int, n: Array) -> Array:
    """The fitted a + b/n + d/n^2."""
    return np.asarray(sum(a * n**-k for k, a in enumerate(collapse.fit(s))))


def _law(sizes: int) -> str:
    return "fit $(" + " + ".join(["A/n", "B/n^2", "D/n^3"][: min(3, sizes)]) + ")^{1/2}$"
