"""An orthonormal basis e_j of the span of phi in L^2(mu), and phi on it: phi(x, y) = sum_j e_j(x) psi_j(y)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liouville.errors import InputError

Array = NDArray[np.floating]

NEGLIGIBLE = 1e-15  # entries of T below this fraction of the largest are left out
RANK = 1e-12  # singular values below this fraction of the largest count as zero
SAMPLES = (2048, 4096, 8192)  # values of y at which the span of phi is sampled, for N = 1, 2, 3


def of_modes(series: Array, weights: Array) -> tuple[Array, Array]:
    """e (P, M) and T (M, L) with phi = e T trig(y), for a band-limited unit: in the order of the modes.

    series : (P, L), phi(x_k, y) = series trig(y).  weights : (P,).
    """
    scaled = np.sqrt(weights)[:, None] * series
    used = np.linalg.norm(scaled, axis=0) > RANK * np.linalg.norm(scaled)
    Q, R = np.linalg.qr(scaled[:, used])
    rank = np.linalg.matrix_rank(scaled, tol=RANK * np.linalg.norm(scaled, 2))
    if rank < R.shape[0]:
        U, s, V = np.linalg.svd(scaled[:, used], full_matrices=False)
        Q, R = U[:, :rank], s[:rank, None] * V[:rank]
    signs = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    features = np.zeros((R.shape[0], series.shape[1]))
    features[:, used] = signs[:, None] * R
    return Q * signs / np.sqrt(weights)[:, None], _without_rounding(features)


def of_series(series: Array, weights: Array) -> tuple[Array, Array]:
    """The same by importance: in the order of the singular values of phi on L^2(mu) x L^2(dy)."""
    size = np.full(series.shape[1], np.sqrt(0.5))
    size[0] = 1.0
    e, s, V = _decomposed(series * size, weights)
    return e, _without_rounding(s[:, None] * V / size)


def of_samples(
    phi: Callable[[Array, Array], Array], x: Array, weights: Array, low: Array, high: Array
) -> tuple[Array, Callable[[Array], Array]]:
    """e (P, M) by importance on the box [low, high] of y, and the function x (P,) -> e(x) (P, M).

    The span is that of phi(., y) at evenly spread points of the box.
    """
    y = spread(low, high, SAMPLES[low.size - 1])
    e, s, V = _decomposed(phi(x, y) / np.sqrt(y.shape[1]), weights)
    inverse = V.T / s / np.sqrt(y.shape[1])
    return e, lambda at: phi(at, y) @ inverse


def spread(low: Array, high: Array, count: int) -> Array:
    """Points evenly spread over a box, (N, count): Weyl's sequence of powers of 1/g, g^(N + 1) = g + 1.

    Not a lattice: neurons h(a x + b) on one have few kinks -b/a between them.
    """
    g = 2.0
    for _ in range(64):
        g = (1 + g) ** (1 / (low.size + 1))
    steps = g ** -np.arange(1.0, low.size + 1)
    return np.asarray(low[:, None] + (high - low)[:, None] * ((0.5 + np.outer(steps, np.arange(count))) % 1.0))


def _without_rounding(features: Array) -> Array:
    """Zeros where rounding alone left something: for evenly spread x each e_j has one mode, and T hardly an entry."""
    return np.where(np.abs(features) > NEGLIGIBLE * np.abs(features).max(initial=0.0), features, 0.0)


def _decomposed(values: Array, weights: Array) -> tuple[Array, Array, Array]:
    """e, s, V of values = e diag(s) V, cut at the rank; e positive at the last node where it is not small."""
    if not np.all(np.isfinite(values)):
        raise InputError("problem: the unit gives numbers that are not finite")
    U, s, V = np.linalg.svd(np.sqrt(weights)[:, None] * values, full_matrices=False)
    rank = int(np.count_nonzero((s > RANK * s[0]) & (s > 0)))
    U, s, V = U[:, :rank], s[:rank], V[:rank]
    e = U / np.sqrt(weights)[:, None]
    sizes = np.abs(U)
    last = len(U) - 1 - np.argmax(sizes[::-1] > 0.1 * sizes.max(axis=0), axis=0)
    signs = np.where(U[last, np.arange(rank)] < 0, -1.0, 1.0)
    return e * signs, s, signs[:, None] * V
