"""The result file: intact at every instant, refused by name when unusable, complete to the bit."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from liouville import storage
from liouville.storage import FileProblem, Group, Variable, Writer

FRAMES, NY, NC = 400, 9, 20
SHAPE = (FRAMES, NY, NC)
KILLS = 25

# Forks one writer for each path it reads, so that a kill costs milliseconds; says when the writer is dead.
NURSERY = """
import os, sys
sys.path.insert(0, "tests")
from test_storage import write_all
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        write_all(line.strip(), linger=60)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def rho(frame: int) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.sin(np.arange(NY * NC, dtype=float).reshape(NY, NC) + 1000 * frame)
    return values


def density(frames: int = FRAMES) -> Group:
    axes = {"time": np.arange(float(frames)), "y": np.arange(float(NY)), "c": np.full(NC, np.nan)}
    variables = (
        Variable("rho", ("time", "y", "c"), "density", formula="rho(t, y, c)"),
        Variable("loss", ("time",), "loss"),
        Variable("steps", ("time",), "steps taken", dtype="i8"),
        Variable("weight", ("y",), "quadrature weight", data=np.full(NY, 1 / NY)),
        Variable("bound", ("y",), "an array that is set once"),
    )
    return Group("/density", axes, "time", variables)


def replicas() -> Group:
    axes = {"replica": np.arange(6), "time": np.arange(3.0), "x": np.arange(4.0), "particle": np.arange(0)}
    variables = (
        Variable("f", ("replica", "time", "x"), "representation"),
        Variable("path", ("time", "particle"), "trajectories, none kept"),
    )
    return Group("/particles/n00064", axes, "replica", variables)


def verdicts() -> Group:
    columns = (
        Variable("name", ("verdict",), "name", dtype="str", data=np.array(["lln", "healing, ξ"])),
        Variable("low", ("verdict",), "low end", data=np.array([0.25, np.nan])),
        Variable("primary", ("verdict",), "primary", dtype="i1", data=np.array([1, 0])),
    )
    return Group("/verdicts", {"verdict": np.arange(2)}, "verdict", columns)


def write_frame(writer: Writer, frame: int) -> None:
    writer.write("/density", frame, rho=rho(frame)[None], loss=[float(frame)], steps=[frame + 1])


def write_all(path: str | Path, linger: float = 0) -> None:
    """A run, slowed so that it can be met everywhere in it; it may wait at the end for its death."""
    with Writer.create(path, {"problem": "test"}, [density(), replicas()]) as writer:
        writer.set("/density", "c", np.arange(float(NC)))
        for frame in range(FRAMES):
            write_frame(writer, frame)
            time.sleep(1e-3 if linger else 0)
        time.sleep(linger)


class Nursery:
    """Starts writers of result files, in processes of their own, and kills them."""

    def __init__(self) -> None:
        root = Path(__file__).parents[1]
        command = [sys.executable, "-c", NURSERY]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdin and self.process.stdout
        self.orders, self.replies = self.process.stdin, self.process.stdout

    def start(self, path: Path) -> int:
        print(path, file=self.orders, flush=True)
        return int(self.replies.readline())

    def kill(self, writer: int) -> None:
        os.kill(writer, signal.SIGKILL)
        assert self.replies.readline() == "dead\n"

    def close(self) -> None:
        self.orders.close()
        assert self.process.wait() == 0
        self.replies.close()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, "the writer made no file"
        time.sleep(1e-4)


def assert_committed_frames_are_intact(file: h5py.File) -> int:
    """Their values are those written, frame by frame; all others read as missing. Returns how many."""
    count = storage.committed(file, "/density")
    values = {name: storage.read(file, "/density", name) for name in ("rho", "loss", "steps")}
    later = storage.committed(file, "/density")
    for frame in range(count):
        np.testing.assert_array_equal(values["rho"][frame], rho(frame))
    np.testing.assert_array_equal(values["loss"][:count], np.arange(float(count)))
    np.testing.assert_array_equal(values["steps"][:count], np.arange(1, count + 1))
    assert np.isnan(values["rho"][later:]).all()
    assert np.isnan(values["loss"][later:]).all()
    assert not values["steps"][later:].any()
    return count


