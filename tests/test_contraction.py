"""The sums between moments and features against numpy's, with slabs left out and without."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from liouville.problem import Problem
from liouville.runfile import load
from particles.contraction import SLAB, both_ways, contract, expand
from particles.jit import kernel

Array = NDArray[np.floating]
SHAPES = [(7, 7), (1, 3), (5, SLAB - 1), (30, 2 * SLAB), (33, 3 * SLAB + 5)]


@kernel
def down(ways, values, result):
    contract(ways, values, result)


@kernel
def up(ways, values, result, first, end):
    expand(ways, values, result, first, end)


@pytest.mark.parametrize(("M", "L"), SHAPES)
@pytest.mark.parametrize("K", [1, 3])
def test_both_ways_are_products_with_the_matrix(M: int, L: int, K: int) -> None:
    rng = np.random.default_rng(1)
    matrix, m, r = rng.standard_normal((M, L)), rng.standard_normal((K, L)), rng.standard_normal((K, M))
    found, expanded = np.full((K, M), np.nan), np.full((K, L), np.nan)
    down(both_ways(matrix), m, found)
    up(both_ways(matrix), r, expanded, 0, L)
    assert_allclose(found, m @ matrix.T, rtol=0, atol=1e-15 * L * 16)
    assert_allclose(expanded, r @ matrix, rtol=0, atol=1e-15 * M * 16)


@pytest.mark.parametrize(("name", "atol"), [("von-mises", 5e-12), ("relu-circle", 2e-14), ("flat-fourier", 2e-14)])
def test_few_entries_are_gone_through_one_by_one(name: str, atol: float) -> None:
    """On evenly spread x a feature has a mode or two; most of what rounding left is gone, and phi is the same.

    But for what is cut at the rank of von-mises.
    """
    problem = Problem.build(load(name).problem)
    features = problem.closure.features
    entries = both_ways(features)[3]
    assert features.shape[0] <= entries.size == np.count_nonzero(features) <= 3 * features.shape[0]
    y = np.linspace(0.0, 6.0, 50)
    assert_allclose(problem.basis @ problem.features(y[None]).T, series(problem, y), rtol=0, atol=atol)
    rng = np.random.default_rng(3)
    m, r = rng.standard_normal((2, features.shape[1])), rng.standard_normal((2, features.shape[0]))
    found, expanded = np.full(r.shape, np.nan), np.full(m.shape, np.nan)
    down(both_ways(features), m, found)
    up(both_ways(features), r, expanded, 0, 0)
    assert_allclose(found, m @ features.T, rtol=0, atol=1e-14)
    assert_allclose(expanded, r @ features, rtol=0, atol=1e-14)


def series(problem: Problem, y: Array) -> Array:
    """phi at the nodes of mu and y, mode by mode, (P, n)."""
    a = problem.unit.amplitudes
    k = np.arange(1, a.size)
    phase = np.multiply.outer(problem.x, np.ones(y.size)) - y
    return np.asarray(a[0] + 2 * np.einsum("k,kpn->pn", a[1:], np.cos(np.multiply.outer(k, phase))))


@pytest.mark.parametrize(("M", "L"), SHAPES)
def test_slabs_that_nobody_meets_change_no_bit(M: int, L: int) -> None:
    """Moments that vanish outside a range, and u wanted there alone: the same bits as with all columns."""
    rng = np.random.default_rng(2)
    matrix, r = rng.standard_normal((M, L)), rng.standard_normal((2, M))
    first, end = L // 2, L // 2 + max(1, L // 8)
    m = np.zeros((2, L))
    m[:, first:end] = rng.standard_normal((2, end - first))
    m[1] = 0.0
    tiny = np.where(m == 0.0, 1e-300, m)  # no slab is left out, and nothing is added that a double would see
    found, everywhere = np.empty((2, M)), np.empty((2, M))
    down(both_ways(matrix), m, found)
    down(both_ways(matrix), tiny, everywhere)
    assert_array_equal(found[0], everywhere[0])
    assert_array_equal(found[1], 0.0)
    part, whole = np.full((2, L), np.nan), np.empty((2, L))
    up(both_ways(matrix), r, part, first, end)
    up(both_ways(matrix), r, whole, 0, L)
    assert_array_equal(part[:, first:end], whole[:, first:end])


def test_what_is_not_a_number_is_not_left_out() -> None:
    m = np.zeros((1, 4 * SLAB))
    m[0, 3 * SLAB] = np.nan
    found = np.zeros((1, 40))
    down(both_ways(np.ones((40, 4 * SLAB))), m, found)
    assert np.isnan(found).all()
