"""The next order in 1/n: mean field, mean field + f_1/n, simulation; the size of the fluctuations, with its bands."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liouville.plots import style
from liouville.plots.moments import Collapse, positive
from liouville.plots.readings import FLUCTUATIONS, coefficients, inputs, mean_field, place, require, samples
from liouville.results import Run
from liouville.statistics import combine, critical
from liouville.verdicts import DIAGNOSTIC

Array = NDArray[np.floating]


def draw(run: Run) -> Figure:
    """At one x against n; f_1(x) predicted and measured; ||f_n - f_0|| over time. ValueError where f_1 is not there."""
    figure = style.figure(17, 5.8, f"{run.attributes['problem']}: the next order in $1/n$")
    left, middle, right = figure.subplots(1, 3)
    _at_one_input(left, run)
    _everywhere(middle, run)
    _over_time(right, run)
    return figure


def f_1(run: Run) -> tuple[Array, Array]:
    """Times (S,) and coefficients (S, M) of f_1. Raises ValueError where the run did not compute it."""
    view, count = require(run, FLUCTUATIONS)
    if "mean_correction" not in view.variables:
        raise ValueError(f"{run.path}: has no next order in 1/n; a run with solver.next_order = true computes it")
    return view.time[:count], coefficients(run.plan.problem, view.x, view.mean_correction[:count])


def _at_one_input(ax: Axes, run: Run) -> None:
    """E f_n(x) at the last snapshot and the node where f_1 is largest, with 99% intervals by f_n - l_n."""
    found, problem = samples(run), run.plan.problem
    times, f0 = mean_field(run)
    order = f_1(run)[1]
    node = int(np.argmax(np.abs(problem.basis @ order[-1])))
    e = problem.basis[node]
    for n, colour in style.by_size(found).items():
        some = found[n]
        estimate = combine([((some.f[:, -1] - some.path[:, -1]) @ e)[:, None]])
        half = critical(estimate, DIAGNOSTIC) * estimate.error
        ax.errorbar(n, estimate.value, half, fmt="o", color=colour, capsize=4, zorder=3)
    ax.errorbar([], [], [], fmt="o", color=style.GREY, capsize=4, label="simulation, 99%")
    sizes = np.geomspace(min(found) / 1.5, 1.5 * max(found), 200)
    ax.axhline(f0[-1] @ e, color=style.BLACK, linewidth=1.4, label="mean field $f_0$")
    ax.plot(sizes, (f0[-1] + order[-1] / sizes[:, None]) @ e, "--", color=style.BLUE, label="$f_0 + f_1/n$, computed")
    style.size_axis(ax, found)
    ax.set_ylabel("$E f_n(x)$")
    ax.set_title(f"at ${place(problem, node)}$, $t = {times[-1]:.3g}$")
    ax.legend()


def _everywhere(ax: Axes, run: Run) -> None:
    """f_1(x) at the last snapshot against n E(f_n - f_0 - l_n), with 99% bands."""
    found, at = samples(run), inputs(run.plan.problem, 121)
    times, f0 = mean_field(run)
    ends = []
    for n, colour in style.by_size(found).items():
        some = found[n]
        estimate = combine([n * (some.f[:, -1] - f0[-1] - some.path[:, -1])])
        value = at.basis @ estimate.value
        half = critical(estimate.at(0), DIAGNOSTIC) * np.sqrt(
            np.einsum("xi,ij,xj->x", at.basis, estimate.covariance, at.basis)
        )
        ax.fill_between(at.positions, value - half, value + half, color=colour, alpha=0.25, linewidth=0)
        ax.plot(at.positions, value, color=colour, linewidth=1.4, label=f"$n = {n}$")
        ends.append(np.abs(value).max())
    predicted = at.basis @ f_1(run)[1][-1]
    ax.plot(at.positions, predicted, "--", color=style.BLACK, label="predicted $f_1$")
    top = 1.6 * max(float(np.abs(predicted).max()), float(np.median(ends)))
    ax.set_ylim(-top, top)
    if at.angle:
        style.angles(ax)
    ax.set_xlabel(at.label)
    ax.set_ylabel("$n\\,E(f_n - f_0)$")
    ax.set_title(f"what the mean is off at order $1/n$, $t = {times[-1]:.3g}$")
    ax.legend(ncols=2)


def _over_time(ax: Axes, run: Run) -> None:
    """(E||f_n - f_0||^2)^(1/2) for every n with its 99% band, the prediction (A/n + B/n^2)^(1/2), and A/n alone."""
    collapse = Collapse.of(run)
    view, count = require(run, FLUCTUATIONS)
    A, B = view.trace[:count], view.next_order[:count]
    for n, colour in style.by_size(collapse.sizes).items():
        estimate = collapse.square(n).scaled(np.full(count, 1 / n))
        low, high = positive(estimate, critical(estimate.at(0), DIAGNOSTIC))
        ax.fill_between(collapse.times, np.sqrt(low), np.sqrt(high), color=colour, alpha=0.35, linewidth=0)
        ax.plot(collapse.times, np.sqrt(np.maximum(A / n + B / n**2, 0)), "--", color=colour, label=f"$n = {n}$")
        ax.plot(collapse.times, np.sqrt(A / n), ":", color=colour, linewidth=1.2)
    style.decades(ax)
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"$(E\|f_n - f_0\|^2)^{1/2}$")
    ax.set_title("bands: simulation, 99%\ndashed: $(A/n + B/n^2)^{1/2}$, dotted: $(A/n)^{1/2}$")
    ax.legend(ncols=2)
