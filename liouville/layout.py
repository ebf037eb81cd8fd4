"""How groups of arrays lie in a result file: HDF5 that is valid netCDF-4.

Each axis is a dimension scale. In a running file a dataset is contiguous, has its full size and holds its
fill value from the start, so that the structure never changes while numbers are overwritten where they stand;
in a completed one it carries checksums, and is compressed where that shortens it by a quarter: what replicas leave is
random in all but the first bits.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

COMMITTED, FRAME_CRC = "committed", "frame_crc"
DESCRIBED = ("long_name", "units", "formula")
CHUNK, BLOCK = 2**19, 2**25  # bytes: of a chunk, and held in memory while copying
SAMPLE, PAYS = 2**16, 0.75  # bytes that compression is tried on, and what they have to shrink to
LEVEL = 1  # of deflate, here and there
LONG_NAMES = {
    "time2": "second time",
    "y": "parameter y",
    "y1": "parameter y, first component",
    "y2": "parameter y, second component",
    "c": "parameter c",
    "x": "input x",
    "x2": "second input x'",
    "n": "number of particles",
}
KINDS = {"f": "f8", "i": "i8", "u": "i8", "b": "i1"}  # of coordinate values; others are text

Array = NDArray[Any]
Attribute = str | int | float


@dataclass(frozen=True)
class Variable:
    """One array of a group. With `data` it is static; without, it holds its fill: NaN, or 0 for integers."""

    name: str
    dims: tuple[str, ...]
    long_name: str
    formula: str = ""
    dtype: str = "f8"  # a numpy dtype, or "str"
    data: Array | None = None
    units: str = "1"


@dataclass(frozen=True)
class Group:
    """Arrays on common axes.

    `axes` maps each dimension to its coordinate values, which may be placeholders that are overwritten later.
    The variables without `data` whose leading dimension is `frame` are *framed*: written frame by frame.
    """

    path: str
    axes: Mapping[str, Array]
    frame: str
    variables: tuple[Variable, ...]

    def framed(self) -> list[str]:
        """Names of the framed variables, in order."""
        return [v.name for v in self.variables if v.data is None and v.dims[:1] == (self.frame,)]

    def shape(self, variable: Variable) -> tuple[int, ...]:
        """Lengths of the axes of a variable; ValueError if one is missing."""
        if unknown := [dim for dim in variable.dims if dim not in self.axes]:
            raise ValueError(f"{self.path}/{variable.name}: the group has no axis {', '.join(unknown)}")
        return tuple(len(self.axes[dim]) for dim in variable.dims)

    def nbytes(self) -> int:
        """Size of the variables that are not text."""
        numbers = [v for v in self.variables if v.dtype != "str"]
        return sum(int(np.prod(self.shape(v), dtype=float)) * np.dtype(v.dtype).itemsize for v in numbers)


def create_group(file: h5py.File, group: Group, *, packed: bool) -> None:
    """Write a group and its static data; if variables are framed, with their counter first of all."""
    shapes = [group.shape(variable) for variable in group.variables]
    home = require_group(file, group.path)
    framed = group.framed()
    set_attributes(home, {"frame": group.frame, "framed": " ".join(framed)})
    if framed:
        _create(home, Variable(COMMITTED, (), "frames written so far", dtype="i8"), (), packed)
    for name, values in group.axes.items():
        kind = KINDS.get(np.asarray(values).dtype.kind, "str")
        axis = Variable(name, (name,), LONG_NAMES.get(name, name), dtype=kind, data=values)
        _create(home, axis, np.shape(values), packed).make_scale(name)
    if framed:
        crc = Variable(FRAME_CRC, (group.frame,), "CRC-32 of each frame", dtype="u4")
        _attach(home, _create(home, crc, group.shape(crc), packed), crc.dims)
    for variable, shape in zip(group.variables, shapes, strict=True):
        _attach(home, _create(home, variable, shape, packed), variable.dims)


def copy_group(source: h5py.Group, target: h5py.Group) -> None:
    """Write everything of `source` into `target`, compressed."""
    set_attributes(target, {name: text(value) for name, value in source.attrs.items()})
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            copy_group(item, require_group(target, name))
        else:
            _copy(item, target, name)
    datasets = {name: item for name, item in source.items() if isinstance(item, h5py.Dataset)}
    scales = {_address(item): name for name, item in datasets.items() if item.is_scale}
    for name, item in datasets.items():
        if not item.is_scale:
            _attach(target, target[name], [scales[_address(axis[0])] for axis in item.dims])


def _address(dataset: h5py.Dataset) -> int:
    """Where it is in its file: the same for the same dataset, and found faster than its name."""
    return int(h5py.h5o.get_info(dataset.id).addr)


def copy_frames(source: h5py.Group, target: h5py.Group) -> None:
    """The frames of `source` into a group with room for more, and all its arrays that keep their shape."""
    count, names = int(source[COMMITTED][()]), [FRAME_CRC, *framed(source)]
    for name, item in source.items():
        if name in names:
            rows = max(1, BLOCK * len(item) // max(item.nbytes, 1))
            for start in range(0, count, rows):
                part = slice(start, min(start + rows, count))
                target[name][part] = item[part]
        elif name != COMMITTED and item.shape == target[name].shape and item.dtype.kind != "O":
            target[name][...] = item[...]
    target[COMMITTED][()] = count


def differences(old: h5py.Group, new: h5py.Group) -> list[str]:
    """One line for each dataset of `old` that does not stand, byte for byte, in `new`."""
    unequal = []
    for name, item in old.items():
        if isinstance(item, h5py.Group):
            unequal += differences(item, new[name])
        elif not all(_equal(item[block], new[name][block]) for block in _blocks(item)):
            unequal.append(f"{item.name} does not read back")
    return unequal


def require_group(parent: h5py.Group, path: str) -> h5py.Group:
    """A group and those above it, all of which keep their members in order, as netCDF-4 wants."""
    home = parent
    for name in path.strip("/").split("/"):
        home = home[name] if name in home else home.create_group(name, track_order=True)
    return home


def set_attributes(item: h5py.Group | h5py.Dataset, values: Mapping[str, Attribute]) -> None:
    """Write attributes; those of the same name are replaced."""
    for name, value in values.items():
        item.attrs[name] = value


def text(value: Any) -> Any:
    """An attribute as str if it is text of fixed length, otherwise as it is."""
    return value.decode() if isinstance(value, bytes) else value


def framed(home: h5py.Group) -> list[str]:
    """The framed variables of a group, in the order in which `frame_crc` takes them."""
    return str(home.attrs["framed"]).split()


def _create(home: h5py.Group, variable: Variable, shape: tuple[int, ...], packed: bool) -> h5py.Dataset:
    is_text = variable.dtype == "str"
    dtype = h5py.string_dtype() if is_text else np.dtype(variable.dtype).newbyteorder("<")
    dataset = _allocate(home, variable.name, shape, dtype, packed)
    if variable.data is not None:
        values = np.asarray(variable.data)
        if values.shape != shape:
            raise ValueError(f"{dataset.name}: data of shape {values.shape} on axes of shape {shape}")
        dataset[...] = values.astype(object) if is_text else values
    set_attributes(dataset, {key: getattr(variable, key) for key in DESCRIBED if getattr(variable, key)})
    return dataset


def _copy(source: h5py.Dataset, home: h5py.Group, name: str) -> None:
    dataset = _allocate(home, name, source.shape, source.dtype, packed=True, deflate=_pays(source))
    for block in _blocks(dataset):
        dataset[block] = source[block]
    set_attributes(dataset, {key: source.attrs[key] for key in source.attrs if key in Variable.__annotations__})
    if source.is_scale:
        dataset.make_scale(name)


def _pays(source: h5py.Dataset) -> bool:
    """Whether compression shortens a sample from the middle enough; shuffled, as HDF5 does it."""
    if source.dtype.kind == "O" or not source.ndim or not source.size:
        return True
    rows = max(1, SAMPLE * len(source) // max(source.nbytes, 1))
    start = (len(source) - rows) // 2 if rows < len(source) else 0
    values = np.ascontiguousarray(source[start : start + rows]).reshape(-1)[: SAMPLE // source.dtype.itemsize]
    shuffled = values.view(np.uint8).reshape(values.size, -1).T.tobytes()
    return len(zlib.compress(shuffled, LEVEL)) <= PAYS * len(shuffled)


def _allocate(
    home: h5py.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    packed: bool,
    deflate: bool = True,
) -> h5py.Dataset:
    """A dataset that holds its fill value: contiguous and there from the start, or in chunks with checksums."""
    # not by create_dataset, which drops the properties of a scalar, `committed` among them
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    if dtype.kind != "O":
        properties.set_fill_value(np.array(np.nan if dtype.kind == "f" else 0, dtype))
    if packed and dtype.kind != "O" and shape and 0 not in shape:
        properties.set_chunk(_chunks(shape, dtype.itemsize))
        properties.set_shuffle()
        if deflate:
            properties.set_deflate(LEVEL)
        properties.set_fletcher32()
    else:
        properties.set_layout(h5py.h5d.CONTIGUOUS)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    kind = h5py.h5t.py_create(dtype, logical=True)
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    return h5py.Dataset(h5py.h5d.create(home.id, name.encode(), kind, space, properties))


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Whole trailing axes, as many as a chunk has room for, and a part of the next."""
    room = CHUNK // itemsize
    chunks = []
    for length in reversed(shape):
        chunks.append(min(length, room))
        room = max(1, room // length)
    return tuple(reversed(chunks))


def _attach(home: h5py.Group, dataset: h5py.Dataset, dims: Sequence[str]) -> None:
    for axis, dim in enumerate(dims):
        dataset.dims[axis].attach_scale(home[dim])


def _blocks(dataset: h5py.Dataset) -> Iterator[slice | tuple[()]]:
    """Selections along the leading axis, of whole chunks and bounded memory, that together are everything."""
    if not dataset.shape:
        yield ()
    elif dataset.size:
        length = dataset.shape[0]
        rows = dataset.chunks[0] if dataset.chunks else 1
        rows *= max(1, BLOCK * length // (rows * dataset.nbytes))
        yield from (slice(start, start + rows) for start in range(0, length, rows))


def _equal(a: Any, b: Any) -> bool:
    """Equal to the bit, NaN included."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind == "O":
        return bool(np.array_equal(a, b))
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
