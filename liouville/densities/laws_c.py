"""Laws of c given y: c = mean(y) + std u with a fixed law of u."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag
from scipy import special

from liouville.densities.jacobi import jacobi_nodes
from liouville.densities.normal import TAIL, normal_nodes
from liouville.densities.series import FourierSeries
from liouville.model import Model, Number, Positive, shape

Array = NDArray[np.floating]


class _Centred(Model):
    """c = mean(y) + std u."""

    mean: Annotated[
        Annotated[Number, Tag("a number")] | Annotated[FourierSeries, Tag("a table")], Discriminator(shape)
    ] = 0.0
    std: Positive

    def centre(self, y: Array) -> Array:
        """mean(y), (...,), for one component of y."""
        return self.mean(y) if isinstance(self.mean, FourierSeries) else np.full(np.shape(y), self.mean)

    @property
    def width(self) -> float:
        """Half-width, in standard deviations, of what holds all but 3e-16 of the mass."""
        raise NotImplementedError

    def reach(self) -> tuple[float, float]:
        """An interval that holds all but 3e-16 of the mass."""
        low, high = self.mean.reach if isinstance(self.mean, FourierSeries) else (self.mean, self.mean)
        return low - self.width * self.std, high + self.width * self.std


class NormalC(_Centred):
    """c normal: full support, as the theorems ask."""

    kind: Literal["normal"] = "normal"
    support: ClassVar[str] = "full"

    @property
    def width(self) -> float:
        """8.2 standard deviations."""
        return TAIL

    def cdf(self, u: Array) -> Array:
        """Distribution function of (c - mean)/std."""
        return np.asarray(special.ndtr(u))

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws of (c - mean)/std."""
        return rng.standard_normal(n)

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Trapezoid, see `normal_nodes`."""
        return normal_nodes(count)


class BumpC(_Centred):
    """c with density proportional to (1 - ((c - mean)/A)^2)^exponent on |c - mean| < A = std sqrt(2 exponent + 3)."""

    kind: Literal["bump"] = "bump"
    exponent: Annotated[float, Field(gt=0, le=100)] = 4.0
    support: ClassVar[str] = "compact"

    @property
    def width(self) -> float:
        """A/std: the half-width of the support in standard deviations."""
        return float(np.sqrt(2 * self.exponent + 3))

    def cdf(self, u: Array) -> Array:
        """Distribution function of (c - mean)/std: a symmetric beta law on [-A, A]."""
        p = self.exponent + 1
        return np.asarray(special.betainc(p, p, np.clip((u / self.width + 1) / 2, 0, 1)))

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws of (c - mean)/std."""
        return self.width * (2 * rng.beta(self.exponent + 1, self.exponent + 1, n) - 1)

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Gauss-Jacobi nodes and weights of the law of (c - mean)/std."""
        u, w = jacobi_nodes(count, self.exponent)
        return self.width * u, w


LawC = Annotated[NormalC | BumpC, Field(discriminator="kind")]
