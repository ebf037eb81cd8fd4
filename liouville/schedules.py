"""[healing] of a run file: times a_n that grow with n, and the study at these times."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from liouville.errors import Misfit
from liouville.model import Model, Positive, shape


class LogSchedule(Model):
    """a_n = tau log n."""

    kind: Literal["log"]
    tau: Positive


class PowerSchedule(Model):
    """a_n = (log n)^exponent / over, or over the gap lambda_min of M at the end of the run."""

    kind: Literal["power"]
    exponent: Positive
    over: Annotated[
        Annotated[Literal["gap"], Tag('"auto"')] | Annotated[Positive, Tag("a number")], Discriminator(shape)
    ] = 1.0


Schedule = Annotated[LogSchedule | PowerSchedule, Field(discriminator="kind")]
Schedules = Annotated[tuple[Schedule, ...], Field(min_length=1, max_length=4)]
Count = Annotated[int, Field(ge=2, le=10**7)]
Counts = Annotated[
    Annotated[Count, Tag("a number")] | Annotated[tuple[Count, ...], Field(min_length=3), Tag("a list")],
    Discriminator(shape),
]

Sizes = Annotated[tuple[Annotated[int, Field(ge=4, le=10**6)], ...], Field(min_length=3)]


class Control(Model):
    """A problem without a gap, on which healing to 1/n is predicted to fail."""

    problem: str
    replicas: Counts
    schedules: Schedules
    step: Positive | None = None


class Fixed(Model):
    """Ensembles that stop at time.final."""

    sizes: Sizes
    replicas: Counts


class HealingTable(Model):
    """[healing]: the study of healing at times a_n that grow with n.

    replicas : of every size, or a list, an entry for each.  step : of the particles, as in [particles] by default.
    fixed : sizes and replicas of the verdicts at fixed times, up to time.final; these two by default.
    """

    sizes: Sizes
    replicas: Counts
    schedules: Schedules
    step: Positive | None = None
    fixed: Fixed | None = None
    controls: tuple[Control, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        fixed = self.fixed
        for key, sizes in (("sizes", self.sizes), ("fixed.sizes", fixed.sizes if fixed else ())):
            if any(a >= b for a, b in pairwise(sizes)):
                raise Misfit(key, "must ascend")
        ensembles = [("replicas", self.replicas, self.sizes)]
        ensembles += [("fixed.replicas", fixed.replicas, fixed.sizes)] if fixed else []
        ensembles += [
            (f"controls.{k}.replicas", control.replicas, self.sizes) for k, control in enumerate(self.controls)
        ]
        for key, counts, sizes in ensembles:
            if isinstance(counts, tuple) and len(counts) != len(sizes):
                raise Misfit(key, f"must be a number or a list of {len(sizes)}, one for each of sizes")
        return self
