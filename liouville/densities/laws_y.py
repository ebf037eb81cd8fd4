"""Laws of one component of y: exact samples, exact masses of cells, quadrature nodes, and their reach."""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import special

from liouville.densities.jacobi import jacobi_nodes
from liouville.densities.normal import TAIL, normal_nodes
from liouville.model import Componentwise, Number, Numbers, Positives, one, ordered

Array = NDArray[np.floating]

CELL = 0.25  # widest piece of a von Mises law, in units of its width, that 12 Gauss points integrate to rounding


class UniformY(Componentwise):
    """y uniform on the circle, or on [low, high] of the line."""

    kind: Literal["uniform"] = "uniform"
    compact: ClassVar[bool] = True
    low: Numbers | None = None
    high: Numbers | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high must be given both, or neither on the circle")
        if self.low is not None and self.high is not None and not ordered(self.low, self.high):
            raise ValueError("low must be below high")
        return self

    @property
    def circle(self) -> bool:
        """Whether y is an angle."""
        return self.low is None

    def reach(self) -> tuple[float, float]:
        """The support."""
        return (0.0, 2 * np.pi) if self.circle else (one(self.low), one(self.high))

    def density(self, y: Array) -> Array:
        """p(y), (...,)."""
        low, high = self.reach()
        inside = np.ones(np.shape(y)) if self.circle else (y >= low) & (y <= high)
        return inside / (high - low)

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws."""
        return rng.uniform(*self.reach(), n)

    def masses(self, edges: Array) -> Array:
        """Mass between consecutive edges, exact."""
        low, high = self.reach()
        return np.diff(edges if self.circle else np.clip(edges, low, high)) / (high - low)

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Trapezoid on the circle, Gauss-Legendre on the line."""
        if self.circle:
            y = np.arange(count) * (2 * np.pi / count)
            p = self.density(y)
            return y, p / p.sum()
        low, high = self.reach()
        u, w = special.roots_legendre(count)
        return low + (high - low) * (u + 1) / 2, w / w.sum()


class VonMisesY(Componentwise):
    """y von Mises on the circle: p(y) proportional to exp(concentration cos(y - mean))."""

    kind: Literal["von_mises"] = "von_mises"
    compact: ClassVar[bool] = True
    mean: Number = 0.0
    concentration: Annotated[float, Field(gt=0, le=1e6)]

    @property
    def circle(self) -> bool:
        """Whether y is an angle."""
        return True

    def reach(self) -> tuple[float, float]:
        """The circle."""
        return 0.0, 2 * np.pi

    def density(self, y: Array) -> Array:
        """p(y), (...,)."""
        k = self.concentration
        return np.asarray(np.exp(k * (np.cos(y - self.mean) - 1)) / (2 * np.pi * special.i0e(k)))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws."""
        return rng.vonmises(self.mean, self.concentration, n)

    def masses(self, edges: Array) -> Array:
        """Mass between consecutive edges, to rounding: 12 Gauss points on pieces narrow against the law's width.

        Not scipy's distribution function, whose normal approximation is off by 4e-8 at large concentrations.
        """
        widest = CELL / np.sqrt(max(1.0, self.concentration))
        pieces = int(np.ceil(np.diff(edges).max() / widest))
        u, w = special.roots_legendre(12)
        fractions = (np.arange(pieces)[:, None] + (u + 1) / 2).ravel() / pieces
        y = edges[:-1, None] + np.diff(edges)[:, None] * fractions
        return np.diff(edges) * (self.density(y) @ np.tile(w / (2 * pieces), pieces))

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Trapezoid on the circle."""
        y = np.arange(count) * (2 * np.pi / count)
        p = self.density(y)
        return y, p / p.sum()


class NormalY(Componentwise):
    """y normal on the line."""

    kind: Literal["normal"] = "normal"
    compact: ClassVar[bool] = False
    mean: Numbers = 0.0
    std: Positives

    @property
    def circle(self) -> bool:
        """Whether y is an angle."""
        return False

    def reach(self) -> tuple[float, float]:
        """mean +- 8.2 std, all but 3e-16 of the mass."""
        mean, reach = one(self.mean), TAIL * one(self.std)
        return mean - reach, mean + reach

    def _u(self, y: Array) -> Array:
        return np.asarray((y - one(self.mean)) / one(self.std))

    def density(self, y: Array) -> Array:
        """p(y), (...,)."""
        return np.asarray(np.exp(-(self._u(y) ** 2) / 2) / (one(self.std) * np.sqrt(2 * np.pi)))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws."""
        return rng.normal(one(self.mean), one(self.std), n)

    def masses(self, edges: Array) -> Array:
        """Mass between consecutive edges, exact in both tails."""
        u = self._u(edges)
        return np.asarray(np.where(u[:-1] > 0, -np.diff(special.ndtr(-u)), np.diff(special.ndtr(u))))

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Trapezoid, see `normal_nodes`."""
        u, w = normal_nodes(count)
        return one(self.mean) + one(self.std) * u, w


class BetaY(Componentwise):
    """y on [low, high] with density proportional to ((y - low)(high - y))^exponent: 0 is uniform, large is narrow."""

    kind: Literal["beta"] = "beta"
    compact: ClassVar[bool] = True
    low: Numbers
    high: Numbers
    exponent: Annotated[float, Field(ge=0, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not ordered(self.low, self.high):
            raise ValueError("low must be below high")
        return self

    @property
    def circle(self) -> bool:
        """Whether y is an angle."""
        return False

    def reach(self) -> tuple[float, float]:
        """The support."""
        return one(self.low), one(self.high)

    def _u(self, y: Array) -> Array:
        low, high = self.reach()
        return np.clip((y - low) / (high - low), 0.0, 1.0)

    def density(self, y: Array) -> Array:
        """p(y), (...,)."""
        u, p, (low, high) = self._u(y), self.exponent, self.reach()
        inside = (y >= low) & (y <= high)
        return np.asarray(inside * (u * (1 - u)) ** p / (special.beta(p + 1, p + 1) * (high - low)))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws."""
        low, high = self.reach()
        return low + (high - low) * rng.beta(self.exponent + 1, self.exponent + 1, n)

    def masses(self, edges: Array) -> Array:
        """Mass between consecutive edges, exact, by the incomplete beta function."""
        return np.diff(special.betainc(self.exponent + 1, self.exponent + 1, self._u(edges)))

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Gauss-Jacobi: exact for polynomials of degree 2 count - 1."""
        low, high = self.reach()
        u, w = jacobi_nodes(count, self.exponent)
        return low + (high - low) * (u + 1) / 2, w


LawY = Annotated[UniformY | VonMisesY | NormalY | BetaY, Field(discriminator="kind")]
