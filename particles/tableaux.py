"""Explicit Runge-Kutta schemes as data.

Each stage of these schemes starts from the state at the beginning of the step and uses the slope of the stage before it
alone (a tableau with one sub-diagonal), so a particle needs no register beyond the start of its step and the weighted
sum of its slopes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tableau:
    """z_i = z + dt a_i k_(i-1), k_i = v(z_i), z(t + dt) = z + dt sum_i b_i k_i; `c` are the stage times."""

    name: str
    order: int
    a: tuple[float, ...]
    b: tuple[float, ...]
    c: tuple[float, ...]

    @property
    def stages(self) -> int:
        """Evaluations of the velocity in one step."""
        return len(self.b)

    @property
    def arrays(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """(a, b) for a kernel: a[i] is the coefficient of the move that follows stage i, 0 after the last."""
        return np.array([*self.a[1:], 0.0]), np.array(self.b)


EULER = Tableau("euler", 1, a=(0.0,), b=(1.0,), c=(0.0,))
# Kutta, Z. Math. Phys. 46, 435 (1901): the classical scheme.
RK4 = Tableau("rk4", 4, a=(0.0, 0.5, 0.5, 1.0), b=(1 / 6, 1 / 3, 1 / 3, 1 / 6), c=(0.0, 0.5, 0.5, 1.0))
