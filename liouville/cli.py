"""The command line. Results go to standard output, everything else to standard error; no user sees a traceback."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liouville.beside import FileProblem
from liouville.errors import InputError, RunFailed
from liouville.neighbours import require_neighbours

if TYPE_CHECKING:
    from liouville.runfile import RunFile
    from liouville.verdicts import Verdict

FINE, REJECTED, UNUSABLE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
USAGE: type[Exception] = typer.BadParameter.__mro__[2]  # the base of every complaint about the command line

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The mean-field theory of wide neural networks, solved, simulated and checked.",
)

RunFileName = Annotated[str, typer.Argument(metavar="RUNFILE", help="a run file, or a shipped problem's name")]
Result = Annotated[Path, typer.Argument(metavar="RUN.h5", help="a result file")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="the file to write; a fresh name by default")]
Force = Annotated[bool, typer.Option("--force", help="overwrite an existing file")]


def main() -> None:
    """Entry point: run the command and exit with its status; of the ranks of an MPI run, only the first has a user."""
    try:
        require_neighbours()
        from particles import team

        ranks = team()
    except ImportError as error:
        sys.exit(_complain(str(error), UNUSABLE))
    if not ranks.leads:
        from liouville import comparison

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # rank 0 is told, and sees to the others
        comparison.assist()
        sys.exit(FINE)
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _unheard()
    ranks.leave(status)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit status of DESIGN: 0, 1 (rejected), 2 (unusable), 3 (failed), 130."""
    try:
        require_neighbours()
        status = app(arguments, prog_name="liouville", standalone_mode=False)
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        return status if isinstance(status, int) else FINE
    except (InputError, FileProblem) as error:
        return _complain(str(error), UNUSABLE)
    except ImportError as error:
        return _complain(str(error), UNUSABLE)
    except RunFailed as error:
        return _complain(f"the run failed: {error}", FAILED)
    except USAGE as error:
        return _complain(getattr(error, "format_message", error.__str__)(), UNUSABLE)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted; `liouville resume` goes on with what is there", INTERRUPTED)
    except (BrokenPipeError, SystemExit) as error:  # the second is what typer makes of the first
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        _unheard()
        return FINE
    except KeyError as error:
        return _complain(f"the file lacks {error}: it is damaged, or not a result file", UNUSABLE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}", UNUSABLE)


@app.command()
def compare(runfile: RunFileName = "flat-fourier", output: Output = None, force: Force = False) -> int:
    """The main job: particles against the PDE and the fluctuation theory, with verdicts."""
    return _job("compare", runfile, output, force)


@app.command()
def solve(runfile: RunFileName, output: Output = None, force: Force = False) -> int:
    """The deterministic side only: density, characteristics, fluctuation theory."""
    return _job("solve", runfile, output, force)


@app.command()
def simulate(
    runfile: RunFileName,
    output: Output = None,
    force: Force = False,
    add: Annotated[
        str | None,
        typer.Option(metavar="R[,R...]", help="add R replicas of each size to the completed result RUNFILE"),
    ] = None,
) -> int:
    """The particles only, with the predicted path of every replica."""
    if add is None:
        return _job("simulate", runfile, output, force)
    from liouville import comparison
    from liouville.progress import Bars

    if output is not None or force:
        raise InputError("--add: replicas are added to the result itself, without -o and --force")
    try:
        more = [int(part) for part in add.split(",")]
    except ValueError:
        raise InputError(f"--add: must be numbers of replicas with commas between, not {add!r}") from None
    return _conclude(Path(runfile), comparison.add(Path(runfile), more, stages=Bars()))


@app.command()
def convergence(runfile: RunFileName, output: Output = None, force: Force = False) -> int:
    """A convergence study: errors of f_0 against cells and seconds, for both schemes, with and without their parts."""
    from liouville import convergence as study
    from liouville import plots, printing, storage
    from liouville.progress import Bars
    from liouville.results import Run

    described, path = _prepared(runfile, output, storage.fresh_name)
    try:
        results = study.start(described, path, force=force, stages=Bars())
    except InputError as error:
        raise InputError(f"{runfile}: {error}") from None
    figure = _fresh(path.with_suffix(".png"))
    plots.save(Run(path), "convergence", figure)
    printing.orders(results)
    print(f"{path}\n{figure}")
    return FINE


