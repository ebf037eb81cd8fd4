"""The processes that carry a run together, over MPI, or the one that carries it alone.

Rank 0 leads: it has the user and the files. Nothing that is computed depends on how many ranks there are: replicas know
their own streams, and where one run's particles are spread, every rank adds the same sums of chunks in the same order.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from particles.closure import Closure
from particles.descent import Share, chunks_of, particles_of

T = TypeVar("T")

LAUNCHED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")  # ranks, as launchers tell them
HUGE = 2**22  # particles from which a run is always spread
REST = 0.005  # seconds between two looks of a rank that waits for a task
LARGE = 2**18  # and where there are not as many replicas as ranks


class Team:
    """The ranks of an MPI communicator, or with None one process alone."""

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank() if comm else 0
        self.size: int = comm.Get_size() if comm else 1
        self.working = False  # whether the others are at a task that they were told

    @property
    def leads(self) -> bool:
        """Whether this is the rank with the user and the files."""
        return self.rank == 0

    def tell(self, task: Any) -> None:
        """Hand a task, or None for the end of all, to the other ranks, which wait for it in `told`."""
        if self.comm:
            self.comm.Ibarrier().Wait()  # wakes them
            self.comm.bcast(task)
            self.working = task is not None

    def rested(self) -> None:
        """Of rank 0: all results of the task are here, and the others wait for the next."""
        self.working = False

    def told(self) -> Any:
        """The next task from rank 0, which may need all cores until it comes: MPI itself would wait at full speed."""
        called = self.comm.Ibarrier()
        while not called.Test():
            time.sleep(REST)
        return self.comm.bcast(None)

    def spreads(self, n: int, replicas: int, keep: int) -> bool:
        """Whether the particles of a replica go to all ranks, rather than replicas to each."""
        large = n >= HUGE or (n >= LARGE and replicas < self.size)
        return self.size > 1 and large and keep <= n // (2 * self.size)

    def share(self, closure: Closure, n: int) -> tuple[Share, range]:
        """This rank's part of n particles, for `descend`, and which they are."""
        L = closure.basis.size
        parts, mine = particles_of(n, L, self.rank, self.size)
        counts = [L * len(particles_of(n, L, rank, self.size)[0]) for rank in range(self.size)]

        def collect(partial: NDArray[np.floating]) -> None:
            self.comm.Allgatherv(partial[parts.start : parts.stop].copy(), [partial, counts])

        return Share(n, parts, chunks_of(n, L)[1], collect), mine

    def gather(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """On rank 0 all ranks' values, joined along the last axis; on others their own."""
        parts = self.comm.gather(values) if self.size > 1 else [values]
        return np.concatenate(parts, axis=-1) if parts is not None and len(parts) > 1 else values

    def largest(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """The largest of all ranks' values, entry by entry."""
        return np.max(self.comm.allgather(values), axis=0)

    def in_turn(self, tasks: Iterable[T], work: Callable[[T], Any]) -> Iterator[Any]:
        """On rank 0 the results of all tasks in their order, which the ranks work at in turn; on others none.

        An exception of another rank is raised on rank 0 where its result would come.
        """
        pending: Any = None
        for number, task in enumerate(tasks):
            owner = number % self.size
            if owner == self.rank:
                try:
                    result = work(task)
                except Exception as error:
                    if self.leads:
                        raise
                    result = error
                if self.leads:
                    yield result
                else:
                    if pending is not None:
                        pending.wait()
                    pending = self.comm.isend(result, 0)
            elif self.leads:
                result = self.comm.recv(source=owner)
                if isinstance(result, Exception):
                    raise result
                yield result
        if pending is not None:
            pending.wait()

    def leave(self, status: int) -> None:
        """The end of rank 0: the others go home, or, where they are at work that nobody waits for, are ended."""
        if self.comm and self.working and status:
            self.comm.Abort(status)
        self.tell(None)


@cache
def team() -> Team:
    """The ranks that a launcher such as mpiexec has started together with this process.

    Raises ImportError where it has and mpi4py is missing, or belongs to another MPI library.
    """
    ranks = max(int(size) for name in LAUNCHED if (size := os.environ.get(name, "1")).isdigit())
    if ranks == 1:
        return Team()
    try:
        with warnings.catch_warnings(
            action="ignore", category=RuntimeWarning
        ):  # of a launcher it does not know, see below
            from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            f"several processes were started together, which needs mpi4py and an MPI library ({error}): "
            "pip install 'liouville[mpi]'"
        ) from None
    made = Team(MPI.COMM_WORLD)
    if made.size == 1:
        raise ImportError(
            f"{ranks} processes were started together, but each finds itself alone: mpi4py uses another MPI library "
            f"({MPI.Get_library_version().split()[0]}) than the launcher"
        )
    if "NUMBA_NUM_THREADS" not in os.environ:
        host = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
        numba.set_num_threads(_threads(host.allgather(sorted(os.sched_getaffinity(0))), host.Get_rank()))
    return made


def _threads(cores: Sequence[list[int]], rank: int) -> int:
    """Threads for a rank on a host, given the cores that each of its ranks may use: those of its own, divided."""
    mine = cores[rank]
    fair = max(1, len(mine) // cores.count(mine))
    return min(fair, numba.get_num_threads())
