"""Semi-Lagrangian splitting for (12): against independent values, its orders, what is conserved, long steps."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import betainc, ndtr

from solvers import frames, line_remap, row_shift
from solvers.finite_volume import FiniteVolume
from solvers.frames import Frame, SolverError
from solvers.grid import Axis, Grid, circle
from solvers.semi_lagrangian import SemiLagrangian, averages, points

Array = NDArray[np.floating]

DATA = Path(__file__).parents[1] / "data" / "reference-flat-fourier.json"
WAVES = np.array([0, 1, 2, 3, 1, 2, 3])  # 1, cos y, cos 2y, cos 3y, sin y, sin 2y, sin 3y
NORM = np.where(WAVES == 0, 1.0, np.sqrt(2.0))
TARGET = np.array([0.25, 0.5, 0.0, -0.2, 0.0, 0.35, 0.0]) / NORM
REACH = np.sqrt(11.0)  # of c, whose bump has variance 1
TIMES = np.arange(7.0)
EPS = np.finfo(float).eps


def averaged_features(axis: Axis) -> Array:
    """Averages of the orthonormal features of `flat-fourier` over the padded cells, (cells + 2 PAD, 7)."""
    edges = axis.padded_edges[:, None]
    cos, sin = np.cos(WAVES * edges), np.sin(WAVES * edges)
    primitive = np.where(np.arange(7) < 4, sin, -cos) / np.maximum(WAVES, 1)
    primitive[:, 0] = edges[:, 0]
    return np.diff(primitive, axis=0) / axis.width * NORM / np.sqrt(1.0 + WAVES**2)


def flat_fourier(cells: tuple[int, int], c: tuple[float, float] = (-3.9, 4.4)) -> tuple[Grid, Array, Array]:
    """Grid, features and initial cell averages."""
    grid = Grid((circle(cells[0]),), Axis(*c, cells[1]))
    bump = np.diff(betainc(5, 5, np.clip((grid.c.edges / REACH + 1) / 2, 0, 1))) / grid.c.width
    return grid, averaged_features(grid.y[0]), np.tile(bump, (cells[0], 1)) / (2 * np.pi)


@cache
def solved(cells: tuple[int, int], final: float, longest: float = np.inf, limiter: bool = True) -> tuple[Frame, ...]:
    """Frames of `flat-fourier` at t = 0, 1, ..., final."""
    grid, features, density = flat_fourier(cells)
    scheme = SemiLagrangian(grid, features, TARGET, longest=longest, limiter=limiter, tail=1e-4)
    return tuple(scheme.solve(density, TIMES[final >= TIMES]))


def error(frame: Frame) -> float:
    """Norm of the error of f_0 at an integer time."""
    reference = json.loads(DATA.read_text())
    at = int(frame.time)
    expected = np.concatenate([reference["residual_cos"][at], reference["residual_sin"][at][1:]]) / NORM
    return float(np.linalg.norm(frame.coefficients - TARGET - expected))


def orders(errors: list[float]) -> Array:
    """Orders observed from one refinement by two to the next."""
    return np.log2(np.array(errors[:-1]) / errors[1:])


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads, on grids of any size."""
    before, small = numba.get_num_threads(), frames.SMALL
    try:
        numba.set_num_threads(count)
        frames.SMALL = 0
        yield
    finally:
        numba.set_num_threads(before)
        frames.SMALL = small


# -- accuracy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "bound"), [((64, 32), 1.5e-4), ((128, 64), 1.5e-5), ((256, 64), 2e-6)])
def test_residuals_agree_with_the_reference_at_every_time(cells: tuple[int, int], bound: float) -> None:
    """Observed: 1.2e-4, 1.2e-5 and 1.4e-6 in 9, 12 and 16 steps."""
    frames = solved(cells, 6.0)
    assert max(error(frame) for frame in frames) <= bound
    assert frames[-1].steps <= 16


def test_order_in_space_is_four_where_the_density_is_smooth() -> None:
    """At t = 1; observed 4.4 and 4.8."""
    assert np.all(orders([error(solved((n, n), 1.0, longest=1 / 16)[-1]) for n in (64, 128, 256)]) >= 3.9)


