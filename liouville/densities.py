"""Initial densities rho_in(y, c) = p(y) q(c - mean(y)): exact samples, exact cell averages, quadrature nodes."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import special, stats

from liouville.model import Model, Number, Positive
from particles import trig
from solvers.grid import Grid

Array = NDArray[np.floating]

AVERAGING = 8  # Gauss points in y for the average of a mean that moves with y


class FourierSeries(Model):
    """constant + sum_k cos_k cos(k y) + sin_k sin(k y), k = 1, 2, ..."""

    constant: Number = 0.0
    cos: tuple[Number, ...] = ()
    sin: tuple[Number, ...] = ()

    @property
    def degree(self) -> int:
        """The highest mode present."""
        present = [k for series in (self.cos, self.sin) for k, a in enumerate(series, 1) if a != 0]
        return max(present, default=0)

    def __call__(self, y: Array) -> Array:
        """Its values at y (...,) in radians."""
        modes = max(len(self.cos), len(self.sin), 1)
        coefficients = np.zeros(2 * modes + 1)
        coefficients[0] = self.constant
        coefficients[1 : len(self.cos) + 1] = self.cos
        coefficients[modes + 1 : modes + len(self.sin) + 1] = self.sin
        return trig(np.asarray(y), modes) @ coefficients


class UniformY(Model):
    """y uniform on the circle."""

    kind: Literal["uniform"] = "uniform"

    def density(self, y: Array) -> Array:
        """p(y), (...,)."""
        return np.full(np.shape(y), 1 / (2 * np.pi))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws."""
        return rng.uniform(0.0, 2 * np.pi, n)

    def masses(self, edges: Array) -> Array:
        """Mass between consecutive edges, exact."""
        return np.diff(edges) / (2 * np.pi)


class VonMisesY(Model):
    """y von Mises: p(y) proportional to exp(concentration cos(y - mean))."""

    kind: Literal["von_mises"] = "von_mises"
    mean: Number = 0.0
    concentration: Positive

    def density(self, y: Array) -> Array:
        """p(y), (...,)."""
        k = self.concentration
        return np.exp(k * (np.cos(y - self.mean) - 1)) / (2 * np.pi * special.i0e(k))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws."""
        return rng.vonmises(self.mean, self.concentration, n)

    def masses(self, edges: Array) -> Array:
        """Mass between consecutive edges, through the distribution function."""
        return np.diff(stats.vonmises.cdf(edges, self.concentration, loc=self.mean))


class _Centred(Model):
    """c = mean(y) + std u with a fixed law of u."""

    mean: Number | FourierSeries = 0.0
    std: Positive

    def centre(self, y: Array) -> Array:
        """mean(y), (...,)."""
        return self.mean(y) if isinstance(self.mean, FourierSeries) else np.full(np.shape(y), self.mean)


class NormalC(_Centred):
    """c normal: full support, as the theorems ask."""

    kind: Literal["normal"] = "normal"
    support: ClassVar[str] = "full"

    def cdf(self, u: Array) -> Array:
        """Distribution function of (c - mean)/std."""
        return np.asarray(special.ndtr(u))

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws of (c - mean)/std."""
        return rng.standard_normal(n)

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Gauss-Legendre on +-8 std, at least 36 nodes: fewer bias f_0."""
        u, w = special.roots_legendre(max(36, 2 * count))
        w = w * np.exp(-((8 * u) ** 2) / 2)
        return 8 * u, w / w.sum()


class BumpC(_Centred):
    """c with density proportional to (1 - ((c - mean)/A)^2)^exponent on |c - mean| < A = std sqrt(2 exponent + 3)."""

    kind: Literal["bump"] = "bump"
    exponent: Annotated[float, Field(gt=0, le=100)] = 4.0
    support: ClassVar[str] = "compact"

    @property
    def reach(self) -> float:
        """A/std: the half-width of the support in standard deviations."""
        return float(np.sqrt(2 * self.exponent + 3))

    def cdf(self, u: Array) -> Array:
        """Distribution function of (c - mean)/std: a symmetric beta law on [-A, A]."""
        p = self.exponent + 1
        return np.asarray(special.betainc(p, p, np.clip((u / self.reach + 1) / 2, 0, 1)))

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """n independent draws of (c - mean)/std."""
        return self.reach * (2 * rng.beta(self.exponent + 1, self.exponent + 1, n) - 1)

    def nodes(self, count: int) -> tuple[Array, Array]:
        """Gauss-Jacobi nodes and weights of the law of (c - mean)/std."""
        u, w = special.roots_jacobi(count, self.exponent, self.exponent)
        return self.reach * u, w / w.sum()


DensityY = Annotated[UniformY | VonMisesY, Field(discriminator="kind")]
DensityC = Annotated[NormalC | BumpC, Field(discriminator="kind")]


class Initial(Model):
    """rho_in(y, c): independent draws of y and of c given y."""

    y: DensityY = UniformY()
    c: DensityC

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        """n independent particles: y (n,) in radians, c (n,)."""
        y = self.y.sample(rng, n)
        return y, self.c.centre(y) + self.c.std * self.c.draw(rng, n)

    def nodes(self, Ny: int, Nc: int) -> tuple[Array, Array, Array]:
        """Quadrature nodes y, c and weights summing to 1, each (Ny * Nc,) with y slowest: trapezoid times Gauss."""
        y = np.arange(Ny) * (2 * np.pi / Ny)
        u, w = self.c.nodes(Nc)
        p = self.y.density(y)
        c = self.c.centre(y)[:, None] + self.c.std * u
        return np.repeat(y, u.size), c.ravel(), np.outer(p / p.sum(), w).ravel()

    def cell_averages(self, grid: Grid) -> Array:
        """Averages of rho_in over the cells of the grid, (Ny, Nc).

        Exact in c through the distribution function; in y exact where the mean of c does not depend on y, else by
        8 Gauss points a cell, scaled to the cell's exact mass.
        """
        edges = np.arange(grid.Ny + 1) * grid.dy
        masses = self.y.masses(edges)
        if isinstance(self.c.mean, FourierSeries):
            s, w = special.roots_legendre(AVERAGING)
            y = grid.y[:, None] + 0.5 * grid.dy * s
            p = self.y.density(y) * w
            p /= p.sum(axis=1, keepdims=True)
            centre = self.c.centre(y)[..., None]
        else:
            p = np.ones((grid.Ny, 1))
            centre = np.full((grid.Ny, 1, 1), self.c.mean)
        below = self.c.cdf((grid.c_edges - centre) / self.c.std)
        averages = np.einsum("ig,igj->ij", p, np.diff(below, axis=-1))
        return averages * (masses / (grid.dy * grid.dc))[:, None]
