"""Diagnostics at 99%: they look at the same theory from other sides and never set the exit status."""

import itertools

import numpy as np
import scipy
from numpy.typing import NDArray

from liouville.judgement.evidence import Evidence, whitening
from liouville.statistics import combine, critical, dkw, effect_interval
from liouville.verdicts import DIAGNOSTIC, Verdict, worst
from solvers.grid import Grid

Array = NDArray[np.floating]

ASYMPTOTIC = 3.0  # of 2 lambda_min t from which tr C is taken to decay at the slowest rate


def entries(evidence: Evidence) -> Verdict:
    """Every entry of Chat - C at the largest n and the last snapshot, in units of the trace."""
    largest, C = evidence.largest, evidence.covariance[-1]
    g = largest.f[:, -1] - evidence.f0[-1]
    i, j = np.triu_indices(C.shape[0])
    estimate = combine([largest.n * g[:, i] * g[:, j] / np.trace(C)])
    deviation = estimate.value - C[i, j] / np.trace(C)
    half = critical(estimate, DIAGNOSTIC) * estimate.error
    k = worst(deviation, deviation - half, deviation + half, 0.0, 0.05)
    return Verdict.of(
        "covariance-entries",
        f"every entry of n E(f_n - f_0)(f_n - f_0)' is that of C at n = {largest.n}, t = {evidence.times[-1]:g} "
        "(worst difference over tr C; simultaneous interval)",
        (deviation[k] - half[k], deviation[k], deviation[k] + half[k]),
        0.0,
        0.05,
        primary=False,
        level=DIAGNOSTIC,
    )


def gaussianity(evidence: Evidence) -> Verdict:
    """Squared length of the whitened fluctuation at the largest n and the last snapshot against chi-square."""
    largest = evidence.largest
    W = whitening(evidence.covariance[-1])
    length = largest.n * np.sum(((largest.f[:, -1] - evidence.f0[-1]) @ W) ** 2, axis=1)
    test = scipy.stats.kstest(length, scipy.stats.chi2(W.shape[1]).cdf)
    distance, half = float(test.statistic), dkw(length.size, DIAGNOSTIC)
    return Verdict.of(
        "gaussianity",
        f"n^(1/2) (f_n - f_0) is Gaussian with covariance C at n = {largest.n}, t = {evidence.times[-1]:g} "
        f"(Kolmogorov distance of its whitened square from chi-square of {W.shape[1]})",
        (max(0.0, distance - half), distance, min(1.0, distance + half)),
        0.0,
        0.1,
        primary=False,
        level=DIAGNOSTIC,
        p_value=float(test.pvalue),
    )


def one_particle(evidence: Evidence) -> Verdict:
    """One particle of each replica of the two largest sizes against rho_0: a chi-square over cells of about equal mass.

    Particles of one replica are dependent and not multinomial; one of each is independent with law rho_0 + O(1/n).
    """
    large = sorted(evidence.ensembles, key=lambda ensemble: ensemble.n)[-2:]
    y = np.concatenate([ensemble.y[:, -1, 0] for ensemble in large])
    c = np.concatenate([ensemble.c[:, -1] for ensemble in large])
    counts, expected = cell_counts(evidence.density, evidence.solved.grid, y, c)
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    dof = counts.size - 1
    low, high = effect_interval(statistic, dof, y.size, DIAGNOSTIC)
    return Verdict.of(
        "one-particle",
        f"one particle of each replica has law rho_0 at t = {evidence.times[-1]:g} "
        f"(effect size of chi-square over {counts.size} cells, {y.size} replicas, n >= {large[0].n})",
        (low, max(0.0, statistic - dof) / y.size, high),
        0.0,
        0.05,
        primary=False,
        level=DIAGNOSTIC,
        p_value=float(scipy.stats.chi2.sf(statistic, dof)),
    )


def cell_counts(density: Array, grid: Grid, y: Array, c: Array, least: float = 10.0) -> tuple[Array, Array]:
    """Counts and expected counts of particles in cells of about equal mass of rho_0, each (cells,).

    y is the first component alone, over which rho_0 is cut in up to 8 sectors of about equal mass along cell boundaries
    and each sector in c where its own distribution function passes multiples of equal mass, so that at least about
    `least` are expected in a cell.
    """
    axis, c_edges = grid.y[0], grid.c.edges
    density = density.sum(axis=tuple(range(1, density.ndim - 1)))
    sectors = min(8, axis.cells)
    slices = max(2, min(8, int(y.size / (least * sectors))))
    marginal = np.concatenate([[0.0], np.cumsum(density.sum(axis=1))])
    edges = np.unique(np.searchsorted(marginal, marginal[-1] * np.linspace(0, 1, sectors + 1)[1:-1]))
    edges = np.unique(np.concatenate([[0], edges, [axis.cells]]))
    row = np.floor((y - axis.low) / axis.width).astype(int)
    row = row % axis.cells if axis.periodic else np.clip(row, 0, axis.cells - 1)
    counts, masses = [], []
    for first, last in itertools.pairwise(edges):
        below = np.concatenate([[0.0], np.cumsum(density[first:last].sum(axis=0))])
        cuts = np.searchsorted(below, below[-1] * np.arange(1, slices) / slices)
        bounds = np.unique(np.concatenate([[0], cuts, [below.size - 1]]))
        masses.append(np.diff(below[bounds]))
        here = c[(row >= first) & (row < last)]
        inner = c_edges[bounds[1:-1]]
        counts.append(np.bincount(np.searchsorted(inner, here, side="right"), minlength=bounds.size - 1))
    mass = np.concatenate(masses)
    kept = mass > 0
    return np.concatenate(counts)[kept].astype(float), mass[kept] / mass.sum() * y.size


def decay_of_trace(evidence: Evidence) -> Verdict | None:
    """Late decay rate of tr C beside twice the smallest eigenvalue of M at the last snapshot.

    An asymptotic statement, hence a margin of 30%: lambda_min still moves at the end of a run. None where the slowest
    mode has not decayed by e^-ASYMPTOTIC, or never does, for want of a gap.
    """
    theory = evidence.theory
    first = min(int(0.75 * (theory.times.size - 1)), theory.times.size - 2)
    ends = [first, theory.times.size - 1]
    span = np.diff(theory.times[ends])[0]
    trace = np.maximum(theory.trace[ends], 1e-300)
    rate = np.log(trace[0] / trace[1]) / span
    half = np.sum(theory.trace_error[ends] / trace) / span
    predicted = 2 * float(np.linalg.eigvalsh(theory.kernel_diagonal[-1])[0])
    if predicted * theory.times[-1] < ASYMPTOTIC:
        return None
    return Verdict.of(
        "trace-decay",
        "tr C decays at the rate 2 lambda_min(M) late (rate over the last quarter)",
        (rate - half, rate, rate + half),
        predicted,
        0.3 * predicted,
        primary=False,
    )
