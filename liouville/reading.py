"""Reading a result file, also while it is written; its format by name and version."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from liouville.beside import FileProblem, held
from liouville.layout import BLOCK, COMMITTED, FRAME_CRC, Array, framed, text

FORMAT = "liouville-run"
FORMAT_VERSION = 1


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


def checksum(frame: Sequence[Array]) -> int:
    """CRC-32 over the variables of one frame, one after the other, as stored (little-endian, C order)."""
    crc = 0
    for values in frame:
        crc = zlib.crc32(values.tobytes(), crc)
    return crc


def _damaged_frames(file: h5py.File, group: str) -> Iterator[int]:
    count, home = committed(file, group), file[group]
    datasets = [home[name] for name in framed(home)]  # kept open, and with them the chunks last unpacked
    if count:
        rows = max(1, BLOCK * len(datasets[0]) // sum(dataset.nbytes for dataset in datasets))
        for start in range(0, count, rows):
            yield from _damaged_among(home[FRAME_CRC], datasets, start, min(start + rows, count))


def _damaged_among(crc: h5py.Dataset, datasets: list[h5py.Dataset], start: int, stop: int) -> Iterator[int]:
    """The damaged of some frames, read at once; one by one where a chunk fails its own checksum."""
    try:
        known, blocks = crc[start:stop], [dataset[start:stop] for dataset in datasets]
    except OSError:
        if stop - start == 1:
            yield start
        else:
            for frame in range(start, stop):
                yield from _damaged_among(crc, datasets, frame, frame + 1)
        return
    for frame in range(start, stop):
        if checksum([block[frame - start] for block in blocks]) != int(known[frame - start]):
            yield frame


def _open_to_read(path: Path) -> h5py.File:
    """HDF5 wants all openings of a file in one process to agree about locking."""
    try:
        return h5py.File(path, "r")  # as others do, xarray among them
    except OSError:
        return h5py.File(path, "r", locking=False)  # as `Writer` does; or there are no locks here
