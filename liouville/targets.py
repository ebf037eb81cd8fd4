"""Targets f(x)."""

import csv
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, PrivateAttr, Tag, ValidationInfo, field_validator, model_validator

from liouville.densities.series import FourierSeries
from liouville.errors import Misfit
from liouville.model import Model, Number, Positive, as_tuple, shape

Array = NDArray[np.floating]


class FourierTarget(FourierSeries):
    """f(x) = constant + sum_k cos_k cos(k x) + sin_k sin(k x)."""

    kind: Literal["fourier"] = "fourier"


class _Sum(Model):
    """A sum of terms, described by lists of equal length."""

    @model_validator(mode="after")
    def _alike(self) -> Self:
        lists = {key: len(value) for key, value in self if isinstance(value, tuple)}
        first = next(iter(lists))
        for key, length in lists.items():
            if length != lists[first]:
                raise ValueError(f"{key} must have {lists[first]} entries, one for each of {first}")
        return self


class BumpsTarget(_Sum):
    """f(x) = sum of amplitude exp(concentration (cos(x - centre) - 1)): peaks of these heights on the circle."""

    kind: Literal["bumps"] = "bumps"
    amplitudes: Annotated[tuple[Number, ...], Field(min_length=1)]
    centres: tuple[Number, ...]
    concentrations: tuple[Positive, ...]

    def __call__(self, x: Array) -> Array:
        """f at x (P,)."""
        bumps = np.exp(np.array(self.concentrations) * (np.cos(x[:, None] - np.array(self.centres)) - 1))
        return np.asarray(bumps @ np.array(self.amplitudes))


class GaussiansTarget(_Sum):
    """f(x) = sum of weight N(x; mean, std^2) on the line."""

    kind: Literal["gaussians"] = "gaussians"
    weights: Annotated[tuple[Number, ...], Field(min_length=1)]
    means: tuple[Number, ...]
    stds: tuple[Positive, ...]

    def __call__(self, x: Array) -> Array:
        """f at x (P,)."""
        std = np.array(self.stds)
        u = (x[:, None] - np.array(self.means)) / std
        return np.asarray((np.exp(-(u**2) / 2) / (std * np.sqrt(2 * np.pi))) @ np.array(self.weights))


class Neuron(Model):
    """One term c phi(x, y) of a teacher."""

    c: Number
    y: Annotated[
        Annotated[Number, Tag("a number")]
        | Annotated[tuple[Number, ...], Field(min_length=1, max_length=3), Tag("a list")],
        Discriminator(shape),
    ]


class TeacherTarget(Model):
    """f(x) = sum of c phi(x, y) over some neurons, phi the problem's own unit."""

    kind: Literal["teacher"] = "teacher"
    neurons: Annotated[tuple[Neuron, ...], Field(min_length=1)]

    def particles(self) -> tuple[Array, Array]:
        """y (N, n) and c (n,). Raises Misfit where the neurons have unequal numbers of components."""
        rows = [as_tuple(neuron.y) for neuron in self.neurons]
        if len({len(row) for row in rows}) > 1:
            raise Misfit("target.neurons", "must have y of the same length")
        return np.array(rows).T, np.array([neuron.c for neuron in self.neurons])


class InitialTarget(Model):
    """f := f_in, the representation of the initial density: the stationary problem."""

    kind: Literal["initial"] = "initial"


