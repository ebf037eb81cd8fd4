"""How particles answer to a change g of f along the mean field, to third order in g: z1[g], z2[g, g], z3[g, g, g].

With V = Phi . r, u = Phi . g and D = 1 (0 for y where it is frozen),

    z1' = -D (H z1 + grad u)
    z2' = -D (H z2 + V'''[z1, z1]/2 + Hess u z1)
    z3' = -D (H z3 + V'''[z1, z2] + V''''[z1, z1, z1]/6 + Hess u z2 + u'''[z1, z1]/2),

each solved by variation of constants, z(t) = -J_t int_0^t J_s^-1 D F(s) ds, with the weights of `volterra`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numba
import numpy as np
from numpy.typing import NDArray

from particles import Closure, tangent_flow
from solvers.characteristics import MeanField, Rule
from solvers.derivatives import Derivatives, derivatives
from solvers.fluctuations import WIDTH
from solvers.volterra import integration_weights

Array = NDArray[np.floating]

TOGETHER = 256  # nodes whose flow is followed at once


@dataclass(frozen=True)
class Flows:
    """Q particles on T times. Paths of g are (T, M, k) or, one set for each particle, (T, Q, M, k).

    J, back : the tangent flow and J^-1 D, (T, Q, d, d).  weights : of int_0^t, (T, T).  along : derivatives of Phi.
    h : Phi on every feature, (T, Q, M).
    """

    J: Array
    back: Array
    weights: Array
    along: Derivatives
    h: Array

    def integrate(self, force: Array) -> Array:
        """w = J^-1 z, the answer to the force F (T, Q, d, ...)."""
        T = len(force)
        pulled = self.back @ force.reshape(*force.shape[:3], -1)
        return -(self.weights @ pulled.reshape(T, -1)).reshape(force.shape)

    def push(self, w: Array) -> Array:
        """z = J w, (T, Q, d, ...)."""
        return (self.J @ w.reshape(*w.shape[:3], -1)).reshape(w.shape)

    def force(self, g: Array) -> Array:
        """grad u, (T, Q, d, k)."""
        return self.along.gradient @ (g[:, None] if g.ndim == 3 else g)

    def first(self, g: Array) -> Array:
        """z1[g], (T, Q, d, k)."""
        return self.push(self.integrate(self.force(g)))

    def matrices(self, g: Array, z1: Array) -> tuple[Array, Array]:
        """Hess u and V''' z1, (T, Q, d, d, k)."""
        each = g[:, None] if g.ndim == 3 else g
        return self.along.hessian @ each[:, :, None], self.along.force_third @ z1[:, :, None]

    def on_features(self, z: Array, square: Array | None = None) -> Array:
        """grad Phi . z + Hess Phi : square on every feature, (T, Q, M, k); z (T, Q, d, k), square (T, Q, d, d, k)."""
        T, Q, d, M = self.along.gradient.shape
        found = np.swapaxes(self.along.gradient, 2, 3) @ z
        if square is not None:
            hessian = self.along.hessian.reshape(T, Q, d * d, M)
            found += np.swapaxes(hessian, 2, 3) @ square.reshape(T, Q, d * d, -1)
        return found


Visit = Callable[[Flows, slice], tuple[Array, ...]]  # some particles, and which nodes they are


def over_nodes(
    closure: Closure,
    known: MeanField,
    rule: Rule,
    grid: NDArray[np.integer],
    features: int,
    size: int,
    visit: Visit,
) -> tuple[Array, ...]:
    """Sums of what `visit` returns for the nodes of each block of at most `size`; within `one_blas_thread`.

    Blocks are shared among threads and added up in their order, so bits do not depend on the number of threads.
    """
    y, c, _ = rule
    weights = integration_weights(known.times[grid], WIDTH)
    D = np.diag([1.0 if closure.moving else 0.0] * closure.dimension + [1.0])
    residual = known.coefficients[grid] - closure.target
    totals: tuple[Array, ...] = ()
    for low in range(0, c.size, TOGETHER):
        some = slice(low, low + TOGETHER)
        yt, ct, J = tangent_flow(
            closure, y[:, some], c[some], known.field, known.lengths, known.lengths.size, known.tableau, every=grid
        )
        along = derivatives(closure, yt, ct, residual, features)
        J = np.ascontiguousarray(J)
        flows = Flows(J, np.linalg.inv(J) @ D, weights, along, ct[..., None] * along.gradient[:, :, -1])
        blocks = [slice(first, min(first + size, ct.shape[1])) for first in range(0, ct.shape[1], size)]

        def run(block: slice, flows: Flows = flows, low: int = low) -> tuple[Array, ...]:
            return visit(_part(flows, block), slice(low + block.start, low + block.stop))

        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            for found in pool.map(run, blocks):
                totals = tuple(a + b for a, b in zip(totals, found, strict=True)) if totals else found
    return totals


def _part(flows: Flows, block: slice) -> Flows:
    """Some of the particles."""

    def cut(values: Array) -> Array:
        return np.ascontiguousarray(values[:, block])

    along = Derivatives(*(cut(getattr(flows.along, of.name)) for of in fields(Derivatives)))
    return Flows(cut(flows.J), cut(flows.back), flows.weights, along, cut(flows.h))