def test_a_killed_writer_leaves_every_committed_frame(tmp_path: Path, nursery: Nursery) -> None:
    random = np.random.default_rng(0)
    counts = []
    for kill in range(KILLS):
        path = tmp_path / f"{kill}.h5"
        writer = nursery.start(path)
        wait_for(path)
        time.sleep(random.uniform(0, 0.1))
        nursery.kill(writer)
        assert storage.status(path) == "interrupted"
        with storage.open_result(path) as file:
            counts.append(assert_committed_frames_are_intact(file))
            assert storage.verify(file) == []
        with xr.open_dataset(path, group="density", engine="h5netcdf") as dataset:
            assert int(dataset.committed) == counts[-1]
            np.testing.assert_array_equal(dataset.loss[: counts[-1]], np.arange(float(counts[-1])))
    assert len(set(counts)) > KILLS / 5  # killed at different moments, amid the frames


def test_a_kill_while_the_file_is_made_leaves_no_half_file(tmp_path: Path, nursery: Nursery) -> None:
    for kill in range(10):
        path = tmp_path / f"{kill}.h5"
        writer = nursery.start(path)
        time.sleep(0.001 * kill)
        nursery.kill(writer)
        if path.exists():
            with storage.open_result(path) as file:
                assert_committed_frames_are_intact(file)
        else:  # whatever was left beside it is in nobody's way
            with Writer.create(path, {}, [density()]):
                pass
        assert not path.with_name(path.name + ".new").exists()


def test_a_reader_sees_whole_frames_while_the_run_goes_on(tmp_path: Path, nursery: Nursery) -> None:
    path = tmp_path / "run.h5"
    writer = nursery.start(path)
    wait_for(path)
    seen: set[int] = set()
    with storage.open_result(path) as held_open:
        while max(seen, default=0) < FRAMES:
            with storage.open_result(path) as file:
                seen.add(assert_committed_frames_are_intact(file))
                assert storage.verify(file) == []
            seen.add(assert_committed_frames_are_intact(held_open))
            with xr.open_dataset(path, group="density") as dataset:
                assert dataset.rho.shape == SHAPE
    nursery.kill(writer)
    assert len(seen) > 2  # it did read meanwhile


def test_a_process_may_open_a_result_here_and_in_xarray(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {}, [density()]) as writer:
        writer.complete()
    with storage.open_result(path), xr.open_dataset(path, group="density") as dataset:
        assert dataset.rho.shape == SHAPE


def test_a_second_writer_is_refused_by_name(tmp_path: Path, nursery: Nursery) -> None:
    path = tmp_path / "run.h5"
    writer = nursery.start(path)
    wait_for(path)
    assert storage.status(path) == "running"
    refusal = rf"run\.h5: is being written by process {writer}$"
    with pytest.raises(FileProblem, match=refusal):
        Writer.create(path, {}, [density()], force=True)
    with pytest.raises(FileProblem, match=refusal):
        Writer.resume(path)
    assert storage.fresh_name("run", tmp_path).name == "run-2.h5"
    nursery.kill(writer)
    Writer.create(path, {}, [density()], force=True).close()  # the lock of the dead holds nobody


def test_a_resumed_run_writes_the_same_file(tmp_path: Path, nursery: Nursery) -> None:
    path, straight = tmp_path / "run.h5", tmp_path / "straight.h5"
    writer = nursery.start(path)
    wait_for(path)
    time.sleep(0.02)
    nursery.kill(writer)
    with Writer.resume(path) as resumed:
        assert storage.status(path) == "running"
        resumed.set("/density", "c", np.arange(float(NC)))
        for frame in range(resumed.committed("/density"), FRAMES):
            write_frame(resumed, frame)
    write_all(straight)
    assert contents(path) == contents(straight)
    with Writer.resume(path) as resumed:
        resumed.complete()
    with pytest.raises(FileProblem, match=r"run\.h5: is completed"):
        Writer.resume(path)


def contents(path: Path) -> dict[str, object]:
    """Every dataset of a file, as bytes or as text, and its attributes."""
    found: dict[str, object] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            is_text = h5py.check_string_dtype(item.dtype)
            values = item.asstr()[()].tolist() if is_text else np.asarray(item[()]).tobytes()
            dims = [axis[0].name for axis in item.dims if len(axis)]
            described = {key: item.attrs.get(key) for key in ("long_name", "units", "formula")}
            found[name] = (item.shape, str(item.dtype), dims, described, values)

    with storage.open_result(path) as file:
        file.visititems(add)
    return found


