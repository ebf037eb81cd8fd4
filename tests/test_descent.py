"""Gradient descent (9): the compiled kernel against its literal formula, its order, its symmetries and its bits."""

import numpy as np
import pytest
from engines import FLAT, TARGET, UNIT, Array, orders, psi, sample, threads, two_threads
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

from particles import EULER, RK4, Closure, Descent, Tableau, Trigonometric, block, descend, descent
from particles.kinds import tables

EPS = np.finfo(float).eps
both_schemes = pytest.mark.parametrize("tableau", [EULER, RK4], ids=["euler", "rk4"])


def run(
    y: Array, c: Array, dt: float = 0.05, steps: int = 20, tableau: Tableau = RK4, keep: int = 0, of: Closure = FLAT
) -> Descent:
    """`flat-fourier` or another closure with equal weights, in place."""
    weights = np.full(c.shape[1], 1 / c.shape[1])
    return descend(of, y, c, weights, dt, steps, tableau, keep=keep)


# -- against the formula ------------------------------------------------------------------------------------------


def pairwise_velocity(z: Array, weights: Array) -> Array:
    """Equation (9) as it stands, pair by pair, 1/n replaced by the weights.

    K(y, z) = a_0^2 + 2 sum a_k^2 cos k(y - z),  F(y) = f_0 a_0 + sum a_k (f_k cos ky + g_k sin ky).
    """
    y, c = z
    a = UNIT[:4]
    F, dF = np.full(y.shape, TARGET[0] * a[0]), np.zeros(y.shape)
    for k in (1, 2, 3):
        F += a[k] * (TARGET[k] * np.cos(k * y) + TARGET[3 + k] * np.sin(k * y))
        dF += a[k] * k * (TARGET[3 + k] * np.cos(k * y) - TARGET[k] * np.sin(k * y))
    apart = y[:, None] - y[None, :]
    K, dK = np.full(apart.shape, a[0] ** 2), np.zeros(apart.shape)
    for k in (1, 2, 3):
        K += 2 * a[k] ** 2 * np.cos(k * apart)
        dK -= 2 * a[k] ** 2 * k * np.sin(k * apart)
    pull = weights * c
    return np.stack([c * (dF - dK @ pull), F - K @ pull])


def integrate(y: Array, c: Array, weights: Array, dt: float, steps: int, tableau: Tableau) -> Array:
    """Euler or the classical Runge-Kutta scheme, written out."""
    z = np.stack([y, c])
    for _ in range(steps):
        k1 = pairwise_velocity(z, weights)
        if tableau is EULER:
            z = z + dt * k1
            continue
        k2 = pairwise_velocity(z + dt / 2 * k1, weights)
        k3 = pairwise_velocity(z + dt / 2 * k2, weights)
        k4 = pairwise_velocity(z + dt * k3, weights)
        z = z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return z


@both_schemes
@pytest.mark.parametrize("n", [1, 7, 256, 257, 600])
def test_descent_is_equation_9_pair_by_pair(n: int, tableau: Tableau) -> None:
    y, c = sample(n, 1, n)
    weights = np.full(n, 1 / n)
    expected = integrate(y[0, 0], c[0], weights, 0.1, 10, tableau)
    descend(FLAT, y, c, weights, 0.1, 10, tableau)
    assert_allclose(np.stack([y[0, 0], c[0]]), expected, rtol=0, atol=1e-12)


