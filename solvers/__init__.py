"""The deterministic engine: finite volumes, characteristics, fluctuation theory. It knows features, not units."""

from solvers.grid import Grid, GridFeatures

__all__ = ["Grid", "GridFeatures"]
