"""The particles of a run: for each size an ensemble of replicas, and for each replica its predicted path l_n."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from liouville import representation
from liouville.mean_field import Reference
from liouville.plan import Plan
from particles import Closure, Splines, Team, chunks, descend, map_rows, nested, stream
from solvers.fluctuations import Fluctuations
from solvers.frames import SolverError

Array = NDArray[np.floating]

NESTED = 4096  # particles that are drawn together where sizes are nested
DRAWN = 2**20  # and where they are not
ALONE = Team()


@dataclass(frozen=True)
class Replicas:
    """Some replicas of one size, at the snapshots.

    coefficients : (R, S, M) of f_n.  path : (R, S, M) of l_n.
    y : (R, S, N, keep), c : (R, S, keep), the first particles.
    """

    coefficients: Array
    path: Array
    y: Array
    c: Array


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
    n: int,
    replicas: int,
    start: int = 0,
    keep: int = 1,
    team: Team = ALONE,
) -> Iterator[Replicas]:
    """Replicas start, ..., replicas - 1 of size n, some at a time; each depends on (seed, n, its index) alone.

    team : the ranks that share the work; they all call this, and rank 0 alone is given the replicas.
    Raises SolverError where a particle leaves the box on which the features are known, or is no number any more.
    """
    closure = representation.closure(plan, n)
    record = known.steps.grid.size * closure.target.size
    if team.spreads(n, replicas - start, keep):
        for some in chunks(n, replicas, start, record):
            part = _carried(plan, known, operator, closure, n, some, keep, team)
            if team.leads:
                yield part
        return
    work = partial(_carried, plan, known, operator, closure, n, keep=keep, team=ALONE)
    yield from team.in_turn(chunks(n, replicas, start, record, team.size), work)


def _carried(
    plan: Plan, known: Reference, operator: PathOperator, closure: Closure, n: int, some: range, keep: int, team: Team
) -> Replicas:
    """Some replicas, their particles spread over the ranks of a team."""
    steps, field = known.steps, known.mean_field.field
    snapshots, grid = steps.stages
    share, mine = team.share(closure, n) if team.size > 1 else (None, range(n))
    y, c = np.empty((len(some), plan.problem.dimension, len(mine))), np.empty((len(some), len(mine)))
    for row, replica in enumerate(some):
        sample(plan, n, replica, mine, y[row], c[row])
    scheme = (np.full(len(mine), 1.0 / n), steps.lengths, steps.lengths.size, steps.tableau)
    inside = partial(_inside, closure, n, some, team)
    free = descend(closure, y.copy(), c.copy(), *scheme, field=field, record=grid, share=share)
    inside(free.left)
    path = operator(free.coefficients)
    keep = keep if team.leads else 0
    run = descend(closure, y, c, *scheme, record=snapshots, every=steps.snapshots, keep=keep, share=share)
    inside(run.left)
    _finite(plan, n, some, run.coefficients)
    return Replicas(run.coefficients, path, run.y, run.c)


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
