"""Colours and type: safe for the colour-blind, readable when a picture is shown at half its size."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

BLACK, GREY = "#000000", "#777777"
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)  # Okabe and Ito's palette, without its yellow
OUTCOMES = {"supported": (GREEN, "o"), "undecided": (ORANGE, "D"), "rejected": (VERMILLION, "X")}
DPI = 150

RC: Any = {
    "font.size": 13,
    "axes.titlesize": 13,
    "axes.labelsize": 14,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 11.5,
    "legend.frameon": True,
    "legend.framealpha": 0.8,
    "legend.edgecolor": "none",
    "legend.handlelength": 1.6,
    "figure.titlesize": 16,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "liouville",
}


def styled() -> AbstractContextManager[None]:
    """The style, for as long as the context lasts: nothing global stays changed."""
    return matplotlib.rc_context(RC)


def figure(width: float, height: float, title: str) -> Figure:
    """An empty figure, in inches."""
    made = Figure(figsize=(width, height), layout="constrained")
    made.suptitle(title)
    return made


def by_size(sizes: Iterable[int]) -> dict[int, str]:
    """n -> colour, dark to light with n."""
    ordered = sorted(sizes)
    shades = np.linspace(0.05, 0.75, len(ordered)) if len(ordered) > 1 else [0.4]
    return {n: matplotlib.colors.to_hex(colormaps["viridis"](shade)) for n, shade in zip(ordered, shades, strict=True)}


def by_time(count: int) -> list[str]:
    """Colours of `count` times, in order; other hues than those of the sizes."""
    shades = np.linspace(0.0, 0.8, count) if count > 1 else [0.6]
    return [matplotlib.colors.to_hex(colormaps["plasma"](shade)) for shade in shades]


def angles(ax: Axes, axis: str = "x") -> None:
    """An axis of angles on [0, 2 pi], with ticks at multiples of pi/2."""
    labels = ["0", r"$\pi/2$", r"$\pi$", r"$3\pi/2$", r"$2\pi$"]
    ticks = np.arange(5) * np.pi / 2
    if axis == "x":
        ax.set_xlim(0, 2 * np.pi)
        ax.set_xticks(ticks, labels)
    else:
        ax.set_ylim(0, 2 * np.pi)
        ax.set_yticks(ticks, labels)


def size_axis(ax: Axes, sizes: Iterable[int]) -> None:
    """A logarithmic axis of n with a tick at every size."""
    ordered = sorted(sizes)
    ax.set_xscale("log")
    ax.set_xlim(ordered[0] / 1.5, ordered[-1] * 1.5)
    ax.set_xticks(ordered[:: -(-len(ordered) // 6)], [f"{n}" for n in ordered[:: -(-len(ordered) // 6)]])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(r"particles $n$")


def legend_above(ax: Axes, share: float, columns: int = 2) -> None:
    """A legend in the upper right corner, with room made for it: `share` of the height of what is drawn."""
    transform = ax.yaxis.get_transform()
    low, high = transform.transform(np.array(ax.get_ylim()))
    ax.set_ylim(top=float(transform.inverted().transform(np.array([high + share * (high - low)]))[0]))
    ax.legend(ncols=columns, loc="upper right", columnspacing=1.0)


def decades(ax: Axes, least: float = 1e-16) -> None:
    """A logarithmic vertical axis that does not go below `least`, where everything is rounding."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high > least > low:
        ax.set_ylim(bottom=least)