def test_order_in_space_is_two_without_the_corrections() -> None:
    errors = []
    for n in (64, 128, 256):
        grid, features, density = flat_fourier((n, 32))
        scheme = SemiLagrangian(grid, features, TARGET, corrections=False)
        errors.append(error(scheme.solve(density, TIMES[:2])[-1]))
    assert np.all(np.abs(orders(errors) - 2.0) <= 0.2)


def test_order_in_time_is_four() -> None:
    """On one grid, against its own limit; observed 3.8, 4.2 and 4.1."""
    grid, features, density = flat_fourier((256, 64))
    end = [
        SemiLagrangian(grid, features, TARGET, longest=1 / n, fraction=10.0).solve(density, TIMES[:2])[-1].coefficients
        for n in (2, 4, 8, 16, 64)
    ]
    errors = [float(np.linalg.norm(value - end[-1])) for value in end[:-1]]
    assert np.all(orders(errors) >= 3.7)


def test_density_is_that_of_the_finite_volumes() -> None:
    grid, features, density = flat_fourier((128, 64))
    ours = SemiLagrangian(grid, features, TARGET).solve(density, TIMES[:2])[-1]
    theirs = FiniteVolume(grid, features, TARGET).solve(density, TIMES[:2])[-1]
    distance = np.abs(ours.density - theirs.density).sum() * grid.cell
    assert distance <= 1e-3  # what the finite volumes' density is off by there
    assert_allclose(ours.coefficients, theirs.coefficients, rtol=0, atol=1e-5)
    assert_allclose(ours.potential, theirs.potential, rtol=0, atol=3e-5)
    assert_allclose(ours.moment, theirs.moment, rtol=0, atol=1e-3)


def test_what_the_loss_falls_by_is_what_is_dissipated() -> None:
    """To the error of the scheme, which falls with the grid."""
    defects = []
    for cells in ((64, 32), (128, 64), (256, 64)):
        frames = solved(cells, 6.0)
        defects.append(abs(frames[-1].loss - frames[0].loss + frames[-1].dissipated))
        assert frames[-1].loss_increase == 0.0
    assert defects[0] <= 1e-5 and defects[1] <= 3e-6 and defects[2] <= 1.5e-6


def test_frozen_y_is_solved_exactly_in_time() -> None:
    """Each mode of r decays at its own rate; the rate is of eighth order in space, and steps do not matter."""
    grid, features, density = flat_fourier((64, 96), (-7.0, 7.0))
    density = np.tile(np.diff(ndtr(grid.c.edges / 0.6)) / grid.c.width, (64, 1)) / (2 * np.pi)
    runs = []
    for longest in (np.inf, 0.3):
        scheme = SemiLagrangian(grid, features, TARGET, moving=False, longest=longest)
        frames = scheme.solve(density, TIMES)
        start = frames[0].coefficients - TARGET
        for frame in frames:
            expected = start * np.exp(-frame.time / (1.0 + WAVES**2))
            assert_allclose(frame.coefficients - TARGET, expected, rtol=0, atol=1e-9)
            assert_allclose(frame.dissipated, frames[0].loss - frame.loss, rtol=0, atol=1e-13)
        runs.append(frames)
    assert runs[0][-1].steps == 6 and runs[1][-1].steps == 24
    assert_allclose(runs[0][-1].coefficients, runs[1][-1].coefficients, rtol=0, atol=1e-13)


# -- conservation and positivity ------------------------------------------------------------------------------------


def test_mass_is_conserved_to_rounding_over_ten_thousand_steps() -> None:
    grid, features, density = flat_fourier((16, 32), (-6.0, 6.0))
    frames = SemiLagrangian(grid, features, TARGET, longest=6e-4, tail=1.0).solve(density, np.array([0.0, 6.0]))
    assert frames[-1].steps >= 10_000
    assert abs(frames[-1].mass - frames[0].mass) <= 1e4 * EPS


def test_density_stays_positive_and_undershoots_without_the_limiter() -> None:
    assert min(frame.minimum for frame in solved((64, 32), 6.0)) >= 0.0
    assert min(frame.minimum for frame in solved((64, 32), 6.0, limiter=False)) < -1e-3


def test_limiter_does_nothing_where_the_density_is_smooth() -> None:
    """Extrema keep their order: at t = 1, to what it does to the edge of the bump."""
    limited, free = (solved((128, 64), 1.0, limiter=on)[-1] for on in (True, False))
    assert_allclose(limited.density, free.density, rtol=0, atol=1e-5)


