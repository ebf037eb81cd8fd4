"""An initial density from Python: any density with its sampler."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from solvers.grid import Axis, Grid

Array = NDArray[np.floating]

POINTS = 4  # Gauss points along each axis of a cell
CHUNK = 2**20  # points at which the density is evaluated at once
MASS = 1e-6  # how far the mass in the box may be from 1


class Density:
    """rho_in(y, c) given by functions.

        lv.Density(sample, density, low=[-3, -5], high=[3, 5])

    sample : sample(rng, n) -> y (N, n) or, for N = 1, (n,), and c (n,), of rng alone: several threads call it at once.
    density : density(y, c) -> rho_in for y (N, n), or (n,) for N = 1, and c (n,).
    low, high : the box that holds the mass, y first, c last: numbers of length N + 1. y = 0 ... 2 pi on the `circle`.
    Raises ValueError where the density in the box has not mass 1.
    """

    def __init__(
        self,
        sample: Callable[..., Any],
        density: Callable[..., Any],
        low: Sequence[float],
        high: Sequence[float],
        circle: bool = False,
        support: str = "compact",
    ) -> None:
        self.low, self.high = np.array(low, dtype=float), np.array(high, dtype=float)
        self.draw, self.given, self.circle, self.support = sample, density, circle, support
        if self.low.ndim != 1 or self.low.shape != self.high.shape or not 2 <= self.low.size <= 4:
            raise ValueError("low and high must be lists of as many numbers as y has components, and one for c")
        if not np.all(self.low < self.high):
            raise ValueError("low must be below high")
        if circle and (self.low.size != 2 or self.low[0] != 0 or abs(self.high[0] - 2 * np.pi) > 1e-12):
            raise ValueError("on the circle y goes from 0 to 2 pi")
        _, _, weights = self._weighted(*((256, 200), (64, 64), (24, 32))[self.low.size - 2])
        if abs(weights.sum() - 1) > MASS:
            raise ValueError(f"the density has mass {weights.sum():.8g} in the box, not 1")

    def of(self, dimension: int) -> Self:
        """Itself. Raises ValueError where y has not so many components."""
        if self.low.size != dimension + 1:
            raise ValueError(f"the initial density has {self.low.size - 1} components of y, the unit {dimension}")
        return self

    @property
    def compact(self) -> NDArray[np.bool_]:
        """Which components of y have compact support, (N,): all, the box."""
        return np.ones(self.low.size - 1, dtype=bool)

    @property
    def jumps(self) -> tuple[None, ...]:
        """Nothing is known of jumps."""
        return (None,) * (self.low.size - 1)

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        """n independent particles: y (N, n), c (n,)."""
        y, c = self.draw(rng, n)
        return np.reshape(np.asarray(y, dtype=float), (self.low.size - 1, n)), np.reshape(
            np.asarray(c, dtype=float), (n,)
        )

    def density(self, y: Array, c: Array) -> Array:
        """rho_in, (n,), at y (N, n) and c (n,)."""
        values = np.asarray(self.given(y if len(y) > 1 else y[0], c), dtype=float)
        return np.array(np.broadcast_to(values, c.shape))

    def reach(self) -> tuple[Array, Array]:
        """The box, low and high (N + 1,), c last."""
        return self.low, self.high

    def nodes(self, Ny: int, Nc: int) -> tuple[Array, Array, Array]:
        """Nodes y (N, Q), c (Q,), weights (Q,) summing to 1: Gauss-Legendre in the box, trapezoid on the circle.

        Twice as many along c as are asked for: a density that falls off like a normal law needs them.
        """
        y, c, weights = self._weighted(Ny, 2 * Nc)
        return y, c, weights / weights.sum()

    def moment_nodes(self, Ny: int) -> tuple[Array, Array]:
        """Nodes y (N, Q) and weights (Q,) for int c g(y) rho_in."""
        y, c, weights = self.nodes(Ny, 32)
        return y, c * weights

    def _weighted(self, Ny: int, Nc: int) -> tuple[Array, Array, Array]:
        axes = []
        for k, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if self.circle and k == 0:
                axes.append((np.arange(Ny) * (2 * np.pi / Ny), np.full(Ny, 2 * np.pi / Ny)))
                continue
            u, w = special.roots_legendre(Nc if k == self.low.size - 1 else Ny)
            axes.append((low + (high - low) * (u + 1) / 2, (high - low) * w / 2))
        *y, c = (part.ravel() for part in np.meshgrid(*(nodes for nodes, _ in axes), indexing="ij"))
        weights = reduce(np.multiply.outer, (weights for _, weights in axes)).ravel()
        return np.stack(y), c, weights * self.density(np.stack(y), c)

    def cell_averages(self, grid: Grid) -> Array:
        """Averages over the cells of the grid, (*Ny, Nc), by 4 Gauss points along each axis of a cell.

        Cells that the box cuts are integrated over their part in it.
        """
        axes = [self._cut(axis, *ends) for axis, ends in zip((*grid.y, grid.c), self._ends(), strict=True)]
        (first, _), rest = axes[0], [nodes for nodes, _ in axes[1:]]
        size = int(np.prod([nodes.size for nodes in rest]))
        rows = max(1, CHUNK // size // POINTS) * POINTS
        parts = []
        for start in range(0, first.size, rows):
            some = first.ravel()[start : start + rows]
            *y, c = (part.ravel() for part in np.meshgrid(some, *(nodes.ravel() for nodes in rest), indexing="ij"))
            parts.append(self.density(np.stack(y), c))
        values = np.concatenate(parts).reshape([n for nodes, _ in axes for n in nodes.shape])
        for _, weights in axes:
            values = np.moveaxis(np.einsum("ig...,ig->i...", values, weights), 0, -1)
        return values / grid.cell

    def _ends(self) -> list[tuple[float, float]]:
        ends = list(zip(self.low.tolist(), self.high.tolist(), strict=True))
        return [(-np.inf, np.inf), *ends[1:]] if self.circle else ends

    def _cut(self, axis: Axis, low: float, high: float) -> tuple[Array, Array]:
        edges = np.clip(axis.edges, low, high)
        u, w = special.roots_legendre(POINTS)
        width = np.diff(edges)[:, None]
        return edges[:-1, None] + width * (u + 1) / 2, width * w / 2
