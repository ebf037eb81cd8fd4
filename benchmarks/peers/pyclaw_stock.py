"""PyClaw's SharpClaw, WENO5 and SSPRK(10,4), with its stock `vc_advection_2D` and a source for the compression.

The colour equation q_t + u q_y + v q_c = S, S = c U'' q, u = -c U' and v = -U on left faces in aux. The fluctuation
inside a cell takes the velocity of one face, which is first order where the velocity varies.
"""

import numpy as np
from clawpack import riemann
from flat_fourier import Cells

from peers.pyclaw_conservative import run, velocity

NAME, PACKAGE, ORDER, THREADED = "PyClaw SharpClaw WENO5, stock vc_advection_2D", "clawpack", 1, False


def prepare(solver, on: Cells) -> None:
    """Add the source; dq_src returns dt S."""

    def compression(solver, state, dt):
        q = state.q[0]
        divergence = np.multiply.outer(on.curvature @ on.residual(q), on.c * dt)
        return (divergence * q)[None]

    solver.dq_src = compression


def solve(cells: tuple[int, int]) -> tuple[np.ndarray, float, int]:
    """See `peers`."""
    return run(riemann.vc_advection_2D, Cells(*cells), velocity, prepare)