def test_equal_runs_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_all(tmp_path / name)
    assert contents(tmp_path / "a.h5") == contents(tmp_path / "b.h5")


def test_completion_keeps_every_number_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {"problem": "p", "runfile": "x = 1\n" * 20000, "seed": 3}, [density(), replicas()]) as w:
        for frame in range(7):  # not all: what is missing stays missing
            write_frame(w, frame)
        w.write("/particles/n00064", 0, f=np.random.default_rng(0).normal(size=(6, 3, 4)))
        before = contents(path)
        w.complete([verdicts()], {"note": "done"})
    after = contents(path)
    assert {name: after[name] for name in before} == before
    assert storage.status(path) == "completed"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]
    with storage.open_result(path) as file:
        assert storage.verify(file) == []
        assert storage.committed(file, "/density") == 7
        assert storage.committed(file, "/verdicts") == 0
        assert storage.groups(file) == ["/density", "/particles/n00064", "/verdicts"]
        recorded = storage.attributes(file)
        assert recorded["runfile"] == "x = 1\n" * 20000
        assert (recorded["seed"], recorded["note"], recorded["stop_reason"]) == (3, "done", "")


def test_completed_arrays_are_compressed_and_carry_checksums(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {}, [density()]) as writer:
        writer.complete([verdicts()])
    with storage.open_result(path) as file:
        arrays = [*file["density"].values(), *file["verdicts"].values()]
        arrays = [a for a in arrays if a.shape and a.dtype.kind != "O"]
        assert len(arrays) == 12
        assert all(a.compression == "gzip" and a.shuffle and a.fletcher32 for a in arrays)


def test_random_numbers_are_not_compressed_but_carry_checksums(tmp_path: Path) -> None:
    """Compression shortens what replicas leave by a sixth; it has to be a quarter."""
    path, rng = tmp_path / "run.h5", np.random.default_rng(1)
    with Writer.create(path, {}, [replicas()]) as writer:
        names = writer._file[replicas().path].attrs["framed"].split()
        shapes = [writer._file[replicas().path][name].shape for name in names]
        written = {name: rng.normal(size=shape) for name, shape in zip(names, shapes, strict=True)}
        writer.write(replicas().path, 0, **written)
        writer.complete()
    with storage.open_result(path) as file:
        arrays = [file[replicas().path][name] for name in names]
        assert arrays and all(a.compression is None and a.fletcher32 for a in arrays)
        assert all(np.array_equal(a, written[name]) for a, name in zip(arrays, names, strict=True))


def test_running_arrays_are_contiguous_and_allocated_and_committed_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    Writer.create(path, {}, [density(), replicas()]).close()
    with storage.open_result(path) as file:
        for group in storage.groups(file):
            assert next(iter(file[group])) == "committed"
            for array in file[group].values():
                plan = array.id.get_create_plist()
                assert plan.get_layout() == h5py.h5d.CONTIGUOUS
                assert plan.get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY
                assert array.size == 0 or array.id.get_offset() is not None
        assert np.isnan(file["density/rho"][()]).all()
        assert file["density/steps"].fillvalue == 0


def test_xarray_finds_axes_text_and_descriptions(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {"problem": "p"}, [density(), replicas()]) as writer:
        writer.set("/density", "c", np.arange(float(NC)))
        writer.set("/density", "bound", np.ones(NY))
        write_frame(writer, 0)
    for _ in ("running", "completed"):
        with xr.open_dataset(path, group="density", engine="h5netcdf") as dataset:
            assert dataset.rho.dims == ("time", "y", "c")
            assert dict(dataset.rho.attrs) == {
                "long_name": "density",
                "units": "1",
                "formula": "rho(t, y, c)",
            }
            np.testing.assert_array_equal(dataset.c, np.arange(NC))
            np.testing.assert_array_equal(dataset.rho[0], rho(0))
            assert float(dataset.bound.sum()) == NY
            assert dataset.y.attrs["long_name"] == "parameter y"
        with xr.open_dataset(path, group="particles/n00064") as dataset:
            assert dict(dataset.sizes) == {"replica": 6, "time": 3, "x": 4, "particle": 0}
        with xr.open_dataset(path) as root:
            assert (root.attrs["format"], root.attrs["problem"]) == ("liouville-run", "p")
            assert root.attrs["status"] in ("running", "completed")
        if storage.status(path) == "interrupted":
            with Writer.resume(path) as writer:
                writer.complete([verdicts()])
    with xr.open_dataset(path, group="verdicts") as dataset:
        assert dataset.name.values.tolist() == ["lln", "healing, ξ"]
        assert dataset.primary.dtype == np.int8
    with storage.open_result(path) as file:
        assert storage.read(file, "/verdicts", "name").tolist() == ["lln", "healing, ξ"]
        assert file["verdicts/name"].asstr()[1] == "healing, ξ"


