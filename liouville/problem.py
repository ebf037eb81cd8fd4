"""The problem: F, K, U, M, loss and energy of (3)-(5), (13), (16), and the closure that the engines work with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from liouville import basis, mesh, quadrature, runfile
from liouville.complaints import complaint
from liouville.consistency import check
from liouville.densities import AnyDensity, Initial
from liouville.errors import InputError
from liouville.features import Features, of_circle, of_nodes
from liouville.measures import Measure
from liouville.runfile import ProblemTable, RunFile
from liouville.targets import Target
from liouville.units import AnyUnit, CircleUnit, FourierUnit, UnitTable
from particles import Closure, Trigonometric
from solvers.grid import Grid
from solvers.linear import one_blas_thread

Array = NDArray[np.floating]

TABLES: dict[str, Any] = {"unit": UnitTable, "target": Target, "initial": Initial, "measure": Measure}


@dataclass(frozen=True, eq=False)
class Problem:
    """A unit, a target, an initial density and a measure mu = sum_k w_k delta_(x_k).

        lv.Problem(
            unit=lv.Unit(lambda x, a, b: np.tanh(a * x + b)),
            target=lambda x: np.sin(3 * x),
            initial={"y": {"kind": "normal", "std": 1.0}, "c": {"kind": "normal", "std": 1.0}},
            measure={"kind": "uniform", "low": -1.0, "high": 1.0},
        )

    Each part is a description of `liouville`, or its table as in a run file; `unit` may be a `Unit`, `target` any
    function of x (P,) or (P, 2), `initial` a `Density`. y is (N, n) and c (n,) in every method, N = 1 included.
    y_range : [low, high] for each axis, where the basis of the features is to hold; by default where y starts, widened
        by half where that is compact.
    Raises InputError, or ValueError for a function that does not do what it must.
    """

    unit: AnyUnit
    target: Target | Callable[[Array], Any]
    initial: AnyDensity
    measure: Measure | None = None
    name: str = "problem"
    frozen_y: bool = False
    y_range: Sequence[Sequence[float]] | None = None
    run: RunFile | None = None  # the run file it was loaded from

    def __post_init__(self) -> None:
        for key, kind in TABLES.items():
            if isinstance(value := getattr(self, key), dict):
                object.__setattr__(self, key, _described(key, kind, value))
        try:
            check(self.unit, self.target, self.initial, self.measure)
            if self.y_range is not None:
                runfile.check_range(self.unit, self.y_range)
        except ValueError as error:
            raise InputError(str(error).removeprefix("solver.")) from None
        object.__setattr__(self, "initial", self.initial.of(self.unit.dimension))
        quadrature.check_gradient(self.unit, *self.box)

    @classmethod
    def load(cls, name: str | Path) -> Self:
        """From a run file, a path or a shipped problem's name. Raises InputError."""
        run = runfile.load(name)
        return cls.build(run.problem, run)

    @classmethod
    def build(cls, table: ProblemTable, run: RunFile | None = None) -> Self:
        """From the [problem] table of a run file."""
        y_range = run.solver.y_range if run is not None and run.solver.y_range != "auto" else None
        return cls(table.unit, table.target, table.initial, table.measure, table.name, table.frozen_y, y_range, run)

    def within(self, run: RunFile) -> Self:
        """The same problem in a run of these times and ranges."""
        y_range = run.solver.y_range if run.solver.y_range != "auto" else self.y_range
        return replace(self, run=run, y_range=y_range)

    @property
    def dimension(self) -> int:
        """N, the number of components of y."""
        return self.unit.dimension

    @property
    def modes(self) -> int:
        """The highest mode of the unit on the circle, 0 elsewhere."""
        return cast(CircleUnit, self.unit).degree if self.unit.circle else 0

    @cached_property
    def box(self) -> tuple[Array, Array]:
        """low and high of y, (N,) each, where the basis holds: y_range, or where y starts, widened."""
        if self.y_range is not None:
            low, high = np.array(self.y_range, dtype=float).T
            return low, high
        low, high = (ends[:-1] for ends in self.initial.reach())
        margin = 0.0 if self.unit.circle else 0.5 * (high - low) * self.initial.compact
        return low - margin, high + margin

    @cached_property
    def _nodes(self) -> tuple[Array, Array, Array]:
        with one_blas_thread():
            return quadrature.nodes(self.unit, self.target, self.initial, self.measure, self.box)

    @property
    def x(self) -> Array:
        """Nodes of mu, (P,) or (P, 2)."""
        return self._nodes[0]

    @property
    def weights(self) -> Array:
        """Weights of mu, (P,)."""
        return self._nodes[1]

    @property
    def f(self) -> Array:
        """The target at the nodes, (P,)."""
        return self._nodes[2]

    @cached_property
    def _features(self) -> Features:
        """The basis and the features: through the series of the unit on the circle, through its values elsewhere."""
        with one_blas_thread():
            if self.unit.circle:
                unit = cast(CircleUnit, self.unit)
                factors = basis.of_modes if isinstance(unit, FourierUnit) else basis.of_series
                return of_circle(unit, *factors(unit.series(self.x), self.weights))
            e, at = basis.of_samples(self.unit.phi, self.x, self.weights, *self.box)
            return of_nodes(self.unit, self.x, self.weights, e, at)

    @property
    def basis(self) -> Array:
        """e_j(x_k), (P, M), orthonormal in L^2(mu); f_n = sum_j g_j e_j."""
        return self._features.basis

    def basis_at(self, x: Array) -> Array:
        """e_j at any x (P,), (P, M): those of phi's span, between the nodes of mu."""
        return self._features.at(x)

    @cached_property
    def projection(self) -> Array:
        """b, the target's coefficients on the basis, (M,)."""
        return self.basis.T @ (self.weights * self.f)

    @cached_property
    def closure(self) -> Closure:
        """What the engines work with: the features in trigonometric modes, or on a mesh. Raises InputError."""
        if self._features.modes is not None:
            return Closure(Trigonometric(self.modes), self._features.modes, self.projection, not self.frozen_y)
        return self.mesh_closure

    @cached_property
    def direct_closure(self) -> Closure | None:
        """The unit itself at the nodes of mu, psi_j(y) = sum_k w_k e_j(x_k) phi(x_k, y); None for one from Python."""
        ridge = self.unit.ridge(self.x)
        if ridge is None:
            return None
        return Closure(ridge, (self.weights[:, None] * self.basis).T.copy(), self.projection, not self.frozen_y)

    @cached_property
    def mesh_closure(self) -> Closure:
        """The features on a mesh of splines, on the circle of the interval that y covers. Raises InputError."""
        time = self.run.time if self.run is not None else None
        return mesh.closure(
            self.features,
            self.projection,
            self.initial.nodes,
            self.box,
            time.final if time else 0.0,
            time.snapshots - 1 if time else 1,
            fixed=self.y_range is not None or time is None,
            moving=not self.frozen_y,
        )

    @property
    def rank(self) -> int:
        """M, the rank of phi on the nodes of mu; property (2) asks for as many as there are nodes."""
        return self.basis.shape[1]

    @cached_property
    def floor(self) -> float:
        """Loss that no superposition of units can go below, half of the squared distance of f from their span."""
        rest = self.f - self.basis @ self.projection
        return 0.5 * float(self.weights @ rest**2)

    def values(self, coefficients: Array) -> Array:
        """A function on the nodes, (..., P), from its coefficients (..., M)."""
        return coefficients @ self.basis.T

    def coefficients(self, values: Array) -> Array:
        """Coefficients (..., M) of a function in the span, from its values (..., P)."""
        return values @ (self.weights[:, None] * self.basis)

    def loss(self, coefficients: Array) -> Array:
        """l = <f_n - f, f_n - f>/2 of (3), (...,), from coefficients (..., M)."""
        return np.asarray(0.5 * np.sum((coefficients - self.projection) ** 2, axis=-1) + self.floor)

    def energy(self, coefficients: Array) -> Array:
        """E/n = l - <f, f>/2 of (4), (...,)."""
        return self.loss(coefficients) - 0.5 * float(self.weights @ self.f**2)

    def features(self, y: Array) -> Array:
        """psi_j(y) = <e_j, phi(., y)>, (n, M), for y (N, n)."""
        with one_blas_thread():
            return self._features.values(y)

    def gradients(self, y: Array) -> Array:
        """Gradients of psi_j in y, (n, N, M), for y (N, n)."""
        with one_blas_thread():
            return self._features.gradients(y)

    def F(self, y: Array) -> Array:
        """F(y) = <f, phi(., y)> of (5), (n,)."""
        return self.features(y) @ self.projection

    def K(self, y: Array, z: Array) -> Array:
        """K(y, z) = <phi(., y), phi(., z)> of (5), (n,)."""
        return np.asarray(np.sum(self.features(y) * self.features(z), axis=-1))

    def U(self, y: Array, coefficients: Array) -> Array:
        """U(y) = <f_rho - f, phi(., y)> of (13), (n,), for f_rho with these coefficients (M,)."""
        return self.features(y) @ (coefficients - self.projection)

    def M(self, y: Array, c: Array, weights: Array) -> Array:
        """M of (16) on the basis, (M, M), for weighted particles (n,); without the motion of y where it is frozen."""
        psi = self.features(y)
        slopes: Array | tuple[()] = () if self.frozen_y else np.moveaxis(self.gradients(y), 1, 0)
        with one_blas_thread():
            return (psi.T * weights) @ psi + sum((slope.T * (weights * c**2)) @ slope for slope in slopes)

    def on_grid(self, grid: Grid) -> Array:
        """Averages of the features over the cells of the grid and PAD more at either end of y, (*(Ny + 2 PAD), M)."""
        with one_blas_thread():
            return self._features.averages(grid)


def _described(key: str, kind: Any, table: dict[str, Any]) -> Any:
    """A part of a problem from its table as in a run file. Raises InputError."""
    table = runfile.tuples(table)
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        raise InputError(complaint(error, table, kind, key)) from None
