"""The particles of a run: for each size an ensemble of replicas, and for each replica its predicted path l_n."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from liouville import representation
from liouville.mean_field import Reference
from liouville.plan import Plan
from particles import RK4, Closure, Splines, chunks, descend, map_rows, nested, stream
from solvers.fluctuations import Fluctuations
from solvers.frames import SolverError

Array = NDArray[np.floating]

NESTED = 4096  # particles that are drawn together where sizes are nested


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
    stride: int  # Volterra steps between snapshots

    @classmethod
    def build(cls, plan: Plan, known: Reference, theory: Fluctuations) -> "PathOperator":
        """From the resolvent of the fluctuation theory."""
        T, m = theory.resolvent.shape[:2]
        stride = plan.substeps // plan.every
        rows = theory.resolvent[::stride].reshape(-1, T * m)
        return cls(rows, known.mean_field.coefficients[:: plan.every], stride)

    def __call__(self, free: Array) -> Array:
        """l_n (R, S, M) from h_n (R, T, M)."""
        h = free - self.mean
        T = len(self.mean)
        m = self.matrix.shape[1] // T
        path = h[:, :: self.stride].copy()
        path[..., :m] = map_rows(self.matrix, h[..., :m].reshape(len(h), -1)).reshape(len(h), -1, m)
        return path


def simulate(
    plan: Plan, known: Reference, operator: PathOperator, n: int, replicas: int, start: int = 0, keep: int = 1
) -> Iterator[Replicas]:
    """Replicas start, ..., replicas - 1 of size n, some at a time; each depends on (seed, n, its index) alone.

    Raises SolverError where a particle leaves the box on which the features are known, or is no number any more.
    """
    closure = representation.closure(plan, n)
    steps, stride = plan.intervals * plan.substeps, RK4.stages * plan.substeps
    needed = RK4.stages * plan.every  # stages between those of the Volterra grid
    weights = np.full(n, 1.0 / n)
    record = (RK4.stages * steps // needed + 1) * closure.target.size
    for some in chunks(n, replicas, start, record):
        y, c = np.empty((len(some), plan.problem.dimension, n)), np.empty((len(some), n))
        for row, replica in enumerate(some):
            y[row], c[row] = sample(plan, n, replica)
        inside = partial(_inside, closure, n, some)
        moved, field = (y.copy(), c.copy()), known.mean_field.field
        free = descend(closure, *moved, weights, plan.dt, steps, RK4, field=field, record=needed)
        inside(free.left)
        path = operator(free.coefficients)
        run = descend(closure, y, c, weights, plan.dt, steps, RK4, record=stride, every=plan.substeps, keep=keep)
        inside(run.left)
        _finite(plan, n, some, run.coefficients)
        yield Replicas(run.coefficients, path, run.y, run.c)


def sample(plan: Plan, n: int, replica: int) -> tuple[Array, Array]:
    """The start of a replica, y (N, n) and c (n,): its own, or the first n of one sequence where sizes are nested."""
    assert plan.run.particles is not None
    seed, initial = plan.run.particles.seed, plan.problem.initial
    if not plan.run.particles.nested:
        return initial.sample(stream(seed, n, replica), n)
    blocks = [initial.sample(nested(seed, replica, k), NESTED) for k in range(-(-n // NESTED))]
    y, c = (np.concatenate(parts, axis=-1)[..., :n] for parts in zip(*blocks, strict=True))
    return y, c


def _inside(closure: Closure, n: int, replicas: range, left: Array) -> None:
    """Raise SolverError where a particle went so far (R,) from the box that the mesh of splines covers."""
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
