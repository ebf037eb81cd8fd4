"""The loss of finite networks (Prop. 3.1): its decay for every n, its rate, its tail, and that it never rises."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liouville.judgement.losses import binomial
from liouville.judgement.rates import loss_rates
from liouville.plots import style
from liouville.plots.readings import FLUCTUATIONS, Samples, mean_field, require, samples
from liouville.results import Run
from liouville.verdicts import DIAGNOSTIC

Array = NDArray[np.floating]

LEAST = 1e-17  # of a relative rise: everything below is rounding
MARGIN = 0.1  # of the verdict on the rates


def draw(run: Run) -> Figure:
    """Four panels from the particles, f_0 and tr C."""
    found = samples(run)
    times, f0 = mean_field(run)
    view, count = require(run, FLUCTUATIONS)
    trace = view.trace[:count]
    problem = run.plan.problem
    l0 = 0.5 * np.sum((f0 - problem.projection) ** 2, axis=-1)
    losses = {n: some.loss - problem.floor for n, some in found.items()}
    what = "the loss of $n$ particles, the limits $n, t \\to \\infty$; bars and bands are 99% intervals"
    figure = style.figure(13, 11, f"{run.attributes['problem']}: {what}")
    axes = figure.subplots(2, 2)
    _decay(axes[0, 0], times, l0, trace, losses)
    _rates(axes[0, 1], times, l0, trace, losses)
    _tails(axes[1, 0], l0, losses, times[-1])
    _rises(axes[1, 1], found, losses, 0.5 * float(problem.projection @ problem.projection))
    return figure


def _decay(ax: Axes, times: Array, l0: Array, trace: Array, losses: dict[int, Array]) -> None:
    colours = style.by_size(losses)
    for n, loss in losses.items():
        low, high = np.quantile(loss, [0.05, 0.95], axis=0)
        ax.fill_between(times, low, high, color=colours[n], alpha=0.2, linewidth=0)
        ax.plot(times, loss.mean(axis=0), color=colours[n], label=f"mean, $n = {n}$")
        ax.plot(times, l0 + 0.5 * trace / n, ":", color=colours[n], linewidth=1.4)
    ax.plot(times, l0, "--", color=style.BLACK, label=r"$\ell_0$, $n = \infty$")
    ax.plot([], [], ":", color=style.GREY, label=r"$\ell_0 + \mathrm{tr}\,C/2n$")
    style.decades(ax)
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"loss $\ell_n$, without its floor")
    ax.set_title("the loss of every $n$ falls (bands: 90% of the replicas)")
    ax.legend(loc="lower left")


def _rates(ax: Axes, times: Array, l0: Array, trace: Array, losses: dict[int, Array]) -> None:
    rates = loss_rates(times, 2 * l0, trace, {n: 2 * loss for n, loss in losses.items()}, DIAGNOSTIC)
    ax.axhspan(1 - MARGIN, 1 + MARGIN, color=style.GREY, alpha=0.2, linewidth=0, label=rf"margin $\pm{MARGIN:g}$")
    ax.axhline(1, color=style.BLACK, linestyle="--", linewidth=1.2, label=r"rate of $\ell_0$")
    colours = style.by_size(losses)
    for n, rate in rates.items():
        value, half = rate.value / rate.mean_field, rate.half / rate.mean_field
        ax.errorbar([n], [value], [half], fmt="o", color=colours[n], capsize=4)
        at = (n, max(value + half, 1.0))
        ax.annotate(f"$t \\leq {times[rate.until]:.3g}$", at, (0, 8), textcoords="offset points", ha="center")
    for n in set(losses) - set(rates):
        ax.annotate("too random", (n, 1), (0, 8), textcoords="offset points", ha="center", color=style.GREY)
    ax.set_ylim(1 - 2 * MARGIN, 1 + 2 * MARGIN)
    style.size_axis(ax, losses)
    ax.set_ylabel(r"fitted rate of $E\,\ell_n$ over that of $\ell_0$")
    ax.set_title("the rate does not depend on $n$" if rates else "no window where the loss is deterministic")
    ax.legend(loc="lower right")


def _tails(ax: Axes, l0: Array, losses: dict[int, Array], final: float) -> None:
    sizes = np.array(list(losses), dtype=float)
    excess = float(np.mean(losses[min(losses)][:, -1])) - l0[-1]
    looks = zip(
        l0[-1] + excess * np.array([0.25, 1.0, 4.0]), (style.BLUE, style.ORANGE, style.GREEN), "osD", strict=True
    )
    for k, (delta, colour, marker) in enumerate(looks):
        ends = np.array([binomial(int(np.sum(x[:, -1] > delta)), len(x), DIAGNOSTIC) for x in losses.values()])
        bars = [ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 1]]
        beside = 1.04 ** (k - 1)
        label = rf"$\delta =$ {delta:.2g}"
        ax.errorbar(beside * sizes, ends[:, 1], bars, color=colour, marker=marker, capsize=3, label=label)
    style.size_axis(ax, losses)
    ax.set_ylim(-0.03, 1.25)
    ax.set_ylabel(rf"$P[\ell_n(T) > \delta]$ at $T = {final:.3g}$")
    ax.set_title(rf"losses above $\delta$ become rare ($\ell_0(T) =$ {l0[-1]:.2g})")
    ax.legend(loc="upper right", ncols=3, columnspacing=1.0, handletextpad=0.4)


def _rises(ax: Axes, found: dict[int, Samples], losses: dict[int, Array], unit: float) -> None:
    """Shares of the replicas whose loss rose by more than so much, of their first loss and |f|^2/2, in any one step."""
    colours = style.by_size(found)
    highest = 0.0
    for n, some in found.items():
        relative = np.sort(np.maximum(some.increase / (losses[n][:, 0] + unit), LEAST))
        highest = max(highest, float(relative[-1]))
        share = 1 - np.arange(relative.size) / relative.size
        ax.step([LEAST / 10, *relative, 1], [1, *share, 0], where="post", color=colours[n], label=f"$n = {n}$")
    ax.axvline(1e-14, color=style.BLACK, linestyle="--", linewidth=1.2, label="rounding, $10^{-14}$")
    ax.set_xscale("log")
    ax.set_xlim(LEAST / 3, 1)
    ax.set_ylim(-0.03, 1.05)
    ax.set_xlabel("largest rise of the loss in a step, relative, at least $10^{-17}$")
    ax.set_ylabel("share of replicas that rise more")
    none = highest <= 1e-14
    ax.set_title("no loss rises beyond rounding" if none else f"a loss rises by up to {highest:.1e}")
    ax.legend(loc="upper right")
