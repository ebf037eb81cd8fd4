"""A unit from Python: any vectorised phi."""

import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles import derivative_matrix, trig

Array = NDArray[np.floating]

TAIL = 1e-13  # coefficients in y below this fraction of the largest are left out
MOST_MODES = 512
STEP = 2e-3  # of the numerical gradient: sixth order, 1e-10 for a phi that varies on scales of 0.1 or more
STENCIL = {1: 45 / 60, 2: -9 / 60, 3: 1 / 60}


class Unit:
    """phi(x, y) given by a function of arrays that broadcast.

        lv.Unit(lambda x, a, b: np.tanh(a * x + b))
        lv.Unit(lambda x, y: np.exp(np.cos(x - y)), circle=True)
        lv.Unit(lambda x1, x2, a1, a2, b: np.tanh(a1 * x1 + a2 * x2 + b), inputs=2)

    phi : called with the inputs, then the components of y.
    gradient : called likewise, returns the derivatives in the components of y (one array if there is one component); by
        default numerical, and checked against phi where a problem is made of it.
    dimension : components of y (1 to 3), by default as many as phi takes.
    circle : whether x and y are angles. phi becomes a Fourier series in y, refined until its tail is below 1e-13, or up
        to `modes` where that is given (for a phi with kinks).
    """

    kind = "python"

    def __init__(
        self,
        phi: Callable[..., Any],
        gradient: Callable[..., Any] | None = None,
        dimension: int | None = None,
        circle: bool = False,
        inputs: int = 1,
        modes: int | None = None,
    ) -> None:
        taken = _arguments(phi)
        if inputs not in (1, 2):
            raise ValueError(f"inputs must be 1 or 2, not {inputs}")
        if dimension is None:
            if taken is None:
                raise ValueError("dimension is needed: how many components y has cannot be read off phi")
            dimension = taken - inputs
        if taken is not None and taken != inputs + dimension:
            raise ValueError(f"phi must take {inputs} inputs and {dimension} components of y, not {taken} arguments")
        if not 1 <= dimension <= 3:
            raise ValueError(f"y must have 1 to 3 components, not {dimension}")
        if circle and (dimension, inputs) != (1, 1):
            raise ValueError("on the circle phi takes one angle x and one angle y")
        self.dimension, self.inputs, self.circle = dimension, inputs, circle
        self.given, self.slopes, self.modes = phi, gradient, modes
        if circle:
            _ = self.degree

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y) for x (P,) or (P, 2), y (N, n): (P, n)."""
        return self._full(self.given(*self._columns(x), *y), x, y)

    def gradient(self, x: Array, y: Array) -> Array:
        """Gradient in y, (N, P, n)."""
        if self.slopes is None:
            return self.numerical_gradient(x, y)
        found = self.slopes(*self._columns(x), *y)
        if self.dimension == 1 and not isinstance(found, Sequence):
            found = [found]
        if len(found) != self.dimension:
            raise ValueError(f"the gradient of phi must have {self.dimension} components, not {len(found)}")
        return np.stack([self._full(part, x, y) for part in found])

    def ridge(self, x: Array) -> None:
        """Nothing: phi is not compiled."""

    def numerical_gradient(self, x: Array, y: Array) -> Array:
        """Gradient in y by central differences of order 6, (N, P, n)."""
        shifts = STEP * np.eye(self.dimension)[:, :, None]
        return np.stack(
            [
                sum(a / STEP * (self.phi(x, y + k * e) - self.phi(x, y - k * e)) for k, a in STENCIL.items())
                for e in shifts
            ]
        )

    @cached_property
    def degree(self) -> int:
        """Highest mode in y. Raises ValueError where phi is not periodic or its series does not end."""
        x = np.linspace(0.0, 2 * np.pi, 97)
        y = np.array([[0.1, 1.7, 3.3, 5.9]])
        if not np.allclose(self.phi(x, y), self.phi(x, y + 2 * np.pi), rtol=1e-9, atol=1e-12):
            raise ValueError("phi on the circle must be periodic in y with period 2 pi")
        if self.modes is not None:
            return max(1, self.modes)
        for count in (64, 256, 1024, 4 * MOST_MODES):
            size = np.abs(self._spectrum(x, count)).max(axis=0)
            present = np.flatnonzero(size > TAIL * size.max())
            degree = int(present.max(initial=1))
            if degree <= min(count // 4, MOST_MODES):
                return degree
        raise ValueError(f"phi needs more than {MOST_MODES} Fourier modes in y: it has a kink or a jump; give modes=")

    def series(self, x: Array) -> Array:
        """P with phi(x, y) = P trig(y) for x (P,), (P, 2 degree + 1)."""
        c = self._spectrum(x, 8 * (self.degree + 1))[:, : self.degree + 1]
        return np.concatenate([c.real[:, :1], 2 * c.real[:, 1:], -2 * c.imag[:, 1:]], axis=1)

    def series_gradient(self, x: Array, y: Array) -> Array:
        """d phi/dy of the series, (1, P, n): spectral."""
        D = derivative_matrix(self.degree)
        return np.asarray(self.series(x) @ D @ trig(y[0], self.degree).T)[None]

    def _spectrum(self, x: Array, count: int) -> NDArray[np.complexfloating]:
        y = np.arange(count) * (2 * np.pi / count)
        return np.fft.rfft(self.phi(x, y[None]), axis=1) / count

    def _columns(self, x: Array) -> list[Array]:
        return [column[:, None] for column in np.atleast_2d(x.T)]

    def _full(self, values: Any, x: Array, y: Array) -> Array:
        try:
            return np.array(np.broadcast_to(np.asarray(values, dtype=float), (len(x), y.shape[1])))
        except (TypeError, ValueError):
            raise ValueError("phi must return an array that broadcasts over its arguments") from None


def _arguments(function: Callable[..., Any]) -> int | None:
    """How many positional arguments a function takes; None where that cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)
