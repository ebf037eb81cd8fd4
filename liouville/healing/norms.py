"""What a study keeps of every replica: squared norms at the snapshots, no representation."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liouville import simulation
from liouville.healing.study import Study
from liouville.healing.theory import Theory
from liouville.simulation import PathOperator, Work
from particles import Team

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Norms:
    """Of R replicas of one size, each (R, S).

    deviation : ||f_n - f_0||^2.  path : ||l_n||^2.  remainder : ||f_n - f_0 - l_n||^2.  distance : ||f_n - f||^2.
    drift : <f_n - f_0 - l_n, f_1>, whose mean is |f_1|^2/n + O(1/n^2).
    """

    deviation: Array
    path: Array
    remainder: Array
    distance: Array
    drift: Array

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """All replicas of some parts, in their order."""
        return cls(*(np.concatenate([np.ascontiguousarray(getattr(p, of.name)) for p in parts]) for of in fields(cls)))

    def table(self) -> dict[str, Array]:
        """Its arrays by name."""
        return {of.name: getattr(self, of.name) for of in fields(self)}


def simulate(study: Study, theory: Theory, operator: PathOperator, part: Work, team: Team) -> Iterator[Norms]:
    """The replicas of a piece of work, some at a time."""
    problem = study.plan.problem
    for some in simulation.simulate(study.plan, theory.known, operator, part, team=team):
        off = some.coefficients - theory.f0
        rest = off - some.path
        yield Norms(
            np.sum(off**2, axis=-1),
            np.sum(some.path**2, axis=-1),
            np.sum(rest**2, axis=-1),
            2 * problem.loss(some.coefficients),
            np.sum(rest * theory.f1, axis=-1),
        )