def test_steps_ten_times_the_courant_limit_stay_positive_and_conserve_mass() -> None:
    grid, features, density = flat_fourier((128, 64))
    limit = 0.5 / FiniteVolume(grid, features, TARGET).solve(density, np.array([0.0, 0.5]))[-1].steps
    scheme = SemiLagrangian(grid, features, TARGET, fraction=100.0, longest=max(10 * limit, 0.5), tail=1.0)
    frames = scheme.solve(density, TIMES)
    assert 6.0 / frames[-1].steps >= 10 * limit
    for frame in frames:
        assert frame.minimum >= 0.0
        assert_allclose(frame.mass, frames[0].mass, rtol=0, atol=50 * EPS)
    assert max(error(frame) for frame in frames) <= 1e-4


def test_a_cell_holding_all_the_mass_spreads_without_going_negative() -> None:
    grid, features, density = flat_fourier((32, 32))
    density = np.zeros_like(density)
    density[5, 20] = 1.0 / grid.cell
    for frame in SemiLagrangian(grid, features, TARGET, tail=1.0).solve(density, TIMES[:3]):
        assert frame.minimum >= 0.0
        assert_allclose(frame.mass, 1.0, rtol=0, atol=50 * EPS)


def test_closed_ends_keep_what_reaches_them() -> None:
    """A shift by more than the row leaves everything in its last cell."""
    cells = 24
    rho = np.zeros((3, cells + 2 * row_shift.GHOST))
    rho[:, row_shift.GHOST : row_shift.GHOST + cells] = np.random.default_rng(1).random((3, cells))
    out = np.zeros_like(rho)
    row_shift.shift_rows(rho, out, np.array([-1e9, 30.5, 3.25]), cells, True)
    inside = out[:, row_shift.GHOST : row_shift.GHOST + cells]
    assert_allclose(out.sum(axis=1), rho.sum(axis=1), rtol=100 * EPS, atol=0)
    assert inside[0, -1] > 0.0 and not np.any(inside[0, :-1])
    assert inside[1, 0] > 0.0 and not np.any(inside[1, 1:])
    assert np.all(inside >= 0.0)


def test_shifts_by_whole_cells_move_cells() -> None:
    """To the rounding of sums over the 20 cells of a line."""
    rng = np.random.default_rng(2)
    rho = np.zeros((1, 20 + 2 * row_shift.GHOST))
    rho[0, row_shift.GHOST + 6 : row_shift.GHOST + 14] = rng.random(8)
    out = np.zeros_like(rho)
    for k in (-5, 0, 4):
        row_shift.shift_rows(rho, out, np.array([float(k)]), 20, True)
        assert_allclose(out, np.roll(rho, -k), rtol=0, atol=2 * 20 * EPS)


@pytest.mark.parametrize("periodic", [True, False])
def test_isotonic_regression_is_the_closest_non_decreasing_line(periodic: bool) -> None:
    """Against its characterisation as max over starts of min over ends of means; sums are kept."""
    rng = np.random.default_rng(3)
    n, total = 12, 5.0
    for _ in range(50):
        value = np.zeros((n + 1, 1))
        value[:n, 0] = np.sort(rng.random(n)) * total + rng.normal(0.0, 0.5, n)
        value[0, 0] = value[0, 0] if periodic else 0.0
        value[n, 0] = value[0, 0] + total
        line = value[:n, 0] if periodic else value[1:n, 0]
        images = np.concatenate([line + k * total for k in range(-3, 4)]) if periodic else line
        prefix = np.concatenate([[0.0], np.cumsum(images)])
        size = images.size
        mean = np.array([[(prefix[b] - prefix[a]) / max(b - a, 1) for b in range(size + 1)] for a in range(size)])
        closest = np.array([max(mean[a, i + 1 :].min() for a in range(i + 1)) for i in range(size)])
        expected = closest[3 * n : 4 * n] if periodic else np.clip(closest, 0.0, total)
        change = np.zeros(n + 1)
        line_remap._isotonic(value, 0, n, periodic, 1.0, change)
        assert_allclose(value[:n, 0] if periodic else value[1:n, 0], expected, rtol=0, atol=1e-12)
        assert abs(change[:n].sum()) <= 1e-12


