"""A bar for each stage of a run on a terminal, nothing otherwise; and what the user should know when it is over."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Advance = Callable[[float], None]


class Stages(Protocol):
    """What a run tells about how far it is."""

    def stage(self, name: str, total: float) -> AbstractContextManager[Advance]:
        """A stage of so many units; the context gives the function that advances it."""

    def warn(self, message: str) -> None:
        """Something the user should know."""


class Bars:
    """rich bars on standard error, silent where that is no terminal."""

    @contextmanager
    def stage(self, name: str, total: float) -> Iterator[Advance]:
        """A bar named `name`."""
        console = Console(file=sys.stderr)
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
            task = bars.add_task(name, total=total)
            yield lambda amount: bars.update(task, advance=amount)
            bars.update(task, completed=total)

    def warn(self, message: str) -> None:
        """A line on standard error."""
        print(f"liouville: warning: {message}", file=sys.stderr)


class Quiet:
    """No bars."""

    @contextmanager
    def stage(self, name: str, total: float) -> Iterator[Advance]:
        """Nothing to see."""
        yield lambda amount: None

    def warn(self, message: str) -> None:
        """A UserWarning."""
        warnings.warn(message, stacklevel=2)
