"""Free particles in a given field together with their tangent flow, J_t = dZ_t/dz.

dJ/dt = -H J, J(0) = 1, H = grad grad V = [[c U'', U'], [U', 0]] with V = c U; the flow of (12)'s characteristics.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles.jit import kernel, parallel
from particles.tableaux import Tableau

Array = NDArray[np.floating]


def tangent_flow(
    y: Array, c: Array, field: Array, dt: float, steps: int, tableau: Tableau, *, every: int = 1
) -> tuple[Array, Array, Array]:
    """Move Q particles through the field U = u . trig and differentiate the flow by its start.

    y, c : (Q,) starts, unchanged.  field : u at every stage, (steps * stages, L).
    Returns y, c : (steps // every + 1, Q), and J : (steps // every + 1, Q, 2, 2) with J[..., i, j] = dZ_i/dz_j,
    Z = (y, c). J is the exact derivative of the discrete flow.

    Raises ValueError where the shapes do not fit.
    """
    if y.shape != c.shape or y.ndim != 1 or field.shape[0] != steps * tableau.stages or field.shape[1] < 3:
        raise ValueError(f"y {y.shape}, c {c.shape} and field {field.shape} do not fit {steps} steps")
    times = steps // every + 1
    states = np.empty((times, y.size, 6))
    a, b = tableau.arrays
    _flow(y, c, field, dt, a, b, every, states)
    return states[..., 0], states[..., 1], states[..., 2:].reshape(times, y.size, 2, 2)


@parallel
def _flow(y, c, field, dt, a, b, every, states):
    stages = b.size
    for node in prange(y.size):
        z = np.array([y[node], c[node], 1.0, 0.0, 0.0, 1.0])
        at = z.copy()
        slope = np.empty(6)
        total = np.zeros(6)
        states[0, node] = z
        for stage in range((states.shape[0] - 1) * every * stages):
            i = stage % stages
            _velocity(at, field[stage], slope)
            for k in range(6):
                total[k] += dt * b[i] * slope[k]
                at[k] = z[k] + dt * a[i] * slope[k]
            if i == stages - 1:
                for k in range(6):
                    z[k] += total[k]
                    at[k] = z[k]
                    total[k] = 0.0
                if (stage + 1) % (stages * every) == 0:
                    states[(stage + 1) // (stages * every), node] = z


@kernel
def _velocity(z, u, slope):
    """(dy, dc, dJ)/dt at z = (y, c, J_yy, J_yc, J_cy, J_cc)."""
    modes = (u.size - 1) // 2
    U, d1, d2 = u[0], 0.0, 0.0
    x, s = np.cos(z[0]), np.sin(z[0])
    t, t1, sk, sk1 = x, 1.0, s, 0.0
    for k in range(1, modes + 1):
        even = u[k] * t + u[modes + k] * sk
        odd = u[modes + k] * t - u[k] * sk
        U += even
        d1 += k * odd
        d2 -= k * k * even
        t, t1 = 2.0 * x * t - t1, t
        sk, sk1 = 2.0 * x * sk - sk1, sk
    slope[0] = -z[1] * d1
    slope[1] = -U
    for j in range(2):
        slope[2 + j] = -(z[1] * d2 * z[2 + j] + d1 * z[4 + j])
        slope[4 + j] = -d1 * z[2 + j]
