"""The study of healing: the exponent in n over (t, n), what is reached along a_n, and where there is no gap."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from liouville.plots import style
from liouville.results import GroupView, Run

Array = NDArray[Any]

BETWEEN = 24  # points of an interpolated a_n between two sizes


@dataclass(frozen=True)
class Found:
    """One problem's study in a file."""

    name: str
    view: GroupView

    def along(self, variable: str, k: int) -> Array:
        """A variable at every a_n of one schedule, (sizes,); variable (time,) or (n, time)."""
        at, values = self.view.snapshot[k], getattr(self.view, variable)
        return values[at] if values.ndim == 1 else values[np.arange(len(at)), at]

    def limit(self, k: int) -> Array:
        """A/n at every a_n, (sizes,), nan where it has vanished in its own error."""
        A, error = self.along("A", k), self.along("A_error", k)
        return np.where(error < A, A, np.nan) / self.view.n

    @property
    def formulas(self) -> list[str]:
        """a_n of every schedule, as it is typeset."""
        return [
            str(text).replace("log n", r"\log n").replace("lambda_min", r"\lambda_{\min}").replace("^1.5", "^{1.5}")
            for text in self.view.formula
        ]


def studies(run: Run) -> list[Found]:
    """The main study first, then the controls. Raises ValueError where the file has none."""
    names = [path.split("/")[2] for path in run.groups if path.startswith("/healing/") and path.count("/") == 2]
    found = [Found(name, GroupView(run, f"/healing/{name}")) for name in names]
    found = [study for study in found if "snapshot" in study.view.variables]
    if not found:
        raise ValueError(
            f"{run.path}: has no study of healing; a completed `liouville compare` with [healing] writes it"
        )
    own = run.attributes["problem"]
    return sorted(found, key=lambda study: study.name != own)


def draw(run: Run) -> Figure:
    """Exponent map, orders along a_n with their parts, fluctuations over time, and the negative controls."""
    found = studies(run)
    main = found[0]
    figure = style.figure(17, 11.4, f"{main.name}: healing along $a_n \\to \\infty$")
    axes = figure.subplots(2, 2)
    _map(axes[0, 0], main)
    _fluctuations(axes[0, 1], main)
    _parts(axes[1, 0], main, len(main.view.formula) - 1)
    _controls(axes[1, 1], found)
    return figure


def _map(ax: Axes, study: Found) -> None:
    """The local exponent between neighbouring sizes at every snapshot, with the paths a_n."""
    view = study.view
    n, times, xi = view.n, view.time, view.exponent
    edges = np.sqrt(n[:-1] * n[1:])
    rows = np.concatenate([[n[0]], edges, [n[-1]]]) if len(n) < 3 else n
    step = np.concatenate([[times[0]], 0.5 * (times[1:] + times[:-1]), [times[-1]]])
    top = max(1.5, float(np.nanquantile(xi, 0.98)))
    mesh = ax.pcolormesh(step, rows, xi, cmap="PuOr_r", norm=TwoSlopeNorm(0.5, 0.0, top), rasterized=True)
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, ax=ax, label=r"exponent $\xi$ of $(E\|f_n - f_0\|^2)^{1/2} \sim n^{-\xi}$")
    above = np.asarray(MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(0.5, top))
    bar.set_ticks([0.0, 0.25, 0.5, *above[(above > 0.5) & (above <= top)]])
    lines = ax.contour(times, edges, xi, levels=[0.75, 1.0], colors=style.BLACK, linewidths=[0.8, 1.6])
    ax.clabel(lines, fmt="%g", fontsize=11)
    colours = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE)
    for k, (formula, colour) in enumerate(zip(study.formulas, colours, strict=False)):
        ax.plot(times[view.snapshot[k]], n, "o-", color=colour, markersize=5, label=f"$a_n = {formula}$")
    ax.set_yscale("log")
    ax.set_yticks(n, [f"{size:.0f}" for size in n])
    ax.minorticks_off()
    ax.set_xlabel("time $t$")
    ax.set_ylabel("particles $n$")
    ax.set_title(r"1/2 at fixed $t$, as $n \to \infty$; more late, or along $a_n$")
    ax.legend(loc="lower right")


