"""Central limit theorem: covariance and law of n^(1/2) (f_n - f_0) against the computed ones."""

import numpy as np
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from liouville.judgement import whitening
from liouville.plots import style
from liouville.plots.readings import FLUCTUATIONS, Inputs, Samples, inputs, mean_field, require, samples
from liouville.results import Run
from liouville.verdicts import DIAGNOSTIC

Array = NDArray[np.floating]

POINTS = 121  # of x, for the images


def draw(run: Run) -> Figure:
    """C(t, x, x') predicted, sampled and their difference at the last snapshot; a quantile plot."""
    found = samples(run)
    times, covariance = theory(run)
    _, f0 = mean_field(run)
    some = found[max(found)]
    g = some.f[:, -1] - f0[-1]
    sampled = some.n * g.T @ g / some.count
    what = rf"covariance and law of $n^{{1/2}}(f_n - f_0)$ at $t = {times[-1]:.3g}$"
    figure = style.figure(13, 10.5, f"{run.attributes['problem']}: {what}")
    axes = figure.subplots(2, 2)
    at = inputs(run.plan.problem, POINTS)
    basis = at.basis
    C, Chat = basis @ covariance[-1] @ basis.T, basis @ sampled @ basis.T
    top = float(max(np.abs(C).max(), np.abs(Chat).max()))
    worst = float(np.abs(Chat - C).max())
    _image(axes[0, 0], at, C, top, "predicted $C(t, x, x')$")
    _image(axes[0, 1], at, Chat, top, f"sampled at $n = {some.n}$, {some.count} replicas")
    share = 100 * worst / float(np.abs(C).max())
    _image(axes[1, 0], at, Chat - C, worst, f"sampled minus predicted: at most {share:.2g}% of max $C$")
    _quantiles(axes[1, 1], covariance[-1], f0[-1], found)
    return figure


def theory(run: Run) -> tuple[Array, Array]:
    """Times (S,) and the predicted covariance (S, M, M) of the coefficients."""
    view, count = require(run, FLUCTUATIONS)
    inverse = np.linalg.pinv(run.plan.problem.basis)
    return view.time[:count], inverse @ view.covariance[:count] @ inverse.T


def _image(ax: Axes, at: Inputs, values: Array, top: float, title: str) -> None:
    x = at.positions
    mesh = ax.pcolormesh(x, x, values, cmap="RdBu_r", vmin=-top, vmax=top, shading="gouraud", rasterized=True)
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.colorbar(mesh, ax=ax)
    if at.angle:
        style.angles(ax)
        style.angles(ax, "y")
    else:
        ax.locator_params(nbins=5)
    ax.set_aspect("equal")
    ax.set_xlabel(at.label)
    ax.set_ylabel("$x'$" if at.label == "$x$" else at.label)
    ax.set_title(title)


def _quantiles(ax: Axes, covariance: Array, f0: Array, found: dict[int, Samples]) -> None:
    """Sorted squared lengths of the whitened fluctuation against the quantiles of chi-square."""
    W = whitening(covariance)
    law = scipy.stats.chi2(W.shape[1])
    distance = float("nan")
    colours = style.by_size(found)
    for n in sorted({min(found), max(found)}):
        some = found[n]
        length = np.sort(n * np.sum(((some.f[:, -1] - f0) @ W) ** 2, axis=1))
        k = np.arange(1, some.count + 1)
        expected = np.asarray(law.ppf((k - 0.5) / some.count))
        ax.plot(expected, length, "o", color=colours[n], markersize=3.5, label=f"$n = {n}$", rasterized=True)
        distance = float(scipy.stats.kstest(length, law.cdf).statistic)
    tail = (1 - DIAGNOSTIC) / 2
    low, high = (np.asarray(law.ppf(scipy.stats.beta(k, some.count - k + 1).ppf(p))) for p in (tail, 1 - tail))
    ax.fill_between(
        expected, low, high, color=style.GREY, alpha=0.25, linewidth=0, label=f"99% for each point, $n = {n}$"
    )
    ends = [0.5 * float(expected[0]), 2 * float(high[-1])]
    ax.plot(ends, ends, color=style.BLACK, linewidth=1, label="Gaussian with covariance $C$")
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yscale("log")
    ax.set_xlabel(rf"quantile of $\chi^2_{{{W.shape[1]}}}$")
    ax.set_ylabel(r"$n\,\|C^{-1/2}(f_n - f_0)\|^2$, sorted")
    ax.set_title(f"$n = {n}$: distance {distance:.3f} from " rf"$\chi^2_{{{W.shape[1]}}}$ (Kolmogorov)")
    ax.legend(loc="upper left")
