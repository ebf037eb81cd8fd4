"""(6)-(8): the loss is a convex quadratic of G(y) = int c rho(y, dc), and is not convex in the parameters of a network.

With f_G = int phi(., y) G(dy) the second difference of l along any chord G_0 + s (G_1 - G_0) is ||f_(G_1 - G_0)||^2,
never negative, whatever s. In the parameters (y_i, c_i) a permutation of a trained network is another one with the same
f_n and the same loss; were the loss convex, it could not be larger half way between the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liouville.plan import Plan
from liouville.problem import Problem
from particles import RK4, descend

Array = NDArray[np.floating]

UNITS = 16  # of the network that is trained
POINTS = 41  # of a chord


@dataclass(frozen=True)
class Chords:
    """The loss along a chord of G and along one of parameters.

    s : (POINTS,).  moment, parameters : the losses, (POINTS,).
    curvature : ||f_(G_1 - G_0)||^2, the second difference predicted for `moment`.
    barrier : the largest loss on the chord of parameters, over the larger of those at its ends.
    """

    s: Array
    moment: Array
    parameters: Array
    curvature: float

    @property
    def barrier(self) -> float:
        """Above 1 the loss is not convex."""
        return float(self.parameters.max() / max(self.parameters[0], self.parameters[-1]))

    @property
    def second_difference(self) -> float:
        """(l(0) - 2 l(1/2) + l(1))/(1/2)^2 of the chord of G."""
        return float(4 * (self.moment[0] - 2 * self.moment[len(self.s) // 2] + self.moment[-1]))


def loss_of_network(problem: Problem, y: Array, c: Array) -> float:
    """l of the network with particles y (N, n), c (n,)."""
    return float(problem.loss(c @ problem.features(y) / c.size))


def chord_of_moments(problem: Problem, first: tuple[Array, Array], second: tuple[Array, Array], s: Array) -> Array:
    """l at (1 - s) G_0 + s G_1 for the moments of two networks (y, c): the network of both, c weighted, (len(s),)."""
    y = np.concatenate([first[0], second[0]], axis=1)
    n, m = first[1].size, second[1].size
    weighted = [np.concatenate([(1 - t) * first[1] / n, t * second[1] / m]) * (n + m) for t in s]
    return np.array([loss_of_network(problem, y, c) for c in weighted])


def chord_of_parameters(problem: Problem, first: tuple[Array, Array], second: tuple[Array, Array], s: Array) -> Array:
    """l at the networks with parameters (1 - s) z_i + s z_i', (len(s),); on the circle the shorter way round."""
    step = second[0] - first[0]
    if problem.unit.circle:
        step = (step + np.pi) % (2 * np.pi) - np.pi
    change = second[1] - first[1]
    return np.array([loss_of_network(problem, first[0] + t * step, first[1] + t * change) for t in s])


def chords(plan: Plan, seed: int = 1) -> Chords:
    """Train a network of UNITS units over the run's time: a chord of G from its start, one of parameters to itself."""
    problem = plan.problem
    rng = np.random.default_rng(seed)
    y, c = problem.initial.sample(rng, UNITS)
    end_y, end_c = y[None].copy(), c[None].copy()
    weights = np.full(UNITS, 1 / UNITS)
    descend(problem.closure, end_y, end_c, weights, plan.dt, plan.intervals * plan.substeps, RK4)
    trained = end_y[0], end_c[0]
    permuted = tuple(np.roll(part, 1, axis=-1) for part in trained)
    s = np.linspace(0, 1, POINTS)
    difference = trained[1] @ problem.features(trained[0]) / UNITS - c @ problem.features(y) / UNITS
    return Chords(
        s,
        chord_of_moments(problem, (y, c), trained, s),
        chord_of_parameters(problem, trained, (permuted[0], permuted[1]), s),
        float(difference @ difference),
    )
