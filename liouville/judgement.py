"""What a run says about the paper's statements: one function a verdict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from liouville.mean_field import Density, Plan, Reference
from liouville.statistics import (
    Estimate,
    combine,
    critical,
    dkw,
    effect_interval,
    leading_coefficient,
    log_slope,
)
from liouville.verdicts import DIAGNOSTIC, FALSE_ALARMS, Verdict, more_replicas, worst
from solvers.fluctuations import Fluctuations

Array = NDArray[np.floating]

STATISTICAL = 4  # primary statistical verdicts, which share FALSE_ALARMS
LEVEL = 1 - FALSE_ALARMS / STATISTICAL
ROUNDING = 1e-14
MODES_ABOVE = 1e-6  # of the largest eigenvalue of C: the modes on which fluctuations are whitened


@dataclass(frozen=True)
class Ensemble:
    """Replicas of one size. f, path : (R, S, M) coefficients of f_n and l_n.  y, c : (R, S), one particle of each."""

    n: int
    f: Array
    path: Array
    y: Array
    c: Array


@dataclass(frozen=True)
class Evidence:
    """All that the verdicts look at. f0 : (S, M), the finite volumes' f_0.  f0_error : (S,), norm of its error.

    covariance : (S, M, M) of the fluctuations at the snapshots.  density : (Ny, Nc), rho_0 at the last snapshot.
    """

    plan: Plan
    reference: Reference
    solved: Density
    theory: Fluctuations
    covariance: Array
    density: Array
    ensembles: tuple[Ensemble, ...]

    @property
    def f0(self) -> Array:
        """f_0 of the finite volumes, (S, M)."""
        return self.solved.coefficients

    @property
    def trace(self) -> Array:
        """tr C, (S,)."""
        return np.einsum("sii->s", self.covariance)

    @property
    def largest(self) -> Ensemble:
        """The ensemble of the largest n."""
        return max(self.ensembles, key=lambda ensemble: ensemble.n)


def at_snapshots(plan: Plan, theory: Fluctuations) -> Array:
    """C(t, t) at the snapshots, (S, M, M)."""
    stride = plan.substeps // plan.every
    return np.ascontiguousarray(np.einsum("titj->tij", theory.covariance)[::stride])


def judge(evidence: Evidence) -> list[Verdict]:
    """All verdicts of a comparison, primary ones first."""
    return [
        *deterministic(evidence),
        law_of_large_numbers(evidence),
        paths(evidence),
        covariance(evidence),
        healing(evidence),
        entries(evidence),
        gaussianity(evidence),
        one_particle(evidence),
        decay_of_loss(evidence),
        decay_of_trace(evidence),
    ]


def deterministic(evidence: Evidence) -> list[Verdict]:
    """Finite volumes against characteristics, and the structure that the equation keeps exactly."""
    solved, known = evidence.solved, evidence.reference.characteristics
    distance = np.linalg.norm(solved.coefficients - known.coefficients, axis=1)
    error = solved.error + known.error + ROUNDING
    k = int(np.argmax(distance / error))
    drift = float(np.max(np.abs(solved.mass - solved.mass[0])))
    energy_scale = float(solved.loss[0] + 0.5 * np.sum(evidence.plan.problem.closure.target**2)) + 1e-300
    increase = solved.loss_increase / energy_scale
    undershoot = float(max(0.0, -solved.minimum.min()))
    defect_error = solved.defect_error + 10 * ROUNDING * energy_scale
    j = int(np.argmax(np.abs(solved.defect)))
    defect, bound = float(np.abs(solved.defect[j])), float(defect_error.max())
    times = evidence.plan.times

    def bounded(name: str, statement: str, value: float, error: float, margin: float) -> Verdict:
        return Verdict(name, statement, value, max(0.0, value - error), value + error, 0.0, margin, 0.0, True)

    return [
        bounded(
            "pde-characteristics",
            f"f_0 of the finite volumes is that of the characteristics (norm of the difference at t = {times[k]:g})",
            float(distance[k]),
            float(error[k]),
            10 * float(error[k]),
        ),
        bounded("mass", "the mass of rho_0 is conserved (largest drift)", drift, 1e-15, 1e-12),
        bounded("positivity", "rho_0 >= 0 (largest undershoot)", undershoot, 0.0, ROUNDING),
        bounded(
            "energy",
            "the energy of rho_0 never increases (largest relative increase in a step)",
            increase,
            0.0,
            ROUNDING,
        ),
        bounded(
            "dissipation",
            f"dl/dt = -int (c^2 |grad U|^2 + U^2) rho (largest defect of its integral, at t = {times[j]:g})",
            defect,
            bound,
            10 * bound,
        ),
    ]


def _leading(evidence: Evidence) -> tuple[Estimate, Array]:
    """Estimate of lim n E||f_n - f_0||^2 over tr C at every snapshot, and the bound of what the error of f_0 does to it."""
    paths, excess = {}, {}
    for ensemble in evidence.ensembles:
        square = ensemble.n * np.sum((ensemble.f - evidence.f0) ** 2, axis=-1)
        paths[ensemble.n] = ensemble.n * np.sum(ensemble.path**2, axis=-1)
        excess[ensemble.n] = square - paths[ensemble.n]
    largest = evidence.largest
    error = evidence.solved.error
    bias = np.linalg.norm(np.mean(largest.f - evidence.f0, axis=0), axis=-1)
    bound = largest.n * (error**2 + 2 * error * bias)
    return leading_coefficient(paths, excess).scaled(1 / evidence.trace), bound / evidence.trace


def _ratio_interval(estimate: Estimate, z: float, bound: Array) -> tuple[Array, Array]:
    """Interval of a positive quantity, symmetric on the log scale, widened by a deterministic bound."""
    logs = estimate.log()
    return np.exp(logs.value - z * logs.error) - bound, np.exp(logs.value + z * logs.error) + bound


def law_of_large_numbers(evidence: Evidence) -> Verdict:
    """E||f_n - f_0||^2 = A/n + B/n^2 + D/n^3 over n, B and D free: A against tr C at the last snapshot."""
    estimate, bound = _leading(evidence)
    last = estimate.at(-1)
    low, high = _ratio_interval(last, critical(last, LEVEL), bound[[-1]])
    value = float(last.value[0])
    note = more_replicas(value, low[0], high[0], 1.0, 0.1)
    if len(evidence.ensembles) < 3:
        note = "fewer than three sizes: B/n^2 and D/n^3 cannot be told from A/n"
    return Verdict(
        "lln",
        f"E||f_n - f_0||^2 = A/n + B/n^2 + D/n^3 with A = tr C (A/tr C at t = {evidence.plan.times[-1]:g})",
        value,
        float(low[0]),
        float(high[0]),
        1.0,
        0.1,
        1.0,
        True,
        LEVEL,
        note=note,
    )


def healing(evidence: Evidence) -> Verdict:
    """The same law at every snapshot together, while tr C falls."""
    estimate, bound = _leading(evidence)
    low, high = _ratio_interval(estimate, critical(estimate, LEVEL), bound)
    k = worst(estimate.value, low, high, 1.0, 0.1)
    fall = evidence.trace[-1] / evidence.trace[0]
    return Verdict(
        "healing",
        f"A(t) = tr C(t) at every snapshot while tr C falls to {fall:.2g} of its start "
        f"(A/tr C at the worst, t = {evidence.plan.times[k]:g}; simultaneous interval)",
        float(estimate.value[k]),
        float(low[k]),
        float(high[k]),
        1.0,
        0.1,
        1.0,
        True,
        LEVEL,
        note=more_replicas(float(estimate.value[k]), low[k], high[k], 1.0, 0.1),
    )


def paths(evidence: Evidence) -> Verdict:
    """(V1): n^2 E||f_n - f_0 - l_n||^2 stays bounded in n; its slope is 0, and 1 if anything in the theory is wrong."""
    statement = "f_n - f_0 = l_n + O(1/n) replica by replica (slope of log n^2 E||f_n - f_0 - l_n||^2 in log n"
    if len(evidence.ensembles) < 2:
        nan = float("nan")
        note = "needs at least two sizes"
        return Verdict("clt-paths", statement + ")", nan, nan, nan, 0.0, 0.5, 0.0, True, LEVEL, note=note)
    remainder = {}
    widen = 0.0
    for ensemble in evidence.ensembles:
        square = np.sum((ensemble.f - evidence.f0 - ensemble.path) ** 2, axis=-1)[:, 1:]
        remainder[ensemble.n] = ensemble.n**2 * square
        rms = np.sqrt(np.mean(square, axis=0))
        widen = widen + 2 * evidence.solved.error[1:] / np.maximum(rms, 1e-300)  # on the log, by the error of f_0
    slope = log_slope(remainder)
    sizes = [ensemble.n for ensemble in evidence.ensembles]
    half = critical(slope, LEVEL) * slope.error + widen / np.log(max(sizes) / min(sizes))
    low, high = slope.value - half, slope.value + half
    k = worst(slope.value, low, high, 0.0, 0.5)
    return Verdict(
        "clt-paths",
        f"{statement}, at the worst snapshot, t = {evidence.plan.times[k + 1]:g}; simultaneous interval)",
        float(slope.value[k]),
        float(low[k]),
        float(high[k]),
        0.0,
        0.5,
        0.0,
        True,
        LEVEL,
        note=more_replicas(float(slope.value[k]), low[k], high[k], 0.0, 0.5),
    )


def whitening(covariance: Array) -> Array:
    """W (M, d) with W' C W = 1 on the modes of C above MODES_ABOVE of the largest."""
    values, vectors = np.linalg.eigh(covariance)
    used = values > MODES_ABOVE * values[-1]
    return np.asarray(vectors[:, used] / np.sqrt(values[used]))


