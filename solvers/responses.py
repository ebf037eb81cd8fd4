"""What a given perturbation of rho_in does to f: f_0 + eps g1 + eps^2 g2 + eps^3 g3 + ... for rho_in + eps nu.

The equations of `expansion` for a single nu on the nodes themselves, with nothing averaged and no modes.
"""

import numpy as np
from numpy.typing import NDArray

from particles import Closure
from solvers import fluctuations
from solvers.characteristics import MeanField, Rule
from solvers.flows import Flows, over_nodes
from solvers.fluctuations import Grid
from solvers.linear import one_blas_thread

Array = NDArray[np.floating]


def responses(
    closure: Closure, known: MeanField, rule: Rule, grid: Grid, nu: Array, features: int | None = None
) -> tuple[Array, Array, Array]:
    """g1, g2, g3, (T, M', k) each, of k perturbations nu (Q, k) of the weights, each of sum 0.

    known : the mean field of these nodes.  features : M', those that respond, all by default.
    """
    p = rule[2]
    M = closure.target.size if features is None else features
    with one_blas_thread():
        theory, _ = fluctuations.on_rule(closure, known, rule, grid, M)
        T, k = len(theory.times), nu.shape[1]
        R = theory.resolvent.reshape(T * M, T * M)
        shape = (T, M, k)

        def respond(*g: Array) -> Array:
            """R of what these orders of g force at the next."""
            (h,) = over_nodes(
                closure, known, rule, grid, M, 64, lambda flows, some: (_forced(flows, p[some], nu[some], g),)
            )
            return (R @ h.reshape(T * M, k)).reshape(shape)

        g1 = respond()
        g2 = respond(g1)
        return g1, g2, respond(g1, g2)


def _forced(flows: Flows, p: Array, nu: Array, g: tuple[Array, ...]) -> Array:
    """int nu Phi_j + int rho_in Phi_(j + 1), where g_(j + 1) does nothing yet: (T, M, k)."""
    if not g:
        return np.swapaxes(flows.h, 1, 2) @ nu
    along = flows.along
    z1 = flows.first(g[0])
    hess, bent = flows.matrices(g[0], z1)
    square = z1[:, :, :, None] * z1[:, :, None]
    F2 = np.sum((hess + 0.5 * bent) * z1[:, :, None], axis=3)
    if len(g) == 1:
        z2 = flows.push(flows.integrate(F2))
        of_nu, of_p = flows.on_features(z1), flows.on_features(z2, 0.5 * square)
    else:
        z2 = flows.push(flows.integrate(F2 + flows.force(g[1])))
        hess_2 = along.hessian @ g[1][:, None, None]
        F3 = np.sum((hess + bent) * z2[:, :, None] + hess_2 * z1[:, :, None], axis=3)
        F3 += np.einsum("tqijkl,tqja,tqka,tqla->tqia", along.force_fourth, z1, z1, z1, optimize=True) / 6
        F3 += np.einsum("tqijkm,tqja,tqka,tma->tqia", along.third, z1, z1, g[0], optimize=True) / 2
        z3 = flows.push(flows.integrate(F3))
        of_nu = flows.on_features(z2, 0.5 * square)
        of_p = flows.on_features(z3, z1[:, :, :, None] * z2[:, :, None])
        of_p += np.einsum("tqijkm,tqia,tqja,tqka->tqma", along.third, z1, z1, z1, optimize=True) / 6
    return np.einsum("tqma,qa->tma", of_nu, nu) + np.einsum("tqma,q->tma", of_p, p)
