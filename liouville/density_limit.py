"""The central limit theorem for the density (Prop. 3.2 beyond f_n): what n E D^2 of `liouville.distance` tends to.

A test function g of z has the fluctuation n^(1/2) int g (rho_n - rho_0) at the end T of a run, by the same perturbation
as f_n: what free particles do, less the response to the fluctuation of f_n since then. With the influence function

    L_g(z) = g(Z_T(z)) - int_0^T Gamma_g(T, s) L_s(z) ds,
    Gamma_g(T, s) = int grad g(Z_T)^T J_T J_s^-1 grad Phi(Z_s) rho_in,

L_s = (R h)_s that of f_s, its variance is that of L_g over rho_in, and n E D^2 tends to the weighted sum of those.
"""

from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from liouville.distance import Distance, harmonics
from liouville.mean_field import Reference
from liouville.plan import Plan
from particles import tangent_flow
from solvers.fluctuations import Fluctuations, response_weights
from solvers.sources import sources

Array = NDArray[np.floating]

BLOCK = 512  # nodes looked at together
NODES = 2**12  # that several components of y may cost; on tanh-plane four times as many change 1e-6


def measured_with(plan: Plan, known: Reference, theory: Fluctuations) -> Distance:
    """The distances of a run, with what they tend to."""
    distance = Distance.build(plan, known)
    return replace(distance, limits=density_limits(plan, known, theory, distance))


def density_limits(plan: Plan, known: Reference, theory: Fluctuations, distance: Distance) -> tuple[float, float]:
    """lim n E D^2 at the end of a run, of the density and of the moment G, to about 1e-3.

    On a quarter of the nodes that C needed along the axes of y together, and at most NODES for N > 1.
    """
    closure, field, grid = plan.problem.closure, known.mean_field, known.steps.grid
    N = plan.problem.dimension
    most = theory.Ny if N == 1 else int((NODES / theory.Nc) ** (1 / N))
    y, c, p = plan.problem.initial.nodes(max(8, min(most, round(theory.Ny / 4 ** (1 / N)))), theory.Nc)
    T, M = theory.covariance.shape[:2]
    weights = np.concatenate([part.ravel() for part in distance.weights])
    response, joint = np.zeros((weights.size, T * M)), np.zeros((weights.size, T * M))
    mean, square, mean_h = np.zeros(weights.size), np.zeros(weights.size), np.zeros(T * M)
    count = field.lengths.size
    for low in range(0, c.size, BLOCK):
        part = slice(low, low + BLOCK)
        start_y, start_c, q = np.ascontiguousarray(y[:, part]), c[part].copy(), p[part]
        h, _, B = sources(closure, field, start_y, start_c, grid, M)
        end_y, end_c, J = tangent_flow(
            closure, start_y, start_c, field.field, field.lengths, count, field.tableau, every=count
        )
        g, slopes = _functions(distance, end_y[-1], end_c[-1])
        A = np.einsum("kqi,qij->kjq", slopes, J[-1]) * q
        response += A.reshape(weights.size, -1) @ B.reshape(T * M, -1).T
        h = h[:, :M].reshape(T * M, -1)
        joint += (g * q) @ h.T
        mean += g @ q
        square += g**2 @ q
        mean_h += h @ q
    V = response.reshape(-1, T, M) * response_weights(field.tableau, theory.times)[-1][:, None]
    V = V.reshape(weights.size, T * M)
    moved = V @ theory.resolvent.reshape(T * M, T * M)
    covariance = theory.covariance.reshape(T * M, T * M)
    variance = square - mean**2 - 2 * np.sum(moved * (joint - np.outer(mean, mean_h)), axis=1)
    variance += np.sum((V @ covariance) * V, axis=1)
    split = distance.weights[0].size
    return float(weights[:split] @ variance[:split]), float(weights[split:] @ variance[split:])


def _functions(distance: Distance, y: Array, c: Array) -> tuple[Array, Array]:
    """The test functions of both distances, (K, Q), and their gradients in z, (K, Q, N + 1)."""
    places = [*y, c]
    axes = [harmonics(s * z, distance.modes) for s, z in zip(distance.scale, places, strict=True)]
    derived = [s * _derivative(a, distance.modes) for s, a in zip(distance.scale, axes, strict=True)]
    d = len(axes)
    g = _products(axes)
    of_y = _products(axes[:-1])
    slopes = [_products([derived[b] if b == a else axes[b] for b in range(d)]) for a in range(d)]
    by_y = [c * _products([derived[b] if b == a else axes[b] for b in range(d - 1)]) for a in range(d - 1)]
    return np.concatenate([g, c * of_y]), np.concatenate([np.stack(slopes, axis=-1), np.stack([*by_y, of_y], axis=-1)])


def _products(axes: list[Array]) -> Array:
    """Products of one harmonic of each axis, (L^d, Q), the first axis slowest."""
    return reduce(lambda a, b: (a[:, None] * b).reshape(-1, a.shape[1]), axes)


def _derivative(values: Array, modes: int) -> Array:
    """Derivatives of 1, cos, sin from themselves."""
    k = np.arange(1, modes + 1)[:, None]
    return np.concatenate([np.zeros((1, values.shape[1])), -k * values[modes + 1 :], k * values[1 : modes + 1]])
