"""The particles of a run: for each size an ensemble of replicas, and for each replica its predicted path l_n."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from liouville import representation
from liouville.distance import ENDS, Distance, measured
from liouville.mean_field import Reference
from liouville.plan import Plan
from particles import Closure, Splines, Team, chunks, descend, map_rows, nested, over_threads, stream
from solvers.fluctuations import Fluctuations
from solvers.frames import SolverError

Array = NDArray[np.floating]

NESTED = 4096  # particles that are drawn together where sizes are nested
DRAWN = 2**20  # and where they are not
MEASURED = 2**22  # particles up to which their distance from rho_0 is: more need never be in one place
ALONE = Team()


@dataclass(frozen=True)
class Work:
    """Replicas done, ..., replicas - 1 of size n, which are still to be simulated."""

    n: int
    replicas: int
    done: int = 0


@dataclass(frozen=True)
class Replicas:
    """Some replicas of one size, at the snapshots.

    coefficients : (R, S, M) of f_n.  path : (R, S, M) of l_n.
    y : (R, S, N, keep), c : (R, S, keep), the first particles.
    increase : (R,), the largest increase of the loss in a step, 0 if it never increased.
    density_distance, moment_distance : (R, 2), D^2 of `liouville.distance` at both ends, NaN where not measured.
    """

    coefficients: Array
    path: Array
    y: Array
    c: Array
    increase: Array = field(default_factory=lambda: np.empty(0))
    density_distance: Array = field(default_factory=lambda: np.empty((0, ENDS)))
    moment_distance: Array = field(default_factory=lambda: np.empty((0, ENDS)))


@dataclass(frozen=True)
class PathOperator:
    """l_n = R (h_n - f_0) at the snapshots, from the free particles' h_n on the whole Volterra grid."""

    matrix: Array  # rows of R at the snapshots, (S * m, T * m); m <= M features respond
    mean: Array  # f_0 as the simulation's integrator has it, (T, M)
    snapshots: NDArray[np.integer]  # their places in the Volterra grid, (S,)

    @classmethod
    def build(cls, known: Reference, theory: Fluctuations) -> "PathOperator":
        """From the resolvent of the fluctuation theory."""
        T, m = theory.resolvent.shape[:2]
        rows = theory.resolvent[known.steps.rows].reshape(-1, T * m)
        return cls(rows, known.mean_field.coefficients[known.steps.grid], known.steps.rows)

    def __call__(self, free: Array) -> Array:
        """l_n (R, S, M) from h_n (R, T, M)."""
        h = free - self.mean
        T = len(self.mean)
        m = self.matrix.shape[1] // T
        path = h[:, self.snapshots]
        path[..., :m] = map_rows(self.matrix, h[..., :m].reshape(len(h), -1)).reshape(len(h), -1, m)
        return path


def simulate(
    plan: Plan,
    known: Reference,
    operator: PathOperator,
    part: Work,
    keep: int = 1,
    team: Team = ALONE,
    distance: Distance | None = None,
) -> Iterator[Replicas]:
    """The replicas of a piece of work, some at a time; each depends on (seed, n, its index) alone.

    team : the ranks that share the work; they all call this, and rank 0 alone is given the replicas.
    distance : from rho_0, measured for the first replicas where it is given.
    Raises SolverError where a particle leaves the box on which the features are known, or is no number any more.
    """
    n, replicas, start = part.n, part.replicas, part.done
    closure = representation.closure(plan, n)
    record = (known.steps.lengths.size + 1) * closure.target.size
    if team.spreads(n, replicas - start, keep):
        for some in chunks(n, replicas, start, record):
            carried = _carried(plan, known, operator, closure, n, some, keep, team, distance)
            if team.leads:
                yield carried
        return
    work = partial(_carried, plan, known, operator, closure, n, keep=keep, team=ALONE, distance=distance)
    yield from team.in_turn(chunks(n, replicas, start, record, team.size), work)


def largest_increase(residuals: Array) -> Array:
    """The largest increase of the loss |r|^2/2 from one step to the next, (R,), from r (R, T, M); 0 if none."""
    loss = 0.5 * np.einsum("rtm,rtm->rt", residuals, residuals)
    return np.maximum(np.diff(loss, axis=1).max(axis=1, initial=0.0), 0.0)


