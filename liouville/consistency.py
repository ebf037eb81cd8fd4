"""What unit, target, initial density and measure ask of each other."""

from typing import Any

from liouville.densities import AnyDensity, FourierSeries, Initial
from liouville.errors import Misfit
from liouville.measures import PointsMeasure, UniformMeasure
from liouville.targets import BumpsTarget, FourierTarget, GaussiansTarget, SamplesTarget, TeacherTarget
from liouville.units import AnyUnit


def check(unit: AnyUnit, target: Any, initial: AnyDensity, measure: Any) -> None:
    """Raise Misfit where the parts of a problem do not fit together."""
    _check_initial(unit, initial)
    _check_measure(unit, target, measure)
    _check_target(unit, target, measure)


def _place(unit: AnyUnit) -> str:
    return f"the unit {unit.kind!r} on the {'circle' if unit.circle else ('line', 'plane')[unit.inputs - 1]}"


def _check_initial(unit: AnyUnit, initial: AnyDensity) -> None:
    resolved = initial.of(unit.dimension)
    circles = {law.circle for law in resolved.laws} if isinstance(resolved, Initial) else {resolved.circle}
    if circles != {unit.circle}:
        laws = (
            "'uniform' without low, high or 'von_mises'"
            if unit.circle
            else "'uniform' with low, high, 'normal' or 'beta'"
        )
        raise Misfit("initial.y", f"must be {laws} for {_place(unit)}")
    if isinstance(resolved, Initial) and isinstance(resolved.c.mean, FourierSeries) and not unit.circle:
        raise Misfit("initial.c.mean", f"must be a number for {_place(unit)}")


def _check_measure(unit: AnyUnit, target: Any, measure: Any) -> None:
    if isinstance(measure, PointsMeasure):
        if measure.inputs != unit.inputs:
            raise Misfit("measure.x", f"must be {('numbers', 'pairs of numbers')[unit.inputs - 1]} for {_place(unit)}")
        return
    if measure is None:
        if not unit.circle and not isinstance(target, SamplesTarget):
            kinds = "'uniform' with low, high, 'normal', 'lebesgue' or 'points'"
            raise Misfit("measure", f"field required, {kinds}, for {_place(unit)}")
        return
    if unit.circle != (isinstance(measure, UniformMeasure) and measure.circle):
        kinds = (
            "'uniform' without low, high or 'points'"
            if unit.circle
            else "'uniform' with low, high, 'normal', 'lebesgue' or 'points'"
        )
        raise Misfit("measure", f"must be {kinds} for {_place(unit)}")
    try:
        measure.components(unit.inputs)
    except ValueError as error:
        key, _, message = str(error).partition(" ")
        raise Misfit(f"measure.{key}", message) from None


def _check_target(unit: AnyUnit, target: Any, measure: Any) -> None:
    if isinstance(target, FourierTarget | BumpsTarget | GaussiansTarget) and unit.inputs != 1:
        raise Misfit("target", f"must be 'teacher', 'initial' or 'samples' for {_place(unit)}")
    if isinstance(target, GaussiansTarget) and unit.circle:
        raise Misfit("target", f"must not be 'gaussians', which have no period, for {_place(unit)}")
    if isinstance(target, BumpsTarget) and not unit.circle:
        raise Misfit("target", f"must not be 'bumps', which live on the circle, for {_place(unit)}")
    if isinstance(target, TeacherTarget) and len(target.particles()[0]) != unit.dimension:
        raise Misfit(
            "target.neurons", f"must have y of {unit.dimension} number{'s' * (unit.dimension > 1)} for {_place(unit)}"
        )
    if isinstance(target, SamplesTarget):
        target.points(unit.inputs)
        if unit.inputs == 2 and measure is not None:
            raise Misfit("measure", "must be left out: samples with two inputs are known at their own points only")
