"""The run file: TOML, validated; what is wrong is said in one line with the file, the key and what is allowed."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from liouville.densities import Initial
from liouville.errors import InputError
from liouville.measures import Measure
from liouville.model import Model, Number, Positive
from liouville.targets import Target
from liouville.units import Unit

MIN_CELLS = 32  # the error estimate solves on a quarter of the cells, too, and the stencil is six cells wide
MAX_CELLS = 16384
MAX_STEPS = 100_000
MAX_SNAPSHOTS = 10_000


class ProblemTable(Model):
    """[problem]."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    unit: Unit
    target: Target
    initial: Initial
    measure: Measure | None = None


class TimeTable(Model):
    """[time]: `snapshots` equally spaced times on [0, final], both ends included."""

    final: Positive
    snapshots: Annotated[int, Field(ge=2, le=MAX_SNAPSHOTS)] = 25


Cells = Annotated[int, Field(ge=MIN_CELLS, le=MAX_CELLS)]


class SolverTable(Model):
    """[solver]."""

    scheme: Literal["finite-volume"] = "finite-volume"
    cells: Literal["auto"] | tuple[Cells, Cells] = (256, 128)
    tolerance: Positive = 1e-6
    c_range: Literal["auto"] | tuple[Number, Number] = "auto"
    tail: Annotated[float, Field(gt=0, lt=0.1)] = 1e-9

    @field_validator("c_range")
    @classmethod
    def _ordered(cls, value: Any) -> Any:
        if value != "auto" and value[0] >= value[1]:
            raise ValueError("must be 'auto' or [low, high] with low < high")
        return value


class ParticlesTable(Model):
    """[particles]."""

    sizes: Annotated[tuple[Annotated[int, Field(ge=1, le=10**8)], ...], Field(min_length=1)]
    replicas: Annotated[tuple[Annotated[int, Field(ge=2, le=10**7)], ...], Field(min_length=1)]
    step: Positive = 0.05
    potential: Literal["auto", "fourier"] = "auto"
    keep: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.replicas) != len(self.sizes):
            raise ValueError(f"replicas must have {len(self.sizes)} entries, one for each of sizes")
        if len(set(self.sizes)) != len(self.sizes):
            raise ValueError("sizes must differ from each other")
        if self.keep > min(self.sizes):
            raise ValueError(f"keep must be at most the smallest of sizes, {min(self.sizes)}")
        return self


class RunFile(Model):
    """A whole run file."""

    problem: ProblemTable
    time: TimeTable
    solver: SolverTable = SolverTable()
    particles: ParticlesTable | None = None

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.particles is not None and self.time.final / self.particles.step > MAX_STEPS:
            raise ValueError(f"particles.step must be at least time.final/{MAX_STEPS}")
        return self


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
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: not TOML: {error}") from None
    try:
        return RunFile.model_validate(_tuples(table), context={"folder": folder or Path.cwd()})
    except ValidationError as error:
        raise InputError(f"{name}: {_first(error)}") from None


def _tuples(value: Any) -> Any:
    """TOML arrays as tuples: validation is strict, and what describes a run is frozen."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


UNIONS = ("target", "measure", "y", "c", "mean", "c_range", "cells")  # keys whose value is one of several kinds


def _first(error: ValidationError) -> str:
    """The first of pydantic's complaints in one line: key, what is wrong, what is allowed, what was given."""
    details = error.errors(include_url=False)
    # a union complains once for each member: about the wrong type of the others, and further in about the one meant
    first = max(details, key=lambda d: len(d["loc"]) if d["loc"][:2] == details[0]["loc"][:2] else 0)
    if len(details) > 1 and first["type"] in ("float_type", "literal_error"):
        first = next((d for d in details if d["type"] == "value_error"), first)
    keys = [str(key) for before, key in zip(("", *first["loc"]), first["loc"], strict=False) if before not in UNIONS]
    where = ".".join(keys) or "run file"
    message = (
        first["msg"]
        .removeprefix("Value error, ")
        .replace("Tuple", "List")
        .replace("tuple", "list")
        .replace(" after validation", "")
    )
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key; allowed are {', '.join(_siblings(first['loc']))}"
    if first["type"] == "union_tag_invalid":
        return f"{where}.kind: must be one of {first['ctx']['expected_tags']}, not {first['ctx']['tag']!r}"
    if first["type"] in ("missing", "value_error", "too_short", "union_tag_not_found"):
        return f"{where}: {message[0].lower() + message[1:]}"
    return f"{where}: {message[0].lower() + message[1:]}, not {_shown(first['input'])}"


def _shown(value: Any) -> str:
    text = _toml(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _siblings(location: tuple[Any, ...]) -> list[str]:
    """The keys that the table holding the last key of `location` may have."""
    members: list[Any] = [RunFile]
    for before, key in zip(("", *location[:-2]), location[:-1], strict=False):
        if before in UNIONS:
            members = [m for m in members if key in (m.__name__, getattr(m.model_fields.get("kind"), "default", None))]
        else:
            members = _models(members[0].model_fields[key].annotation)
    return list(members[0].model_fields)


def _models(annotation: Any) -> list[Any]:
    """The tables among the members of a union, however nested."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]


def dump(run: RunFile) -> str:
    """The resolved run file as TOML text, every default written out; it parses back to the same run."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items() if value is not None)
        for name, table in run.model_dump().items()
        if table is not None
    )


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)