class SamplesTarget(Model):
    """Measured values f at points x, read from a CSV with a header; the points are the measure unless another is given.

    file : relative to the run file, or "package:NAME" for data that the program ships.
    columns : names of x, f and optionally weight (x1, x2, f and optionally weight for a unit with two inputs).
    period : x is an angle x 2 pi/period; without it x is in radians on the circle, and taken as it is elsewhere.
    x_range : [low, high] that x is first scaled to, its least value to low and its largest to high.
    scale : f is multiplied by it.  standardize : f is first made to have mean 0 and variance 1.
    """

    kind: Literal["samples"] = "samples"
    file: str
    columns: Annotated[tuple[str, ...], Field(min_length=2, max_length=4)] | None = None
    period: Positive | None = None
    x_range: tuple[Number, Number] | None = None
    scale: Number = 1.0
    standardize: bool = False
    _table: dict[str, tuple[float, ...]] = PrivateAttr()

    @field_validator("file")
    @classmethod
    def _resolve(cls, file: str, info: ValidationInfo) -> str:
        if file.startswith("package:"):
            return file
        folder = (info.context or {}).get("folder", Path.cwd())
        return str((Path(folder) / file).resolve())

    @field_validator("x_range")
    @classmethod
    def _ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError("must be [low, high] with low < high")
        return value

    @model_validator(mode="after")
    def _read(self) -> Self:
        if self.period is not None and self.x_range is not None:
            raise ValueError("period and x_range cannot both be given")
        self._table = _read_columns(self.file, self.columns)
        return self

    def points(self, inputs: int = 1) -> tuple[Array, Array, Array]:
        """x (P,) or (P, 2), f (P,) and weights (P,) summing to 1.

        Raises Misfit where the columns are not those that `inputs` asks for, or cannot be scaled as described.
        """
        names = [*(("x",) if inputs == 1 else ("x1", "x2")), "f"]
        names = list(self.columns) if self.columns else [*names, *(["weight"] if "weight" in self._table else [])]
        if len(names) not in (inputs + 1, inputs + 2):
            raise Misfit("target.columns", f"must be {inputs + 1} or {inputs + 2} names: x, f and optionally weight")
        missing = [name for name in names if name not in self._table]
        if missing:
            raise Misfit("target", f"{self.file} has no column {missing[0]!r}; it has {', '.join(self._table)}")
        columns = [np.array(self._table[name]) for name in names]
        x, f = np.stack(columns[:inputs], axis=1), columns[inputs]
        w = columns[inputs + 1] if len(columns) == inputs + 2 else np.ones(f.size)
        if np.any(w <= 0):
            raise Misfit("target", f"weights in {self.file} must be > 0")
        w = w / w.sum()
        if self.x_range is not None:
            low, high = x.min(axis=0), x.max(axis=0)
            if np.any(low == high):
                raise Misfit("target.x_range", f"x of {self.file} does not vary")
            x = self.x_range[0] + (self.x_range[1] - self.x_range[0]) * ((x - low) / (high - low))
        if self.period is not None:
            x = x * (2 * np.pi / self.period)
        if self.standardize:
            f = f - w @ f
            size = float(np.sqrt(w @ f**2))
            if size <= 1e-14 * np.abs(columns[inputs]).max():
                raise Misfit("target.standardize", f"f of {self.file} does not vary")
            f = f / size
        return x[:, 0] if inputs == 1 else x, self.scale * f, w

    def between(self, x: Array, circle: bool) -> Array:
        """f at x (P,): the measured values, linear in between, constant beyond them on the line."""
        points, f, _ = self.points()
        if circle or self.period is not None:
            return np.interp(x, points, f, period=2 * np.pi)
        order = np.argsort(points)
        return np.interp(x, points[order], f[order])


Target = Annotated[
    FourierTarget | BumpsTarget | GaussiansTarget | TeacherTarget | InitialTarget | SamplesTarget,
    Field(discriminator="kind"),
]


def _read_columns(file: str, columns: tuple[str, ...] | None) -> dict[str, tuple[float, ...]]:
    """The columns of numbers of a CSV that may be needed, by name. Raises ValueError in one line."""
    source: Any = Path(file)
    if file.startswith("package:"):
        source = resources.files("liouville.problems") / file.removeprefix("package:")
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'not text'}") from None
    rows = list(csv.DictReader(text.splitlines()))
    if not rows:
        raise ValueError(f"{file} needs a header and at least one row")
    inputs = ("x1", "x2") if "x1" in rows[0] else ("x",)
    names = columns or (*inputs, "f", *(["weight"] if "weight" in rows[0] else []))
    missing = [name for name in names if name not in rows[0]]
    if missing:
        raise ValueError(f"{file} has no column {missing[0]!r}; it has {', '.join(map(str, rows[0]))}")
    try:
        table = {name: tuple(float(row[name]) for row in rows) for name in names}
    except (TypeError, ValueError):
        raise ValueError(f"{file} has a value in {', '.join(names)} that is not a number") from None
    if not np.all(np.isfinite(list(table.values()))):
        raise ValueError(f"{file} has values that are not finite")
    if not columns and min(table.get("weight", (1.0,))) <= 0:
        raise ValueError(f"weights in {file} must be > 0")
    return table
