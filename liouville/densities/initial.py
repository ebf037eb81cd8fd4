"""rho_in(y, c) = p_1(y_1) ... p_N(y_N) q(c - mean(y)): samples, cell averages, nodes, each of y an array (N, n)."""

from functools import reduce
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag
from scipy import special

from liouville.densities.laws_c import LawC
from liouville.densities.laws_y import BetaY, LawY, NormalY, UniformY, VonMisesY
from liouville.densities.series import FourierSeries
from liouville.errors import Misfit
from liouville.model import Model, shape
from solvers.grid import Grid

Array = NDArray[np.floating]

AVERAGING = 8  # Gauss points in y for the average of a mean that moves with y


class Initial(Model):
    """rho_in(y, c): independent components of y, and c given y.

    y : one law, of every component (its numbers may be lists, an entry for each), or a list of laws, one for each.
    """

    y: Annotated[
        Annotated[LawY, Tag("a table")] | Annotated[tuple[LawY, ...], Field(min_length=1, max_length=3), Tag("a list")],
        Discriminator(shape),
    ] = UniformY()
    c: LawC

    def of(self, dimension: int) -> Self:
        """The same with one law for each of `dimension` components. Raises Misfit where it gives another number."""
        laws: tuple[UniformY | VonMisesY | NormalY | BetaY, ...]
        if not isinstance(self.y, tuple):
            try:
                laws = self.y.components(dimension)
            except ValueError as error:
                key, _, message = str(error).partition(" ")
                raise Misfit(f"initial.y.{key}", message) from None
        elif len(self.y) != dimension or any(law.sizes for law in self.y):
            also = f", or a list of {dimension} tables without lists" if dimension > 1 else ""
            raise Misfit("initial.y", f"must be a table{also}")
        else:
            laws = self.y
        return self.model_copy(update={"y": laws if dimension > 1 else laws[0]})

    @property
    def laws(self) -> tuple[UniformY | VonMisesY | NormalY | BetaY, ...]:
        """The law of each component of y."""
        if isinstance(self.y, tuple):
            return self.y
        return self.y.components(max(self.y.sizes, default=1))

    @property
    def circle(self) -> bool:
        """Whether y is an angle."""
        return any(law.circle for law in self.laws)

    @property
    def support(self) -> str:
        """Support of the law of c, "full" or "compact"."""
        return self.c.support

    @property
    def compact(self) -> NDArray[np.bool_]:
        """Which components of y have compact support, (N,)."""
        return np.array([law.compact for law in self.laws])

    @property
    def jumps(self) -> tuple[tuple[float, float] | None, ...]:
        """For each component of y where its density jumps, which a grid's faces should meet; None where it does not."""
        return tuple(law.reach() if isinstance(law, UniformY) and not law.circle else None for law in self.laws)

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        """n independent particles: y (N, n), c (n,)."""
        y = np.stack([law.sample(rng, n) for law in self.laws])
        return y, self.c.centre(y[0]) + self.c.std * self.c.draw(rng, n)

    def reach(self) -> tuple[Array, Array]:
        """low, high (N + 1,): the box that holds all but 1e-15 of the mass; c last."""
        low, high = np.transpose([*(law.reach() for law in self.laws), self.c.reach()])
        return low, high

    def nodes(self, Ny: int, Nc: int) -> tuple[Array, Array, Array]:
        """Quadrature nodes y (N, Q), c (Q,) and weights (Q,) summing to 1; Ny along each axis of y, c fastest."""
        y, p = self._nodes_y(Ny)
        u, w = self.c.nodes(Nc)
        c = self.c.centre(y[0])[:, None] + self.c.std * u
        return np.repeat(y, u.size, axis=1), c.ravel(), np.outer(p, w).ravel()

    def moment_nodes(self, Ny: int) -> tuple[Array, Array]:
        """Nodes y (N, Q) and weights (Q,) for int c g(y) rho_in."""
        y, p = self._nodes_y(Ny)
        return y, p * self.c.centre(y[0])

    def _nodes_y(self, Ny: int) -> tuple[Array, Array]:
        axes = [law.nodes(Ny) for law in self.laws]
        y = np.stack([part.ravel() for part in np.meshgrid(*(nodes for nodes, _ in axes), indexing="ij")])
        return y, reduce(np.multiply.outer, (weights for _, weights in axes)).ravel()

    def cell_averages(self, grid: Grid) -> Array:
        """Averages of rho_in over the cells of the grid, (*Ny, Nc).

        Exact, as products of masses along the axes; where the mean of c moves with y, by 8 Gauss points a cell in y,
        scaled to the cell's exact mass.
        """
        masses = reduce(
            np.multiply.outer, (law.masses(axis.edges) for law, axis in zip(self.laws, grid.y, strict=True))
        )
        if not isinstance(self.c.mean, FourierSeries):
            below = self.c.cdf((grid.c.edges - self.c.mean) / self.c.std)
            return np.multiply.outer(masses, np.diff(below)) / grid.cell
        axis, law = grid.y[0], self.laws[0]
        s, w = special.roots_legendre(AVERAGING)
        y = axis.centres[:, None] + 0.5 * axis.width * s
        p = law.density(y) * w
        p /= p.sum(axis=1, keepdims=True)
        below = self.c.cdf((grid.c.edges - self.c.centre(y)[..., None]) / self.c.std)
        return np.einsum("ig,igj->ij", p, np.diff(below, axis=-1)) * (masses / grid.cell)[:, None]