@both_schemes
def test_unequal_weights_take_the_place_of_1_over_n(tableau: Tableau) -> None:
    y, c = sample(1, 1, 300)
    weights = np.random.default_rng(2).dirichlet(np.ones(300))
    expected = integrate(y[0, 0], c[0], weights, 0.1, 10, tableau)
    descend(FLAT, y, c, weights, 0.1, 10, tableau)
    assert_allclose(np.stack([y[0, 0], c[0]]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("modes", [1, 2, 9])
def test_any_number_of_modes_moves_particles_by_the_potential(modes: int) -> None:
    """One Euler step with random features and target: U summed mode by mode in numpy."""
    rng = np.random.default_rng(modes)
    L = 2 * modes + 1
    T, b = rng.standard_normal((5, L)), rng.standard_normal(5)
    ((y,),), (c,) = sample(3, 1, 333)
    k = np.concatenate([np.arange(modes + 1), np.arange(1, modes + 1)])
    shift = np.concatenate([np.zeros(modes + 1), np.full(modes, np.pi / 2)])
    values = np.cos(k * y[:, None] - shift)
    slopes = -k * np.sin(k * y[:, None] - shift)
    u = T.T @ (T @ (c @ values / 333) - b)
    at = y[None, None].copy(), c[None].copy()
    descend(Closure(Trigonometric(modes), T, b), *at, np.full(333, 1 / 333), 0.1, 1, EULER)
    assert_allclose(at[0][0, 0], y - 0.1 * c * (slopes @ u), rtol=0, atol=1e-12)
    assert_allclose(at[1][0], c - 0.1 * (values @ u), rtol=0, atol=1e-12)


@pytest.mark.parametrize("modes", [4, 5, 6, 9, 10, 12, 33])
def test_even_modes_are_those_of_twice_the_angle(modes: int) -> None:
    """The first and even modes, against the same with a mode between that does nothing but be there."""
    rng = np.random.default_rng(modes)
    k = np.concatenate([np.arange(modes + 1), np.arange(1, modes + 1)])
    features = rng.normal(size=(5, k.size)) / (1 + k**2) * ((k < 2) | (k % 2 == 0))
    y, c, target = rng.uniform(0, 7, (2, 1, 300)), rng.normal(size=(2, 300)), rng.normal(size=5)
    results = []
    for odd in (0.0, 1e-300):
        features[0, 3] = odd
        assert tables(Closure(Trigonometric(modes), features, target))[0][block.EVEN] == (odd == 0.0)
        at_y, at_c = y.copy(), c.copy()
        moved = run(at_y, at_c, 0.05, 10, of=Closure(Trigonometric(modes), features.copy(), target))
        results.append((at_y, at_c, moved.coefficients))
    assert not np.array_equal(results[0][0], y)
    for even, every in zip(*results, strict=True):
        assert_allclose(even, every, rtol=0, atol=2e-14)


@both_schemes
def test_coefficients_and_kept_particles_are_those_along_the_way(tableau: Tableau) -> None:
    y, c = sample(4, 3, 300)
    start_y, start_c = y.copy(), c.copy()
    weights = np.random.default_rng(5).dirichlet(np.ones(300))
    whole = descend(FLAT, y, c, weights, 0.1, 7, tableau, every=3, keep=5)
    assert whole.coefficients.shape == (3, 7 * tableau.stages + 1, 7)
    assert whole.y.shape == (3, 3, 1, 5) and whole.c.shape == (3, 3, 5)
    for i, steps in enumerate((0, 3, 6)):
        some_y, some_c = start_y.copy(), start_c.copy()
        descend(FLAT, some_y, some_c, weights, 0.1, steps, tableau)
        assert_array_equal(whole.y[:, i], some_y[..., :5])
        assert_array_equal(whole.c[:, i], some_c[:, :5])
        expected = np.einsum("n,rn,rnl->rl", weights, some_c, psi(some_y[:, 0]))
        assert_allclose(whole.coefficients[:, steps * tableau.stages], expected, rtol=0, atol=1e-14)


# -- free particles -------------------------------------------------------------------------------------------------


def given_residual(t: Array) -> Array:
    """r(t) of U(y) = r(t) . psi(y), (..., 7)."""
    u = np.array([0.1, 0.4, -0.3, 0.1, 0.2, -0.2, 0.15])
    return np.asarray(u * np.cos(np.multiply.outer(t, np.arange(1, 8)) / 3))


def free(y: Array, c: Array, dt: float, steps: int, tableau: Tableau) -> Array:
    """Ends of free particles in the given potential, (2, n)."""
    t = (np.arange(steps)[:, None] + np.array(tableau.c)).ravel() * dt
    y, c = y[None, None].copy(), c[None].copy()
    descend(FLAT, y, c, np.full(y.size, 1 / y.size), dt, steps, tableau, field=given_residual(t))
    return np.stack([y[0, 0], c[0]])


def exact_free(y: Array, c: Array, final: float) -> Array:
    """The same by DOP853, and by U written with numpy's own cos and sin."""

    def velocity(t: float, z: Array) -> Array:
        y, c = z.reshape(2, -1)
        r = given_residual(np.array(t))
        return np.concatenate([-c * (psi(y, 1) @ r), -(psi(y) @ r)])

    solved = solve_ivp(velocity, (0, final), np.concatenate([y, c]), method="DOP853", rtol=1e-12, atol=1e-12)
    return np.asarray(solved.y[:, -1].reshape(2, -1))


@pytest.mark.parametrize(("tableau", "steps"), [(EULER, 800), (RK4, 100)], ids=["euler", "rk4"])
def test_free_particles_converge_to_the_exact_flow_at_the_order_of_the_scheme(tableau: Tableau, steps: int) -> None:
    ((y,),), (c,) = sample(6, 1, 40)
    exact = exact_free(y, c, 4.0)
    runs = [free(y, c, 4.0 / count, count, tableau) for count in (steps, 2 * steps, 4 * steps)]
    observed = orders([float(np.linalg.norm(end - exact)) for end in runs])
    assert_allclose(observed, tableau.order, rtol=0, atol=0.1)
    # what is left is the last move over 2^order - 1, to leading order
    left = np.linalg.norm(runs[2] - runs[1]) / (2**tableau.order - 1)
    assert np.linalg.norm(runs[2] - exact) <= 1.2 * left + 1e-10


# -- what the flow keeps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4, 64, 1024])
def test_loss_decreases_along_every_replica(n: int) -> None:
    y, c = sample(7, 200, n)
    coefficients = run(y, c, steps=120).coefficients[:, :: RK4.stages]
    loss = 0.5 * np.sum((coefficients - FLAT.target) ** 2, axis=-1)
    assert np.all(np.diff(loss, axis=1) <= 4 * EPS)  # rounding of a sum of numbers below 1


def test_permuting_the_particles_permutes_the_result() -> None:
    y, c = sample(8, 1, 600)
    order = np.random.default_rng(9).permutation(600)
    shuffled = np.ascontiguousarray(y[..., order]), np.ascontiguousarray(c[:, order])
    run(y, c)
    run(*shuffled)
    assert_allclose(shuffled[0], y[..., order], rtol=0, atol=1e-13)
    assert_allclose(shuffled[1], c[:, order], rtol=0, atol=1e-13)


# -- bits -----------------------------------------------------------------------------------------------------------


@two_threads
@both_schemes
@pytest.mark.parametrize(("replicas", "n"), [(5, 7), (3, 5000), (2, 2**15 + 300)])
def test_bits_do_not_depend_on_the_number_of_threads(replicas: int, n: int, tableau: Tableau) -> None:
    results = []
    for count in (1, 2):
        y, c = sample(10, replicas, n)
        with threads(count):
            coefficients = run(y, c, steps=5, tableau=tableau).coefficients
        results.append((y, c, coefficients))
    for one, two in zip(*results, strict=True):
        assert_array_equal(one, two)


@pytest.mark.parametrize("n", [7, 300, 2**15 + 300])
def test_rows_of_a_batch_are_the_runs_alone(n: int) -> None:
    y, c = sample(11, 5, n)
    alone_y, alone_c = y.copy(), c.copy()
    coefficients = run(y, c, steps=5).coefficients
    for low, high in ((0, 1), (1, 3), (3, 5)):
        some = run(alone_y[low:high], alone_c[low:high], steps=5).coefficients
        assert_array_equal(some, coefficients[low:high])
    assert_array_equal(alone_y, y)
    assert_array_equal(alone_c, c)


@pytest.mark.parametrize("modes", [3, 9])
def test_a_replica_spread_over_threads_has_the_bits_of_one_on_a_core(
    monkeypatch: pytest.MonkeyPatch, modes: int
) -> None:
    k = np.arange(2 * modes + 1.0)
    closure = FLAT if modes == 3 else Closure(Trigonometric(modes), np.cos(np.outer(k[:5], k)) / (1 + k), np.sin(k[:5]))
    results = []
    for large in (1, 10**9):
        monkeypatch.setattr(descent, "LARGE", large)
        y, c = sample(12, 2, 9000)  # three chunks of blocks
        left = run(y, c, steps=5, keep=4, of=closure)
        results.append((y, c, left.coefficients, left.y, left.c))
    for spread, single in zip(*results, strict=True):
        assert_array_equal(spread, single)


@pytest.mark.parametrize("stored", [2**22, 1], ids=["at once", "step by step"])
@pytest.mark.parametrize(("replicas", "n", "large"), [(3, 700, 10**9), (2, 9000, 10**9), (2, 9000, 1)])
def test_the_field_of_its_own_residuals_moves_an_ensemble_as_itself(
    monkeypatch: pytest.MonkeyPatch, replicas: int, n: int, large: int, stored: int
) -> None:
    """Block by block through all stages, or stage by stage with all blocks: the same bits, and so is all on record."""
    monkeypatch.setattr(descent, "LARGE", large)
    monkeypatch.setattr(descent, "STORED", stored)
    y, c = sample(14, replicas, n)
    weights, every = np.full(n, 1 / n), np.array([0, 2, 5])
    for k in range(replicas):
        own, guided = ((y[k : k + 1].copy(), c[k : k + 1].copy()) for _ in range(2))
        left = descend(FLAT, *own, weights, 0.05, 5, RK4, every=every, keep=300)
        field = left.coefficients[0, :-1] - FLAT.target
        again = descend(FLAT, *guided, weights, 0.05, 5, RK4, field=field, record=3, every=every, keep=300)
        assert_array_equal(again.coefficients, left.coefficients[:, ::3])
        for ours, theirs in zip((*guided, again.y, again.c), (*own, left.y, left.c), strict=True):
            assert_array_equal(ours, theirs)


def test_ranks_with_unequal_parts_or_none_collect_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that collected once more would wait for ever: of its own part two steps have room here, of all not one."""
    monkeypatch.setattr(descent, "STORED", 2 * RK4.stages * FLAT.basis.size)
    y, c = sample(15, 1, 9000)
    field = np.zeros((5 * RK4.stages, FLAT.target.size))
    counts = []
    for parts, low, high in ((range(1), 0, 4096), (range(1, 3), 4096, 9000), (range(3, 3), 9000, 9000)):
        calls: list[Array] = []
        share = descent.Share(9000, parts, 3, calls.append)
        mine = np.ascontiguousarray(y[..., low:high]), np.ascontiguousarray(c[:, low:high])
        descend(FLAT, *mine, np.full(high - low, 1 / 9000), 0.05, 5, RK4, field=field, share=share)
        counts.append(len(calls))
    assert len(set(counts)) == 1 and counts[0] >= 5 * RK4.stages + 1


@pytest.mark.parametrize("tableau", [EULER, RK4], ids=["euler", "rk4"])
def test_the_variant_for_huge_n_has_the_bits_of_the_other(monkeypatch: pytest.MonkeyPatch, tableau: Tableau) -> None:
    monkeypatch.setattr(descent, "LARGE", 1)
    results = []
    for lean in (1, 10**9):
        monkeypatch.setattr(descent, "LEAN", lean)
        y, c = sample(13, 2, 9001)
        left = descend(FLAT, y, c, np.full(9001, 1 / 9001), 0.05, 5, tableau, every=2, keep=4)
        results.append((y, c, left.coefficients, left.y, left.c))
    for ours, theirs in zip(*results, strict=True):
        assert_array_equal(ours, theirs)


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": np.zeros((1, 5))}, "do not fit"),
        ({"weights": np.ones(3)}, "do not fit"),
        ({"y": np.zeros((1, 2, 4))}, "do not fit"),
        ({"y": np.zeros((1, 1, 8))[..., ::2]}, "contiguous"),
        ({"field": np.zeros((3, 7))}, "field"),
        ({"field": np.zeros(7)}, "field"),
        ({"keep": 5}, "keep"),
        ({"closure": Closure(Trigonometric(0), np.ones((1, 1)), np.zeros(1))}, "3 functions"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "closure": FLAT,
        "y": np.zeros((1, 1, 4)),
        "c": np.zeros((1, 4)),
        "weights": np.full(4, 0.25),
        "dt": 0.1,
        "steps": 2,
        "tableau": RK4,
    }
    with pytest.raises(ValueError, match=message):
        descend(**(arguments | change))
