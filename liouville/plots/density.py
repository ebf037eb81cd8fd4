"""The density rho_0(t, y, c) that solves (12), and what the equation keeps of it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liouville.plots import style
from liouville.plots.readings import DENSITY, require, spread
from liouville.results import GroupView, Run

Array = NDArray[np.floating]

SNAPSHOTS = 6
FLOOR = 1e-3  # of the largest value: the lowest that the colours tell apart
ROUNDING = 1e-17


def draw(run: Run) -> Figure:
    """Snapshots of rho_0 on one colour scale, and mass, positivity, dissipation and errors over time."""
    view, count = require(run, DENSITY)
    names = axes_of(view)
    planes = [(names[0], "c")] if len(names) == 2 else [*((y, "c") for y in names[:-1]), (names[0], names[1])]
    rows = 2 if len(planes) == 1 else len(planes)
    shown = spread(count, 3 * rows if len(planes) == 1 else 3)
    figure = style.figure(13, 4.6 * rows + 2.6, rf"{run.attributes['problem']}: the density $\rho_0(t, y, c)$")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.15 * rows, 0.9])
    top, bottom = parts
    axes = top.subplots(rows, 3, squeeze=False)
    panels = [(plane, k) for plane in planes for k in shown]
    for group in range(len(planes)):
        these = panels[group * len(shown) : (group + 1) * len(shown)]
        marginals = [marginal(view, k, plane) for plane, k in these]
        norm = scale(np.array(marginals))
        where = axes if len(planes) == 1 else axes[group : group + 1]
        for ax in where.flat[len(these) :]:
            ax.set_visible(False)
        for column, (ax, (plane, k), rho) in enumerate(zip(where.flat, these, marginals, strict=False)):
            mesh = panel(ax, run, view, k, plane, rho, norm)
            if column % 3:
                ax.set_ylabel("")
            ax.set_title(f"$t = {view.time[k]:g}$")
        bar = top.colorbar(mesh, ax=list(where.flat), pad=0.01, aspect=35 if len(planes) == 1 else 15, extend="min")
        lines = r"   (lines: $V = c\,U(y)$ at 10, 30, 60% of its maximum)" if len(names) == 2 else ""
        bar.set_label((r"$\rho_0$" if len(names) == 2 else "marginal density") + lines)
    _diagnostics(bottom.subplots(1, 4), run, view, count)
    return figure


def final(ax: Axes, run: Run) -> None:
    """The last snapshot over the first component of y and c, for the summary."""
    view, count = require(run, DENSITY)
    plane = (axes_of(view)[0], "c")
    rho = marginal(view, count - 1, plane)
    mesh = panel(ax, run, view, count - 1, plane, rho, scale(rho))
    of = r"$\rho_0(t, y, c)$" if len(axes_of(view)) == 2 else "of $(y_1, c)$"
    ax.set_title(rf"density {of} at $t = {view.time[count - 1]:g}$")
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.colorbar(mesh, ax=ax, extend="min")


def axes_of(view: GroupView) -> list[str]:
    """Names of the axes of rho_0: y or y1, y2, ..., then c."""
    return [*(name for name in ("y", "y1", "y2", "y3") if name in view.variables), "c"]


def marginal(view: GroupView, frame: int, plane: tuple[str, str]) -> Array:
    """rho_0 at a frame, integrated over all axes but the two of `plane`."""
    names = axes_of(view)
    rho = view.rho[frame]
    for a in reversed(range(len(names))):
        if names[a] not in plane:
            places = getattr(view, names[a])
            rho = rho.sum(axis=a) * (places[1] - places[0])
    return np.asarray(rho)


def scale(rho: Array) -> Normalize:
    """One logarithmic colour scale for all snapshots, with a floor."""
    top = max(float(np.max(rho)), 1e-300)
    return LogNorm(FLOOR * top, top, clip=True)


def panel(
    ax: Axes, run: Run, view: GroupView, frame: int, plane: tuple[str, str], rho: Array, norm: Normalize
) -> QuadMesh:
    """rho_0 over two of its axes at one frame; on (y, c) with contour lines of the potential energy V = c U(y)."""
    across, up = (getattr(view, name) for name in plane)
    mesh = ax.pcolormesh(
        across, up, np.maximum(rho.T, ROUNDING), norm=norm, cmap="viridis", shading="nearest", rasterized=True
    )
    if len(axes_of(view)) == 2:
        V = up[:, None] * view.potential[frame]
        reach = float(np.abs(V).max())
        if reach > 0:
            levels = reach * np.array([-0.6, -0.3, -0.1, 0.1, 0.3, 0.6])
            ax.contour(across, up, V, levels=levels, colors="white", linewidths=0.7, alpha=0.45)
    if run.plan.problem.unit.circle:
        style.angles(ax)
    ax.set_xlabel(_label(plane[0]))
    ax.set_ylabel(_label(plane[1]))
    return mesh


def _label(name: str) -> str:
    if name == "c":
        return "weight $c$"
    return f"position $y_{name[1]}$" if name[1:] else "position $y$"


def _diagnostics(axes: Array, run: Run, view: GroupView, count: int) -> None:
    time = view.time[:count]
    mass, minimum = view.mass[:count], view.minimum[:count]
    drift, undershoot = np.abs(mass - mass[0]), np.maximum(-minimum, 0)
    axes[0].plot(
        time, np.maximum(drift, ROUNDING), color=style.BLUE, label=r"mass drift $|\int\rho_0 - \int\rho_{in}|$"
    )
    axes[0].plot(
        time, np.maximum(undershoot, ROUNDING), "--", color=style.VERMILLION, label=r"undershoot $-\min\rho_0$"
    )
    axes[0].set_yscale("log")
    axes[0].set_ylim(ROUNDING / 2, max(1e-11, 100 * float(max(drift.max(), undershoot.max()))))
    axes[0].set_title(f"drift up to {drift.max():.0e}, undershoot {undershoot.max():.0e}")
    axes[0].set_ylabel("at least $10^{-17}$")
    loss, dissipation = view.loss[:count], view.dissipation[:count]
    axes[1].plot(time, loss, color=style.BLUE, label=r"loss $\ell(t)$")
    axes[1].plot(time, dissipation, "--", color=style.VERMILLION, label=r"dissipation $-d\ell/dt$")
    style.decades(axes[1])
    axes[1].set_title(f"loss from {loss[0]:.2g} to {loss[-1]:.2g}")
    balance = loss[0] - view.dissipated[:count]
    defect = np.abs(loss - balance)
    axes[2].plot(time[1:], np.maximum(defect[1:], ROUNDING), color=style.BLUE)
    axes[2].set_yscale("log")
    axes[2].set_title(f"energy balance holds to {defect.max():.0e}")
    axes[2].set_ylabel(r"$|\ell - \ell_{in} + \int_0^t$ dissipation$|$")
    _errors(axes[3], run)
    for ax in axes:
        ax.set_xlabel("time $t$")
    for ax in axes[:2]:
        ax.legend()


def _errors(ax: Axes, run: Run) -> None:
    """Estimated errors of f_0 and of rho_0 itself, which is far larger late."""
    if "/density_error" not in run.groups:
        ax.set_title("errors: not estimated yet")
        return
    view, count = require(run, "/density_error")
    for values, colour, dashes, label in (
        (view.rho_error, style.VERMILLION, "--", r"$\rho_0$ in $L^1$"),
        (view.f_error, style.BLUE, "-", r"$f_0$ in $L^2(\mu)$"),
    ):
        ax.plot(view.time[:count], np.maximum(values[:count], ROUNDING), dashes, color=colour, label=label)
    ax.set_yscale("log")
    ax.set_title("estimated errors")
    ax.legend()
