"""Initial densities rho_in(y, c): exact samples, exact cell averages, quadrature nodes."""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from liouville.densities.custom import Density
from liouville.densities.initial import Initial
from liouville.densities.laws_c import BumpC, NormalC
from liouville.densities.laws_y import BetaY, NormalY, UniformY, VonMisesY
from liouville.densities.series import FourierSeries
from solvers.grid import Grid

Array = NDArray[np.floating]


class AnyDensity(Protocol):
    """What a problem and a run ask of an initial density; y is (N, n) everywhere."""

    @property
    def circle(self) -> bool: ...

    @property
    def support(self) -> str: ...

    @property
    def compact(self) -> NDArray[np.bool_]: ...

    @property
    def jumps(self) -> tuple[tuple[float, float] | None, ...]: ...

    def of(self, dimension: int) -> Self: ...

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Array, Array]: ...

    def reach(self) -> tuple[Array, Array]: ...

    def nodes(self, Ny: int, Nc: int) -> tuple[Array, Array, Array]: ...

    def moment_nodes(self, Ny: int) -> tuple[Array, Array]: ...

    def cell_averages(self, grid: Grid) -> Array: ...


__all__ = [
    "AnyDensity",
    "BetaY",
    "BumpC",
    "Density",
    "FourierSeries",
    "Initial",
    "NormalC",
    "NormalY",
    "UniformY",
    "VonMisesY",
]
