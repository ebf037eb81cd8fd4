"""Particles on the circle that no cache holds: a stage is reached again from the start of its step instead of kept.

All that memory has to move is y and c, 20 B a particle and stage of RK4 for the 104 of a tile, and all that it has to
hold; the arithmetic is 2.5 times as much. It is that of `block`, hence the numbers are the same to the bit.
"""

import numpy as np
from numba import prange

from particles import block
from particles.jit import kernel, parallel
from particles.tiles import BLOCK, WEIGHT, C, Y

SCRATCH = block.SCRATCH + block.TILE


@parallel
def sweep(y, c, chunk, weight, u, stage, dt, a, b, moving, tables, partial):
    """One pass of a stage over all chunks of `chunk` blocks, whose moments go to partial (chunks, L)."""
    for part in prange(partial.shape[0]):
        scratch, own, sums = np.empty(SCRATCH), u.copy(), np.zeros(partial.shape[1])  # shared by no two threads
        for low in range(part * chunk * BLOCK, min((part + 1) * chunk * BLOCK, c.size), BLOCK):
            here = slice(low, min(low + BLOCK, c.size))
            advance(y[here], c[here], weight, scratch, own, stage, dt, a, b, moving, tables[0], tables[1], sums)
        partial[part] = sums


@kernel
def advance(y, c, weight, scratch, u, stage, dt, a, b, moving, sin, cos, moments):
    """One pass of a stage over a block of particles y, c, all of the same weight.

    Stage -1 only prepares the moments of the first; the last one moves y and c.
    u : (stages, L), of the step's stages up to this one.  dt, a, b : the step and its tableau.  moments : added to.
    """
    size, tile = c.size, scratch[block.SCRATCH :]
    for i in range(size):
        tile[WEIGHT + i] = weight
        tile[C + i] = c[i]
        tile[Y + i] = y[i]
    block.begin(tile, size, sin, cos)
    for i in range(stage + 1):
        block.descend(tile, scratch, size, u[i], dt * b[i], dt * a[i], moving, sin, cos)
    if stage == b.size - 1:
        for i in range(size):
            y[i] = tile[Y + i]
            c[i] = tile[C + i]
    block.add_moments(tile, scratch, size, False, moments)
