"""Quadrature in time of Volterra equations: exact where it should be, of its order elsewhere."""

import numpy as np
import pytest
from engines import Array, orders
from numpy.testing import assert_allclose

from solvers.volterra import integration_weights, resolvent


@pytest.mark.parametrize("width", [2, 4, 6, 8])
@pytest.mark.parametrize("count", [3, 9, 30])
def test_weights_integrate_polynomials_below_the_width_on_every_prefix(count: int, width: int) -> None:
    dt = 1 / (count - 1)
    t = np.arange(count) * dt
    weights = integration_weights(dt * np.arange(count), width)
    assert_allclose(weights[0], 0, rtol=0, atol=0)
    for degree in range(min(width, count)):
        # solving for the weights loses three digits at width 8
        assert_allclose(weights @ t**degree, t ** (degree + 1) / (degree + 1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("width", [4, 8])
def test_weights_reach_half_a_width_past_the_end(width: int) -> None:
    """The nearest points of an interval away from the ends lie to both sides of it alike."""
    weights = integration_weights(0.1 * np.arange(40), width)
    for i in range(width, 40 - width):
        assert np.flatnonzero(weights[i])[-1] == i + width // 2 - 1


def system(t: Array) -> tuple[Array, Array, Array]:
    """Kernel [[t s, 1], [-1, t - s]] and solution g = (e^-t, cos t): Gamma (T, 2, T, 2), h and g (T, 2).

    int_0^t s e^-s = 1 - (1 + t) e^-t, int_0^t (t - s) cos s = 1 - cos t.
    """
    kernel = np.empty((t.size, 2, t.size, 2))
    kernel[:, 0, :, 0] = np.multiply.outer(t, t)
    kernel[:, 0, :, 1], kernel[:, 1, :, 0] = 1.0, -1.0
    kernel[:, 1, :, 1] = np.subtract.outer(t, t)
    g = np.stack([np.exp(-t), np.cos(t)], axis=1)
    h = np.stack(
        [
            g[:, 0] + t * (1 - (1 + t) * np.exp(-t)) + np.sin(t),
            g[:, 1] - (1 - np.exp(-t)) + (1 - np.cos(t)),
        ],
        axis=1,
    )
    return kernel, h, g


@pytest.mark.parametrize(("width", "counts"), [(2, (21, 41, 81)), (4, (21, 41, 81)), (6, (11, 21, 41)), (8, (11, 21))])
def test_resolvent_solves_an_equation_of_the_second_kind_to_the_order_of_the_width(
    width: int, counts: tuple[int, ...]
) -> None:
    errors = []
    for count in counts:
        t = np.linspace(0, 2, count)
        kernel, h, g = system(t)
        R = resolvent(kernel, integration_weights(t, width))
        errors.append(float(np.max(np.abs(np.einsum("timj,mj->ti", R, h) - g))))
    assert np.all(orders(errors) >= width - 0.3)
    assert errors[-1] < {2: 1e-2, 4: 1e-5, 6: 1e-7, 8: 1e-8}[width]


def test_resolvent_of_no_kernel_is_the_identity() -> None:
    R = resolvent(np.zeros((5, 2, 5, 2)), integration_weights(0.1 * np.arange(5), 4))
    assert_allclose(R.reshape(10, 10), np.eye(10), rtol=0, atol=0)
