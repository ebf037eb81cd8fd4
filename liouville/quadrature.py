"""Nodes of mu for a problem, the target there, and whether a unit's gradient is one."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from liouville.basis import spread
from liouville.densities import AnyDensity
from liouville.errors import InputError
from liouville.measures import LebesgueMeasure, NormalMeasure, PointsMeasure, UniformMeasure
from liouville.targets import FourierTarget, InitialTarget, SamplesTarget, TeacherTarget
from liouville.units import AnyUnit, CircleUnit, Unit
from particles import trig

Array = NDArray[np.floating]

CONVERGED = 1e-12  # relative change of the integrals of products of phi and f when the nodes are doubled
FEWEST, MOST = 8, (256, 32)  # nodes along an axis that are tried, for one input and for two
PROBES = (32, 64, 128)  # values of y whose products are looked at, for N = 1, 2, 3
INITIAL = (1024, 128, 48)  # nodes along each axis of y for f_in
SMOOTHEST = 128  # modes of a target on the circle beyond which it counts as not smooth


def nodes(
    unit: AnyUnit, target: Any, initial: AnyDensity, measure: Any, box: tuple[Array, Array]
) -> tuple[Array, Array, Array]:
    """x (P,) or (P, 2), weights (P,) of mu, and f at x (P,).

    Without `nodes` in the measure as many as its integrals of products of phi and f need: exact on the circle for
    products of four factors of the unit's degree, elsewhere converged to 1e-12, at most 256 (32 along each of two
    inputs): where phi has kinks, mu then is these nodes.
    """
    if isinstance(target, SamplesTarget) and measure is None:
        x, f, w = target.points(unit.inputs)
        return x, w, f
    if isinstance(measure, PointsMeasure):
        x, w = measure.points()
        return x, w, evaluated(unit, target, initial, x)
    if measure is None or (isinstance(measure, UniformMeasure) and measure.circle):
        measure = measure or UniformMeasure()
        count = measure.nodes or 4 * (max(cast(CircleUnit, unit).degree, _degree(target)) + 1)
        x, w = measure.quadrature(count)
    elif measure.nodes is not None:
        x, w = measure.quadrature(measure.nodes, unit.inputs)
    else:
        x, w = _converged(unit, target, measure, spread(*box, PROBES[unit.dimension - 1]))
    return x, w, evaluated(unit, target, initial, x)


def _degree(target: Any) -> int:
    """Highest mode of a target on the circle; 0 where it is one that the unit's own degree tells."""
    if isinstance(target, FourierTarget):
        return target.degree
    if isinstance(target, TeacherTarget | InitialTarget | SamplesTarget):
        return 0
    size = np.abs(np.fft.rfft(_called(target, np.arange(8 * SMOOTHEST) * (2 * np.pi / (8 * SMOOTHEST)))))
    return min(SMOOTHEST, int(np.flatnonzero(size > CONVERGED * size.max()).max(initial=0)))


def _converged(
    unit: AnyUnit, target: Any, measure: UniformMeasure | NormalMeasure | LebesgueMeasure, y: Array
) -> tuple[Array, Array]:
    """The fewest nodes, doubled, whose integrals no longer change."""
    smooth = not isinstance(target, TeacherTarget | InitialTarget | SamplesTarget)

    def products(x: Array, w: Array) -> Array:
        phi = unit.phi(x, y)
        if smooth:
            phi = np.concatenate([phi, _called(target, x)[:, None]], axis=1)
        return (phi.T * w) @ phi

    count = FEWEST
    found = measure.quadrature(count, unit.inputs)
    integrals = products(*found)
    while count < MOST[unit.inputs - 1]:
        count *= 2
        finer = measure.quadrature(count, unit.inputs)
        fine = products(*finer)
        if np.abs(fine - integrals).max() <= CONVERGED * np.abs(fine).max():
            break
        found, integrals = finer, fine
    return found


def evaluated(unit: AnyUnit, target: Any, initial: AnyDensity, x: Array) -> Array:
    """f at x, (P,)."""
    if isinstance(target, SamplesTarget):
        return target.between(x, unit.circle)
    if isinstance(target, TeacherTarget):
        return _represented(unit, x, *target.particles())
    if isinstance(target, InitialTarget):
        return _represented(unit, x, *initial.moment_nodes(INITIAL[unit.dimension - 1]))
    return _called(target, x)


def _represented(unit: AnyUnit, x: Array, y: Array, c: Array) -> Array:
    """sum of c phi(x, y), (P,); through the series on the circle, as everything that a problem does there."""
    if unit.circle:
        circle = cast(CircleUnit, unit)
        return circle.series(x) @ (c @ trig(y[0], circle.degree))
    size = max(1, 2**22 // len(x))
    return np.sum([unit.phi(x, y[:, k : k + size]) @ c[k : k + size] for k in range(0, c.size, size)], axis=0)


def _called(target: Callable[[Array], Any], x: Array) -> Array:
    """A function at x. Raises InputError where it does not return finite numbers, one for each x."""
    try:
        found = np.asarray(target(x), dtype=float)
        found = np.array(np.broadcast_to(found, (len(x),)))
    except (TypeError, ValueError):
        raise InputError(f"problem: target must return an array of {len(x)} numbers, one for each x") from None
    if not np.all(np.isfinite(found)):
        raise InputError("problem: target gives numbers that are not finite")
    return found


def check_gradient(unit: AnyUnit, low: Array, high: Array) -> None:
    """Raise ValueError where a unit from Python has a gradient that is not that of its phi.

    At 32 points; a tenth of them may differ by more than 1e-5, where phi has kinks.
    """
    if not isinstance(unit, Unit):
        return
    rng = np.random.default_rng(0)
    y = low[:, None] + (high - low)[:, None] * rng.random((unit.dimension, 32))
    x = rng.uniform(-1.0, 1.0, (32, unit.inputs))
    x = x[:, 0] if unit.inputs == 1 else x
    if not np.all(np.isfinite(unit.phi(x, y))):
        raise ValueError("phi gives numbers that are not finite")
    if unit.slopes is None:
        return
    given, numerical = unit.gradient(x, y), unit.numerical_gradient(x, y)
    wrong = np.abs(given - numerical) > 1e-5 * max(1e-300, np.abs(numerical).max())
    if np.mean(wrong) > 0.1:
        raise ValueError("gradient is not that of phi: they differ by more than 1e-5 from central differences")
