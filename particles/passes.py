"""One pass of a stage over a block of particles, for each kind of basis: what is compiled is what a basis needs.

The tables say which: those of the circle are two series, those of a mesh two arrays of rows, those of ridge functions
rows and a series. A basis that a run does not use is not compiled with it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from particles import block, ridge, stencil
from particles.closure import Closure
from particles.jit import kernel
from particles.ridge import Ridge
from particles.splines import Splines, pieces
from particles.tiles import BLOCK

Array = NDArray[np.floating]

SCRATCH = max(block.SCRATCH + block.ROWS * BLOCK, stencil.WORK, ridge.WORK)
LEAN_ROWS = 7  # of a tile where the circle's weights are equal


def tables(closure: Closure) -> tuple[Array, Array]:
    """What kernels know of a basis."""
    if isinstance(closure.basis, Splines):
        return closure.basis.mesh, pieces()
    if isinstance(closure.basis, Ridge):
        return closure.basis.table, closure.basis.series
    return block.SIN_SERIES, block.COS_SERIES


def rows(closure: Closure, lean: bool) -> int:
    """Rows of a tile."""
    if isinstance(closure.basis, Splines | Ridge):
        return 4 + 3 * closure.dimension
    return LEAN_ROWS if lean else block.ROWS


def advance(
    tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
):  # fmt: skip
    """Velocity, update, and the next stage's moments if `wanted`. Returns the largest distance from the box.

    after : the tile that comes next.  weight : of every particle, 0 where the weights are in the tile.
    """
    chosen = _chosen(tables[0].ndim, tables[1].ndim)
    return chosen(tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments)


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


def _chosen(first: int, second: int) -> Callable[..., Any]:
    """By the dimensions of the two tables."""
    return {(1, 1): _on_circle, (2, 2): _on_mesh, (2, 1): _at_nodes}[first, second]


@overload(advance)
def _typed(
    tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
):  # fmt: skip
    if tables[0].ndim == 1:

        def implementation(
            tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
        ):
            return _on_circle(
                tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
            )

    elif tables[1].ndim == 2:

        def implementation(
            tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
        ):
            return _on_mesh(
                tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
            )

    else:

        def implementation(
            tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
        ):
            return _at_nodes(
                tables, tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, wanted, moments
            )

    return implementation