@app.command()
def landscape(runfile: RunFileName = "trap", output: Output = None, force: Force = False) -> int:
    """Section 3.1: the loss is convex in G and not in the parameters; a fixed point that is no minimum is left."""
    from liouville import convexity, escape, plots, printing
    from liouville import runfile as files
    from liouville.plan import Plan
    from liouville.plots import landscape as picture

    described = files.load(runfile)
    path = output or _fresh(Path(f"{described.problem.name}-landscape.png"))
    if path.exists() and not force:
        raise InputError(f"{path}: exists already and is not overwritten; --force overwrites it")
    plan = Plan(described)
    plan.check()
    chords = convexity.chords(plan)
    try:
        left = escape.escape(plan.problem)
    except InputError as error:
        left = None
        print(f"liouville: {runfile}: {error}", file=sys.stderr)
    try:
        plots.write(picture.draw(described.problem.name, chords, left), path)
    except ValueError as error:
        raise InputError(str(error)) from None
    printing.landscape(chords, left)
    print(path)
    return FINE


@app.command()
def resume(result: Result) -> int:
    """Go on where an interrupted run stopped: the same numbers, bit for bit."""
    from liouville import comparison
    from liouville.progress import Bars

    return _conclude(result, comparison.resume(result, stages=Bars()))


@app.command()
def info(result: Result) -> int:
    """What is in a file: problem, status, sizes, hypotheses, verdicts; also of a run in progress."""
    from liouville import printing
    from liouville.results import Run

    found = Run(result)
    printing.run(found)
    if found.verdicts:
        printing.verdicts(found.verdicts)
    return FINE


@app.command()
def plot(
    result: Result,
    kind: Annotated[str, typer.Argument(metavar="[KIND]", help="what to draw")] = "summary",
    output: Output = None,
    force: Force = False,
) -> int:
    """Draw density, representation, lln, clt, paths, healing, loss, distance, sample, ..., as .png, .pdf or .svg."""
    from liouville import plots
    from liouville.results import Run

    found = Run(result)
    path = output or _fresh(result.with_name(f"{result.stem}-{kind}.png"))
    if output is not None and output.exists() and not force:
        raise InputError(f"{output}: exists already and is not overwritten; --force overwrites it")
    try:
        plots.save(found, kind, path)
    except ValueError as error:
        raise InputError(str(error)) from None
    print(path)
    return FINE


@app.command()
def problems(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="print this one's run file")] = None,
) -> int:
    """The shipped problems; with NAME, its run file."""
    from liouville import runfile

    if name is None:
        print("\n".join(runfile.shipped()))
    elif name in runfile.shipped():
        print(runfile.text(name)[0], end="")
    else:
        raise InputError(f"{name}: no such problem; shipped are {', '.join(runfile.shipped())}")
    return FINE


def _job(command: str, name: str, output: Path | None, force: bool) -> int:
    """Run a job into a file, write its summary figure beside it, print the verdicts."""
    from liouville import comparison, storage
    from liouville.progress import Bars

    described, path = _prepared(name, output, storage.fresh_name)
    try:
        verdicts = comparison.start(described, command, path, force=force, stages=Bars())
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return _conclude(path, verdicts)


def _prepared(name: str, output: Path | None, fresh: Callable[[str], Path]) -> "tuple[RunFile, Path]":
    """The run file and where its result goes; prints what the user should know first."""
    from liouville import runfile
    from liouville.plan import Plan

    described = runfile.load(name)
    path = output or fresh(described.problem.name)
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    if Path(name).exists() and path.resolve() == Path(name).resolve():
        raise InputError(f"{path}: is the run file itself; give another name for the result")
    for warning in Plan(described).warnings():
        print(f"liouville: {name}: warning: {warning}", file=sys.stderr)
    return described, path


def _conclude(path: Path, verdicts: "list[Verdict]") -> int:
    """Print what came out and draw it; the exit status tells whether a primary prediction is rejected."""
    from liouville import plots, printing
    from liouville.results import Run

    figure = _fresh(path.with_suffix(".png"))
    plots.save(Run(path), "summary", figure)
    try:
        if verdicts:
            printing.verdicts(verdicts)
        print(f"{path}\n{figure}", flush=True)
    except BrokenPipeError:
        _unheard()
    return REJECTED if any(v.primary and v.outcome == "rejected" for v in verdicts) else FINE


def _unheard() -> None:
    """Whoever read the output has seen enough (`| head`): the rest goes nowhere, and the status is what it was."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fresh(path: Path) -> Path:
    """path, path-2, path-3, ...: the first that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def _complain(message: str, status: int) -> int:
    print(f"liouville: {' '.join(message.split())}", file=sys.stderr)
    return status
