"""The picture to open first: density, representation, the theorems and the verdicts on one page."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liouville.plots import density, healing, lln, paths, representation, sample, style
from liouville.plots.moments import Collapse
from liouville.plots.readings import CHARACTERISTICS, DENSITY, FLUCTUATIONS, PARTICLES, present, require
from liouville.results import Run
from liouville.verdicts import Verdict

FEW = 20  # verdicts whose names are written large
REACH = 3.0  # margins that the forest plot shows on either side


def draw(run: Run) -> Figure:
    """Up to six panels: those that the file has something for."""
    verdicts = run.verdicts
    panels = _panels(run, verdicts)
    if not panels:
        require(run, CHARACTERISTICS)  # says what is missing
    rows = 1 if len(panels) <= 3 else 2
    columns = -(-len(panels) // rows)
    figure = style.figure(5.8 * columns, 5.2 * rows + 0.6, _title(run, verdicts))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, panel in zip(axes.flat, panels, strict=False):
        panel(ax)
    return figure


def _panels(run: Run, verdicts: list[Verdict]) -> list[Callable[[Axes], None]]:
    panels: list[Callable[[Axes], None]] = []
    if present(run, DENSITY):
        panels.append(lambda ax: density.final(ax, run))
    if present(run, CHARACTERISTICS) or present(run, DENSITY):
        panels.append(lambda ax: representation.panel(ax, run, 3))
    if present(run, FLUCTUATIONS) and present(run, PARTICLES):
        collapse = Collapse.of(run)
        if sample.nested(run):  # intervals that join sizes need independent ones
            panels.append(lambda ax: sample.panel(ax, run))
        else:
            panels.append(lambda ax: lln.panel(ax, collapse, 3))
        panels.append(lambda ax: paths.panel(ax, run))
        if not sample.nested(run):
            panels.append(lambda ax: healing.panel(ax, collapse))
    if verdicts:
        panels.append(lambda ax: forest(ax, verdicts))
    return panels


def _title(run: Run, verdicts: list[Verdict]) -> str:
    parts = [f"{run.attributes['problem']}"]
    if run.attributes["seed"] >= 0:
        parts.append(f"seed {run.attributes['seed']}")
    primary = [v for v in verdicts if v.primary]
    if primary:
        counts = {outcome: sum(v.outcome == outcome for v in primary) for outcome in style.OUTCOMES}
        parts.append(f"{counts.pop('supported')} of {len(primary)} predictions supported")
        parts.extend(f"{count} {outcome}" for outcome, count in counts.items() if count)
    elif run.status != "completed":
        parts.append(f"{run.status}, what is there so far")
    return ", ".join(parts)


def forest(ax: Axes, verdicts: list[Verdict]) -> None:
    """Every verdict's statistic and interval, in margins from its prediction."""
    ends = np.array([-0.6, len(verdicts) - 0.4])
    ax.fill_betweenx(ends, -1, 1, color=style.GREY, alpha=0.2, linewidth=0)
    ax.plot([0, 0], ends, "--", color=style.BLACK, linewidth=1.2)
    for row, v in enumerate(verdicts):
        colour, marker = style.OUTCOMES[v.outcome]
        if not (np.isfinite([v.statistic, v.low, v.high]).all() and v.margin > 0):
            ax.text(
                0,
                row,
                "no estimate",
                ha="center",
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
            continue
        statistic, low, high = np.clip((np.array([v.statistic, v.low, v.high]) - v.predicted) / v.margin, -REACH, REACH)
        ax.plot([low, high], [row, row], color=colour, linewidth=2.5)
        face = colour if v.primary else "white"
        ax.plot(statistic, row, marker, color=colour, markerfacecolor=face, markersize=8, clip_on=False, zorder=3)
    for outcome, (colour, marker) in style.OUTCOMES.items():
        count = sum(v.outcome == outcome for v in verdicts)
        if count:
            ax.plot([], [], marker, color=colour, markersize=8, label=f"{count} {outcome}")
    first = sum(v.primary for v in verdicts)
    if 0 < first < len(verdicts):
        ax.axhline(first - 0.5, color=style.GREY, linewidth=1, linestyle=":")
    ax.set_yticks(range(len(verdicts)), [v.name for v in verdicts])
    ax.set_ylim(max(len(verdicts) + 1.2, 1.09 * len(verdicts)), -0.6)  # room for the legend
    if len(verdicts) > FEW:
        ax.tick_params(axis="y", labelsize=9)
    ax.set_xlim(-REACH - 0.1, REACH + 0.1)
    ax.set_xlabel("(statistic $-$ predicted) / margin")
    ax.set_title("verdicts (open: diagnostics)")
    ax.legend(loc="lower center", ncols=3, columnspacing=1.0, handletextpad=0.2)
