"""One pass of a stage over a block of particles, for each kind of basis."""

from particles import block, ridge, stencil
from particles.closure import Closure
from particles.jit import kernel
from particles.kinds import by_basis, chosen
from particles.ridge import Ridge
from particles.splines import Splines
from particles.tiles import BLOCK

SCRATCH = max(block.SCRATCH + block.ROWS * BLOCK, stencil.WORK, ridge.WORK)
LEAN_ROWS = 7  # of a tile where the circle's weights are equal


def rows(closure: Closure, lean: bool) -> int:
    """Rows of a tile."""
    if isinstance(closure.basis, Splines | Ridge):
        return 4 + 3 * closure.dimension
    return LEAN_ROWS if lean else block.ROWS


def advance(tables, *arguments):
    """One pass of a stage over a tile, as the kernels below have it.

    after : the tile that comes next.  weight : of every particle, 0 where the weights are in the tile.
    Returns the largest distance from the box.
    """
    return chosen(tables, _on_circle, _on_mesh, _at_nodes)(tables, *arguments)


@kernel
def _on_circle(tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments):
    if weight != 0.0:
        block.advance_lean(
            tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, tables[0], tables[1], wanted,
            moments,
        )  # fmt: skip
    else:
        block.advance(tile, scratch, size, u, stage, kept, slope, ahead, moving, tables[0], tables[1], wanted, moments)
    return 0.0


@kernel
def _on_mesh(tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments):
    return stencil.advance(
        tile, scratch, size, u, stage, kept, slope, ahead, moving, tables[0], tables[1], wanted, moments
    )


@kernel
def _at_nodes(tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments):
    ridge.advance(tile, scratch, size, u, stage, kept, slope, ahead, moving, tables[0], tables[1], wanted, moments)
    return 0.0


by_basis(advance, circle=_on_circle, mesh=_on_mesh, nodes=_at_nodes)
