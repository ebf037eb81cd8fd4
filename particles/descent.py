"""Gradient descent (9) of ensembles of particles, closed by their own moments or moved by a given field.

In a basis of L functions (9) is closed by the moments m = sum_i w_i C_i basis(Y_i) (w_i = 1/n):

    U(y) = u . basis(y),   u = T' r,   r = T m - b,   dY_i/dt = -C_i grad U(Y_i),   dC_i/dt = -U(Y_i),

with the features T and the target b for the unit, the target and the measure. A given r(t) moves free particles, and
unequal weights give the characteristics of (12): one kernel serves all three.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles import passes
from particles.closure import Closure
from particles.contraction import padded, to_features, to_functions
from particles.jit import concurrent, kernel, parallel
from particles.kinds import tables
from particles.linear import map_rows
from particles.tableaux import Tableau
from particles.tiles import BLOCK, fill, read
from particles.trigonometric import Trigonometric
from particles.workers import over_threads

Array = NDArray[np.floating]

CHUNK = 16  # blocks whose moments are summed together, whatever the threads, or more where the moments are many
PARTS = 512  # chunks of a replica at most: of so many sums those of several ranks are put together
LEAN = 2**18  # particles from which tiles do not stay in a cache
LARGE = 2**16  # particles from which one replica is spread over all threads
TOGETHER = 8  # replicas that share a look at the features, where these are many
STORED = 2**22  # numbers of a given field's u held at once
SCRATCH = passes.SCRATCH


@dataclass(frozen=True)
class Descent:
    """What an ensemble of R replicas leaves behind.

    coefficients : (R, recorded stages, M), int c psi drho, by default at every stage, the start included.
    y, c : (R, kept steps, N, keep) and (R, kept steps, keep), the first `keep` particles of each replica.
    left : (R,), the largest distance of a particle from the basis's box at any stage, inf where one was not a number; 0
        where the basis has no box.
    """

    coefficients: Array
    y: Array
    c: Array
    left: Array


@dataclass(frozen=True)
class Share:
    """One rank's part of the particles of a run that several ranks carry together.

    n : particles of all ranks.  parts : this rank's of the `chunks_of` n.
    collect : fills in the rows of the other ranks in a (parts, L) array that has this rank's.
    """

    n: int
    parts: range
    collect: Callable[[Array], None]


def chunks_of(n: int, L: int) -> tuple[int, int]:
    """Blocks in a chunk of n particles, and the number of chunks: fixed by n and the basis alone."""
    blocks = -(-n // BLOCK)
    chunk = max(CHUNK, L // 1024, -(-blocks // PARTS))
    return chunk, -(-blocks // chunk)


def particles_of(n: int, L: int, rank: int, ranks: int) -> tuple[range, range]:
    """The chunks that a rank has of n particles, and the particles in them."""
    chunk, count = chunks_of(n, L)
    parts = range(rank * count // ranks, (rank + 1) * count // ranks)
    return parts, range(min(n, parts.start * chunk * BLOCK), min(n, parts.stop * chunk * BLOCK))


def descend(
    closure: Closure,
    y: Array,
    c: Array,
    weights: Array,
    dt: float | Array,
    steps: int,
    tableau: Tableau,
    *,
    field: Array | None = None,
    record: NDArray[np.integer] | int = 1,
    every: NDArray[np.integer] | int = 1,
    keep: int = 0,
    share: Share | None = None,
) -> Descent:
    """Move R replicas of n particles by (9) over `steps` steps of length dt, or of the lengths dt (steps,).

    y, c : (R, N, n) and (R, n), C-contiguous, overwritten with the final positions.  weights : (n,), summing to 1.
    field : residuals r at every stage, (steps * stages, M), that move the particles in place of their own.
    record, every : stages whose coefficients are recorded and steps after which particles are kept, in ascending order
        from 0 on; a number stands for all its multiples.
    share : where other ranks have the rest of the particles, of which y, c and weights are this rank's.
    The result has the same bits for every number of threads and ranks and however replicas are put together.

    Raises ValueError where the shapes do not fit.
    """
    M, L = closure.features.shape
    replicas, n = c.shape
    if y.shape != (replicas, closure.dimension, n) or weights.shape != (n,):
        raise ValueError(f"y {y.shape}, c {c.shape} and weights {weights.shape} do not fit N = {closure.dimension}")
    if not (y.flags.c_contiguous and c.flags.c_contiguous):
        raise ValueError("y and c are overwritten and must be C-contiguous")
    if L < 3 or keep > n:
        raise ValueError(f"at least 3 functions ({L}) and keep <= n ({keep}) are needed")
    if field is not None and field.shape != (steps * tableau.stages, M):
        raise ValueError(f"field {field.shape} is not ({steps * tableau.stages}, {M})")
    recorded, kept = rows_of(record, steps * tableau.stages), rows_of(every, steps)
    coefficients = np.empty((replicas, recorded.max() + 1, M))
    kept_y, kept_c = (np.empty((replicas, kept.max() + 1, *shape)) for shape in ((closure.dimension, keep), (keep,)))
    left = np.zeros(replicas)
    known = tables(closure)
    T, b = padded(closure.features), padded(closure.target)
    a, slopes = tableau.arrays
    chunk, parts = chunks_of(share.n if share else n, L)
    spread = share is not None or n >= LARGE or (replicas < numba.get_num_threads() and parts >= 2)
    together = min(TOGETHER, max(1, replicas // (4 * numba.get_num_threads()))) if M * L > 4096 else 1
    scheme = (np.broadcast_to(dt, steps).astype(float), a, slopes, 1.0 if closure.moving else 0.0)
    lean = spread and n >= LEAN and isinstance(closure.basis, Trigonometric) and bool(np.all(weights == weights[0]))
    # a given field's u takes (steps, L) numbers: so many steps at once
    span = max(1, steps if field is None else STORED // (L * tableau.stages))
    for first in range(0, max(steps, 1), span):
        last = min(first + span, steps)
        given: Array = np.empty((0, L))
        if field is not None:
            given = map_rows(closure.features.T, field[first * tableau.stages : last * tableau.stages])
        run = (first * tableau.stages, last * tableau.stages, chunk, recorded, kept, passes.rows(closure, lean))
        out = (coefficients, kept_y, kept_c, left)
        if spread:
            alone = Share(n, range(parts), lambda partial: None)
            _one_by_one(y, c, weights, T, b, given, scheme, known, run, lean, out, share or alone)
        else:
            work = partial(_ensemble, y, c, weights, T, b, given, scheme, known, run, together, out)
            over_threads(work, replicas)
    return Descent(coefficients, kept_y, kept_c, left)


def rows_of(wanted: NDArray[np.integer] | int, count: int) -> NDArray[np.integer]:
    """The row in which each of 0, ..., count goes on record, -1 for those that do not."""
    marks = np.arange(0, count + 1, wanted) if isinstance(wanted, int) else wanted
    rows = np.full(count + 1, -1)
    rows[marks] = np.arange(len(marks))
    return rows


@concurrent
def _ensemble(y, c, w, T, b, given, scheme, tables, run, together, out, begin, end):
    """The whole run of the replicas begin, ..., end - 1 on one core, some of them together."""
    first, last, chunk, record, kept, rows = run
    n, stages = c.shape[1], scheme[2].size
    for low in range(begin, end, together):
        count = min(together, end - low)
        blocks = (n + BLOCK - 1) // BLOCK
        tiles = np.zeros((count, blocks, rows * BLOCK))
        partial = np.empty(((blocks + chunk - 1) // chunk, T.shape[1]))
        moments, u, r = np.empty((count, T.shape[1])), np.empty((count, T.shape[1])), np.empty((count, T.shape[0]))
        scratch = np.empty(SCRATCH)
        for k in range(count):
            fill(tiles[k], y[low + k], c[low + k], w)
        for stage in range(first - 1, last):
            row = record[stage + 1]
            wanted = row >= 0 or given.shape[0] == 0
            if stage >= first and given.shape[0] == 0:
                to_functions(T, r, u)
            for k in range(count):
                at = given[stage - first] if stage >= first and given.shape[0] > 0 else u[k]
                for part in range(partial.shape[0]):
                    left = _stage(
                        tiles[k], part, chunk, n, 0.0, at, stage, first, wanted, scheme, tables, scratch, partial[part]
                    )
                    out[3][low + k] = max(out[3][low + k], left)
                if wanted:
                    _fold(partial, moments[k])
                if (stage + 1) % stages == 0 and kept[(stage + 1) // stages] >= 0:
                    _keep(tiles[k], kept[(stage + 1) // stages], out[1][low + k], out[2][low + k])
            if wanted:
                to_features(T, moments, r)
                for k in range(count):
                    _residuals(r[k], b, out[0][low + k], row)
        for k in range(count):
            read(tiles[k], y[low + k], c[low + k])


def _one_by_one(y, c, w, T, b, given, scheme, tables, run, lean, out, share):
    """One large replica after the other, its chunks over threads and ranks: the same sums in the same order."""
    first, last, chunk, record, kept, rows = run
    (replicas, n), stages = c.shape, scheme[2].size
    tiles = np.zeros((-(-n // BLOCK), rows * BLOCK))
    weight = w[0] if lean else 0.0  # of every particle, 0 where they are in the tiles
    own = slice(share.parts.start, share.parts.stop)
    partial, left = np.empty((chunks_of(share.n, T.shape[1])[1], T.shape[1])), np.zeros(len(share.parts))
    moments, u, r = np.empty((1, T.shape[1])), np.empty((1, T.shape[1])), np.empty((1, T.shape[0]))
    for k in range(replicas):
        fill(tiles, y[k], c[k], w)
        for stage in range(first - 1, last):
            row = record[stage + 1]
            wanted = bool(row >= 0 or given.shape[0] == 0)
            at = given[stage - first] if stage >= first and given.shape[0] > 0 else u[0]
            _pass(tiles, chunk, n, weight, at, stage, first, wanted, scheme, tables, partial[own], left)
            if (stage + 1) % stages == 0 and kept[(stage + 1) // stages] >= 0:
                _keep(tiles, kept[(stage + 1) // stages], out[1][k], out[2][k])
            if wanted:
                share.collect(partial)
                _close(partial, T, b, moments, r, u, out[0][k], row)
        out[3][k] = max(out[3][k], left.max(initial=0.0))
        left[:] = 0.0
        read(tiles, y[k], c[k])


@parallel
def _pass(tiles, chunk, n, weight, u, stage, first, wanted, scheme, tables, partial, left):
    """One stage of all chunks."""
    for part in prange(partial.shape[0]):
        scratch = np.empty(SCRATCH)
        out = _stage(tiles, part, chunk, n, weight, u, stage, first, wanted, scheme, tables, scratch, partial[part])
        left[part] = max(left[part], out)


@kernel
def _close(partial, T, b, moments, r, u, coefficients, row):
    """What moves the particles next, from the chunks' moments."""
    _fold(partial, moments[0])
    to_features(T, moments, r)
    _residuals(r[0], b, coefficients, row)
    to_functions(T, r, u)