def test_half_a_frame_reads_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {}, [density(5)]) as writer:
        write_frame(writer, 0)
    with h5py.File(path, "r+") as file:
        file["density/rho"][1, :4] = 7.0
        file["density/steps"][1] = 7
    with storage.open_result(path) as file:
        assert assert_committed_frames_are_intact(file) == 1


def test_the_crc_is_that_of_the_bytes_in_order_of_declaration(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {}, [density(5)]) as writer:
        writer.write("/density", 0, steps=[1, 2], loss=[0, 1], rho=[rho(0), rho(1)])
    expected = zlib.crc32(rho(1).astype("<f8").tobytes() + np.array(1, "<f8").tobytes() + np.array(2, "<i8").tobytes())
    with h5py.File(path, "r") as file:
        assert file["density"].attrs["framed"] == "rho loss steps"
        assert file["density/frame_crc"][1] == expected


def flip_a_byte(path: Path, offset: int) -> None:
    with open(path, "r+b") as raw:
        raw.seek(offset)
        byte = raw.read(1)[0]
        raw.seek(offset)
        raw.write(bytes([byte ^ 1]))


def test_a_damaged_frame_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {}, [density(5)]) as writer:
        for frame in range(4):
            write_frame(writer, frame)
    with storage.open_result(path) as file:
        offset = file["density/rho"].id.get_offset()
    flip_a_byte(path, offset + 8 * NY * NC * 2 + 11)
    with storage.open_result(path) as file:
        assert storage.verify(file) == ["/density: frame 2 (time) is damaged"]
    with (
        Writer.resume(path) as writer,
        pytest.raises(FileProblem, match=r"run\.h5: not completed, .* frame 2"),
    ):
        writer.complete()
    assert storage.status(path) == "interrupted"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]


def test_a_damaged_chunk_of_a_completed_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {}, [density(5)]) as writer:
        for frame in range(3):
            write_frame(writer, frame)
        writer.complete()
    with storage.open_result(path) as file:
        chunk = file["density/rho"].id.get_chunk_info(0)
    flip_a_byte(path, chunk.byte_offset + chunk.size // 2)
    with storage.open_result(path) as file:
        assert storage.verify(file) == [f"/density: frame {frame} (time) is damaged" for frame in range(3)]


def test_an_existing_file_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("precious")
    with pytest.raises(FileProblem, match=r"run\.h5: exists already"):
        Writer.create(path, {}, [density()])
    assert path.read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]
    Writer.create(path, {}, [density()], force=True).close()
    assert storage.status(path) == "interrupted"


