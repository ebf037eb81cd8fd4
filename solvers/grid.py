"""The (y, c) grid of the finite volumes: periodic in y, closed in c."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Grid:
    """Ny x Nc equal cells on the circle times [c_low, c_high]; arrays on it are (Ny, Nc), y first."""

    Ny: int
    Nc: int
    c_low: float
    c_high: float

    @property
    def dy(self) -> float:
        """Width of a cell along y, radians."""
        return 2 * np.pi / self.Ny

    @property
    def dc(self) -> float:
        """Width of a cell along c."""
        return (self.c_high - self.c_low) / self.Nc

    @property
    def y(self) -> Array:
        """Cell centres along y, (Ny,)."""
        return (np.arange(self.Ny) + 0.5) * self.dy

    @property
    def y_faces(self) -> Array:
        """The face to the right of each cell, (Ny,); the last one is the circle's origin."""
        return (np.arange(self.Ny) + 1.0) * self.dy

    @property
    def c(self) -> Array:
        """Cell centres along c, (Nc,)."""
        return self.c_low + (np.arange(self.Nc) + 0.5) * self.dc

    @property
    def c_edges(self) -> Array:
        """Cell edges along c, (Nc + 1,)."""
        return np.linspace(self.c_low, self.c_high, self.Nc + 1)

    def coarsened(self, factor: int) -> "Grid":
        """The same domain with `factor` times fewer cells along each axis."""
        return Grid(self.Ny // factor, self.Nc // factor, self.c_low, self.c_high)


@dataclass(frozen=True)
class GridFeatures:
    """The features psi on a grid, all a finite-volume solver needs to know of the unit; each (Ny, M).

    A cell average differs from a centre value at order h^2, hence one matrix for each use:
    averages : <psi> over cells, for the c-velocity;  centres, slopes : psi and psi' at cell centres;
    face_slopes : psi' at the right faces, for the y-velocity;
    weights : int psi G dy = sum_i weights_i G_i dy from cell averages G (psi - (h^2/24) psi'' at the centre).
    """

    averages: Array
    centres: Array
    slopes: Array
    face_slopes: Array
    weights: Array