@kernel
def _residuals(r, b, coefficients, row):
    """The representation's coefficients in their row if they go on record, and r = T m - b."""
    for m in range(coefficients.shape[1]):
        if row >= 0:
            coefficients[row, m] = r[m]
        r[m] -= b[m]


@kernel
def _stage(tiles, part, chunk, n, weight, u, stage, first, wanted, scheme, tables, scratch, partial):
    """One pass over the particles of a chunk: velocity, update, and the moments of the next stage if they are wanted.

    The stage before the first prepares its moments. Returns the largest distance from the box.
    """
    lengths, a, b, moving = scheme
    i = stage % b.size
    kept = 0.0 if i == 0 else 1.0
    dt = 0.0 if stage < first else lengths[stage // b.size]
    stage = -1 if stage < first else i
    for l in range(partial.size):
        partial[l] = 0.0
    left = 0.0
    for at in range(part * chunk, min((part + 1) * chunk, tiles.shape[0])):
        tile, size = tiles[at], min(BLOCK, n - at * BLOCK)
        after = tiles[min(at + 1, tiles.shape[0] - 1)]
        out = passes.advance(
            tables, tile, after, scratch, size, weight, u, stage, kept, dt * b[i], dt * a[i], moving, wanted, partial
        )
        left = max(left, out)
    return left


@kernel
def _fold(partial, moments):
    """Add the chunks' moments in their order."""
    for l in range(moments.size):
        moments[l] = partial[0, l]
    for chunk in range(1, partial.shape[0]):
        for l in range(moments.size):
            moments[l] += partial[chunk, l]


@kernel
def _keep(tiles, row, y, c):
    """Put the first particles on record."""
    read(tiles, y[row], c[row])
