"""Derivatives of Phi(z, x) = c phi(x, y) along given paths of z = (y, c), up to the third on every feature.

Of the d = N + 1 indices of z the last is c: an index tuple without c gives c d^k psi, one c among it d^(k-1) psi, and
more than one 0, since Phi is linear in c.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from particles import Closure

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Derivatives:
    """Of Phi on M' features, and of V = Phi . r with the residual r of all of them, at T times and Q paths.

    gradient : (T, Q, d, M').  hessian : (T, Q, d, d, M').  third : (T, Q, d, d, d, M').
    force_third, force_fourth : of V, (T, Q, d, d, d) and (T, Q, d, d, d, d).
    """

    gradient: Array
    hessian: Array
    third: Array
    force_third: Array
    force_fourth: Array


def derivatives(closure: Closure, y: Array, c: Array, residual: Array, features: int) -> Derivatives:
    """Along y (T, N, Q) and c (T, Q) with r (T, M) at those times, on the first `features` of the closure.

    Raises NotImplementedError where the basis has no derivatives (Ridge).
    """
    T, N, Q = y.shape
    d = N + 1
    points = np.ascontiguousarray(np.moveaxis(y, 1, 0).reshape(N, T * Q))
    psi: dict[tuple[int, ...], Array] = {}
    potential: dict[tuple[int, ...], Array] = {}
    for order in (order for k in range(5) for order in _orders(N, k)):
        of = closure.features if sum(order) > 1 else closure.features[:features]
        psi[order] = closure.basis.combine(of, points, order).reshape(T, Q, -1)
        if sum(order) > 1:
            potential[order] = psi[order] @ residual[..., None]
            psi[order] = psi[order][..., :features]

    def tensor(order: int, of: dict[tuple[int, ...], Array]) -> Array:
        filled = np.zeros((T, Q, *[d] * order, of[(order, *[0] * (N - 1))].shape[-1]))
        for index in product(range(d), repeat=order):
            times_c = index.count(N)
            if times_c < 2:
                values = of[tuple(index.count(a) for a in range(N))]
                filled[_at(index)] = values if times_c else c[..., None] * values
        return filled

    force_third, force_fourth = (tensor(order, potential)[..., 0] for order in (3, 4))
    return Derivatives(tensor(1, psi), tensor(2, psi), tensor(3, psi), force_third, force_fourth)


def _at(index: tuple[int, ...]) -> tuple[slice | int, ...]:
    return (slice(None), slice(None), *index)


def _orders(N: int, total: int) -> Iterator[tuple[int, ...]]:
    """Multi-indices of N axes of this total order."""
    return (order for order in product(range(total + 1), repeat=N) if sum(order) == total)
