"""The result file: readable at every instant of a run, also after a kill, and compressed when it completes.

The file is made aside with all its arrays (`layout`), moved into place, and from then on numbers are
overwritten where they stand. Per group, `committed` counts the frames that are wholly there: it is written
after the frames it counts, and has to be read before them. `frame_crc` holds one CRC-32 per frame.
"""

import platform
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike

from liouville.beside import FileProblem, aside, fsync, held, locking, release, require_space
from liouville.layout import (
    COMMITTED,
    FRAME_CRC,
    Array,
    Attribute,
    Group,
    Variable,
    copy_group,
    create_group,
    differences,
    framed,
    set_attributes,
    text,
)

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "FileProblem",
    "Group",
    "Variable",
    "Writer",
    "attributes",
    "committed",
    "fresh_name",
    "groups",
    "open_result",
    "read",
    "status",
    "verify",
]

FORMAT = "liouville-run"
FORMAT_VERSION = 1
SIZES = {"status": 16, "stop_reason": 256}  # bytes: an attribute that changes in place keeps its size
LIBVER = ("v108", "v108")  # newer ones flag an open file, and after a kill nothing opens it any more


class Writer:
    """The one process that writes a result file; a context manager.

    Leaving the context only closes. A file that was neither completed nor finished still says it is running,
    and readers, who see that nobody holds its lock, call it interrupted.
    """

    def __init__(self, path: Path, file: h5py.File, lock: int) -> None:
        """Not for use: see `create` and `resume`."""
        self.path = path
        self._file = file
        self._lock: int | None = lock

    @classmethod
    def create(
        cls,
        path: str | Path,
        attributes: Mapping[str, Attribute],
        groups: Sequence[Group],
        *,
        force: bool = False,
    ) -> Self:
        """Make a file of status running; FileProblem if it exists (unless `force`) or is being written."""
        path = Path(path)
        with locking(path) as lock:
            if path.exists() and not force:
                raise FileProblem(f"{path}: exists already and is not overwritten")
            require_space(path, sum(group.nbytes() for group in groups))
            with aside(path) as new, _open_new(new) as file:
                set_attributes(file, _provenance() | dict(attributes))
                for name, size in SIZES.items():
                    file.attrs.create(name, np.bytes_(b""), dtype=h5py.string_dtype("utf-8", size))
                _change(file, "running")
                for group in groups:
                    create_group(file, group, packed=False)
            return cls(path, _open_old(path), lock)

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """Go on with a file that was not completed: its status is running again, committed frames stay."""
        path = Path(path)
        with locking(path) as lock:
            with open_result(path) as file:
                if text(file.attrs["status"]) == "completed":
                    raise FileProblem(f"{path}: is completed, there is nothing to resume")
            file = _open_old(path)
            _change(file, "running")
            file.flush()
            return cls(path, file, lock)

    def set(self, group: str, name: str, values: ArrayLike) -> None:
        """Overwrite a coordinate, or a variable that is neither framed nor text."""
        home, array = self._file[group], np.asarray(values)
        dataset = home[name]
        if name in (COMMITTED, FRAME_CRC, *framed(home)) or dataset.dtype.kind == "O":
            raise ValueError(f"{group}/{name} cannot be set")
        if array.shape != dataset.shape:
            raise ValueError(f"{group}/{name} has shape {dataset.shape}, not {array.shape}")
        dataset[...] = array
        self._file.flush()

    def write(self, group: str, start: int, **arrays: ArrayLike) -> None:
        """Write frames start, start + 1, ... of all framed variables of a group, and commit them.

        Each array has the frame axis first, all with equally many frames. `start` is the number committed
        so far: frames come in order.
        """
        home = self._file[group]
        blocks = _blocks_to_write(home, arrays)
        stop, done, total = start + len(blocks[0]), self.committed(group), len(home[FRAME_CRC])
        if start != done or stop > total:
            raise ValueError(f"{group}: frames {start}:{stop} are not next, {done} of {total} are there")
        for name, block in zip(framed(home), blocks, strict=True):
            home[name][start:stop] = block
        home[FRAME_CRC][start:stop] = [_checksum(frame) for frame in zip(*blocks, strict=True)]
        self._file.flush()
        home[COMMITTED][()] = stop  # only now: whoever reads this number finds the frames
        self._file.flush()

    def committed(self, group: str) -> int:
        """Number of frames that are wholly written."""
        return committed(self._file, group)

    def frames(self, group: str, name: str, count: int) -> Array:
        """The first `count` frames of a framed variable, as they were written."""
        values: Array = np.asarray(self._file[group][name][:count])
        return values

    def finish(self, status: str, stop_reason: str = "") -> None:
        """Record how a run ended that did not complete: "failed" or "interrupted"."""
        if status not in ("failed", "interrupted"):
            raise ValueError(f"a run finishes as failed or interrupted, not as {status!r}")
        _change(self._file, status, stop_reason)
        self.sync()

    def complete(self, extra: Sequence[Group] = (), attributes: Mapping[str, Attribute] | None = None) -> None:
        """Rewrite the file aside, compressed, with `extra` groups; verify it; move it into place; close it.

        If it does not read back bit for bit this is a FileProblem, and the file stays as it is.
        """
        self._file.flush()
        require_space(self.path, self.path.stat().st_size + sum(group.nbytes() for group in extra))
        with aside(self.path) as new:
            with _open_new(new) as file:
                copy_group(self._file, file)
                for group in extra:
                    create_group(file, group, packed=True)
                set_attributes(file, dict(attributes or {}) | {"status": "completed", "stop_reason": ""})
            with h5py.File(new, "r", locking=False) as file:
                if problems := differences(self._file, file) + verify(file):
                    raise FileProblem(f"{self.path}: not completed, {problems[0]}")
        self._file.close()

    def sync(self) -> None:
        """Bring all to the disk, not only out of this process."""
        self._file.flush()
        fsync(self.path)

    def close(self) -> None:
        """Close the file and remove the lock; closing twice does no harm."""
        self._file.close()
        if self._lock is not None:
            release(self.path, self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_result(path: str | Path) -> h5py.File:
    """Open a result file to read it, also while it is written; FileProblem if it is not one of ours."""
    path = Path(path)
    if not path.is_file():
        raise FileProblem(f"{path}: no such file")
    try:
        file = _open_to_read(path)
    except OSError as problem:
        raise FileProblem(f"{path}: is not an HDF5 file, or is damaged, or cannot be read") from problem
    try:
        kind, version = (text(file.attrs.get(name)) for name in ("format", "format_version"))
        if kind != FORMAT:
            raise FileProblem(f"{path}: is an HDF5 file of another format, not {FORMAT!r}")
        if not isinstance(version, int | np.integer) or version > FORMAT_VERSION:
            raise FileProblem(f"{path}: has format version {version}, readable here is {FORMAT_VERSION}")
    except BaseException:
        file.close()
        raise
    return file


def attributes(file: h5py.File) -> dict[str, Any]:
    """The root attributes, text as str; `status` as recorded (the function `status` knows more)."""
    return {name: text(value) for name, value in file.attrs.items()}


def groups(file: h5py.Group) -> list[str]:
    """Paths of the groups that hold arrays, in order."""
    paths = []
    for item in file.values():
        if isinstance(item, h5py.Group):
            paths += [item.name] * ("frame" in item.attrs) + groups(item)
    return paths


def committed(file: h5py.File, group: str) -> int:
    """Number of frames that are wholly written, 0 in a group without frames. Read it before the frames."""
    home = file[group]
    return int(home[COMMITTED][()]) if COMMITTED in home else 0


def read(file: h5py.File, group: str, name: str) -> Array:
    """A variable in full shape, text as str. Frames that are not committed are NaN (0 for integers)."""
    count, dataset = committed(file, group), file[group][name]
    if dataset.dtype.kind == "O":
        return np.asarray(dataset.asstr()[()], dtype=object)
    values: Array = np.asarray(dataset[()])
    if name in framed(file[group]):
        values[count:] = dataset.fillvalue  # half a frame may be there already
    return values


def verify(file: h5py.File) -> list[str]:
    """One line for each committed frame that does not match its CRC or cannot be read; [] if all is sound."""
    return [
        f"{group}: frame {frame} ({file[group].attrs['frame']}) is damaged"
        for group in groups(file)
        for frame in _damaged_frames(file, group)
    ]


def status(path: str | Path) -> str:
    """The recorded status, but "interrupted" for a file said to be running that no live process writes."""
    path = Path(path)
    written = held(path)  # first: a run that ends meanwhile is not taken for an interrupted one
    with open_result(path) as file:
        recorded = str(text(file.attrs["status"]))
    return "interrupted" if recorded == "running" and not (written or held(path)) else recorded


def fresh_name(stem: str, directory: str | Path = ".") -> Path:
    """stem.h5, stem-2.h5, stem-3.h5, ...: the first that does not exist and is not about to."""
    path, number = Path(directory) / f"{stem}.h5", 1
    while path.exists() or held(path):
        number += 1
        path = path.with_name(f"{stem}-{number}.h5")
    return path


def _blocks_to_write(home: h5py.Group, arrays: Mapping[str, ArrayLike]) -> list[Array]:
    """Frames of each framed variable, in order and in the type they are stored in."""
    names = framed(home)
    if not names or set(arrays) != set(names):
        raise ValueError(f"{home.name}: a frame consists of {names}, not of {sorted(arrays)}")
    blocks: list[Array] = [np.asarray(arrays[name], dtype=home[name].dtype) for name in names]
    for name, block in zip(names, blocks, strict=True):
        expected = (len(blocks[0]), *home[name].shape[1:])
        if block.shape != expected:
            raise ValueError(f"{home.name}/{name}: frames have shape {expected}, not {block.shape}")
    return blocks


def _checksum(frame: Sequence[Array]) -> int:
    """CRC-32 over the variables of one frame, one after the other, as stored (little-endian, C order)."""
    crc = 0
    for values in frame:
        crc = zlib.crc32(values.tobytes(), crc)
    return crc


def _damaged_frames(file: h5py.File, group: str) -> Iterator[int]:
    count, home = committed(file, group), file[group]
    datasets = [home[name] for name in framed(home)]  # kept open, and with them the chunks last unpacked
    for frame in range(count):
        try:
            sound = _checksum([dataset[frame] for dataset in datasets]) == int(home[FRAME_CRC][frame])
        except OSError:  # a chunk that fails its own checksum
            sound = False
        if not sound:
            yield frame


def _change(file: h5py.File, status: str, stop_reason: str = "") -> None:
    """Overwrite the two attributes in place, cut to their size between characters."""
    for name, value in (("status", status), ("stop_reason", stop_reason)):
        cut = value.encode()[: SIZES[name]].decode(errors="ignore")
        file.attrs.modify(name, np.bytes_(cut.encode()))


def _provenance() -> dict[str, Attribute]:
    packages = [f"{name} {_version(name)}" for name in ("numpy", "scipy", "numba", "h5py")]
    creator = [f"liouville {_version('liouville')}", f"python {platform.python_version()}", *packages]
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": created,
        "creator": ", ".join(creator),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a source tree that is not installed
        return "unknown"


def _open_new(path: Path) -> h5py.File:
    return h5py.File(path, "w", libver=LIBVER, locking=False, track_order=True)


def _open_old(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r+", libver=LIBVER, locking=False)
    except OSError as problem:
        raise FileProblem(f"{path}: cannot be opened for writing") from problem


def _open_to_read(path: Path) -> h5py.File:
    """HDF5 wants all openings of a file in one process to agree about locking."""
    try:
        return h5py.File(path, "r")  # as others do, xarray among them
    except OSError:
        return h5py.File(path, "r", locking=False)  # as `Writer` does; or there are no locks here