def _distances(distance: Distance | None, n: int, some: range, y: Array, c: Array, end: int, team: Team) -> Array:
    """D^2 of densities and moments, (2, R), of those replicas that are measured; rank 0 has all particles."""
    found = np.full((2, len(some)), np.nan)
    if distance is None or n > MEASURED:
        return found
    for row, replica in enumerate(some):
        if replica < measured(n):
            all_y, all_c = team.gather(y[row]), team.gather(c[row])
            if team.leads:
                found[:, row] = distance.squares(all_y, all_c, end)
    return found


def _carried(
    plan: Plan,
    known: Reference,
    operator: PathOperator,
    closure: Closure,
    n: int,
    some: range,
    keep: int,
    team: Team,
    distance: Distance | None,
) -> Replicas:
    """Some replicas, their particles spread over the ranks of a team."""
    steps, field = known.steps, known.mean_field.field
    ends, grid = np.arange(steps.lengths.size + 1) * steps.tableau.stages, steps.stages[1]
    share, mine = team.share(closure, n) if team.size > 1 else (None, range(n))
    y, c = np.empty((len(some), plan.problem.dimension, len(mine))), np.empty((len(some), len(mine)))

    def start(low: int, high: int) -> None:
        for row in range(low, high):
            sample(plan, n, some[row], mine, y[row], c[row])

    over_threads(start, len(some))
    scheme = (np.full(len(mine), 1.0 / n), steps.lengths, steps.lengths.size, steps.tableau)
    inside = partial(_inside, closure, n, some, team)
    squares = np.empty((ENDS, 2, len(some)))
    squares[0] = _distances(distance, n, some, y, c, 0, team)
    free = descend(closure, y.copy(), c.copy(), *scheme, field=field, record=grid, share=share)
    inside(free.left)
    path = operator(free.coefficients)
    keep = keep if team.leads else 0
    run = descend(closure, y, c, *scheme, record=ends, every=steps.snapshots, keep=keep, share=share)
    inside(run.left)
    coefficients = run.coefficients[:, steps.snapshots]
    _finite(plan, n, some, coefficients)
    squares[1] = _distances(distance, n, some, y, c, 1, team)
    increase = largest_increase(run.coefficients - closure.target)
    return Replicas(coefficients, path, run.y, run.c, increase, squares[:, 0].T, squares[:, 1].T)


def sample(plan: Plan, n: int, replica: int, part: range, y: Array, c: Array) -> None:
    """Particles `part` of the start of a replica into y (N, p) and c (p,).

    They are drawn block by block: its own, or the first n of one sequence where sizes are nested.
    """
    assert plan.run.particles is not None
    seed, initial, one_sequence = plan.run.particles.seed, plan.problem.initial, plan.run.particles.nested
    size = NESTED if one_sequence else DRAWN
    for block in range(part.start // size, -(-part.stop // size)):
        first = block * size
        if one_sequence:
            drawn = initial.sample(nested(seed, replica, block), size)
        else:
            drawn = initial.sample(stream(seed, n, replica, block), min(size, n - first))
        low, high = max(first, part.start), min(first + size, part.stop)
        here, there = slice(low - part.start, high - part.start), slice(low - first, high - first)
        y[:, here], c[here] = drawn[0][:, there], drawn[1][there]


def _inside(closure: Closure, n: int, replicas: range, team: Team, left: Array) -> None:
    """Raise SolverError where a particle went so far (R,) from the box that the mesh of splines covers."""
    left = team.largest(left) if team.size > 1 else left
    worst = int(np.argmax(left))
    if left[worst] > 0:
        basis = closure.basis
        assert isinstance(basis, Splines)
        ends = ((low, low + h * m) for low, h, m in zip(basis.low, basis.spacing, basis.cells, strict=True))
        box = " x ".join(f"[{low:.4g}, {high:.4g}]" for low, high in ends)
        raise SolverError(
            f"n = {n}, replica {replicas[worst]}: a particle went {left[worst]:.3g} beyond y in {box}, "
            "which the features were made for; solver.y_range must be wider, or time.final shorter"
        )


def _finite(plan: Plan, n: int, replicas: range, coefficients: Array) -> None:
    """Raise SolverError where an f_n (R, S, M) is not a number any more, at the first snapshot where it is not."""
    wrong = np.argwhere(~np.all(np.isfinite(coefficients), axis=-1))
    if wrong.size:
        replica, time = int(wrong[0, 0]), plan.times[int(wrong[0, 1])]
        raise SolverError(
            f"n = {n}, replica {replicas[replica]}: f_n is not finite at t = {time:.4g}; particles.step must be shorter"
        )