def _fluctuations(ax: Axes, study: Found) -> None:
    """n E||f_n - f_0||^2 over tr C, whose limit is 1, with A + B/n and medians."""
    view = study.view
    n, times, A, B = view.n, view.time, view.A, view.B
    trusted = times <= times[np.isfinite(B)][-1]
    for size, colour in style.by_size([int(size) for size in n]).items():
        k = int(np.flatnonzero(n == size)[0])
        scale = size / A[trusted]
        low, high = view.deviation_low[k, trusted] * scale, view.deviation_high[k, trusted] * scale
        ax.fill_between(times[trusted], low, high, color=colour, alpha=0.3, linewidth=0)
        ax.plot(times[trusted], view.deviation[k, trusted] * scale, color=colour, label=f"$n = {size}$")
        ax.plot(times[trusted], view.median[k, trusted] * scale, ":", color=colour, linewidth=1.2)
        ax.plot(times[trusted], 1 + B[trusted] / (size * A[trusted]), "--", color=colour, linewidth=1.2)
    ax.set_yscale("log")
    ax.set_ylim(0.3, 30)
    ax.axhline(1, color=style.BLACK, linewidth=1)
    ax.set_xlabel("time $t$")
    ax.set_ylabel(r"$n\,E\|f_n - f_0\|^2 / \mathrm{tr}\,C$")
    ax.set_title("bands: simulation, 99%; dashed: $1 + B/(nA)$, computed; dotted: medians")
    ax.legend(ncols=2, loc="upper left")


def _parts(ax: Axes, study: Found, k: int) -> None:
    """E||f_n - f||^2 along the last a_n, and what it is made of."""
    n = study.view.n
    value, low, high = (study.along(f"distance{end}", k) for end in ("", "_low", "_high"))
    ax.errorbar(n, value, [value - low, high - value], fmt="o", color=style.BLACK, capsize=4, label="simulation, 99%")
    B = study.along("B", k) / n**2
    ax.plot(n, study.along("residual", k), "s-", color=style.GREEN, markersize=4, label=r"$\|r_0\|^2$")
    ax.plot(n, study.limit(k), "-", color=style.BLUE, label=r"$A/n = \mathrm{tr}\,C/n$")
    if np.any(np.isfinite(B)):
        ax.plot(n, B, "--", color=style.VERMILLION, label="$B/n^2$")
    ax.plot(n, value[0] * (n / n[0]) ** -1.8, ":", color=style.GREY, label="$n^{-1.8}$: (20) with 0.9 asks for less")
    ax.set_yscale("log")
    style.size_axis(ax, [int(size) for size in n])
    ax.set_ylabel(r"$E\|f_n(a_n) - f\|^2$")
    ax.set_title(f"along $a_n = {study.formulas[k]}$")
    ax.legend()


def _controls(ax: Axes, found: list[Found]) -> None:
    """n^1.8 E||f_n - f||^2 along the last a_n of every problem, over its first: it falls where (20) holds."""
    colours = (style.BLUE, style.VERMILLION, style.ORANGE, style.PURPLE)
    for study, colour, marker in zip(found, colours, "osDX", strict=False):
        view, n = study.view, study.view.n
        k = len(view.formula) - 1
        scale = n**1.8
        value, low, high = (study.along(f"distance{end}", k) * scale for end in ("", "_low", "_high"))
        first = value[0]
        label = f"{study.name}, $a_n = {study.formulas[k]}$"
        bars = np.array([value - low, high - value]) / first
        ax.errorbar(n, value / first, bars, fmt=f"{marker}-", color=colour, capsize=4, label=label)
        predicted = (study.along("residual", k) + study.limit(k)) * scale
        ax.plot(n, predicted / first, "--", color=colour, linewidth=1.2)
    ax.set_yscale("log")
    ax.set_ylim(bottom=max(1e-12, ax.get_ylim()[0]))
    style.size_axis(ax, [int(size) for size in found[0].view.n])
    ax.set_ylabel(r"$n^{1.8}\,E\|f_n(a_n) - f\|^2$, over its first")
    ax.set_title(r"(20) with $\xi = 0.9$ falls with a gap and grows without; dashed: $\|r_0\|^2 + A/n$")
    ax.legend()
