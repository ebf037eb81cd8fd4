"""What the particles and the density represent, f_n of (1) and f_0 of (14), against the target f."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liouville.plots import style
from liouville.plots.readings import PARTICLES, inputs, mean_field, measured, present, samples, spread
from liouville.results import Run

TIMES = 5


def draw(run: Run) -> Figure:
    """f_0 at several times and one f_n against f; the norm of the residuals over time."""
    figure = style.figure(13, 5.6, f"{run.attributes['problem']}: from the initial representation to the target")
    left, right = figure.subplots(1, 2)
    panel(left, run, TIMES)
    _residuals(right, run)
    return figure


def panel(ax: Axes, run: Run, snapshots: int) -> None:
    """f, f_0 at some snapshots and the last f_n of the first replica of the smallest n, over x."""
    problem = run.plan.problem
    times, f0 = mean_field(run)
    at, data = inputs(problem), measured(problem)
    x, basis = at.positions, at.basis
    shown = spread(len(times), snapshots)
    if data is not None:
        ax.plot(*data, "o", color=style.GREY, markersize=4, label=r"data $f(x)$", zorder=3)
    else:
        ax.plot(x, at.target, color="#bbbbbb", linewidth=6, label="target $f(x)$", zorder=1)
    for k, colour in zip(shown, style.by_time(len(shown)), strict=True):
        ax.plot(x, basis @ f0[k], color=colour, label=rf"$f_0$, $t = {times[k]:.3g}$", zorder=2)
    if present(run, PARTICLES):
        n, some = next(iter(samples(run).items()))
        ax.plot(x, basis @ some.f[0, -1], ":", color=style.BLACK, label=f"one $f_n$, $n = {n}$,\n$t = {times[-1]:.3g}$")
    if at.angle:
        style.angles(ax)
    style.legend_above(ax, 0.42)
    ax.set_xlabel(at.label)
    ax.set_ylabel(r"$f(x),\ f_0(t, x),\ f_n(t, x)$")
    size = float(problem.weights @ problem.f**2)
    share = 100 * np.sqrt(2 * float(problem.loss(f0[-1])) / size) if size else np.inf
    whom = "the target" if data is None else "the data"
    ax.set_title(f"$f_0$ at $t = {times[-1]:.3g}$: {share:.2g}% from {whom}")


def _residuals(ax: Axes, run: Run) -> None:
    problem = run.plan.problem
    times, f0 = mean_field(run)
    residual = np.sqrt(2 * np.maximum(problem.loss(f0), 0))
    if present(run, PARTICLES):
        found = samples(run)
        for n, colour in style.by_size(found).items():
            norm = np.sqrt(2 * np.maximum(found[n].loss, 0)).mean(axis=0)
            ax.plot(times, norm, color=colour, label=rf"mean of $\|f_n - f\|$, $n = {n}$")
    ax.plot(times, residual, "--", color=style.BLACK, label=r"$\|f_0 - f\|$")
    floor = np.sqrt(2 * problem.floor)
    if floor > 1e-10:
        ax.axhline(floor, color=style.GREY, linewidth=1, linestyle=":", label="distance of $f$ from the span")
    style.decades(ax)
    ax.legend()
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"norm of the residual in $L^2(\mu)$")
    ax.set_title(rf"$\|f_0 - f\|$ from {residual[0]:.2g} to {residual[-1]:.2g}")
