"""One pass of a stage over a block of particles, for each kind of basis."""

from particles import block, ridge, stencil
from particles.closure import Closure
from particles.jit import inlined, kernel
from particles.kinds import by_basis, chosen
from particles.ridge import Ridge
from particles.splines import Splines
from particles.tiles import BLOCK

SCRATCH = max(block.SCRATCH, stencil.WORK, ridge.WORK)


def size_of_tile(closure: Closure) -> int:
    """Numbers in a tile."""
    if isinstance(closure.basis, Splines | Ridge):
        return (4 + 3 * closure.dimension) * BLOCK
    return block.TILE


def advance(tables, *arguments):
    """One pass of a stage over a tile, as the kernels below have it. Returns the largest distance from the box."""
    return chosen(tables, _on_circle, _on_mesh, _at_nodes)(tables, *arguments)


@inlined
def _on_circle(tables, tile, scratch, size, u, stage, weight, ahead, moving, wanted, moments):
    block.advance(tile, scratch, size, u, stage, weight, ahead, moving, tables[0], tables[1], wanted, moments)
    return 0.0


@kernel
def _on_mesh(tables, tile, scratch, size, u, stage, weight, ahead, moving, wanted, moments):
    return stencil.advance(tile, scratch, size, u, stage, weight, ahead, moving, tables[0], tables[1], wanted, moments)


@kernel
def _at_nodes(tables, tile, scratch, size, u, stage, weight, ahead, moving, wanted, moments):
    ridge.advance(tile, scratch, size, u, stage, weight, ahead, moving, tables[0], tables[1], wanted, moments)
    return 0.0


by_basis(advance, circle=_on_circle, mesh=_on_mesh, nodes=_at_nodes)


def columns(tables, *arguments):
    """The functions of the basis that the particles of a tile meet, from one number up to another."""
    return chosen(tables, _all, _met, _all)(tables, *arguments)


@inlined
def _all(tables, tile, size, L):
    return 0, L


@inlined
def _met(tables, tile, size, L):
    return stencil.columns(tile, size, tables[0])


by_basis(columns, circle=_all, mesh=_met, nodes=_all)
