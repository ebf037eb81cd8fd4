"""Targets f(x)."""

import csv
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from liouville.densities import FourierSeries
from liouville.model import Model, Positive

Array = NDArray[np.floating]


class FourierTarget(FourierSeries):
    """f(x) = constant + sum_k cos_k cos(k x) + sin_k sin(k x)."""

    kind: Literal["fourier"] = "fourier"


class InitialTarget(Model):
    """f := f_in, the representation of the initial density: the stationary problem."""

    kind: Literal["initial"] = "initial"


class SamplesTarget(Model):
    """Measured values f at points x, read from a CSV with a header; the points are the measure unless another is given.

    file : relative to the run file, or "package:NAME" for data that the program ships.
    columns : names of x, f and optionally weight.  period : x is an angle x 2 pi/period (2 pi by default).
    scale : f is multiplied by it.  standardize : f is first made to have mean 0 and variance 1.
    """

    kind: Literal["samples"] = "samples"
    file: str
    columns: Annotated[tuple[str, ...], Field(min_length=2, max_length=3)] | None = None
    period: Positive = 2 * np.pi
    scale: float = 1.0
    standardize: bool = False
    _table: tuple[tuple[float, ...], ...] = PrivateAttr()

    @field_validator("file")
    @classmethod
    def _resolve(cls, file: str, info: ValidationInfo) -> str:
        if file.startswith("package:"):
            return file
        folder = (info.context or {}).get("folder", Path.cwd())
        return str((Path(folder) / file).resolve())

    @model_validator(mode="after")
    def _read(self) -> "SamplesTarget":
        table = _read_columns(self.file, self.columns)
        if not np.all(np.isfinite(table)):
            raise ValueError(f"{self.file} has values that are not finite")
        if np.any(table[:, 2] <= 0):
            raise ValueError(f"weights in {self.file} must be > 0")
        self._table = tuple(map(tuple, table.tolist()))
        return self

    def points(self) -> tuple[Array, Array, Array]:
        """x (N,) in radians, f (N,) and weights (N,) summing to 1."""
        x, f, w = np.array(self._table).T
        w = w / w.sum()
        if self.standardize:
            f = f - w @ f
            f = f / np.sqrt(w @ f**2)
        return x * (2 * np.pi / self.period), self.scale * f, w

    def __call__(self, x: Array) -> Array:
        """f at x (N,): the measured values, linear in between."""
        points, f, _ = self.points()
        return np.interp(x, points, f, period=2 * np.pi)


Target = Annotated[FourierTarget | InitialTarget | SamplesTarget, Field(discriminator="kind")]


def _read_columns(file: str, columns: tuple[str, ...] | None) -> Array:
    """Columns x, f, weight (1 where there is none) of a CSV, (N, 3). Raises ValueError in one line."""
    source: Any = Path(file)
    if file.startswith("package:"):
        source = resources.files("liouville.problems") / file.removeprefix("package:")
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'not text'}") from None
    rows = list(csv.DictReader(text.splitlines()))
    names = columns or (("x", "f", "weight") if rows and "weight" in rows[0] else ("x", "f"))
    if not rows:
        raise ValueError(f"{file} needs a header and at least one row")
    missing = [name for name in names if name not in rows[0]]
    if missing:
        raise ValueError(f"{file} has no column {missing[0]!r}; it has {', '.join(map(str, rows[0]))}")
    try:
        table = [[float(row[name]) for name in names] for row in rows]
    except (TypeError, ValueError):
        raise ValueError(f"{file} has a value in {', '.join(names)} that is not a number") from None
    array = np.array(table)
    return array if len(names) == 3 else np.column_stack([array, np.ones(len(array))])
