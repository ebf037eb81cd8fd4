"""What the commands print: verdicts, a landscape study, and what is in a file, as tables on standard output."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from liouville.convergence import Fit
from liouville.convexity import Chords
from liouville.escape import Escape
from liouville.results import Run
from liouville.verdicts import Verdict

STYLES = {"supported": "green", "undecided": "yellow", "rejected": "bold red"}


class _Console(Console):
    """Without an exit status of its own where nobody reads on (`| head`)."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console() -> Console:
    console = _Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 140
    return console


def verdicts(found: list[Verdict]) -> None:
    """Primary and diagnostic verdicts as tables, and a line for what is undecided."""
    console = _console()
    for title, primary in (("primary verdicts", True), ("diagnostics (they never set the exit status)", False)):
        if not any(v.primary == primary for v in found):
            continue
        table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
        for name, justify in (("verdict", "left"), ("outcome", "left"), ("estimate", "right"), ("interval", "left")):
            table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
        table.add_column("predicted", no_wrap=True)
        table.add_column("statement")
        for v in found:
            if v.primary == primary:
                table.add_row(
                    v.name,
                    f"[{STYLES[v.outcome]}]{v.outcome}[/]",
                    _number(v.statistic),
                    f"{_number(v.low)} .. {_number(v.high)}",
                    f"{_number(v.predicted)} ± {_number(v.margin)}",
                    v.statement + ("" if v.p_value != v.p_value else f"; p = {v.p_value:.2g}"),
                )
        console.print(table)
        console.print()
    for v in found:
        if v.outcome == "undecided":
            console.print(f"{v.name} is undecided: {v.note or 'the interval is too wide'}", markup=False)


def _number(value: float) -> str:
    return f"{value:.3g}"


def orders(found: dict[str, Fit]) -> None:
    """Fitted orders of the schemes in a convergence study."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("scheme", "order in cells", "interval", "order in seconds"):
        table.add_column(column)
    for name, fit in found.items():
        table.add_row(name, _number(fit.order), f"{_number(fit.low)} .. {_number(fit.high)}", _number(fit.per_second))
    _console().print(table)


def landscape(chords: Chords, left: Escape | None) -> None:
    """What a landscape study measured beside what is computed."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("quantity", "measured", "computed"):
        table.add_column(column)
    table.add_row("second difference of the loss along a chord of G", f"{chords.second_difference:.8g}", "")
    table.add_row("  ||f_(G_1 - G_0)||^2", "", f"{chords.curvature:.8g}")
    table.add_row("largest loss on a chord of parameters, over its ends", f"{chords.barrier:.4g}", "> 1: not convex")
    if left is not None:
        table.add_row(f"escape rate from y* = {left.y[0]:.6f}, |F'(y*)|", f"{left.rates[-1]:.6g}", f"{left.rate:.6g}")
        slope = f"{left.slope:.5g} +- {left.error:.1g}"
        table.add_row("time to leave against log(1/spread), 1/|F'(y*)|", slope, f"{1 / left.rate:.5g}")
    _console().print(table)


def run(found: Run) -> None:
    """Problem, status and sizes, then the hypotheses of the theorems."""
    console = _console()
    lines: list[tuple[str, Callable[[], object]]] = [
        ("problem", lambda: found.attributes["problem"]),
        ("command", lambda: found.attributes["command"]),
        ("status", lambda: found.status),
        ("stop reason", lambda: found.attributes["stop_reason"]),
        ("created", lambda: found.attributes["created"]),
        ("creator", lambda: found.attributes["creator"]),
        ("seed", lambda: found.attributes["seed"] if found.attributes["seed"] >= 0 else ""),
        ("threads", lambda: found.attributes["threads"]),
    ]
    for name, value in lines:
        if value() != "":
            console.print(f"{name:12s} {value()}", markup=False, soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False)
    for column in ("group", "sizes", "written"):
        table.add_column(column)
    for path, sizes, done, total in found.sizes():
        table.add_row(path, " x ".join(f"{name} {size}" for name, size in sizes.items()), f"{done} of {total}")
    console.print(table)
    if "/hypotheses" in found.groups:
        table = Table(show_edge=False, pad_edge=False)
        view = found.hypotheses
        columns = ("hypothesis", "value", "holds")
        for column in columns:
            table.add_column(column)
        for row in zip(*(getattr(view, column) for column in columns), strict=True):
            table.add_row(*map(str, row))
        console.print()
        console.print(table)
    console.print()
