"""Section 3.1 of the paper: the loss is convex in G and not in the parameters; fixed points that are not minima."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liouville.convexity import Chords
from liouville.escape import SHARE, Escape
from liouville.plots import style


def draw(name: str, chords: Chords, escape: Escape | None) -> Figure:
    """Two panels of chords, and three of what leaves a fixed point where there is one."""
    with style.styled():
        panels = 4 if escape is not None else 2
        title = f"{name}: the loss is convex in $G$, not in the parameters"
        figure = style.figure(
            13, 5.6 * (panels // 2), title + ("; a fixed point is left" if escape is not None else "")
        )
        axes = figure.subplots(panels // 2, 2, squeeze=False)
        _moments(axes[0, 0], chords)
        _parameters(axes[0, 1], chords)
        if escape is not None:
            _growth(axes[1, 0], escape)
            _times(axes[1, 1], escape)
        return figure


def _moments(ax: Axes, chords: Chords) -> None:
    s = chords.s
    first, last = chords.moment[[0, -1]]
    parabola = (1 - s) * first + s * last - 0.5 * chords.curvature * s * (1 - s)
    ax.plot(s, chords.moment, color=style.BLUE, label="loss", linewidth=3, alpha=0.7)
    ax.plot(
        s, parabola, "--", color=style.BLACK, linewidth=1.3, label=r"quadratic, second difference $\|f_{G_1 - G_0}\|^2$"
    )
    ax.plot([0, 1], [first, last], color=style.GREY, linewidth=1, label="its chord, above")
    ax.set_xlabel("$s$ of $(1 - s)\\,G_0 + s\\,G_1$")
    ax.set_ylabel(r"loss $\ell$")
    ax.set_title(f"convex in $G$: second difference {chords.second_difference:.3g}")
    ax.legend()


def _parameters(ax: Axes, chords: Chords) -> None:
    ax.plot(chords.s, chords.parameters, color=style.VERMILLION, label="loss")
    ends = chords.parameters[[0, -1]]
    ax.plot([0, 1], ends, "o-", color=style.GREY, linewidth=1, label="its chord: the same\nnetwork, renumbered")
    ax.set_xlabel("$s$ of $(1 - s)\\,z_i + s\\,z_{i + 1}$")
    ax.set_ylabel(r"loss $\ell$")
    style.decades(ax)
    ax.set_title(f"not convex in the parameters: {chords.barrier:.3g} times the ends")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 0.15))


def _growth(ax: Axes, escape: Escape) -> None:
    for spread, rms, colour in zip(escape.spreads, escape.growth, style.by_time(len(escape.spreads)), strict=True):
        ax.plot(escape.times, rms, color=colour, label=f"spread {spread:.0e}")
        linear = rms[0] * np.exp(escape.rate * escape.times)
        ax.plot(escape.times[linear < 1], linear[linear < 1], "--", color=style.BLACK, linewidth=1)
    ax.plot([], [], "--", color=style.BLACK, linewidth=1, label=r"rate $|F'(y^*)|$")
    ax.set_yscale("log")
    ax.set_xlabel("time $t$")
    ax.set_ylabel("rms along the unstable direction")
    known = escape.rates[np.isfinite(escape.rates)]
    measured = f"measured {known[-1]:.5g}" if known.size else "none measured"
    ax.set_title(f"escape from $y^* = {escape.y[0]:.4f}$: $|F'(y^*)| = {escape.rate:.5g}$, {measured}")
    ax.legend(loc="lower right", ncols=2)


def _times(ax: Axes, escape: Escape) -> None:
    ax.plot(1 / escape.spreads, escape.left, "o", color=style.BLUE, markersize=8, label="measured")
    known = np.flatnonzero(np.isfinite(escape.left))
    if known.size:
        k = known[-1]
        line = escape.left[k] + np.log(escape.spreads[k] / escape.spreads) / escape.rate
        ax.plot(1 / escape.spreads, line, "--", color=style.BLACK, label=r"slope $1/|F'(y^*)|$ through the last")
    ax.set_xscale("log")
    ax.set_xlabel("1 / spread of the start")
    ax.set_ylabel(f"time until the loss is {SHARE:g} of the trap's")
    ax.set_title(f"slope {escape.slope:.5g} $\\pm$ {escape.error:.1g}, predicted {1 / escape.rate:.5g}")
    ax.legend()
