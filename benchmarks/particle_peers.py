"""What a user would write instead of the particle engine, on `flat-fourier`: seconds of so many RK4 steps.

The same algorithm (moments of the modes 1, cos ky, sin ky by recurrence, then U and U') in numpy, in JAX under jit and
in PyTorch, compiled where it can compile; a 64-node quadrature of phi in JAX and in PyTorch; and the literal pairwise
sum of (9) in numpy. Ensembles run batched, all replicas at once. Double precision throughout.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

MODES = 3
NODES = 64
Array = Any


def _modes(xp: Any, y: Array) -> tuple[list[Array], list[Array]]:
    """cos ky and sin ky, k = 1 ... MODES, by recurrence."""
    cos, sin = [xp.cos(y)], [xp.sin(y)]
    for _ in range(MODES - 1):
        cos, sin = [*cos, cos[-1] * cos[0] - sin[-1] * sin[0]], [*sin, sin[-1] * cos[0] + cos[-1] * sin[0]]
    return cos, sin


def by_modes(xp: Any, features: np.ndarray, target: np.ndarray) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Velocity of (9) for y, c (R, n); features and target as the engine has them, diagonal."""
    a, b = np.diag(features).tolist(), target.tolist()

    def velocity(y: Array, c: Array) -> tuple[Array, Array]:
        cos, sin = _modes(xp, y)
        u = [a[0] * (a[0] * c.mean(-1) - b[0])]
        u += [a[1 + k] * (a[1 + k] * (c * cos[k]).mean(-1) - b[1 + k]) for k in range(MODES)]
        u += [a[4 + k] * (a[4 + k] * (c * sin[k]).mean(-1) - b[4 + k]) for k in range(MODES)]
        u = [one[..., None] for one in u]
        U = u[0] + sum(u[1 + k] * cos[k] + u[4 + k] * sin[k] for k in range(MODES))
        dU = sum((k + 1) * (u[4 + k] * cos[k] - u[1 + k] * sin[k]) for k in range(MODES))
        return -c * dU, -U

    return velocity


def by_quadrature(xp: Any, coefficients: np.ndarray, f: Array, x: Array) -> Callable[[Array, Array], Any]:
    """Velocity from phi(x_k, y) at the nodes of mu, (R, n, K) numbers a stage."""
    a = [float(coefficients[0]), *(2 * coefficients[1:]).tolist()]

    def velocity(y: Array, c: Array) -> tuple[Array, Array]:
        angle = x - y[..., None]
        phi = a[0] + sum(a[k] * xp.cos(k * angle) for k in range(1, MODES + 1))
        slope = sum(k * a[k] * xp.sin(k * angle) for k in range(1, MODES + 1))
        r = (c[..., None] * phi).mean(-2) - f
        U = (phi * r[..., None, :]).mean(-1)
        dU = (slope * r[..., None, :]).mean(-1)
        return -c * dU, -U

    return velocity


def pairwise(coefficients: np.ndarray, f: np.ndarray, x: np.ndarray) -> Callable[[Array, Array], Any]:
    """(9) as it stands, O(n^2): K(y, z) = a_0^2 + 2 sum a_k^2 cos k(y - z), F by quadrature on the nodes."""
    square = [float(coefficients[0] ** 2), *(2 * coefficients[1:] ** 2).tolist()]
    a = [float(coefficients[0]), *(2 * coefficients[1:]).tolist()]

    def velocity(y: Array, c: Array) -> tuple[Array, Array]:
        d = y[..., :, None] - y[..., None, :]
        K = square[0] + sum(square[k] * np.cos(k * d) for k in range(1, MODES + 1))
        dK = sum(-k * square[k] * np.sin(k * d) for k in range(1, MODES + 1))
        angle = x - y[..., None]
        F = (f * (a[0] + sum(a[k] * np.cos(k * angle) for k in range(1, MODES + 1)))).mean(-1)
        dF = (f * sum(k * a[k] * np.sin(k * angle) for k in range(1, MODES + 1))).mean(-1)
        n = y.shape[-1]
        return c * (dF - (dK @ c[..., None])[..., 0] / n), F - (K @ c[..., None])[..., 0] / n

    return velocity


def rk4(velocity: Callable[[Array, Array], Any], y: Array, c: Array, dt: float) -> tuple[Array, Array]:
    """One step."""
    k1 = velocity(y, c)
    k2 = velocity(y + dt / 2 * k1[0], c + dt / 2 * k1[1])
    k3 = velocity(y + dt / 2 * k2[0], c + dt / 2 * k2[1])
    k4 = velocity(y + dt * k3[0], c + dt * k3[1])
    y = y + dt / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0])
    return y, c + dt / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])


Run = Callable[[np.ndarray, np.ndarray, float, int], tuple[np.ndarray, np.ndarray, float]]


def in_numpy(velocity: Callable[[Array, Array], Any]) -> Run:
    """y, c at the end and seconds."""

    def run(y: np.ndarray, c: np.ndarray, dt: float, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
        begun = time.perf_counter()
        for _ in range(steps):
            y, c = rk4(velocity, y, c, dt)
        return y, c, time.perf_counter() - begun

    return run


def in_jax(make: Callable[[Any], Callable[[Array, Array], Any]]) -> Run:
    """Under jit, all steps in one fori_loop; compilation is left out."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    velocity = make(jnp)
    loop = jax.jit(
        lambda y, c, dt, steps: jax.lax.fori_loop(0, steps, lambda _, z: rk4(velocity, z[0], z[1], dt), (y, c))
    )

    def run(y: np.ndarray, c: np.ndarray, dt: float, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
        start = jnp.asarray(y), jnp.asarray(c)
        jax.block_until_ready(loop(*start, dt, 1))
        begun = time.perf_counter()
        end = jax.block_until_ready(loop(*start, dt, steps))
        return np.asarray(end[0]), np.asarray(end[1]), time.perf_counter() - begun

    return run


def in_torch(make: Callable[[Any], Callable[[Array, Array], Any]], threads: int, compiled: bool) -> Run:
    """Eager, or through torch.compile; compilation is left out."""
    import torch

    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float64)
    velocity = make(torch)

    def plain(y: Any, c: Any, dt: float) -> Any:
        return rk4(velocity, y, c, dt)

    step: Any = torch.compile(plain) if compiled else plain

    def run(y: np.ndarray, c: np.ndarray, dt: float, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
        with torch.no_grad():
            z = torch.from_numpy(y.copy()), torch.from_numpy(c.copy())
            step(*z, dt)
            begun = time.perf_counter()
            for _ in range(steps):
                z = step(*z, dt)
            return z[0].numpy(), z[1].numpy(), time.perf_counter() - begun

    return run
