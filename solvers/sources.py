"""What a free particle contributes to the response: h = Phi(Z_t), A = grad Phi(Z_t)^T J_t, B = J_s^-1 grad Phi(Z_s)."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from particles import Closure, tangent_flow
from particles.jit import concurrent, kernel
from particles.kinds import by_basis, chosen, tables
from particles.stencil import GROUP, WORK, gather_features, place
from particles.workers import over_threads
from solvers.characteristics import MeanField

Array = NDArray[np.floating]


def sources(
    closure: Closure,
    field: MeanField,
    y: Array,
    c: Array,
    grid: NDArray[np.integer] | int,
    features: int | None = None,
) -> tuple[Array, Array, Array]:
    """h : (T, M, Q), A and B : (T, M', Q, N + 1) of Q particles after the steps `grid` of the mean field.

    y, c : (N, Q) and (Q,).  grid : (T,) from 0 on, or a number for all its multiples.  features : M', the features
    whose A and B are wanted, all by default.
    Gamma(t, s) = sum_q p_q A[t, :, q] . B[s, :, q], the last axis being z = (y, c). Where the scheme is Euler's, J_s is
    taken after the step that starts at s, which makes this the exact response of the discrete flow.
    """
    yt, ct, J = tangent_flow(closure, y, c, field.field, field.lengths, field.lengths.size, field.tableau, every=grid)
    (T, N, Q), M = yt.shape, closure.target.size
    some = M if features is None else features
    h, A, B = np.empty((T, M, Q)), np.empty((T, some, Q, N + 1)), np.empty((T, some, Q, N + 1))
    moving = 1.0 if closure.moving else 0.0
    later = np.concatenate([J[1:], J[-1:]]) if field.tableau.order == 1 else J
    features_of = np.ascontiguousarray(closure.features.T)
    work = partial(_sources, yt, ct, J, later, features_of, tables(closure), moving, h, A, B)
    over_threads(work, T * -(-Q // GROUP))
    return h, A, B


@concurrent
def _sources(y, c, J, later, features, tables, moving, h, A, B, begin, end):
    """Some groups of particles, time by time."""
    N, Q = y.shape[1:]
    d = N + 1
    groups = (Q + GROUP - 1) // GROUP
    for task in range(begin, end):
        t, low = task // groups, (task % groups) * GROUP
        count = min(GROUP, Q - low)
        work, at = np.empty(WORK).reshape(-1, GROUP), np.empty((N, GROUP))
        values, slopes = np.empty((4, features.shape[1])), np.empty((2, features.shape[0]))
        inverse, gradient = np.empty((d, d)), np.empty(d)
        for axis in range(N):
            at[axis, :count] = y[t, axis, low : low + count]
        _place(tables, at, count, work)
        for i in range(count):
            q = low + i
            _gather(tables, at, i, features, work, values, slopes, A.shape[1])
            _invert(later[t, q], inverse)
            for m in range(h.shape[1]):
                h[t, m, q] = c[t, q] * values[0, m]
            for m in range(A.shape[1]):
                for k in range(N):
                    gradient[k] = moving * c[t, q] * values[4 - N + k, m]
                gradient[N] = values[0, m]
                for k in range(d):
                    left, right = 0.0, 0.0
                    for l in range(d):
                        left += gradient[l] * J[t, q, l, k]
                        right += inverse[k, l] * gradient[l]
                    A[t, m, q, k] = left
                    B[t, m, q, k] = right


def _place(tables, *arguments):
    """What the features of a group of particles at y (N, GROUP) have in common."""
    return chosen(tables, _nothing, _stencils)(tables, *arguments)


def _gather(tables, *arguments):
    """psi of particle i into row 0 of values and its gradient into the last N rows, the latter of `some` features."""
    return chosen(tables, _on_circle, _on_mesh)(tables, *arguments)


@kernel
def _nothing(tables, at, count, work):
    pass


@kernel
def _stencils(tables, at, count, work):
    place(at.reshape(-1), GROUP, count, tables[0], tables[1], work, 1)


@kernel
def _on_circle(tables, at, i, features, work, values, slopes, some):
    _modes(at[0, i], slopes[0], slopes[1])
    _contract(features, slopes, values)


@kernel
def _on_mesh(tables, at, i, features, work, values, slopes, some):
    gather_features(work, i, features, tables[0], values, some)


by_basis(_place, circle=_nothing, mesh=_stencils)
by_basis(_gather, circle=_on_circle, mesh=_on_mesh)


@kernel
def _invert(matrix, inverse):
    """Gauss-Jordan with the largest pivots, for a few rows."""
    d = matrix.shape[0]
    work = matrix.copy()
    for i in range(d):
        for j in range(d):
            inverse[i, j] = 1.0 if i == j else 0.0
    for k in range(d):
        pivot = k
        for i in range(k + 1, d):
            if abs(work[i, k]) > abs(work[pivot, k]):
                pivot = i
        for j in range(d):
            work[k, j], work[pivot, j] = work[pivot, j], work[k, j]
            inverse[k, j], inverse[pivot, j] = inverse[pivot, j], inverse[k, j]
        scale = 1.0 / work[k, k]
        for j in range(d):
            work[k, j] *= scale
            inverse[k, j] *= scale
        for i in range(d):
            if i != k:
                factor = work[i, k]
                for j in range(d):
                    work[i, j] -= factor * work[k, j]
                    inverse[i, j] -= factor * inverse[k, j]


@kernel
def _contract(features, modes, values):
    """psi and psi' into the rows 0 and 3 of values, from trig and its derivative."""
    values[:] = 0.0
    for l in range(features.shape[0]):
        for m in range(features.shape[1]):
            values[0, m] += features[l, m] * modes[0, l]
            values[3, m] += features[l, m] * modes[1, l]


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
