"""Strong-stability-preserving Runge-Kutta schemes in Shu-Osher form, as data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ShuOsher:
    """u_i = sum_k alpha[i, k] u_k + dt beta[i, k] L(u_k), i = 1 ... stages, u_0 the start, u_stages the end."""

    name: str
    order: int
    alpha: NDArray[np.floating]
    beta: NDArray[np.floating]

    @property
    def stages(self) -> int:
        """Evaluations of L in one step."""
        return self.alpha.shape[0]

    @property
    def euler_step(self) -> float:
        """Every stage is a convex combination of Euler steps of at most this length, in units of dt."""
        used = self.beta > 0
        return float(np.max(self.beta[used] / self.alpha[used]))


def _lower(rows: list[dict[int, float]]) -> NDArray[np.floating]:
    matrix = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        for k, value in row.items():
            matrix[i, k] = value
    return matrix


# Spiteri & Ruuth, SIAM J. Numer. Anal. 40, 469 (2002), table 3.
SSPRK54 = ShuOsher(
    "ssprk54",
    4,
    alpha=_lower(
        [
            {0: 1.0},
            {0: 0.444370493651235, 1: 0.555629506348765},
            {0: 0.620101851488403, 2: 0.379898148511597},
            {0: 0.178079954393132, 3: 0.821920045606868},
            {2: 0.517231671970585, 3: 0.096059710526146, 4: 0.386708617503269},
        ]
    ),
    beta=_lower(
        [
            {0: 0.391752226571890},
            {1: 0.368410593050371},
            {2: 0.251891774271694},
            {3: 0.544974750228521},
            {3: 0.063692468666290, 4: 0.226007483236906},
        ]
    ),
)
