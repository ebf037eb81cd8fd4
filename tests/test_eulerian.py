"""C from the density itself: the adjoint of the linearised equation on the grid of the finite volumes.

psi_s(z) is how f_t answers to mass put at z at time s. With V = Phi . r,

    d_s psi = grad V . grad psi + sum_m Phi_m b_m(s),   b_m(s) = int rho(s) grad Phi_m . grad psi,   psi_t = Phi_m,

and C(t, t) is the covariance of psi_0 over rho_in. No characteristic, no tangent flow and no Volterra equation in it.
"""

import numpy as np
import runs
from numpy.typing import NDArray

from liouville import mean_field
from liouville.plan import Plan
from solvers.grid import Grid

Array = NDArray[np.floating]

FINAL = 1.0
STEPS = 40  # of RK4, back in time; the density is there at their middles, too


def in_y(values: Array, factor: Array) -> Array:
    """Multiply the Fourier coefficients along y, the axis before the last."""
    count = values.shape[-2]
    return np.fft.irfft(np.fft.rfft(values, axis=-2) * factor[:, None], n=count, axis=-2)


def by_y(values: Array) -> Array:
    """d/dy on the circle."""
    return in_y(values, 1j * np.arange(values.shape[-2] // 2 + 1))


def by_c(values: Array, h: float) -> Array:
    """d/dc of order 6, of lower order in the three cells at either end, where there is no mass."""
    found = np.gradient(values, h, axis=-1)
    for k, weight in enumerate((0.75, -0.15, 1 / 60), 1):
        ahead, behind = values[..., 3 + k : values.shape[-1] - 3 + k], values[..., 3 - k : -3 - k]
        term = weight * (ahead - behind) / h
        found[..., 3:-3] = term if k == 1 else found[..., 3:-3] + term
    return found


def integral(rho: Array, values: Array, grid: Grid) -> Array:
    """int rho values from cell averages and central values, to order 4 in c: sum of averages (g - h^2 g''/24)."""
    Ny = values.shape[-2]
    weight = in_y(values, 1 / np.sinc(np.arange(Ny // 2 + 1) / Ny))
    weight[..., 1:-1] -= (weight[..., 2:] - 2 * weight[..., 1:-1] + weight[..., :-2]) / 24
    return np.asarray(np.sum(rho * weight, axis=(-2, -1)) * grid.cell)


def covariance(plan: Plan) -> Array:
    """C(t, t) at the end of a run, (M, M)."""
    problem, on = plan.problem, mean_field.grid(plan)
    frames = list(mean_field.scheme(plan, on).march(problem.initial.cell_averages(on), plan.times))
    y, c, h = on.y[0].centres, on.c.centres, on.c.width
    features = problem.features(y[None]).T[..., None]  # (M, Ny, 1)
    slopes = by_y(features)
    rates = []
    for frame in frames:
        r = frame.coefficients - problem.projection
        rates.append((frame.density, c * np.tensordot(r, slopes, 1), np.tensordot(r, features, 1)))

    def backwards(psi: Array, k: int) -> Array:
        """-d_s psi at the k-th frame."""
        rho, of_y, of_c = rates[k]
        along_y, along_c = by_y(psi), by_c(psi, h)
        b = [
            integral(rho, c * slope * along_y + feature * along_c, on)
            for slope, feature in zip(slopes, features, strict=True)
        ]
        return -(of_y * along_y + of_c * along_c) - np.tensordot(np.array(b).T, c * features, 1)

    psi = c * features
    step = FINAL / STEPS
    for k in range(2 * STEPS, 0, -2):
        one = backwards(psi, k)
        two = backwards(psi + 0.5 * step * one, k - 1)
        three = backwards(psi + 0.5 * step * two, k - 1)
        four = backwards(psi + step * three, k - 2)
        psi = psi + step / 6 * (one + 2 * two + 2 * three + four)
    start = frames[0].density
    mean = integral(start, psi, on)
    second = [[integral(start, a * b, on) for b in psi] for a in psi]
    return np.array(second) - np.outer(mean, mean)


def test_covariance_from_the_density_is_that_of_the_volterra_form() -> None:
    """To 1e-6 of its trace on 128 x 128 cells, of order 4 at least."""
    plans = [runs.plan(final=FINAL, snapshots=2 * STEPS + 1, cells=[n, n], step=0.0125) for n in (64, 128)]
    theory = mean_field.fluctuation_theory(plans[0], mean_field.reference(plans[0]))
    exact = theory.covariance[-1, :, -1]
    assert theory.trace_error[-1] <= 1e-7 * theory.trace[-1]
    coarse, fine = (np.abs(covariance(plan) - exact).max() / np.trace(exact) for plan in plans)
    print(f"C(1, 1) from rho: off by {coarse:.1e} and {fine:.1e} of its trace, order {np.log2(coarse / fine):.2f}")
    assert fine <= 1e-6 and coarse >= 2**4 * fine
