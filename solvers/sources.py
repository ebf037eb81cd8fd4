"""What a free particle contributes to the response: h = Phi(Z_t), A = grad Phi(Z_t)^T J_t, B = J_s^-1 grad Phi(Z_s)."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from particles import Closure, tangent_flow
from particles.jit import concurrent, kernel
from particles.kinds import by_basis, chosen, tables
from particles.stencil import FOUND, GROUP, WORK, gather, place
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
    """h : (T, M, Q), A and B : (T, M', N + 1, Q) of Q particles after the steps `grid` of the mean field.

    y, c : (N, Q) and (Q,).  grid : (T,) from 0 on, or a number for all its multiples.  features : M', the features
    whose A and B are wanted, all by default.
    Gamma(t, s) = sum_q p_q A[t, ..., q] . B[s, ..., q], over the axes of z = (y, c). Where the scheme is Euler's, J_s
    is taken after the step that starts at s, which makes this the exact response of the discrete flow.
    """
    yt, ct, J = tangent_flow(closure, y, c, field.field, field.lengths, field.lengths.size, field.tableau, every=grid)
    (T, N, Q), M = yt.shape, closure.target.size
    some = M if features is None else features
    h, A, B = np.empty((T, M, Q)), np.empty((T, some, N + 1, Q)), np.empty((T, some, N + 1, Q))
    moving = 1.0 if closure.moving else 0.0
    J = np.ascontiguousarray(np.moveaxis(J, 1, -1))
    later = np.concatenate([J[1:], J[-1:]]) if field.tableau.order == 1 else J
    features_of = np.ascontiguousarray(closure.features)
    work = partial(_sources, yt, ct, J, later, features_of, tables(closure), moving, h, A, B)
    over_threads(work, T * -(-Q // GROUP))
    return h, A, B


@concurrent
def _sources(y, c, J, later, features, tables, moving, h, A, B, begin, end):
    """Some groups of particles, time by time."""
    N, Q = y.shape[1:]
    d, M, some = N + 1, h.shape[1], A.shape[1]
    groups = (Q + GROUP - 1) // GROUP
    work, at, by_c = np.empty(WORK), np.zeros((N, GROUP)), np.zeros(GROUP)
    values, flow, back = np.zeros((4, M, GROUP)), np.zeros((d, d, GROUP)), np.zeros((d, d, GROUP))
    for task in range(begin, end):
        t, low = task // groups, (task % groups) * GROUP
        count = min(GROUP, Q - low)
        by_c[:count] = c[t, low : low + count]
        for axis in range(N):
            at[axis, :count] = y[t, axis, low : low + count]
        for k in range(d):
            for l in range(d):
                flow[k, l, :count] = J[t, k, l, low : low + count]
                back[k, l, :count] = later[t, k, l, low : low + count]
        _invert(back, count)
        _features(tables, at, count, features, work, values, some)
        for m in range(M):
            _scale(values[0, m], by_c, 1.0, h[t, m, low : low + count])
        for m in range(some):
            for k in range(N):
                _scale(values[4 - N + k, m], by_c, moving, values[4 - N + k, m])
            for k in range(d):
                left, right = A[t, m, k, low : low + count], B[t, m, k, low : low + count]
                _scale(values[0, m], flow[N, k], 1.0, left)
                _scale(values[0, m], back[k, N], 1.0, right)
                for l in range(N):
                    _add(values[4 - N + l, m], flow[l, k], left)
                    _add(values[4 - N + l, m], back[k, l], right)


@kernel
def _scale(x, y, a, out):
    """out = a x y."""
    for q in range(out.size):
        out[q] = a * x[q] * y[q]


@kernel
def _add(x, y, out):
    """out += x y."""
    for q in range(out.size):
        out[q] += x[q] * y[q]


def _features(tables, *arguments):
    """psi of a group at y (N, GROUP) into values[0] (M, GROUP), and the gradient, of `some` at least, into the last N.

    features : (M, L).
    """
    return chosen(tables, _on_circle, _on_mesh)(tables, *arguments)


@kernel
def _on_circle(tables, at, count, features, work, values, some):
    M, L = features.shape
    modes = np.zeros((2 * L, GROUP))
    _modes(at[0], count, (L - 1) // 2, modes)
    values[0], values[3] = 0.0, 0.0
    for m in range(M):
        for l in range(L):
            _accumulate(features[m, l], modes[l], values[0, m])
            if m < some:
                _accumulate(features[m, l], modes[L + l], values[3, m])


@kernel
def _accumulate(a, x, out):
    """out += a x."""
    for q in range(out.size):
        out[q] += a * x[q]


@kernel
def _on_mesh(tables, at, count, features, work, values, some):
    place(at.reshape(-1), 0, GROUP, count, tables[0], tables[1], work, 1)
    for m in range(features.shape[0]):
        gather(work, count, features[m], tables[0])
        for k in range(4):
            if k == 0 or k > 3 - at.shape[0]:
                for q in range(count):
                    values[k, m, q] = work[FOUND + k * GROUP + q]


by_basis(_features, circle=_on_circle, mesh=_on_mesh)


@kernel
def _invert(matrices, count):
    """Gauss-Jordan with the largest pivots, in place, for each of some matrices (d, d, GROUP)."""
    d = matrices.shape[0]
    work, inverse = np.empty((d, d)), np.empty((d, d))
    for q in range(count):
        for i in range(d):
            for j in range(d):
                work[i, j] = matrices[i, j, q]
                inverse[i, j] = 1.0 if i == j else 0.0
        _eliminate(work, inverse)
        for i in range(d):
            for j in range(d):
                matrices[i, j, q] = inverse[i, j]


@kernel
def _eliminate(work, inverse):
    """work, inverse -> 1, work^-1 inverse."""
    d = work.shape[0]
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
def _modes(y, count, order, modes):
    """trig(y) into the first 2 order + 1 rows, and its derivative into as many after."""
    L = 2 * order + 1
    for q in range(count):
        x, s = np.cos(y[q]), np.sin(y[q])
        ck, ck1, sk, sk1 = x, 1.0, s, 0.0
        modes[0, q], modes[L, q] = 1.0, 0.0
        for k in range(1, order + 1):
            modes[k, q], modes[order + k, q] = ck, sk
            modes[L + k, q], modes[L + order + k, q] = -k * sk, k * ck
            ck, ck1 = 2.0 * x * ck - ck1, ck
            sk, sk1 = 2.0 * x * sk - sk1, sk