def test_points_in_c_and_averages_are_each_others_inverse() -> None:
    grid = flat_fourier((4, 64), (-6.0, 6.0))[0]
    smooth = np.diff(ndtr(grid.c.edges)) / grid.c.width * np.ones((4, 1))
    assert_allclose(averages(points(smooth, True)), smooth, rtol=0, atol=1e-15)
    rough = np.where(np.arange(64) % 9 == 0, 1.0, 0.0) * np.ones((4, 1))
    assert points(rough, True).min() >= 0.0
    assert_allclose(points(rough, True).sum(), rough.sum(), rtol=10 * EPS, atol=0)


# -- running --------------------------------------------------------------------------------------------------------


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    grid, features, density = flat_fourier((64, 80))
    results = []
    for count in (1, 2):
        with threads(count):
            results.append(SemiLagrangian(grid, features, TARGET).solve(density, TIMES[:3])[-1])
    assert_array_equal(results[0].density, results[1].density)
    assert_array_equal(results[0].coefficients, results[1].coefficients)


def test_turning_the_circle_by_some_cells_turns_the_solution() -> None:
    grid, features, density = flat_fourier((64, 32))
    density = density * (1.0 + 0.3 * np.cos(grid.y[0].centres))[:, None]
    angle = 5 * grid.dy
    cos, sin = np.cos(WAVES * angle), np.sin(WAVES * angle)
    target = TARGET.copy()
    for k in range(1, 4):
        a, b = TARGET[k], TARGET[k + 3]
        target[k], target[k + 3] = a * cos[k] - b * sin[k], a * sin[k] + b * cos[k]
    one = SemiLagrangian(grid, features, TARGET).solve(density, TIMES[:4])[-1]
    other = SemiLagrangian(grid, features, target).solve(np.roll(density, 5, axis=0), TIMES[:4])[-1]
    assert_allclose(np.roll(one.density, 5, axis=0), other.density, rtol=0, atol=1e-11)