def covariance(evidence: Evidence) -> Verdict:
    """Joint covariance of n^(1/2) (f_n - f_0) at the largest n against C: tr(C^-1 Chat)/d at every snapshot.

    Chat is that of l_n over all replicas of all sizes (the same for every n, exactly) plus the mean excess of f_n - f_0 over
    l_n at the largest n.
    """
    largest = evidence.largest
    roots = [whitening(C) for C in evidence.covariance]

    def squares(values: Array, n: int) -> Array:
        return np.stack([n * np.mean((values[:, s] @ W) ** 2, axis=-1) for s, W in enumerate(roots)], axis=1)

    excess = squares(largest.f - evidence.f0, largest.n) - squares(largest.path, largest.n)
    own = squares(largest.path, largest.n)
    others = [squares(e.path, e.n) for e in evidence.ensembles if e is not largest]
    total = sum(len(group) for group in [own, *others])
    estimate = combine([own * (len(own) / total) + excess, *(group * (len(group) / total) for group in others)])
    scale = np.array([np.sqrt(np.trace(W.T @ W) / W.shape[1]) for W in roots])  # 1/rms of a mode
    bias = np.linalg.norm(np.mean(largest.f - evidence.f0, axis=0), axis=-1)
    bound = largest.n * scale**2 * (evidence.solved.error**2 + 2 * evidence.solved.error * bias)
    low, high = _ratio_interval(estimate, critical(estimate, LEVEL), bound)
    k = worst(estimate.value, low, high, 1.0, 0.1)
    return Verdict(
        "clt-covariance",
        f"n Cov(f_n - f_0) = C at n = {largest.n} (tr(C^-1 Chat)/{roots[k].shape[1]} "
        f"at the worst snapshot, t = {evidence.plan.times[k]:g}; simultaneous interval)",
        float(estimate.value[k]),
        float(low[k]),
        float(high[k]),
        1.0,
        0.1,
        1.0,
        True,
        LEVEL,
        note=more_replicas(float(estimate.value[k]), low[k], high[k], 1.0, 0.1),
    )


