"""What a free particle contributes to the response: h = Phi(Z_t), A = grad Phi(Z_t)^T J_t, B = J_s^-1 grad Phi(Z_s)."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles import Closure, tangent_flow
from particles.jit import kernel, parallel
from solvers.characteristics import MeanField

Array = NDArray[np.floating]


def sources(closure: Closure, field: MeanField, y: Array, c: Array, every: int) -> tuple[Array, Array, Array]:
    """h : (T, M, Q), A and B : (T, M, Q, 2) of Q particles at every `every`-th step of the mean field.

    Gamma(t, s) = sum_q p_q A[t, :, q] . B[s, :, q], the last axis being z = (y, c).
    """
    steps = field.field.shape[0] // field.tableau.stages
    yt, ct, J = tangent_flow(y, c, field.field, field.dt, steps, field.tableau, every=every)
    T, M = yt.shape[0], closure.target.size
    h, A, B = np.empty((T, M, y.size)), np.empty((T, M, y.size, 2)), np.empty((T, M, y.size, 2))
    _sources(yt, ct, J, closure.features, h, A, B)
    return h, A, B


@parallel
def _sources(y, c, J, features, h, A, B):
    for t in prange(y.shape[0]):
        M, L = features.shape
        modes, slopes = np.empty(L), np.empty(L)
        for q in range(y.shape[1]):
            _modes(y[t, q], modes, slopes)
            a, b, d, e = J[t, q, 0, 0], J[t, q, 0, 1], J[t, q, 1, 0], J[t, q, 1, 1]
            scale = 1.0 / (a * e - b * d)
            for m in range(M):
                psi, slope = 0.0, 0.0
                for l in range(L):
                    psi += features[m, l] * modes[l]
                    slope += features[m, l] * slopes[l]
                slope *= c[t, q]
                h[t, m, q] = c[t, q] * psi
                A[t, m, q, 0] = slope * a + psi * d
                A[t, m, q, 1] = slope * b + psi * e
                B[t, m, q, 0] = scale * (e * slope - b * psi)
                B[t, m, q, 1] = scale * (a * psi - d * slope)


@kernel
def _modes(y, modes, slopes):
    """trig(y) and its derivative."""
    count = (modes.size - 1) // 2
    x, s = np.cos(y), np.sin(y)
    ck, ck1, sk, sk1 = x, 1.0, s, 0.0
    modes[0], slopes[0] = 1.0, 0.0
    for k in range(1, count + 1):
        modes[k], modes[count + k] = ck, sk
        slopes[k], slopes[count + k] = -k * sk, k * ck
        ck, ck1 = 2.0 * x * ck - ck1, ck
        sk, sk1 = 2.0 * x * sk - sk1, sk
