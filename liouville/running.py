"""How a run that is being written ends: what is left in the file when it does not complete."""

from collections.abc import Iterator
from contextlib import contextmanager

from liouville.errors import RunFailed
from liouville.storage import FileProblem, Writer
from solvers.frames import SolverError


@contextmanager
def accounted(writer: Writer) -> Iterator[None]:
    """Leave in the file how the run ended. Raises RunFailed for whatever is not an interruption or a file's problem."""
    try:
        yield
    except KeyboardInterrupt:
        writer.finish("interrupted", "keyboard interrupt")
        raise
    except FileProblem:
        raise
    except Exception as error:  # the file says why, whatever it was
        reason = str(error) if isinstance(error, SolverError | OSError) else f"{type(error).__name__}: {error}"
        writer.finish("failed", reason)
        raise RunFailed(reason) from error