def entries(evidence: Evidence) -> Verdict:
    """Every entry of Chat - C at the last snapshot, in units of the trace."""
    largest, C = evidence.largest, evidence.covariance[-1]
    g = largest.f[:, -1] - evidence.f0[-1]
    i, j = np.triu_indices(C.shape[0])
    estimate = combine([largest.n * g[:, i] * g[:, j] / np.trace(C)])
    deviation = estimate.value - C[i, j] / np.trace(C)
    half = critical(estimate, DIAGNOSTIC) * estimate.error
    k = worst(deviation, deviation - half, deviation + half, 0.0, 0.05)
    low, high = float(deviation[k] - half[k]), float(deviation[k] + half[k])
    return Verdict(
        "covariance-entries",
        f"every entry of n Cov(f_n - f_0) is that of C at n = {largest.n}, t = {evidence.plan.times[-1]:g} "
        "(worst difference over tr C; simultaneous interval)",
        float(deviation[k]),
        low,
        high,
        0.0,
        0.05,
        0.0,
        False,
        DIAGNOSTIC,
        note=more_replicas(float(deviation[k]), low, high, 0.0, 0.05),
    )


def gaussianity(evidence: Evidence) -> Verdict:
    """Squared length of the whitened fluctuation at the largest n and the last snapshot against chi-square."""
    largest = evidence.largest
    W = whitening(evidence.covariance[-1])
    length = largest.n * np.sum(((largest.f[:, -1] - evidence.f0[-1]) @ W) ** 2, axis=1)
    test = stats.kstest(length, stats.chi2(W.shape[1]).cdf)
    half = dkw(length.size, DIAGNOSTIC)
    value = float(test.statistic)
    low, high = max(0.0, value - half), value + half
    return Verdict(
        "gaussianity",
        f"n^(1/2) (f_n - f_0) is Gaussian with covariance C at n = {largest.n}, t = {evidence.plan.times[-1]:g} "
        f"(Kolmogorov distance of its whitened square from chi-square of {W.shape[1]})",
        value,
        low,
        high,
        0.0,
        0.1,
        0.0,
        False,
        DIAGNOSTIC,
        float(test.pvalue),
        more_replicas(value, low, high, 0.0, 0.1),
    )


