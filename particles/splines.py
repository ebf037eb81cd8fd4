"""Tensor products of uniform B-splines of degree 7 on a box of R^N, N = 1, 2, 3.

On a mesh of equal cells each function spans eight cells an axis, so that 8^N of them meet in a cell. Degree 7 and not
5: for the features of tanh(a x + b) on |a|, |b| < 6, value and gradient to 1e-6, 1e-8, 1e-10 take L = 5785, 31671,
187425 functions of degree 5 and 3038, 7644, 22211 of degree 7, and registers hold rows of eight numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import comb, factorial
from typing import ClassVar

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.floating]
Features = Callable[[Array], Array]  # psi: (N, P) -> (P, M)

DEGREE = 7
WIDTH = DEGREE + 1  # functions that meet in a cell, of one axis
MARGIN = 24  # nodes beyond either end: the interpolation's own end conditions are forgotten as 0.54 to their number
LARGEST = 2**16
POINTS = 4096  # at which the fit is measured
# The eighth-order central difference, f'(y) = sum_k a_k (f(y + k d) - f(y - k d))/d.
DIFFERENCE = (4 / 5, -1 / 5, 4 / 105, -1 / 280)


@dataclass(frozen=True)
class Splines:
    """The products of B-splines on the box [low, low + cells * spacing], the last axis fastest.

    error : what `fit` measured, of value and gradient, relative (see there).
    """

    low: tuple[float, ...]
    spacing: tuple[float, ...]
    cells: tuple[int, ...]
    error: float = field(default=0.0, compare=False)

    degree: ClassVar[int] = DEGREE

    def __post_init__(self) -> None:
        if not len(self.low) == len(self.spacing) == len(self.cells) or self.dimension not in (1, 2, 3):
            raise ValueError(f"low {self.low}, spacing {self.spacing} and cells {self.cells} do not fit in 1 to 3 axes")
        if min(self.cells) < 1 or not min(self.spacing) > 0:
            raise ValueError(f"cells {self.cells} and spacing {self.spacing} must be positive")

    @property
    def dimension(self) -> int:
        """N."""
        return len(self.cells)

    @property
    def shape(self) -> tuple[int, ...]:
        """Functions along each axis."""
        return tuple(cells + DEGREE for cells in self.cells)

    @property
    def size(self) -> int:
        """L, the number of functions."""
        return int(np.prod(self.shape))

    @property
    def high(self) -> tuple[float, ...]:
        """Upper ends of the box."""
        return tuple(a + n * h for a, n, h in zip(self.low, self.cells, self.spacing, strict=True))

    @cached_property
    def mesh(self) -> Array:
        """(low, 1/spacing, cells, stride) of three axes for the kernels, (3, 4); missing ones stand first."""
        strides = [int(np.prod(self.shape[a + 1 :])) for a in range(self.dimension)]
        rows = zip(self.low, 1 / np.array(self.spacing), self.cells, strides, strict=True)
        return np.array([(0.0, 0.0, 1.0, 0.0)] * (3 - self.dimension) + [tuple(map(float, row)) for row in rows])

    def combine(self, features: Array, y: Array, order: tuple[int, ...]) -> Array:
        """features (M, L) times the functions at y (N, P), differentiated, as (P, M); beyond the box the last cell's
        polynomial goes on."""
        knots = [_knots(*axis) for axis in zip(self.low, self.spacing, self.cells, strict=True)]
        spline = scipy.interpolate.NdBSpline(tuple(knots), features.T.reshape(*self.shape, -1), DEGREE)
        return np.asarray(spline(np.ascontiguousarray(y.T), nu=order))

    @staticmethod
    def fit(
        psi: Features, low: tuple[float, ...], high: tuple[float, ...], tolerance: float, most: int = LARGEST
    ) -> tuple["Splines", Array]:
        """The coarsest mesh on [low, high] on which the interpolant of psi errs by less than `tolerance`.

        The error is measured between the nodes, up to the ends of the box: of the values relative to max |psi|, and of
        each derivative relative to max |d psi| or, where that is less, max |psi| over the length of the axis. Where
        `most` functions do not suffice the finest such mesh is returned; `Splines.error` says what it reached.
        psi is evaluated up to MARGIN cells beyond the box.

        Returns the basis and the features, (M, L).
        """
        lengths = np.subtract(high, low)
        scale = _scale(psi, low, lengths)
        cells = np.array(
            [_cells(psi, low, lengths, axis, tolerance / len(low), scale, most) for axis in range(len(low))]
        )
        basis = _mesh(low, lengths, cells, most)
        while True:
            features = _interpolate(psi, basis)
            error = _error(psi, basis, features, scale)
            basis = replace(basis, error=error)
            finer = _mesh(low, lengths, np.ceil(1.15 * np.array(basis.cells)).astype(int), most)
            if error <= tolerance or finer.size <= basis.size or not np.isfinite(error):
                return basis, features
            basis = finer


@cache
def pieces() -> Array:
    """The functions that meet in a cell, as polynomials in x, the place in the cell from its middle, |x| <= 1/2.

    B_j and B_(7-j) are mirror images: with e + o the one, in even and odd powers of x, the other is e - o. For
    j = 0 ... 3 the columns hold the coefficients of 1, x^2, x^4, x^6, then those of x, x^3, x^5, x^7, and so again for
    the first and the second derivatives, the even powers first: (24, 4).

    B_j(x) = (1/7!) sum_i (-1)^i binom(8, i) (x + 15/2 - j - i)^7 over i <= 7 - j, expanded in integers.
    """
    powers = np.zeros((WIDTH + 2, WIDTH // 2))
    for p in range(WIDTH):
        for j in range(WIDTH // 2):
            terms = ((-1) ** i * comb(WIDTH, i) * (15 - 2 * j - 2 * i) ** (DEGREE - p) for i in range(WIDTH - j))
            powers[p, j] = comb(DEGREE, p) * sum(terms) / (factorial(DEGREE) * 2 ** (DEGREE - p))
    k = np.arange(WIDTH + 2.0)[:, None]
    slopes = np.roll(k * powers, -1, axis=0)
    curves = np.roll(k * slopes, -1, axis=0)
    return np.concatenate([table[first:WIDTH:2] for table in (powers, slopes, curves) for first in (0, 1)])


def _knots(low: float, spacing: float, cells: int) -> Array:
    return low + spacing * np.arange(-DEGREE, cells + DEGREE + 1)


def _mesh(low: tuple[float, ...], lengths: Array, cells: Array, most: int) -> Splines:
    """So many cells an axis, or in proportion as many as `most` functions allow."""
    while np.prod(cells + DEGREE) > most and cells.max() > 1:
        cells = np.maximum((cells * 0.98).astype(int), 1)
    return Splines(tuple(map(float, low)), tuple(map(float, lengths / cells)), tuple(map(int, cells)))


def _coefficients(values: Array, spacing: float, cells: int, axis: int) -> Array:
    """Of the interpolant through values on nodes -MARGIN ... cells + MARGIN of one axis: those that meet the box."""
    nodes = np.arange(-MARGIN, cells + MARGIN + 1.0)
    spline = scipy.interpolate.make_interp_spline(nodes, np.moveaxis(values, axis, 0), DEGREE)
    first = int(np.searchsorted(spline.t, -DEGREE))
    return np.moveaxis(spline.c[first : first + cells + DEGREE], 0, axis)


def _interpolate(psi: Features, basis: Splines) -> Array:
    axes = [
        low + h * np.arange(-MARGIN, n + MARGIN + 1)
        for low, h, n in zip(basis.low, basis.spacing, basis.cells, strict=True)
    ]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])
    values = psi(grid).reshape(*(axis.size for axis in axes), -1)
    for axis, (h, n) in enumerate(zip(basis.spacing, basis.cells, strict=True)):
        values = _coefficients(values, h, n, axis)
    return np.ascontiguousarray(values.reshape(basis.size, -1).T)


def _derivative(psi: Features, y: Array, axis: int, step: float) -> Array:
    shift = np.zeros((y.shape[0], 1))
    total = np.zeros(())
    for k, a in enumerate(DIFFERENCE, start=1):
        shift[axis] = k * step
        total = total + a / step * (psi(y + shift) - psi(y - shift))
    return np.asarray(total)


def _scatter(low: tuple[float, ...], lengths: Array, count: int) -> Array:
    """Points all over the box, its ends included: an additive recurrence stretched a little and cut, (N, count)."""
    golden = np.array([1.618033988749895, 1.324717957244746, 1.2207440846057596][len(low) - 1])
    fraction = np.outer(golden ** -np.arange(1.0, len(low) + 1), np.arange(count)) % 1.0
    return np.array(low)[:, None] + lengths[:, None] * np.clip(1.04 * fraction - 0.02, 0.0, 1.0)


def _scale(psi: Features, low: tuple[float, ...], lengths: Array) -> Array:
    """What errors are relative to: max |psi|, and of the derivative along each axis, (1 + N,)."""
    y = _scatter(low, lengths, POINTS)
    value = np.abs(psi(y)).max()
    slopes = [
        max(np.abs(_derivative(psi, y, a, length / 256)).max(), value / length) for a, length in enumerate(lengths)
    ]
    return np.maximum(np.array([value, *slopes]), 1e-300)


def _error(psi: Features, basis: Splines, features: Array, scale: Array) -> float:
    """The largest relative error of value and derivatives."""
    y = _scatter(basis.low, np.array(basis.high) - np.array(basis.low), POINTS)
    order = np.zeros(basis.dimension, int)
    errors = [np.abs(basis.combine(features, y, tuple(order)) - psi(y)).max()]
    for axis, h in enumerate(basis.spacing):
        order[:] = np.arange(basis.dimension) == axis
        exact = _derivative(psi, y, axis, h / 8)
        errors.append(np.abs(basis.combine(features, y, tuple(order)) - exact).max())
    return float(np.max(np.array(errors) / scale))


def _cells(
    psi: Features, low: tuple[float, ...], lengths: Array, axis: int, tolerance: float, scale: Array, most: int
) -> int:
    """Cells that one axis needs: interpolation along a few lines of the box."""
    others = _scatter(low, lengths, 24)
    cells = 8
    while True:
        h = lengths[axis] / cells
        nodes = low[axis] + h * np.arange(-MARGIN, cells + MARGIN + 1)
        between = (np.arange(cells)[:, None] + np.array([0.0, 0.13, 0.37, 0.5, 0.71, 1.0])).ravel()
        error = 0.0
        for line in others.T:
            along = np.repeat(line[:, None], nodes.size, axis=1)
            along[axis] = nodes
            spline = scipy.interpolate.BSpline(_knots(0.0, 1.0, cells), _coefficients(psi(along), h, cells, 0), DEGREE)
            at = np.repeat(line[:, None], between.size, axis=1)
            at[axis] = low[axis] + h * between
            value = np.abs(spline(between) - psi(at)).max() / scale[0]
            slope = np.abs(spline(between, 1) / h - _derivative(psi, at, axis, h / 8)).max() / scale[1 + axis]
            error = max(error, value, slope)
        if not error > tolerance or cells + DEGREE >= most:
            return cells
        # the slope errs as h^7 once it does so at all
        cells = int(np.ceil(cells * np.clip((error / tolerance) ** (1 / DEGREE), 1.03, 1.5)))