def test_mass_at_an_end_of_the_c_range_stops_the_run_by_name() -> None:
    grid, features, density = flat_fourier((32, 32), (-2.0, 4.0))
    with pytest.raises(SolverError, match="lower end c = -2"):
        SemiLagrangian(grid, features, TARGET).solve(density, TIMES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_name(value: float) -> None:
    grid, features, density = flat_fourier((16, 16))
    with pytest.raises(SolverError, match="potential is not finite"):
        SemiLagrangian(grid, features, np.full(7, value)).solve(density, TIMES)
    density[3, 4] = value
    with pytest.raises(SolverError, match="density is not finite"):
        SemiLagrangian(grid, features, TARGET).solve(density, TIMES)


# -- two axes of y --------------------------------------------------------------------------------------------------


NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
PLANE = (0.8 * np.tanh(2 * NODES + 0.5) - 0.5 * np.tanh(1.5 * NODES - 1)) * np.sqrt(WEIGHTS / 2)


def tanh_plane(cells: int, Nc: int = 32) -> tuple[Grid, Array, Array]:
    """phi = tanh(a x + b) at eight nodes of x, (a, b) and c normal."""
    grid = Grid((Axis(-4.5, 4.5, cells), Axis(-4.5, 4.5, cells)), Axis(-5.0, 5.0, Nc))
    nodes, weights = np.polynomial.legendre.leggauss(4)
    a, b = ((axis.padded_edges[:-1, None] + axis.width * (nodes + 1) / 2) for axis in grid.y)
    values = np.tanh(a[:, :, None, None, None] * NODES + b[None, None, :, :, None])
    features = np.einsum("p,q,ipjqk->ijk", weights / 2, weights / 2, values) * np.sqrt(WEIGHTS / 2)
    parts = [
        np.diff(ndtr(axis.edges / s)) / axis.width for axis, s in ((grid.y[0], 0.9), (grid.y[1], 0.9), (grid.c, 1))
    ]
    density = np.multiply.outer(np.multiply.outer(parts[0], parts[1]), parts[2])
    return grid, features, density / (density.sum() * grid.cell)


def test_two_axes_of_y_agree_with_finite_volumes_on_a_finer_grid() -> None:
    """Fourth order in space: 1.3e-5 and 1.4e-6 from the finite volumes on 64^2 cells of y; they, 4e-5 and 5e-6."""
    grid, features, density = tanh_plane(64)
    fine = FiniteVolume(grid, features, PLANE, tail=1.0).solve(density, TIMES[:2])[-1]
    distance = []
    for cells in (24, 48):
        grid, features, density = tanh_plane(cells)
        scheme = SemiLagrangian(grid, features, PLANE, tail=1.0, longest=0.1)
        frames = scheme.solve(density, TIMES[:2])
        assert min(frame.minimum for frame in frames) >= 0.0
        assert_allclose(frames[-1].mass, 1.0, rtol=0, atol=100 * EPS)
        distance.append(float(np.linalg.norm(frames[-1].coefficients - fine.coefficients)))
    assert distance[0] <= 2e-5 and distance[1] <= 3e-6


def test_two_axes_of_y_are_second_order_in_time_at_least() -> None:
    grid, features, density = tanh_plane(48)
    end = [
        SemiLagrangian(grid, features, PLANE, tail=1.0, longest=1 / n, fraction=10.0).solve(density, TIMES[:2])[-1]
        for n in (2, 4, 8, 16)
    ]
    errors = [float(np.linalg.norm(frame.coefficients - end[-1].coefficients)) for frame in end[:-1]]
    assert np.all(orders(errors) >= 1.8)


def test_swapping_the_axes_of_y_changes_little_and_their_walls_nothing() -> None:
    """The order of the axes matters by the error of the splitting alone."""
    grid, features, density = tanh_plane(16)
    scheme = SemiLagrangian(grid, features, PLANE, tail=1.0, longest=0.1)
    swapped = SemiLagrangian(grid, np.swapaxes(features, 0, 1), PLANE, tail=1.0, longest=0.1)
    one = scheme.solve(density, TIMES[:2])[-1]
    other = swapped.solve(np.swapaxes(density, 0, 1), TIMES[:2])[-1]
    assert_allclose(one.coefficients, other.coefficients, rtol=0, atol=1e-5)
    assert_allclose(one.density, np.swapaxes(other.density, 0, 1), rtol=0, atol=1e-3)


def test_bits_do_not_depend_on_the_number_of_threads_with_two_axes() -> None:
    grid, features, density = tanh_plane(12)
    results = []
    for count in (1, 2):
        with threads(count):
            results.append(SemiLagrangian(grid, features, PLANE, tail=1.0).solve(density, TIMES[:2])[-1].density)
    assert_array_equal(results[0], results[1])


def test_three_axes_of_y_agree_with_finite_volumes() -> None:
    """phi = tanh(a x + b z + e) at five points (x, z), on 16^3 cells of y, where both are off by less than 2e-4."""
    grid = Grid((Axis(-4.0, 4.0, 16),) * 3, Axis(-5.0, 5.0, 24))
    places = np.random.default_rng(0).normal(size=(5, 3)) * 0.8
    nodes, weights = np.polynomial.legendre.leggauss(3)
    axis = grid.y[0]
    y = axis.padded_edges[:-1, None] + axis.width * (nodes + 1) / 2
    inside = [y[:, :, None, None, None, None], y[None, None, :, :, None, None], y[None, None, None, None]]
    features = np.stack(
        [
            np.einsum(
                "p,q,s,ipjqks->ijk", *[weights / 2] * 3, np.tanh(sum(p * x for p, x in zip(place, inside, strict=True)))
            )
            for place in places
        ],
        axis=-1,
    ) / np.sqrt(5)
    part, c = np.diff(ndtr(axis.edges / 0.8)), np.diff(ndtr(grid.c.edges))
    density = np.einsum("i,j,k,l->ijkl", part, part, part, c)
    density /= density.sum() * grid.cell
    target = np.array([0.5, -0.3, 0.2, 0.4, -0.1])
    ours = SemiLagrangian(grid, features, target, tail=1.0).solve(density, TIMES[:3])
    theirs = FiniteVolume(grid, features, target, tail=1.0).solve(density, TIMES[:3])
    assert_allclose(ours[-1].coefficients, theirs[-1].coefficients, rtol=0, atol=4e-4)
    assert_allclose(ours[-1].mass, 1.0, rtol=0, atol=100 * EPS)
    assert min(frame.minimum for frame in ours) >= 0.0