def one_particle(evidence: Evidence) -> Verdict:
    """One particle of each replica of the two largest sizes against rho_0, by a chi-square over cells of about equal mass.

    Particles of one replica are dependent and not multinomial; one of each is independent with law rho_0 + O(1/n).
    """
    large = sorted(evidence.ensembles, key=lambda ensemble: ensemble.n)[-2:]
    y = np.concatenate([ensemble.y[:, -1] for ensemble in large]) % (2 * np.pi)
    c = np.concatenate([ensemble.c[:, -1] for ensemble in large])
    counts, expected = cell_counts(evidence.density, evidence.solved.grid.c_edges, y, c)
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    dof = counts.size - 1
    low, high = effect_interval(statistic, dof, y.size, DIAGNOSTIC)
    value = max(0.0, statistic - dof) / y.size
    return Verdict(
        "one-particle",
        f"one particle of each replica has law rho_0 at t = {evidence.plan.times[-1]:g} "
        f"(effect size of chi-square over {counts.size} cells, {y.size} replicas, n >= {large[0].n})",
        value,
        low,
        high,
        0.0,
        0.05,
        0.0,
        False,
        DIAGNOSTIC,
        float(stats.chi2.sf(statistic, dof)),
        more_replicas(value, low, high, 0.0, 0.05),
    )


def cell_counts(density: Array, c_edges: Array, y: Array, c: Array, least: float = 10.0) -> tuple[Array, Array]:
    """Counts and expected counts of particles in cells of about equal mass of rho_0, each (cells,).

    The circle is cut in up to 8 sectors along cell boundaries and each sector in c where its own distribution function passes
    multiples of equal mass, so that at least about `least` are expected in a cell.
    """
    sectors = min(8, density.shape[0])
    slices = max(2, min(8, int(y.size / (least * sectors))))
    edges = np.round(np.linspace(0, density.shape[0], sectors + 1)).astype(int)
    row = np.minimum((y / (2 * np.pi) * density.shape[0]).astype(int), density.shape[0] - 1)
    counts, masses = [], []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
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


def decay_of_loss(evidence: Evidence) -> Verdict:
    """The loss decays at a rate that does not depend on n, where ||r_0||^2 >= 20 tr C/n."""
    times, target = evidence.plan.times, evidence.plan.problem.closure.target
    mean_field = np.sum((evidence.f0 - target) ** 2, axis=-1)
    level = 1 - (1 - DIAGNOSTIC) / len(evidence.ensembles)
    cases = []
    for ensemble in evidence.ensembles:
        early = mean_field >= 20 * evidence.trace / ensemble.n
        window = np.arange(early.size if early.all() else int(np.argmin(early)))  # from t = 0 until it first fails
        if window.size < 4:
            continue
        t = times[window] - times[window].mean()
        weights = -t / np.sum(t**2)
        rate = weights @ np.log(mean_field[window])
        logs = combine([np.sum((ensemble.f[:, window] - target) ** 2, axis=-1)]).log()
        half = critical(Estimate(np.zeros(1), np.ones((1, 1))), level) * np.sqrt(weights @ logs.covariance @ weights)
        cases.append((weights @ logs.value / rate, half / abs(rate)))
    statement = (
        "the loss decays at the rate of l_0 for every n, where ||r_0||^2 >= 20 tr C/n (ratio of fitted rates, worst n)"
    )
    if not cases:
        nan = float("nan")
        note = "no size has enough snapshots where ||r_0||^2 >= 20 tr C/n"
        return Verdict("loss-decay", statement, nan, nan, nan, 1.0, 0.1, 1.0, False, DIAGNOSTIC, note=note)
    value, half = np.array(cases).T
    k = worst(value, value - half, value + half, 1.0, 0.1)
    low, high = float(value[k] - half[k]), float(value[k] + half[k])
    note = more_replicas(float(value[k]), low, high, 1.0, 0.1)
    return Verdict("loss-decay", statement, float(value[k]), low, high, 1.0, 0.1, 1.0, False, DIAGNOSTIC, note=note)


def decay_of_trace(evidence: Evidence) -> Verdict:
    """Late decay rate of tr C beside twice the smallest eigenvalue of M at the last snapshot.

    An asymptotic statement, hence a margin of 30%: lambda_min still moves at the end of a run.
    """
    theory = evidence.theory
    late = theory.times >= 0.75 * theory.times[-1]
    span = theory.times[late][-1] - theory.times[late][0]
    ends = theory.trace[late][[0, -1]]
    errors = theory.trace_error[late][[0, -1]] / ends
    rate = float(np.log(ends[0] / ends[1]) / span)
    half = float(errors.sum() / span)
    predicted = 2 * float(np.linalg.eigvalsh(theory.kernel_diagonal[-1])[0])
    return Verdict(
        "trace-decay",
        "tr C decays at the rate 2 lambda_min(M) late (rate over the last quarter)",
        rate,
        rate - half,
        rate + half,
        predicted,
        0.3 * predicted,
        predicted,
        False,
    )
