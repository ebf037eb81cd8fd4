"""What the pictures read from a result file: committed frames only; functions of x by coefficients on the basis."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liouville.problem import Problem
from liouville.quadrature import evaluated
from liouville.results import GroupView, Run
from liouville.storage import committed, open_result
from liouville.targets import SamplesTarget

Array = NDArray[np.floating]

DENSITY, CHARACTERISTICS, FLUCTUATIONS, PARTICLES = "/density", "/characteristics", "/fluctuations", "/particles"
WRITTEN_BY = {
    DENSITY: "`liouville compare` and `liouville solve` write it",
    CHARACTERISTICS: "`liouville compare`, `solve` and `simulate` write it",
    FLUCTUATIONS: "`liouville compare`, `solve` and `simulate` write it",
    PARTICLES: "`liouville compare` and `liouville simulate` write it",
    "/convergence": "`liouville convergence` writes it",
}
LEAST = 2  # replicas that an interval needs


def require(run: Run, group: str) -> tuple[GroupView, int]:
    """A group and how many frames of it are there. Raises ValueError where it is missing or empty, in one line."""
    with open_result(run.path) as file:
        if group not in file:
            written = WRITTEN_BY.get("/" + group.split("/")[1], "another command writes it")
            raise ValueError(f"{run.path}: has no {group}; {written}")
        count = committed(file, group)
    if not count:
        raise ValueError(f"{run.path}: {group} has no frames yet, the run is {run.status}")
    return GroupView(run, group), count


def present(run: Run, group: str) -> bool:
    """Whether `require` (or `samples`, for the particles) would succeed."""
    try:
        _ = samples(run) if group == PARTICLES else require(run, group)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Samples:
    """The committed replicas of one size, all variables (R, S, ...)."""

    n: int
    view: GroupView
    count: int
    problem: Problem

    @cached_property
    def f(self) -> Array:
        """Coefficients of f_n, (R, S, M)."""
        return self._coefficients("f")

    @cached_property
    def path(self) -> Array:
        """Coefficients of l_n, (R, S, M)."""
        return self._coefficients("path")

    @cached_property
    def loss(self) -> Array:
        """Loss, (R, S)."""
        return self._committed("loss")

    @cached_property
    def deviation(self) -> Array:
        """||f_n - f_0||^2, (R, S)."""
        return self._committed("deviation")

    @cached_property
    def path_deviation(self) -> Array:
        """||f_n - f_0 - l_n||^2, (R, S)."""
        return self._committed("path_deviation")

    @cached_property
    def increase(self) -> Array:
        """Largest rise of the loss in a step, (R,). Raises ValueError where an older version wrote the file."""
        if "loss_increase" not in self.view.variables:
            raise ValueError("the file has no loss_increase; a new run writes it")
        return self._committed("loss_increase")

    def measured(self, name: str) -> Array:
        """Squared distances at both ends of those replicas that were measured, (R', 2)."""
        values = self._committed(name)
        return np.asarray(values[np.isfinite(values).all(axis=1)])

    @cached_property
    def path_square(self) -> Array:
        """||l_n||^2, (R, S)."""
        return np.asarray(np.sum(self.path**2, axis=-1))

    def _committed(self, name: str) -> Array:
        return np.asarray(getattr(self.view, name)[: self.count])

    def _coefficients(self, name: str) -> Array:
        return coefficients(self.problem, self.view.x, self._committed(name))


def samples(run: Run) -> dict[int, Samples]:
    """n -> the replicas of that size, by size, where at least `LEAST` are there. Raises ValueError where none is."""
    views = run.particles
    if not views:
        raise ValueError(f"{run.path}: has no {PARTICLES}; {WRITTEN_BY[PARTICLES]}")
    problem = run.plan.problem
    counts = {n: (view, view.committed) for n, view in sorted(views.items())}
    found = {n: Samples(n, view, count, problem) for n, (view, count) in counts.items() if count >= LEAST}
    if not found:
        raise ValueError(f"{run.path}: {PARTICLES} has no frames yet, the run is {run.status}")
    return found


def coefficients(problem: Problem, x: Array, values: Array) -> Array:
    """Coefficients (..., M) of functions in the span of the unit, by least squares from values at some of the nodes.

    x : (X,), a subset of the nodes of mu, or their numbers where an input has two components.  values : (..., X).
    """
    nodes = problem.x if problem.x.ndim == 1 else np.arange(len(problem.x))
    index = np.abs(nodes - x[:, None]).argmin(axis=1)
    return np.asarray(values @ np.linalg.pinv(problem.basis[index]).T)


def mean_field(run: Run) -> tuple[Array, Array]:
    """Times (S,) and coefficients (S, M) of f_0: of the finite volumes if complete, else of the characteristics.

    What the integrator of the particles adds to it is added.
    """
    view, count = require(run, DENSITY if present(run, DENSITY) else CHARACTERISTICS)
    if count < len(view.time):
        view, count = require(run, CHARACTERISTICS)
    f = view.f[:count]
    if present(run, CHARACTERISTICS):
        known, there = require(run, CHARACTERISTICS)
        if there >= count and "f_stepped" in known.variables:
            f = f + known.f_stepped[:count] - known.f[:count]
    return view.time[:count], coefficients(run.plan.problem, view.x, f)


@dataclass(frozen=True)
class Inputs:
    """Where functions of x are drawn: positions on an axis (X,), the basis there (X, M), f there (X,).

    One input: all around the circle, or from the first node of mu to the last. Two: the nodes of mu, in order of f.
    """

    positions: Array
    basis: Array
    target: Array
    label: str
    angle: bool


def inputs(problem: Problem, count: int = 361) -> Inputs:
    """`count` places along x, or the nodes where an input has two components."""
    if problem.x.ndim == 2:
        order = np.argsort(problem.f, kind="stable")
        label = "nodes of $\\mu$, in order of $f$"
        return Inputs(np.arange(1.0, len(order) + 1), problem.basis[order], problem.f[order], label, angle=False)
    circle = problem.unit.circle
    ends = (0.0, 2 * np.pi) if circle else (float(problem.x.min()), float(problem.x.max()))
    x = np.linspace(*ends, count)
    f = evaluated(problem.unit, problem.target, problem.initial, x)
    return Inputs(x, problem.basis_at(x), f, "$x$", circle)


def measured(problem: Problem) -> tuple[Array, Array] | None:
    """x and f(x) where the target is measured at points on an axis."""
    if not isinstance(problem.target, SamplesTarget) or problem.x.ndim == 2:
        return None
    return (problem.x % (2 * np.pi) if problem.unit.circle else problem.x), problem.f


def place(problem: Problem, node: int) -> str:
    """A node of mu in words."""
    return "x = " + (f"{problem.x[node]:.2f}" if problem.x.ndim == 1 else "({:.2f}, {:.2f})".format(*problem.x[node]))


def spread(count: int, some: int, first: int = 0) -> list[int]:
    """Indices of about `some` of the frames first ... count - 1, evenly, both ends included."""
    return sorted({int(i) for i in np.linspace(min(first, count - 1), count - 1, some).round()})
