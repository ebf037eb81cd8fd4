"""The run file: TOML, validated; what is wrong is said in one line with the file, the key and what is allowed."""

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from liouville.complaints import complaint, toml
from liouville.consistency import check
from liouville.densities import Initial
from liouville.errors import InputError, Misfit
from liouville.measures import Measure
from liouville.model import Model, Number, Positive, shape
from liouville.schedules import HealingTable
from liouville.targets import Target
from liouville.units import AnyUnit, UnitTable

MIN_TOLERANCE = 1e-9  # a thousandth of it is asked of the characteristics, which sums of 1e6 nodes can just bear
MIN_CELLS = 32  # the error estimate solves on a quarter of the cells, too, and the stencil is six cells wide
MAX_CELLS = 16384
MAX_STEPS = 100_000
MAX_SNAPSHOTS = 10_000


class ProblemTable(Model):
    """[problem]."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    unit: UnitTable
    target: Target
    initial: Initial
    measure: Measure | None = None
    frozen_y: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check(self.unit, self.target, self.initial, self.measure)
        return self


class TimeTable(Model):
    """[time]: `snapshots` equally spaced times on [0, final], both ends included."""

    final: Positive
    snapshots: Annotated[int, Field(ge=2, le=MAX_SNAPSHOTS)] = 25


Cells = Annotated[int, Field(ge=MIN_CELLS, le=MAX_CELLS)]
CELLS = ((256, 128), (64, 64, 64), (48, 48, 48, 48))  # for N = 1, 2, 3 where a run file says nothing
Range = tuple[Number, Number]
Auto = Annotated[Literal["auto"], Tag('"auto"')]


class SolverTable(Model):
    """[solver].

    cells : N + 1 of them, y axes first, c last.  y_range : one [low, high] for each axis of y.
    next_order : whether the terms of order 1/n of f_n and of its fluctuations are computed, too.
    two_times : whether C(s, t) is stored for all pairs of snapshots.
    """

    scheme: Literal["finite-volume", "semi-lagrangian"] = "finite-volume"
    cells: Annotated[
        Auto | Annotated[tuple[Cells, ...], Field(min_length=2, max_length=4), Tag("a list")], Discriminator(shape)
    ] = CELLS[0]
    tolerance: Annotated[Positive, Field(ge=MIN_TOLERANCE)] = 1e-6
    c_range: Annotated[Auto | Annotated[Range, Tag("a list")], Discriminator(shape)] = "auto"
    y_range: Annotated[
        Auto | Annotated[tuple[Range, ...], Field(min_length=1, max_length=3), Tag("a list")], Discriminator(shape)
    ] = "auto"
    tail: Annotated[float, Field(gt=0, lt=0.1)] = 1e-9
    next_order: bool = False
    two_times: bool = False

    @field_validator("c_range")
    @classmethod
    def _ordered(cls, value: Any) -> Any:
        if value != "auto" and value[0] >= value[1]:
            raise ValueError("must be 'auto' or [low, high] with low < high")
        return value

    @field_validator("y_range")
    @classmethod
    def _all_ordered(cls, value: Any) -> Any:
        if value != "auto" and any(low >= high for low, high in value):
            raise ValueError("must be 'auto' or one [low, high] with low < high for each axis of y")
        return value


class ParticlesTable(Model):
    """[particles].

    integrator : "euler" is gradient descent itself; "adaptive" Kutta's scheme of order 4 with an embedded one of order
        3, whose steps begin with `step` and are so long that each errs by `tolerance` (1e-6).
    """

    sizes: Annotated[tuple[Annotated[int, Field(ge=1, le=10**8)], ...], Field(min_length=1)]
    replicas: Annotated[tuple[Annotated[int, Field(ge=2, le=10**7)], ...], Field(min_length=1)]
    step: Positive = 0.05
    integrator: Literal["rk4", "euler", "adaptive"] = "rk4"
    tolerance: Annotated[Positive, Field(ge=1e-12, le=0.1)] | None = None
    potential: Literal["auto", "fourier", "mesh", "quadrature"] = "auto"
    keep: Annotated[int, Field(ge=0)] = 0
    nested: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.replicas) != len(self.sizes):
            raise ValueError(f"replicas must have {len(self.sizes)} entries, one for each of sizes")
        if len(set(self.sizes)) != len(self.sizes):
            raise ValueError("sizes must differ from each other")
        if self.keep > min(self.sizes):
            raise ValueError(f"keep must be at most the smallest of sizes, {min(self.sizes)}")
        if self.tolerance is not None and self.integrator != "adaptive":
            raise Misfit("tolerance", "must be left out unless integrator = 'adaptive'")
        return self


class RunFile(Model):
    """A whole run file."""

    problem: ProblemTable
    time: TimeTable
    solver: SolverTable = SolverTable()
    particles: ParticlesTable | None = None
    healing: HealingTable | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        return self.fitting()

    def fitting(self) -> Self:
        """Itself, with `cells` for its unit where it says nothing; raises Misfit where its tables do not fit."""
        unit, solver, particles = self.problem.unit, self.solver, self.particles
        if "cells" not in solver.model_fields_set:
            cells = CELLS[unit.dimension - 1]
            object.__setattr__(self, "solver", solver.model_copy(update={"cells": cells}))
        elif solver.cells != "auto" and len(solver.cells) != unit.dimension + 1:
            raise Misfit(
                "solver.cells",
                f"must be 'auto' or {unit.dimension + 1} integers, y axes first, c last, for the unit {unit.kind!r}",
            )
        if solver.y_range != "auto":
            check_range(unit, solver.y_range)
        if particles is not None and particles.potential == "fourier" and not unit.circle:
            raise Misfit("particles.potential", f"must not be 'fourier' for the unit {unit.kind!r}, not on the circle")
        if particles is not None and particles.integrator == "euler" and (self.healing or solver.next_order):
            key = "healing" if self.healing else "solver.next_order"
            raise Misfit(key, "must be left out with particles.integrator = 'euler': its next order is not known")
        if particles is not None and self.time.final / particles.step > MAX_STEPS:
            raise Misfit("particles.step", f"must be at least time.final/{MAX_STEPS}")
        return self


def check_range(unit: AnyUnit, y_range: Sequence[Sequence[float]]) -> None:
    """Raise Misfit where y_range is not one for this unit."""
    if unit.circle:
        raise Misfit("solver.y_range", f"must be 'auto' for the unit {unit.kind!r} on the circle")
    if len(y_range) != unit.dimension:
        raise Misfit(
            "solver.y_range",
            f"must be 'auto' or {unit.dimension} [low, high], one for each axis of y, for the unit {unit.kind!r}",
        )


def shipped() -> list[str]:
    """Names of the problems that come with the program, the default first."""
    files = resources.files("liouville.problems").iterdir()
    names = sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
    return sorted(names, key=lambda name: name != "flat-fourier")


def text(name: str | Path) -> tuple[str, str, Path]:
    """Text, display name and folder of a run file, a path or a shipped problem's name. Raises InputError."""
    path = Path(name)
    if not path.is_file() and str(name) in shipped():
        source = resources.files("liouville.problems") / f"{name}.toml"
        return source.read_text(encoding="utf-8"), str(name), Path.cwd()
    try:
        return path.read_text(encoding="utf-8"), str(name), path.resolve().parent
    except UnicodeDecodeError:
        raise InputError(f"{name}: not a text file") from None
    except OSError as error:
        hint = f"; shipped problems are {', '.join(shipped())}" if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"{name}: {error.strerror or error}{hint}") from None


