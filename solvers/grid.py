"""The (y, c) grid of the deterministic schemes: one to three axes of y, each periodic or closed, and closed c."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

PAD = 4  # cells beyond either end of every y axis on which the features are known, for the stencils of `Potential`


@dataclass(frozen=True)
class Axis:
    """Equal cells on [low, high]; the ends are one point where it is `periodic`, else walls."""

    low: float
    high: float
    cells: int
    periodic: bool = False

    @property
    def width(self) -> float:
        """Width of a cell."""
        return (self.high - self.low) / self.cells

    @cached_property
    def centres(self) -> Array:
        """Cell centres, (cells,)."""
        return self.low + (np.arange(self.cells) + 0.5) * self.width

    @cached_property
    def edges(self) -> Array:
        """Cell edges, (cells + 1,)."""
        return np.linspace(self.low, self.high, self.cells + 1)

    @cached_property
    def padded_edges(self) -> Array:
        """Edges of the cells and of PAD more at either end, (cells + 2 PAD + 1,)."""
        return self.low + np.arange(-PAD, self.cells + PAD + 1) * self.width

    def split(self, cells: int) -> "Axis":
        """The same interval in so many cells."""
        return replace(self, cells=cells)


def circle(cells: int) -> Axis:
    """The circle [0, 2 pi)."""
    return Axis(0.0, 2 * np.pi, cells, periodic=True)


@dataclass(frozen=True)
class Grid:
    """Cells in (y, c); arrays on it are (*Ny, Nc), y first. y : one Axis for each component of y."""

    y: tuple[Axis, ...]
    c: Axis

    @property
    def Ny(self) -> tuple[int, ...]:
        """Cells along each axis of y."""
        return tuple(axis.cells for axis in self.y)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the density, (*Ny, Nc)."""
        return (*self.Ny, self.c.cells)

    @cached_property
    def dy(self) -> float:
        """Volume of a cell in y."""
        return float(np.prod([axis.width for axis in self.y]))

    @cached_property
    def cell(self) -> float:
        """Volume of a cell in (y, c)."""
        return self.dy * self.c.width

    def split(self, cells: Sequence[int]) -> "Grid":
        """The same domain in so many cells, y axes first, c last."""
        return Grid(tuple(axis.split(n) for axis, n in zip(self.y, cells, strict=False)), self.c.split(cells[-1]))

    def coarsened(self, factor: int) -> "Grid":
        """The same domain with `factor` times fewer cells along each axis."""
        return self.split([n // factor for n in self.shape])

    def restricted(self, density: Array, factor: int) -> Array:
        """Averages over blocks of `factor` cells along each axis, as on `coarsened(factor)`."""
        blocks = [n for cells in self.shape for n in (cells // factor, factor)]
        return density.reshape(blocks).mean(axis=tuple(range(1, 2 * len(self.shape), 2)))
