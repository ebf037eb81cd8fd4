"""Gradient descent (9) of ensembles of particles, closed by their own moments or moved by a given field.

In the trigonometric basis (9) is closed by its moments m = sum_i w_i C_i trig(Y_i) (w_i = 1/n):

    U(y) = u . trig(y),   u = S m + q,   dY_i/dt = -C_i U'(Y_i),   dC_i/dt = -U(Y_i),

with one matrix S and one vector q for the unit, the target and the measure. S = 0 and q = q(t) gives free particles in
a given field, and unequal weights give the characteristics of (12): one kernel serves all three.
"""

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles.block import (
    BLOCK,
    COS_SERIES,
    SCRATCH,
    SIN_SERIES,
    STAGE_C,
    STAGE_Y,
    TILE,
    WEIGHT,
    C,
    Y,
    add_moments,
    finish,
    move,
    potential,
    sincos,
)
from particles.jit import kernel, parallel
from particles.tableaux import Tableau

Array = NDArray[np.floating]

CHUNK = 16  # blocks whose moments are summed together, whatever the threads
LARGE = 2**15  # particles from which one replica is spread over all threads


@dataclass(frozen=True)
class Descent:
    """What an ensemble of R replicas leaves behind.

    moments : (R, steps * stages + 1, L), the moments at every stage of every step, and at the end.
    y, c : (R, steps // every + 1, keep), the first `keep` particles of each replica at every `every`-th step.
    """

    moments: Array
    y: Array
    c: Array


def descend(
    y: Array,
    c: Array,
    weights: Array,
    coupling: Array,
    field: Array,
    dt: float,
    steps: int,
    tableau: Tableau,
    *,
    every: int = 1,
    keep: int = 0,
) -> Descent:
    """Move R replicas of n particles by (9) over `steps` steps of length dt.

    y, c : (R, n), C-contiguous, overwritten with the final positions.  weights : (n,), summing to 1.
    coupling : S, (L, L).  field : q, (steps * stages, L), or (1, L) where it does not change.
    The result has the same bits for every number of threads.

    Raises ValueError where the shapes do not fit.
    """
    L = coupling.shape[0]
    stages = tableau.stages
    if y.shape != c.shape or weights.shape != y.shape[1:] or coupling.shape != (L, L):
        raise ValueError(f"y {y.shape}, c {c.shape}, weights {weights.shape}, coupling {coupling.shape} do not fit")
    if L < 3 or keep > y.shape[1]:
        raise ValueError(f"at least 3 modes ({L}) and keep <= n ({keep}) are needed")
    if field.shape not in ((1, L), (steps * stages, L)):
        raise ValueError(f"field {field.shape} is neither (1, {L}) nor ({steps * stages}, {L})")
    replicas = y.shape[0]
    moments = np.empty((replicas, steps * stages + 1, L))
    kept = np.empty((2, replicas, steps // every + 1, keep))
    a, b = tableau.arrays
    run = _one_by_one if y.shape[1] >= LARGE else _ensemble
    run(y, c, weights, coupling, field, dt, a, b, every, (SIN_SERIES, COS_SERIES), moments, kept[0], kept[1])
    return Descent(moments, kept[0], kept[1])


@parallel
def _ensemble(y, c, w, S, q, dt, a, b, every, series, moments, kept_y, kept_c):
    """Each replica's whole run on one core, replicas over threads: no synchronisation at all."""
    for r in prange(y.shape[0]):
        tiles = _tiles(y[r], c[r], w)
        partial = np.empty(((tiles.shape[0] + CHUNK - 1) // CHUNK, S.shape[0]))
        u, scratch = np.empty(S.shape[0]), np.empty(SCRATCH)
        for stage in range(-1, moments.shape[1] - 1):
            _closed(u, S, q, stage, moments[r])
            for chunk in range(partial.shape[0]):
                _stage(tiles, chunk, y.shape[1], u, stage, dt, a, b, series, scratch, partial[chunk])
            _fold(partial, moments[r, stage + 1])
            _keep(tiles, stage, b.size, every, kept_y[r], kept_c[r])
        _untile(tiles, y[r], c[r])


@parallel
def _one_by_one(y, c, w, S, q, dt, a, b, every, series, moments, kept_y, kept_c):
    """One large replica after the other, its chunks over threads: the same sums in the same order."""
    for r in range(y.shape[0]):
        tiles = _tiles(y[r], c[r], w)
        partial = np.empty(((tiles.shape[0] + CHUNK - 1) // CHUNK, S.shape[0]))
        u = np.empty(S.shape[0])
        for stage in range(-1, moments.shape[1] - 1):
            _closed(u, S, q, stage, moments[r])
            for chunk in prange(partial.shape[0]):
                _stage(tiles, chunk, y.shape[1], u, stage, dt, a, b, series, np.empty(SCRATCH), partial[chunk])
            _fold(partial, moments[r, stage + 1])
            _keep(tiles, stage, b.size, every, kept_y[r], kept_c[r])
        _untile(tiles, y[r], c[r])


@kernel
def _tiles(y, c, w):
    tiles = np.zeros(((y.size + BLOCK - 1) // BLOCK, TILE))
    for i in range(y.size):
        tile, at = tiles[i // BLOCK], i % BLOCK
        tile[Y + at] = y[i]
        tile[C + at] = tile[STAGE_C + at] = c[i]
        tile[WEIGHT + at] = w[i]
    return tiles


@kernel
def _untile(tiles, y, c):
    for i in range(y.size):
        y[i] = tiles[i // BLOCK, Y + i % BLOCK]
        c[i] = tiles[i // BLOCK, C + i % BLOCK]


@kernel
def _closed(u, S, q, stage, moments):
    """u = S m + q of a stage; stage -1 only prepares the moments of the first."""
    if stage < 0:
        return
    for l in range(u.size):
        u[l] = q[stage % q.shape[0], l]
        for k in range(u.size):
            u[l] += S[l, k] * moments[stage, k]


@kernel
def _stage(tiles, chunk, n, u, stage, dt, a, b, series, scratch, partial):
    """One pass over the particles of a chunk: velocity, update, and the moments of the next stage."""
    modes, last = (u.size - 1) // 2, b.size - 1
    i = stage % b.size
    kept = 0.0 if i == 0 else 1.0
    partial[:] = 0.0
    for block in range(chunk * CHUNK, min((chunk + 1) * CHUNK, tiles.shape[0])):
        tile = tiles[block]
        size = min(BLOCK, n - block * BLOCK)
        if stage < 0:
            scratch[STAGE_Y : STAGE_Y + BLOCK] = tile[Y : Y + BLOCK]
        else:
            potential(tile, scratch, size, u, modes)
            if i < last:
                move(tile, scratch, size, kept, dt * b[i], dt * a[i])
            else:
                finish(tile, scratch, size, kept, dt * b[i])
        sincos(tile, scratch, size, series[0], series[1])
        add_moments(tile, scratch, size, partial, modes)


@kernel
def _fold(partial, moments):
    """Add the chunks' moments in their order."""
    moments[:] = partial[0]
    for chunk in range(1, partial.shape[0]):
        for l in range(moments.size):
            moments[l] += partial[chunk, l]


@kernel
def _keep(tiles, stage, stages, every, kept_y, kept_c):
    if (stage + 1) % (stages * every) == 0:
        for i in range(kept_y.shape[1]):
            kept_y[(stage + 1) // (stages * every), i] = tiles[i // BLOCK, Y + i % BLOCK]
            kept_c[(stage + 1) // (stages * every), i] = tiles[i // BLOCK, C + i % BLOCK]
