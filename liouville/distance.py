"""How far n particles are from rho_0 as densities: a squared energy distance in its Fourier form, and its floor.

Every axis of z = (y, c) is taken as a circle: y where it is one, the others modulo PERIOD standard deviations of rho_0.
With j the integer modes of all axes, up to MODES along each,

    D^2 = sum_j |j|^-(d + 1) |int e^(i j z) (rho_n - rho_0)|^2,    d = N + 1,

is the energy distance of the torus without what lies above MODES; it is O(n) a replica. Its floor is exact: for n
independent draws of rho_0, E D^2 = (1/n) sum_j |j|^-(d + 1) Var_(rho_0) e^(i j z). The same is done with the moment
G(y) = int c rho(y, c) dc of (6), on the modes of y, weight (1 + |j|)^-(d + 1).
"""

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from liouville.mean_field import Reference
from liouville.plan import Plan
from particles import Closure, descend

Array = NDArray[np.floating]

MODES = {1: 5, 2: 3, 3: 2}  # along each axis, by N
PERIOD = 8.0  # standard deviations that an open axis is wrapped at
REPLICAS, PARTICLES = 256, 2**18  # of a size that are measured: the first so many, and about so many particles
LEAST = 8  # replicas that are measured however large
BLOCK = 4096  # particles looked at together
ENDS = 2  # the start and the end of a run: where all particles are at hand


