"""The result file: readable at every instant of a run, also after a kill, and compressed when it completes.

The file is made aside with all its arrays (`layout`), moved into place, and from then on numbers are
overwritten where they stand. Per group, `committed` counts the frames that are wholly there: it is written
after the frames it counts, and has to be read before them. `frame_crc` holds one CRC-32 per frame.
"""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Self

import h5py
import numpy as np
from numpy.typing import ArrayLike

from liouville.beside import FileProblem, aside, fsync, locking, release, require_space
from liouville.layout import (
    COMMITTED,
    FRAME_CRC,
    Array,
    Attribute,
    Group,
    Variable,
    copy_frames,
    copy_group,
    create_group,
    differences,
    framed,
    require_group,
    set_attributes,
    text,
)
from liouville.reading import (
    FORMAT,
    FORMAT_VERSION,
    attributes,
    checksum,
    committed,
    fresh_name,
    groups,
    open_result,
    read,
    status,
    verify,
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

SIZES = {"status": 16, "stop_reason": 256}  # bytes: an attribute that changes in place keeps its size
ANEW = ("hypotheses", "verdicts")  # written when a run completes
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

    @classmethod
    def extend(cls, path: str | Path, attributes: Mapping[str, Attribute], groups: Sequence[Group]) -> Self:
        """Make a completed file one of status running again, with room for more frames; what it holds stays.

        attributes : those that change.  groups : all that are written frame by frame, as for `create`; others are kept
        but for /hypotheses and /verdicts, which `complete` writes anew. Raises FileProblem where it is not completed.
        """
        path = Path(path)
        with locking(path) as lock:
            with open_result(path) as old:
                if text(old.attrs["status"]) != "completed":
                    raise FileProblem(f"{path}: is not completed; `liouville resume` goes on with it first")
                if any(group.path in old and framed(old[group.path]) != group.framed() for group in groups):
                    raise FileProblem(f"{path}: an older version recorded less of each replica; start anew")
                require_space(path, sum(group.nbytes() for group in groups))
                with aside(path) as new, _open_new(new) as file:
                    known = {name: text(value) for name, value in old.attrs.items() if name not in SIZES}
                    set_attributes(file, known | _provenance() | dict(attributes))
                    for name, size in SIZES.items():
                        file.attrs.create(name, np.bytes_(b""), dtype=h5py.string_dtype("utf-8", size))
                    _change(file, "running")
                    for group in groups:
                        create_group(file, group, packed=False)
                        if group.path in old:
                            copy_frames(old[group.path], file[group.path])
                    for name in old:
                        if name not in file and name not in ANEW:
                            copy_group(old[name], require_group(file, name))
            return cls(path, _open_old(path), lock)

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
        home[FRAME_CRC][start:stop] = [checksum(frame) for frame in zip(*blocks, strict=True)]
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
                if problems := verify(self._file) + differences(self._file, file):  # hence the new one's frames, too
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