def test_files_that_are_not_ours_are_refused_by_name(tmp_path: Path) -> None:
    missing, other, foreign, newer, cut = (
        tmp_path / f"{n}.h5" for n in ("missing", "other", "foreign", "newer", "cut")
    )
    other.write_text("not HDF5")
    with h5py.File(foreign, "w") as file:
        file.attrs["format"] = "another"
    with h5py.File(newer, "w") as file:
        file.attrs["format"], file.attrs["format_version"] = storage.FORMAT, storage.FORMAT_VERSION + 1
    Writer.create(cut, {}, [density()]).close()
    os.truncate(cut, cut.stat().st_size // 2)
    reasons = {
        missing: "no such file",
        other: "not an HDF5 file",
        foreign: "another format",
        newer: "version 2",
    }
    for path, reason in (reasons | {cut: "damaged", tmp_path: "no such file"}).items():
        for use in (storage.open_result, storage.status):
            with pytest.raises(FileProblem, match=reason) as problem:
                use(path)
            assert str(problem.value).startswith(f"{path}: ")
            assert "\n" not in str(problem.value)


def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileProblem, match=r"run\.h5: cannot be written, No such file or directory$"):
        Writer.create(tmp_path / "nowhere" / "run.h5", {}, [density()])
    huge = Group("/g", {"time": np.broadcast_to(0.0, 10**9)}, "time", (Variable("a", ("time",) * 2, "a"),))
    with pytest.raises(FileProblem, match=r"run\.h5: needs 8e\+09 GB, the disk has"):
        Writer.create(tmp_path / "run.h5", {}, [huge])

    def disk_is_full(*_: object, packed: bool) -> None:
        raise RuntimeError("flush failed (file write failed: time = now\n, No space left on device)")

    def no_flock(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "create_group", disk_is_full)
        with pytest.raises(FileProblem, match=r"run\.h5: cannot be written, No space left on device$"):
            Writer.create(tmp_path / "run.h5", {}, [density()])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(fcntl, "flock", no_flock)
    with pytest.raises(FileProblem, match=r"run\.h5: cannot be written, its file system has no locks"):
        Writer.create(tmp_path / "run.h5", {}, [density()])


def test_finish_records_how_and_why(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Writer.create(path, {}, [density()]) as writer:
        write_frame(writer, 0)
        writer.finish("failed", "ρ" * 1000)
        with pytest.raises(ValueError, match="finishes as failed or interrupted"):
            writer.finish("completed")
    assert storage.status(path) == "failed"
    with storage.open_result(path) as file:
        assert storage.attributes(file)["stop_reason"] == "ρ" * 128
        assert assert_committed_frames_are_intact(file) == 1


def test_an_exception_leaves_an_interrupted_run(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(ZeroDivisionError), Writer.create(path, {}, [density()]) as writer:
        write_frame(writer, 0)
        assert storage.status(path) == "running"
        raise ZeroDivisionError
    assert storage.status(path) == "interrupted"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]


def test_a_failed_creation_leaves_nothing(tmp_path: Path) -> None:
    wrong = Group("/g", {"x": np.arange(3.0)}, "x", (Variable("a", ("x",), "a", data=np.zeros(4)),))
    for groups in ([wrong], [Group("/g", {}, "x", (Variable("a", ("x",), "a"),))]):
        with pytest.raises(ValueError, match="/g/a: "):
            Writer.create(tmp_path / "run.h5", {}, groups)
    assert list(tmp_path.iterdir()) == []


def test_frames_come_in_order_and_whole(tmp_path: Path) -> None:
    with Writer.create(tmp_path / "run.h5", {}, [density(2)]) as writer:
        frame = {"rho": rho(0)[None], "loss": np.zeros(1), "steps": np.ones(1)}
        with pytest.raises(ValueError, match="frames 1:2 are not next, 0 of 2"):
            writer.write("/density", 1, **frame)
        with pytest.raises(ValueError, match="a frame consists of"):
            writer.write("/density", 0, rho=rho(0)[None])
        with pytest.raises(ValueError, match="frames have shape"):
            writer.write("/density", 0, **(frame | {"loss": np.zeros(2)}))
        for name in ("rho", "committed", "frame_crc"):
            with pytest.raises(ValueError, match="cannot be set"):
                writer.set("/density", name, 0)
        with pytest.raises(ValueError, match="has shape"):
            writer.set("/density", "c", [1.0])
        assert writer.committed("/density") == 0
        writer.write("/density", 0, **frame)
        with pytest.raises(ValueError, match="frames 1:3 are not next"):
            writer.write("/density", 1, rho=np.zeros((2, NY, NC)), loss=[0, 0], steps=[0, 0])


def test_fresh_names_count_upwards(tmp_path: Path) -> None:
    assert storage.fresh_name("flat-fourier", tmp_path) == tmp_path / "flat-fourier.h5"
    (tmp_path / "flat-fourier.h5").touch()
    (tmp_path / "flat-fourier-2.h5").touch()
    assert storage.fresh_name("flat-fourier", tmp_path) == tmp_path / "flat-fourier-3.h5"
