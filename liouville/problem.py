"""The problem: F, K, U, M, loss and energy of (3)-(5), (13), (16), and the closure that the engines work with."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liouville.densities import Initial
from liouville.measures import UniformMeasure
from liouville.runfile import ProblemTable, RunFile, load
from liouville.targets import FourierTarget, InitialTarget, SamplesTarget
from liouville.units import Unit
from particles import Closure, derivative_matrix, trig, trig_derivative
from solvers.grid import Grid, GridFeatures

Array = NDArray[np.floating]

RANK = 1e-12  # singular values below this fraction of the largest count as zero


@dataclass(frozen=True)
class Problem:
    """A unit, a target, an initial density and a measure mu = sum_k w_k delta_(x_k).

    x, weights, f : (N,), nodes and weights of mu and the target there.
    """

    name: str
    unit: Unit
    initial: Initial
    x: Array
    weights: Array
    f: Array
    run: RunFile | None = None  # the run file it was loaded from

    @classmethod
    def load(cls, name: str | Path) -> Self:
        """From a run file, a path or a shipped problem's name. Raises InputError."""
        run = load(name)
        return cls.build(run.problem, run)

    @classmethod
    def build(cls, table: ProblemTable, run: RunFile | None = None) -> Self:
        """From the [problem] table of a run file."""
        unit, target = table.unit, table.target
        degree = unit.modes
        if isinstance(target, FourierTarget):
            degree = max(degree, target.degree)
        measure = table.measure
        if measure is None and isinstance(target, SamplesTarget):
            x, _, weights = target.points()
        else:
            x, weights = (measure or UniformMeasure()).quadrature(degree)
        if isinstance(target, SamplesTarget):
            f = target.points()[1] if measure is None else target(x)
        elif isinstance(target, InitialTarget):
            f = _initial_representation(unit, table.initial, x)
        else:
            f = target(x)
        return cls(table.name, unit, table.initial, x, weights, f, run)

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        """Orthonormal basis e (N, M) of the span of the unit in L^2(mu), and features T (M, L): phi = e T trig(y)."""
        series = np.sqrt(self.weights)[:, None] * self.unit.series(self.x)
        used = np.linalg.norm(series, axis=0) > RANK * np.linalg.norm(series)
        Q, R = np.linalg.qr(series[:, used])
        rank = np.linalg.matrix_rank(series, tol=RANK * np.linalg.norm(series, 2))
        if rank < R.shape[0]:
            U, s, V = np.linalg.svd(series[:, used], full_matrices=False)
            Q, R = U[:, :rank], s[:rank, None] * V[:rank]
        signs = np.where(np.diagonal(R) < 0, -1.0, 1.0)
        features = np.zeros((R.shape[0], series.shape[1]))
        features[:, used] = signs[:, None] * R
        return Q * signs / np.sqrt(self.weights)[:, None], features

    @property
    def basis(self) -> Array:
        """e_j(x_k), (N, M), orthonormal in L^2(mu); f_n = sum_j g_j e_j."""
        return self._factors[0]

    @cached_property
    def closure(self) -> Closure:
        """Features and the target's coefficients on the basis."""
        basis, features = self._factors
        return Closure(features, basis.T @ (self.weights * self.f))

    @property
    def rank(self) -> int:
        """Rank of phi on the nodes of mu: the discriminating property (2) asks for as many as there are nodes."""
        return self.basis.shape[1]

    @property
    def floor(self) -> float:
        """Loss that no superposition of units can go below, half of the squared distance of f from their span."""
        rest = self.f - self.basis @ self.closure.target
        return 0.5 * float(self.weights @ rest**2)

    def values(self, coefficients: Array) -> Array:
        """A function on the nodes, (..., N), from its coefficients (..., M)."""
        return coefficients @ self.basis.T

    def coefficients(self, values: Array) -> Array:
        """Coefficients (..., M) of a function in the span, from its values (..., N)."""
        return values @ (self.weights[:, None] * self.basis)

    def loss(self, coefficients: Array) -> Array:
        """l = <f_n - f, f_n - f>/2 of (3), (...,), from coefficients (..., M)."""
        return np.asarray(0.5 * np.sum((coefficients - self.closure.target) ** 2, axis=-1) + self.floor)

    def energy(self, coefficients: Array) -> Array:
        """E/n = l - <f, f>/2 of (4), (...,)."""
        return self.loss(coefficients) - 0.5 * float(self.weights @ self.f**2)

    def F(self, y: Array) -> Array:
        """F(y) = <f, phi(., y)> of (5), (...,)."""
        return self._psi(y) @ self.closure.target

    def K(self, y: Array, z: Array) -> Array:
        """K(y, z) = <phi(., y), phi(., z)> of (5), (...,)."""
        return np.asarray(np.sum(self._psi(y) * self._psi(z), axis=-1))

    def U(self, y: Array, coefficients: Array) -> Array:
        """U(y) = <f_rho - f, phi(., y)> of (13), (...,), for f_rho with these coefficients (M,)."""
        return self._psi(y) @ (coefficients - self.closure.target)

    def M(self, y: Array, c: Array, weights: Array) -> Array:
        """M of (16) on the basis, (M, M), for weighted particles (n,)."""
        psi = self._psi(y)
        slope = c[:, None] * self.closure.coefficients(trig_derivative(y, self.closure.modes))
        return (psi.T * weights) @ psi + (slope.T * weights) @ slope

    def _psi(self, y: Array) -> Array:
        return self.closure.coefficients(trig(np.asarray(y, dtype=float), self.closure.modes))

    def on_grid(self, grid: Grid) -> GridFeatures:
        """The features on a grid: a cell average multiplies mode k by sinc(k dy/2), a moment weight divides by it."""
        K = self.closure.modes
        k = np.concatenate([np.arange(K + 1), np.arange(1, K + 1)])
        sinc = np.sinc(k * grid.dy / (2 * np.pi))
        centres = trig(grid.y, K)
        derivative = derivative_matrix(K).T
        apply = self.closure.coefficients
        return GridFeatures(
            averages=apply(centres * sinc),
            centres=apply(centres),
            slopes=apply(centres @ derivative),
            face_slopes=apply(trig(grid.y_faces, K) @ derivative),
            weights=apply(centres / sinc),
        )


def _initial_representation(unit: Unit, initial: Initial, x: Array) -> Array:
    """f_in(x) = int mean(y) phi(x, y) p(y) dy by the trapezoid rule on 1024 nodes."""
    y = np.arange(1024) * (2 * np.pi / 1024)
    p = initial.y.density(y)
    moments = (p / p.sum() * initial.c.centre(y)) @ trig(y, unit.modes)
    return unit.series(x) @ moments