@dataclass(frozen=True)
class Distance:
    """D^2 from rho_0 at the start and at the end of a run.

    scale : (N + 1,), what turns an axis into an angle.  modes : along each axis.
    mean, moment : (2, ...), integrals of the harmonics of z over rho_0, and of those of y over G.
    floor, moment_floor : (2,), n E D^2 of n independent draws.
    limits : lim n E D^2 of particles at the end, of the density and of G, where `density_limit` has computed them.
    """

    scale: Array
    modes: int
    mean: Array
    moment: Array
    floor: Array
    moment_floor: Array
    limits: tuple[float, float] = (float("nan"), float("nan"))

    @classmethod
    def build(cls, plan: Plan, known: Reference) -> "Distance":
        """rho_0 from weighted characteristics, half as many along each axis as f_0 needed to a thousandth of tolerance.

        Smooth functions are integrated exponentially well; what is left is far below 1/n.
        """
        solved, closure = known.characteristics, plan.problem.closure
        y, c, p = plan.problem.initial.nodes(max(16, solved.Ny // 2), max(16, solved.Nc // 2))
        moved = _moved(closure, y, c, p, known, plan)
        return cls.of([(y, c, p), (*moved, p)], plan.problem.unit.circle)

    @classmethod
    def of(cls, rules: list[tuple[Array, Array, Array]], circle: bool) -> "Distance":
        """From rho_0 as nodes y (N, Q), c (Q,) and weights (Q,), one rule for each end."""
        axes = [np.stack([*y, c]) for y, c, _ in rules]
        spread = [np.sqrt(p @ (z - (z @ p)[:, None]).T ** 2) for z, (_, _, p) in zip(axes, rules, strict=True)]
        scale = 2 * np.pi / (PERIOD * np.max(spread, axis=0))
        if circle:
            scale[:-1] = 1.0
        bare = cls(scale, MODES[len(scale) - 1], np.empty(0), np.empty(0), np.empty(0), np.empty(0))
        means, moments = zip(*(bare._integrals(y, c, p) for y, c, p in rules), strict=True)
        squares, moment_squares = zip(*(bare._integrals(y, c, p, squared=True) for y, c, p in rules), strict=True)
        weights, moment_weights = bare.weights
        floor = [float(np.sum(weights * (s - m**2))) for s, m in zip(squares, means, strict=True)]
        moment_floor = [
            float(np.sum(moment_weights * (s - m**2))) for s, m in zip(moment_squares, moments, strict=True)
        ]
        return cls(scale, bare.modes, np.array(means), np.array(moments), np.array(floor), np.array(moment_floor))

    def squares(self, y: Array, c: Array, end: int) -> tuple[float, float]:
        """D^2 of particles y (N, n), c (n,) from rho_0, and of their G_n from G, at the start (0) or the end (1)."""
        mean, moment = self._integrals(y, c, np.full(c.size, 1.0 / c.size))
        weights, moment_weights = self.weights
        return (
            float(np.sum(weights * (mean - self.mean[end]) ** 2)),
            float(np.sum(moment_weights * (moment - self.moment[end]) ** 2)),
        )

    @cached_property
    def weights(self) -> tuple[Array, Array]:
        """Of products of harmonics of z, (L, ..., L), 0 for the constant, and of those of y, (L, ..., L)."""
        j = np.concatenate([[0], np.arange(1, self.modes + 1), np.arange(1, self.modes + 1)])
        axes = len(self.scale)

        def norms(count: int) -> Array:
            return np.sqrt(sum(np.meshgrid(*[j.astype(float) ** 2] * count, indexing="ij")))

        # e^(+-ijz) of all signs together weigh, for each axis with j > 0, twice what products of cos and sin do
        twice = [np.where(j > 0, 2.0, 1.0)] * axes
        of_z, of_y = norms(axes), norms(axes - 1)
        z = np.where(of_z > 0, np.maximum(of_z, 1.0) ** -(axes + 1), 0.0)
        return z * reduce(np.multiply.outer, twice), (1 + of_y) ** -(axes + 1) * reduce(np.multiply.outer, twice[1:])

    def _integrals(self, y: Array, c: Array, p: Array, squared: bool = False) -> tuple[Array, Array]:
        """Sums over weighted particles of the harmonics of z, and of c times those of y; or of their squares."""
        N, L = len(y), 2 * self.modes + 1
        total, moment = np.zeros((L**N, L)), np.zeros(L**N)
        for low in range(0, c.size, BLOCK):
            part = slice(low, low + BLOCK)
            axes = [harmonics(s * z, self.modes) for s, z in zip(self.scale, (*y[:, part], c[part]), strict=True)]
            charge = c[part]
            if squared:
                axes, charge = [a**2 for a in axes], charge**2
            of_y = reduce(lambda a, b: (a[:, None] * b).reshape(-1, a.shape[1]), axes[:-1]) * p[part]
            total += of_y @ axes[-1].T
            moment += of_y @ charge
        return total.reshape([L] * (N + 1)), moment.reshape([L] * N)


def harmonics(angle: Array, modes: int) -> Array:
    """1, cos a, ..., cos K a, sin a, ..., sin K a, (2 K + 1, n), by recurrence."""
    found = np.empty((2 * modes + 1, angle.size))
    found[0], found[1], found[modes + 1] = 1.0, np.cos(angle), np.sin(angle)
    twice = 2 * found[1]
    for k in range(2, modes + 1):
        np.multiply(twice, found[k - 1], out=found[k])
        found[k] -= found[k - 2]
        np.multiply(twice, found[modes + k - 1], out=found[modes + k])
        found[modes + k] -= found[modes + k - 2] if k > 2 else 0.0
    return found


def measured(n: int) -> int:
    """How many replicas of size n are measured: the first ones."""
    return max(LEAST, min(REPLICAS, PARTICLES // n))


def _moved(closure: Closure, y: Array, c: Array, p: Array, known: Reference, plan: Plan) -> tuple[Array, Array]:
    """The nodes at the end of the run, carried by the mean field."""
    end_y, end_c = y[None].copy(), c[None].copy()
    field, lengths, tableau = known.mean_field.field, known.mean_field.lengths, known.mean_field.tableau
    count = lengths.size
    descend(closure, end_y, end_c, p, lengths, count, tableau, field=field, record=len(field), every=count)
    return end_y[0], end_c[0]
