"""The features psi_j(y) = <e_j, phi(., y)>: at particles, their gradients, and their averages over cells."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from liouville.units import AnyUnit, CircleUnit
from particles import trig, trig_derivative
from solvers.grid import PAD, Grid

Array = NDArray[np.floating]

POINTS = (4, 4, 3)  # Gauss points along each axis of a cell, for N = 1, 2, 3: averages of order 8, 8, 6 in its width
CHUNK = 2**22  # values of phi held at once


class Features(ABC):
    """Features on an orthonormal basis e_j of the span of phi.

    basis : e_j at the nodes, (P, M).  at : e_j at any x.  modes : T of psi = T trig(y), on the circle.
    """

    basis: Array
    at: Callable[[Array], Array]
    modes: Array | None

    @abstractmethod
    def values(self, y: Array) -> Array:
        """psi(y), (n, M), for y (N, n)."""

    @abstractmethod
    def gradients(self, y: Array) -> Array:
        """Gradients of psi, (n, N, M)."""

    @abstractmethod
    def averages(self, grid: Grid) -> Array:
        """Averages over the padded cells, (*(Ny + 2 PAD), M)."""


@dataclass(frozen=True)
class _OfModes(Features):
    """psi = T trig(y) on the circle: a cell average multiplies mode k by sinc(k dy/2), exactly."""

    basis: Array
    at: Callable[[Array], Array]
    modes: Array
    degree: int

    def values(self, y: Array) -> Array:
        return trig(y[0], self.degree) @ self.modes.T

    def gradients(self, y: Array) -> Array:
        return (trig_derivative(y[0], self.degree) @ self.modes.T)[:, None, :]

    def averages(self, grid: Grid) -> Array:
        (axis,) = grid.y
        k = np.concatenate([np.arange(self.degree + 1), np.arange(1, self.degree + 1)])
        sinc = np.sinc(k * axis.width / (2 * np.pi))
        return np.pad((trig(axis.centres, self.degree) * sinc) @ self.modes.T, ((PAD, PAD), (0, 0)), mode="wrap")


@dataclass(frozen=True)
class _OfNodes(Features):
    """psi from phi at the nodes of mu, evaluated directly."""

    basis: Array
    at: Callable[[Array], Array]
    unit: AnyUnit
    x: Array
    weighted: Array  # w_k e_j(x_k), (P, M)
    modes: None = None

    def values(self, y: Array) -> Array:
        parts = [self.unit.phi(self.x, some).T @ self.weighted for some in self._chunks(y)]
        return np.concatenate(parts) if parts else np.empty((0, self.weighted.shape[1]))

    def gradients(self, y: Array) -> Array:
        parts = [
            np.stack([part.T @ self.weighted for part in self.unit.gradient(self.x, some)], axis=1)
            for some in self._chunks(y)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(y), self.weighted.shape[1]))

    def _chunks(self, y: Array, copies: int = 1) -> list[Array]:
        size = max(1, CHUNK // (len(self.x) * copies))
        return [y[:, start : start + size] for start in range(0, y.shape[1], size)]

    def averages(self, grid: Grid) -> Array:
        edges = [axis.padded_edges for axis in grid.y]
        shape = [e.size - 1 for e in edges]
        centres = np.stack([c.ravel() for c in np.meshgrid(*((e[1:] + e[:-1]) / 2 for e in edges), indexing="ij")])
        u, w = special.roots_legendre(POINTS[len(edges) - 1])
        offsets = np.stack([o.ravel() for o in np.meshgrid(*(a.width * u / 2 for a in grid.y), indexing="ij")])
        weights = np.prod(np.meshgrid(*[w / 2] * len(edges), indexing="ij"), axis=0).ravel()
        parts = []
        for some in self._chunks(centres, copies=4):
            average = np.zeros((len(self.x), some.shape[1]))
            for offset, weight in zip(offsets.T, weights, strict=True):
                average += weight * self.unit.phi(self.x, some + offset[:, None])
            parts.append(average.T @ self.weighted)
        return np.concatenate(parts).reshape(*shape, -1)


def of_circle(unit: CircleUnit, e: Array, modes: Array) -> Features:
    """Features of a unit on the circle from phi = e T trig(y)."""
    inverse = np.linalg.pinv(modes)
    return _OfModes(e, lambda x: unit.series(x) @ inverse, modes, unit.degree)


def of_nodes(unit: AnyUnit, x: Array, weights: Array, e: Array, at: Callable[[Array], Array]) -> Features:
    """Features of any unit from its values at the nodes."""
    return _OfNodes(e, at, unit, x, weights[:, None] * e)
