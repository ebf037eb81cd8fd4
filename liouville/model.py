"""The base of everything that a run file can describe."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class Model(BaseModel):
    """A frozen, validated description; unknown keys are errors and no type is coerced but int to float."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def shape(value: Any) -> str:
    """What a value is in TOML: the tag that tells the members of a union apart, so that each error has one line."""
    if isinstance(value, dict | BaseModel):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    return '"auto"' if isinstance(value, str) else "a number"


Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Numbers = Annotated[
    Annotated[Number, Tag("a number")] | Annotated[tuple[Number, ...], Field(min_length=1), Tag("a list")],
    Discriminator(shape),
]
Positives = Annotated[
    Annotated[Positive, Tag("a number")] | Annotated[tuple[Positive, ...], Field(min_length=1), Tag("a list")],
    Discriminator(shape),
]


class Componentwise(Model):
    """A description whose numbers hold for every component, or are lists that give each component its own."""

    def components(self, dimension: int) -> tuple[Self, ...]:
        """The same with one number wherever a list gives each of `dimension` components its own.

        Raises ValueError where a list has another length.
        """
        lists = {key: value for key, value in self if isinstance(value, tuple)}
        for key, value in lists.items():
            if len(value) != dimension:
                raise ValueError(f"{key} must be a number or a list of {dimension}, not of {len(value)}")
        if not lists:
            return (self,) * dimension
        return tuple(self.model_copy(update={key: value[i] for key, value in lists.items()}) for i in range(dimension))

    @property
    def sizes(self) -> set[int]:
        """The lengths of its lists."""
        return {len(value) for _, value in self if isinstance(value, tuple)}


def one(value: float | tuple[float, ...] | None) -> float:
    """A number that holds for the one component at hand: what `components` leaves of a list."""
    if not isinstance(value, int | float):
        raise TypeError("a list of components where one is expected")
    return float(value)


def as_tuple(value: float | tuple[float, ...]) -> tuple[float, ...]:
    """A number or a list as a list."""
    return value if isinstance(value, tuple) else (value,)


def ordered(low: float | tuple[float, ...], high: float | tuple[float, ...]) -> bool:
    """Whether low < high in every component."""
    lows, highs = as_tuple(low), as_tuple(high)
    if len(lows) != len(highs):
        lows, highs = (x * max(len(lows), len(highs)) if len(x) == 1 else x for x in (lows, highs))
    return all(a < b for a, b in zip(lows, highs, strict=False))
