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
    """Snapshots of rho_0 on one colour scale, and mass, positivity and dissipation over time."""
    view, count = require(run, DENSITY)
    shown = spread(count, SNAPSHOTS)
    rho = view.rho[shown]
    figure = style.figure(13, 11, rf"{run.attributes['problem']}: the density $\rho_0(t, y, c)$")
    parts: Any = figure.subfigures(2, 1, height_ratios=[2, 0.9])
    top, bottom = parts
    axes = top.subplots(2, 3)
    norm = scale(rho)
    for k, ax in enumerate(axes.flat):
        if k >= len(shown):
            ax.set_visible(False)
            continue
        mesh = panel(ax, view, shown[k], rho[k], norm)
        if k % 3:
            ax.set_ylabel("")
        ax.set_title(f"$t = {view.time[shown[k]]:g}$")
    bar = top.colorbar(mesh, ax=axes, pad=0.01, aspect=35, extend="min")
    bar.set_label(r"$\rho_0$   (lines: $V = c\,U(y)$ at 10, 30, 60% of its maximum)")
    _diagnostics(bottom.subplots(1, 3), view, count)
    return figure


def final(ax: Axes, run: Run) -> None:
    """The last snapshot, for the summary."""
    view, count = require(run, DENSITY)
    rho = view.rho[count - 1]
    mesh = panel(ax, view, count - 1, rho, scale(rho))
    ax.set_title(rf"density $\rho_0(t, y, c)$ at $t = {view.time[count - 1]:g}$")
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.colorbar(mesh, ax=ax, extend="min")


def scale(rho: Array) -> Normalize:
    """One logarithmic colour scale for all snapshots, with a floor."""
    top = max(float(np.max(rho)), 1e-300)
    return LogNorm(FLOOR * top, top, clip=True)


def panel(ax: Axes, view: GroupView, frame: int, rho: Array, norm: Normalize) -> QuadMesh:
    """rho_0 (Ny, Nc) at one frame, with contour lines of the potential energy V = c U(y)."""
    y, c, U = view.y, view.c, view.potential[frame]
    mesh = ax.pcolormesh(
        y, c, np.maximum(rho.T, ROUNDING), norm=norm, cmap="viridis", shading="nearest", rasterized=True
    )
    V = c[:, None] * U
    reach = float(np.abs(V).max())
    if reach > 0:
        levels = reach * np.array([-0.6, -0.3, -0.1, 0.1, 0.3, 0.6])
        ax.contour(y, c, V, levels=levels, colors="white", linewidths=0.7, alpha=0.45)
    style.angles(ax)
    ax.set_xlabel(r"position $y$")
    ax.set_ylabel(r"weight $c$")
    return mesh


def _diagnostics(axes: Array, view: GroupView, count: int) -> None:
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
    for ax in axes:
        ax.set_xlabel("time $t$")
    for ax in axes[:2]:
        ax.legend()
