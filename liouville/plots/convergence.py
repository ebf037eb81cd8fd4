"""A convergence study: errors of f_0 against cells and against seconds, undershoots, and the fitted orders."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liouville.plots import style
from liouville.plots.readings import require
from liouville.results import Run

Array = NDArray[np.floating]

LOOKS = {
    "finite-volume": (style.BLUE, "o", "-", "finite volumes"),
    "semi-lagrangian": (style.VERMILLION, "s", "-", "semi-Lagrangian"),
    "uncorrected": (style.SKY, "v", "--", "finite volumes, no corrections"),
    "unlimited": (style.GREEN, "^", "--", "finite volumes, no limiter"),
    "characteristics": (style.GREY, "x", ":", "characteristics"),
}
SMALLEST = 1e-17


def draw(run: Run) -> Figure:
    """Three panels: error against cells an axis with fitted orders, error against seconds, undershoot against cells."""
    figure = style.figure(
        17, 6, f"{run.attributes['problem']}: convergence of $f_0$, the largest error at any snapshot"
    )
    cells, seconds, minimum = figure.subplots(1, 3)
    orders = _orders(run)
    for name, (colour, marker, line, label) in LOOKS.items():
        view, count = require(run, f"/convergence/{name}")
        if count == 0:
            continue
        n, errors = view.cells[:count, 0], view.largest_error[:count]
        text = f"{label}: {orders[name]}" if name in orders else label
        look = {"color": colour, "marker": marker, "linestyle": line}
        cells.loglog(n, errors, label=text, **look)
        seconds.loglog(view.seconds[:count], errors, label=label, **look)
        if name != "characteristics":
            minimum.loglog(n, np.maximum(-view.minimum[:count], SMALLEST), label=label, **look)
    _slopes(cells, run)
    cells.set_xlabel("cells (nodes) along $y$")
    cells.set_ylabel(r"error of $f_0$ in $L^2(\mu)$")
    cells.set_title("against cells, with the order fitted at the fine end")
    seconds.set_xlabel("seconds")
    seconds.set_title("against time")
    minimum.set_xlabel("cells along $y$")
    minimum.set_ylabel("largest undershoot, at least $10^{-17}$")
    minimum.set_title(r"positivity: $-\min \rho_0$")
    cells.legend(loc="lower left")
    minimum.legend(loc="center left")
    return figure


def _orders(run: Run) -> dict[str, str]:
    if "/convergence_orders" not in run.groups:
        return {}
    view = run.convergence_orders
    rows = zip(view.name, view.order, view.low, view.high, strict=True)
    return {
        str(name): f"{order:.1f} ({low:.1f} .. {high:.1f})" if np.isfinite(order) else "no order"
        for name, order, low, high in rows
    }


def _slopes(ax: Axes, run: Run) -> None:
    """Lines of order 2 and 4 for the eye."""
    view, count = require(run, "/convergence/finite-volume")
    n, errors = view.cells[:count, 0].astype(float), view.largest_error[:count]
    for order in (2, 4):
        ax.loglog(n, 3 * errors[0] * (n / n[0]) ** -order, color=style.BLACK, linewidth=0.8, alpha=0.5)
        ax.annotate(
            f"{order}", (n[-1], 3 * errors[0] * (n[-1] / n[0]) ** -order), xytext=(4, 0), textcoords="offset points"
        )
