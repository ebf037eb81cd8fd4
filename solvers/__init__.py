"""The deterministic engine: finite volumes, characteristics, fluctuation theory. It knows features, not units."""

from solvers.grid import Axis, Grid, circle

__all__ = ["Axis", "Grid", "circle"]
