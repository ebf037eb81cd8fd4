"""Gaussian averages of what a block of particles does, to third order: sums over nodes and over modes of g1.

g1 = sum_a xi_a phi_a with independent standard normal xi_a. Wick's rule leaves single modes, pairs of them summed over
one partner, and what a particle's own influence L(z) does to it; no triple of modes is ever formed. With Phi_k[g, ...]
the k-th order answer of Phi(Z) to g, the terms of h_3 (g3 = R h_3) that xi_c picks, E xi_c h_3, are

    E_z { xi_c (Phi_1[f_1] + sum_a Phi_2[a, a]) + Phi_1[L_2(z, nu_c)] + 2 Phi_2[L(z), c] }
        + 2 Phi_2[c, f_1] + 4 sum_a Phi_2[a, S_ac] + 3 sum_a Phi_3[c, a, a],

where L_2(z, nu_c) = X_c(z) + sum_d xi_d(z) (M_cd + 2 P_cd), see `expansion`. Those with f_1, S, M and P are for a
second pass.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.flows import Flows

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Modes:
    """What all blocks share. phi : (T, M, r), mean : of h, (T, M), matrix : R, (T M, T M).

    dual : (T M, r), xi_a(z) = dual_a . L(z).
    """

    phi: Array
    mean: Array
    matrix: Array
    dual: Array

    def responses(self, h: Array) -> Array:
        """R h for h (T, Q, M, k), one for each particle."""
        T, Q, M, k = h.shape
        flat = np.swapaxes(h, 1, 2).reshape(T * M, Q * k)
        return np.swapaxes((self.matrix @ flat).reshape(T, M, Q, k), 1, 2)

    def response(self, h: Array) -> Array:
        """R h for h (T, M, ...)."""
        return (self.matrix @ h.reshape(len(self.matrix), -1)).reshape(h.shape)

    def influence(self, h: Array) -> tuple[Array, Array]:
        """L(z) (T, Q, M, 1) and xi(z) (Q, r) from h = Phi(Z_t), (T, Q, M)."""
        L = self.responses((h - self.mean[:, None])[..., None])
        return L, np.swapaxes(L[..., 0], 1, 2).reshape(len(self.dual), -1).T @ self.dual


@dataclass(frozen=True)
class Sums:
    """Sums over rho_in of the first pass.

    pairs : Phi_2[a, b], (T, M, r, r).  own : xi_d Phi_1[b], (T, M, r, r).  cubes : L xi_a xi_b, (T, M, r, r).
    alone : Phi_1[L(z)], (T, M).  skew : <L(z), X_L(z)>, (T,).  size : sum_b |X_b|^2, (T,).
    order_three : what is known yet of the terms above, (T, M, r).
    """

    pairs: Array
    own: Array
    cubes: Array
    alone: Array
    skew: Array
    size: Array
    order_three: Array


def first_pass(flows: Flows, modes: Modes, p: Array) -> tuple[Array, ...]:
    """The numbers of `Sums` for the nodes of a block with weights p (Q,)."""
    phi, along = modes.phi[:, None], flows.along
    L, xi = modes.influence(flows.h)
    T, Q, M, r = *flows.h.shape, xi.shape[1]
    d = along.gradient.shape[2]
    weighted = p[:, None] * xi

    z1 = flows.first(modes.phi)
    hess, bent = flows.matrices(modes.phi, z1)
    half, full = hess + 0.5 * bent, hess + bent
    w2 = _pairs(flows, half, z1)
    pairs = _flat(p, _pulled(flows)) @ w2.reshape(T, Q * d, r * r)
    pairs = pairs.reshape(T, M, r, r) + 0.5 * _bilinear(flows, p, z1)

    lone = flows.first(L)
    single, alone = flows.on_features(z1), flows.on_features(lone)
    # X = R (Phi_1[g] - mean), where R mean = R g - g
    X, X_own = (modes.responses(of - g) + g for of, g in ((single, phi), (alone, L)))

    z2 = flows.push(np.trace(w2, axis1=3, axis2=4)[..., None])  # of the sum over a of the pairs a, a
    square = z1 @ np.swapaxes(z1, 2, 3)
    third = _third(along.third, square)
    terms = _triples(flows, phi, z1, full, w2, z2, square, third), _mixed(flows, L, lone, z1, half)
    force, crossed = (a + b for a, b in zip(*terms, strict=True))
    order_three = _gathered(flows, p, flows.push(flows.integrate(force + flows.force(X))), crossed)
    order_three += 0.5 * _flat(p, third) @ z1.reshape(T, Q * d, r)
    order_three += np.swapaxes(flows.on_features(z2, 0.5 * square[..., None])[..., 0], 1, 2) @ weighted

    own = weighted.T @ single.reshape(T, Q, M * r)
    cubes = np.swapaxes(L[..., 0], 1, 2).reshape(T * M, Q) @ (weighted[:, :, None] * xi[:, None]).reshape(Q, r * r)
    return (
        pairs,
        np.swapaxes(own.reshape(T, r, M, r), 1, 2),
        cubes.reshape(T, M, r, r),
        np.einsum("tqm,q->tm", alone[..., 0], p),
        np.einsum("tqm,tqm,q->t", L[..., 0], X_own[..., 0], p),
        np.einsum("tqma,tqma,q->t", X, X, p),
        order_three,
    )


def second_pass(flows: Flows, modes: Modes, p: Array, f_1: Array, S: Array, rest: Array) -> tuple[Array, ...]:
    """The terms of order three with f_1 (T, M), S and rest = M_cd + 2 P_cd (T, M, r, r): (T, M, r)."""
    phi, along = modes.phi, flows.along
    _, xi = modes.influence(flows.h)
    T, Q, M, r = *flows.h.shape, xi.shape[1]
    d = along.gradient.shape[2]

    z1 = flows.first(phi)
    hess, bent = flows.matrices(phi, z1)
    half, full = hess + 0.5 * bent, hess + bent
    upper = np.triu_indices(r)
    place = np.empty((r, r), int)
    place[upper] = place[upper[::-1]] = np.arange(upper[0].size)
    w = flows.integrate(flows.force(S[:, :, *upper]))[..., place].reshape(T, Q, d * r, r)
    back = np.swapaxes(flows.J, 2, 3)[:, :, None] @ full
    force = 2.0 * back.reshape(T, Q, d, d * r) @ w
    partners = z1.reshape(T, Q * d, r) @ np.moveaxis(S, 2, 1).reshape(T, r, M * r)
    force += 2.0 * along.hessian.reshape(T, Q, d, d * M) @ partners.reshape(T, Q, d * M, r)
    crossed = 2.0 * flows.push(z1[:, :, None] @ w.reshape(T, Q, d, r, r))

    moved = flows.first(f_1[..., None])
    terms = (force, crossed), _mixed(flows, f_1[..., None], moved, z1, half)
    force, crossed = (a + b for a, b in zip(*terms, strict=True))

    paths = xi @ np.moveaxis(rest, 3, 0).reshape(r, T * M * r)
    force += flows.force(np.moveaxis(paths.reshape(Q, T, M, r), 0, 1))
    order_three = _gathered(flows, p, flows.push(flows.integrate(force)), crossed)
    return (order_three + np.swapaxes(flows.on_features(moved)[..., 0], 1, 2) @ (p[:, None] * xi),)


def _pairs(flows: Flows, half: Array, z1: Array) -> Array:
    """w2[a, b] = J^-1 z2[a, b] of all pairs of modes, (T, Q, d, r, r)."""
    T, Q, d, r = z1.shape
    pulled = (flows.back @ half.reshape(T, Q, d, d * r)).reshape(T, Q, d, d, r)
    force = np.swapaxes(pulled, 3, 4) @ z1[:, :, None]
    force = force + np.swapaxes(force, 3, 4)
    return (-0.5 * flows.weights @ force.reshape(T, -1)).reshape(T, Q, d, r, r)


def _triples(
    flows: Flows, phi: Array, z1: Array, full: Array, w2: Array, z2: Array, square: Array, third: Array
) -> tuple[Array, Array]:
    """3 sum_a Phi_3[c, a, a] but for its third derivative of Phi: the force (T, Q, d, r), and what Hess Phi meets.

    full : Hess u and V''' z1 of every mode.  z2, square : sums over a of z2[a, a], z1 z1'.  third : Phi''' on square.
    """
    T, Q, d, r = z1.shape
    along = flows.along
    back = np.swapaxes(flows.J, 2, 3)[:, :, None] @ full
    force = _act(full, z2) + 2.0 * back.reshape(T, Q, d, d * r) @ w2.reshape(T, Q, d * r, r)
    bend = 0.5 * (along.force_fourth.reshape(T, Q, d, d, d * d) @ square.reshape(T, Q, 1, d * d, 1))[..., 0]
    bend += _third_with(along.third, phi @ np.swapaxes(z1, 2, 3))
    crossed = z1[:, :, :, None] * z2[:, :, None] + 2.0 * flows.push(z1[:, :, None] @ w2)
    return force + bend @ z1 + 0.5 * third @ phi, crossed


def _mixed(flows: Flows, g: Array, z: Array, z1: Array, half: Array) -> tuple[Array, Array]:
    """2 Phi_2[g, c] of one path g that moves particles by z: the force (T, Q, d, r), and what Hess Phi meets."""
    hess, bent = flows.matrices(g, z)
    return (hess + 0.5 * bent)[..., 0] @ z1 + _act(half, z), z[:, :, None] * z1[:, :, :, None]


def _act(matrices: Array, z: Array) -> Array:
    """Matrices (T, Q, d, d, r) on one z (T, Q, d, 1): (T, Q, d, r)."""
    return (np.swapaxes(z, 2, 3)[:, :, None] @ matrices)[:, :, :, 0]


def _third(third: Array, square: Array) -> Array:
    """third contracted with square in two indices, (T, Q, d, M)."""
    T, Q, d, M = *third.shape[:3], third.shape[-1]
    return (square.reshape(T, Q, 1, 1, d * d) @ third.reshape(T, Q, d, d * d, M))[:, :, :, 0]


def _third_with(third: Array, partner: Array) -> Array:
    """third contracted with partner (T, Q, M, d) in one index and the feature, (T, Q, d, d)."""
    T, Q, d, M = *third.shape[:3], third.shape[-1]
    right = np.swapaxes(partner, 2, 3).reshape(T, Q, 1, d * M, 1)
    return (third.reshape(T, Q, d, d, d * M) @ right)[..., 0]


def _pulled(flows: Flows) -> Array:
    """A' = J' grad Phi, (T, Q, d, M)."""
    return np.swapaxes(flows.J, 2, 3) @ flows.along.gradient


def _flat(p: Array, values: Array) -> Array:
    """(T, M, Q d) from values (T, Q, d, M), weighted."""
    T, Q, d, M = values.shape
    return np.swapaxes((p[:, None, None] * values).reshape(T, Q * d, M), 1, 2)


def _bilinear(flows: Flows, p: Array, z1: Array) -> Array:
    """Sum over nodes of Hess Phi[z1_a, z1_b], (T, M, r, r)."""
    T, Q, d, r = z1.shape
    M = flows.along.hessian.shape[-1]
    once = np.swapaxes(flows.along.hessian, 3, 4) @ (p[:, None, None] * z1)[:, :, None]
    return (np.swapaxes(once.reshape(T, Q * d, M * r), 1, 2) @ z1.reshape(T, Q * d, r)).reshape(T, M, r, r)


def _gathered(flows: Flows, p: Array, z: Array, square: Array) -> Array:
    """Sum over nodes of grad Phi . z + Hess Phi : square, (T, M, r)."""
    T, Q, d, r = z.shape
    M = flows.along.gradient.shape[-1]
    total = _flat(p, flows.along.gradient) @ z.reshape(T, Q * d, r)
    hessian = flows.along.hessian.reshape(T, Q, d * d, M)
    return total + _flat(p, hessian) @ square.reshape(T, Q * d * d, r)