def load(name: str | Path) -> RunFile:
    """Read and validate a run file, a path or a shipped problem's name. Raises InputError."""
    return parse(*text(name))


def parse(source: str, name: str = "run file", folder: Path | None = None) -> RunFile:
    """Validate the text of a run file. Raises InputError."""
    try:
        table = tuples(tomllib.loads(source))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: not TOML: {error}") from None
    try:
        return RunFile.model_validate(table, context={"folder": folder or Path.cwd()})
    except ValidationError as error:
        raise InputError(f"{name}: {complaint(error, table, RunFile)}") from None


def tuples(value: Any) -> Any:
    """Arrays as tuples: validation is strict, and what describes a run is frozen."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, list | tuple) else value


def around(name: str, unit: AnyUnit, **tables: dict[str, Any]) -> RunFile:
    """A run file for a problem from Python: all tables but [problem], which only has its name. Raises InputError."""
    kinds: dict[str, type[Model]] = {
        "time": TimeTable,
        "solver": SolverTable,
        "particles": ParticlesTable,
        "healing": HealingTable,
    }
    if unknown := set(tables) - set(kinds):
        raise InputError(f"{min(unknown)}: unknown table; allowed are {', '.join(kinds)}")
    made: dict[str, Any] = {"solver": SolverTable(), "particles": None, "healing": None}
    for key, table in tables.items():
        try:
            made[key] = kinds[key].model_validate(tuples(table))
        except ValidationError as error:
            raise InputError(complaint(error, tuples(table), kinds[key], key)) from None
    if "time" not in made:
        raise InputError("time: a table with the key final is needed")
    problem = ProblemTable.model_construct(name=name, unit=unit)
    try:
        return RunFile.model_construct(problem=problem, **made).fitting()
    except Misfit as error:
        raise InputError(str(error)) from None


def dump(run: RunFile) -> str:
    """The resolved run file as TOML text, every default written out; it parses back to the same run.

    Of a problem made in Python there is but the name.
    """
    if "target" not in run.problem.model_fields_set:
        rest = {"time": run.time.model_dump(), "solver": run.solver.model_dump()}
        rest |= {"particles": run.particles.model_dump()} if run.particles else {}
        rest |= {"healing": run.healing.model_dump()} if run.healing else {}
        text = "".join(
            f"\n[{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in table.items()) for name, table in rest.items()
        )
        return f'# unit, target and initial density were made in Python\n[problem]\nname = "{run.problem.name}"\n{text}'
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items() if value is not None)
        for name, table in run.model_dump().items()
        if table is not None
    )
