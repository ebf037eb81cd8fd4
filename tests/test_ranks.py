"""Runs of several MPI ranks: the same file to the bit for any number of them; nothing is lost when one of them dies."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import runs

from liouville.cli import run
from particles import Team, team
from particles.descent import PARTS, chunks_of, particles_of
from particles.ranks import _threads
from particles.tiles import BLOCK

MPIEXEC = Path(sys.executable).with_name("mpiexec")
PROGRAM = [sys.executable, "-c", "from liouville.cli import main; main()"]
LARGE = 2**18  # particles that are spread over three ranks, and over two replica by replica
RUN = runs.text(
    **runs.TINY | {"final": 0.5, "snapshots": 3, "sizes": [16, 64, LARGE], "replicas": [120, 50, 2], "keep": 3}
)


def launch(ranks: int, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    command = [str(MPIEXEC), "-n", str(ranks), *PROGRAM, *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def datasets(path: Path) -> dict[str, bytes]:
    """Everything in a result file."""
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: np.asarray(item[()]).astype(item.dtype).tobytes()})
                if isinstance(item, h5py.Dataset) and item.dtype.kind != "O"
                else None
            )
        )
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the run file and the result of one process that no launcher started."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "run.toml").write_text(RUN)
    assert run(["simulate", str(folder / "run.toml"), "-o", str(folder / "alone.h5")]) == 0
    return folder


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_number_of_ranks_writes_the_same_numbers(alone: Path, ranks: int) -> None:
    out = f"ranks{ranks}.h5"
    process = launch(ranks, "simulate", "run.toml", "-o", out, folder=alone)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.split() == [out, f"ranks{ranks}.png"]  # of one of them alone
    assert datasets(alone / out) == datasets(alone / "alone.h5")


def test_bad_input_is_one_line_and_status_2_from_all_ranks_together(alone: Path) -> None:
    """Found before the others have work: a file that exists, a run file that does not."""
    for arguments, message in (
        (("simulate", "run.toml", "-o", "alone.h5"), "alone.h5: exists already"),
        (("simulate", "nowhere.toml"), "nowhere.toml: No such file"),
    ):
        process = launch(2, *arguments, folder=alone)
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 2
        lines = [line for line in errors.splitlines() if line.startswith("liouville")]
        assert len(lines) == 1 and message in lines[0] and "Traceback" not in errors and not output


def test_a_rank_that_dies_leaves_a_file_that_resumes_to_the_same_numbers(alone: Path) -> None:
    """SIGKILL of a rank that does not lead, as soon as some replicas are in the file."""
    out = alone / "killed.h5"
    more = (alone / "run.toml").read_text().replace("50, 2]", "50, 8]")
    (alone / "more.toml").write_text(more)
    process = launch(2, "simulate", "more.toml", "-o", out.name, folder=alone)
    deadline = time.monotonic() + 120
    while not _committed(out):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    victim = max(_ranks(process.pid))
    os.kill(victim, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert run(["info", str(out)]) == 0
    assert run(["resume", str(out)]) == 0
    assert run(["simulate", str(alone / "more.toml"), "-o", str(alone / "whole.h5")]) == 0
    assert datasets(out) == datasets(alone / "whole.h5")


def _committed(path: Path) -> int:
    """Replicas of the smallest size that are in the file."""
    try:
        with h5py.File(path, locking=False) as file:
            return int(file["particles/n00016/committed"][()])
    except (OSError, KeyError):
        return 0


def _ranks(launcher: int) -> list[int]:
    """Processes of the program that a launcher has started."""
    found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    table = [line.split(None, 2) for line in found.splitlines()[1:]]
    below = {launcher}
    for _ in range(4):
        below |= {int(pid) for pid, parent, _ in table if int(parent) in below}
    return [
        int(pid) for pid, _, line in table if int(pid) in below and "liouville.cli" in line and "mpiexec" not in line
    ]


def test_ranks_without_mpi4py_are_told_so_in_one_line(tmp_path: Path) -> None:
    program = "import sys; sys.modules['mpi4py'] = None; from liouville.cli import main; main()"
    environment = os.environ | {"PMI_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program, "problems"], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 2 and "liouville[mpi]" in done.stderr and len(done.stderr.splitlines()) == 1


def test_ranks_of_another_mpi_library_are_told_so_in_one_line(tmp_path: Path) -> None:
    """Each would take itself for the only one, and write the same file."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PMI")} | {"OMPI_COMM_WORLD_SIZE": "2"}
    done = subprocess.run(
        [*PROGRAM, "problems"], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 2 and "finds itself alone" in done.stderr and len(done.stderr.splitlines()) == 1


class Silent:
    """A communicator of two that says what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def Get_rank(self) -> int:
        return 0

    def Get_size(self) -> int:
        return 2

    def Ibarrier(self) -> "Silent":
        return self

    def Wait(self) -> None:
        pass

    def bcast(self, task: object) -> None:
        self.asked.append(task)

    def Abort(self, status: int) -> None:
        self.asked.append(status)


def test_only_ranks_at_work_are_ended_by_force() -> None:
    """A rejected verdict (status 1) comes when all results are there: the others go home."""
    for rested, expected in ((True, ["task", None]), (False, ["task", 1, None])):
        comm = Silent()
        ranks = Team(comm)
        ranks.tell("task")
        if rested:
            ranks.rested()
        ranks.leave(1)
        assert comm.asked == expected


@pytest.mark.parametrize("n", [1, BLOCK, 10_000, 10**6, 10**8])
@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_share_all_particles_in_whole_chunks(n: int, ranks: int) -> None:
    chunk, count = chunks_of(n, 7)
    parts, particles = zip(*(particles_of(n, 7, rank, ranks) for rank in range(ranks)), strict=True)
    assert [k for part in parts for k in part] == list(range(count)) and count <= PARTS
    assert particles[0].start == 0 and particles[-1].stop == n
    for before, after in pairwise(particles):
        assert before.stop == after.start
    assert all(some.start % (chunk * BLOCK) == 0 for some in particles if some)


def test_one_process_is_a_team_by_itself() -> None:
    assert isinstance(team(), Team) and team().leads and team().size == 1
    assert list(team().in_turn([1, 2, 3], lambda task: 2 * task)) == [2, 4, 6]
    assert not team().spreads(10**8, 1, 0)


def test_ranks_on_a_host_share_its_cores() -> None:
    """Bound to cores of their own, or all free to use all."""
    most = _threads([[0, 1]], 0)
    assert _threads([[0, 1], [0, 1]], 1) == 1
    assert _threads([[0], [1]], 0) == 1
    assert _threads([[0, 1], [2, 3]], 1) == most
    assert _threads([[0]] * 3, 2) == 1
