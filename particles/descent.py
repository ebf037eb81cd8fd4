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

from particles import passes, replay
from particles.aligned import zeros
from particles.closure import Closure
from particles.contraction import both_ways, contract, expand
from particles.guided import expanded, fold, guide
from particles.jit import concurrent, inlined, kernel, parallel
from particles.kinds import tables
from particles.recurrence import FIRST
from particles.tableaux import Tableau
from particles.tiles import BLOCK, fill, read
from particles.trigonometric import Trigonometric
from particles.workers import over_threads

Array = NDArray[np.floating]

CHUNK = 16  # blocks whose moments are summed together, whatever the threads, or more where the moments are many
PARTS = 512  # chunks of a replica at most: of so many sums those of several ranks are put together
LEAN = 3 * 2**17  # particles from which few modes are computed again sooner than tiles come from memory
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

    n : particles of all ranks.  parts : this rank's of the `chunks_of` n, of which there are so many.
    collect : fills in the rows of the other ranks in a (chunks, L) array that has this rank's.
    """

    n: int
    parts: range
    chunks: int
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
    ways, target = both_ways(closure.features), closure.target
    a, slopes = tableau.arrays
    chunk, parts = chunks_of(share.n if share else n, L)
    spread = share is not None or n >= LARGE or (replicas < numba.get_num_threads() and parts >= 2)
    together = min(TOGETHER, max(1, replicas // (4 * numba.get_num_threads()))) if M * L > 4096 else 1
    scheme = (np.broadcast_to(dt, steps).astype(float), a, slopes, 1.0 if closure.moving else 0.0)
    few = isinstance(closure.basis, Trigonometric) and closure.basis.modes <= FIRST
    lean = spread and n >= LEAN and few and bool(np.all(weights == weights[0]))
    out = (coefficients, kept_y, kept_c, left)
    tile, last = passes.size_of_tile(closure), steps * tableau.stages
    share = share or Share(n, range(parts), parts, lambda partial: None)
    if field is not None:
        # so many steps at once, for their potentials and all chunks' moments; the same for every rank, as they collect
        span = max(1, STORED // (L * tableau.stages * share.chunks))
        for first in range(0, max(steps, 1), span):
            here = slice(first * tableau.stages, min(first + span, steps) * tableau.stages)
            given = expanded(ways, np.ascontiguousarray(field[here]))
            through = (here.start, here.stop, chunk, recorded, kept)
            guide(y, c, weights, ways, given, scheme, known, through, tile, spread, out, share)
        return Descent(coefficients, kept_y, kept_c, left)
    run = (last, chunk, recorded, kept, tile)
    if spread:
        _one_by_one(y, c, weights, ways, target, scheme, known, run, lean, out, share)
    else:
        over_threads(partial(_ensemble, y, c, weights, ways, target, scheme, known, run, together, out), replicas)
    return Descent(coefficients, kept_y, kept_c, left)


def rows_of(wanted: NDArray[np.integer] | int, count: int) -> NDArray[np.integer]:
    """The row in which each of 0, ..., count goes on record, -1 for those that do not."""
    marks = np.arange(0, count + 1, wanted) if isinstance(wanted, int) else wanted
    rows = np.full(count + 1, -1)
    rows[marks] = np.arange(len(marks))
    return rows


@concurrent
def _ensemble(y, c, w, ways, b, scheme, tables, run, together, out, begin, end):
    """The whole run of the replicas begin, ..., end - 1 on one core, some of them together."""
    last, chunk, record, kept, tile = run
    M, L, n, stages = b.size, ways[0].shape[1], c.shape[1], scheme[2].size
    for low in range(begin, end, together):
        count = min(together, end - low)
        blocks = (n + BLOCK - 1) // BLOCK
        tiles = np.zeros((count, blocks, tile))
        partial = np.empty(((blocks + chunk - 1) // chunk, L))
        moments, u, r = np.empty((count, L)), np.empty((count, L)), np.empty((count, M))
        scratch, met = np.empty(SCRATCH), np.empty(2, np.int64)
        for k in range(count):
            fill(tiles[k], y[low + k], c[low + k], w)
        for stage in range(-1, last):
            if stage >= 0:
                expand(ways, r, u, met[0], met[1])
            met[0], met[1] = L, 0
            for k in range(count):
                for part in range(partial.shape[0]):
                    left = _stage(tiles[k], part, chunk, n, u[k], stage, scheme, tables, scratch, partial[part], met)
                    out[3][low + k] = max(out[3][low + k], left)
                fold(partial, moments[k])
                if (stage + 1) % stages == 0 and kept[(stage + 1) // stages] >= 0:
                    to = kept[(stage + 1) // stages]
                    read(tiles[k], out[1][low + k, to], out[2][low + k, to])
            contract(ways, moments, r)
            for k in range(count):
                _residuals(r[k], b, out[0][low + k], record[stage + 1])
        for k in range(count):
            read(tiles[k], y[low + k], c[low + k])


def _one_by_one(y, c, w, ways, b, scheme, tables, run, lean, out, share):
    """One large replica after the other, its chunks over threads and ranks: the same sums in the same order."""
    last, chunk, record, kept, tile = run
    (lengths, a, slopes, moving), (replicas, n), L = scheme, c.shape, ways[0].shape[1]
    stages = slopes.size
    tiles = zeros(0 if lean else -(-n // BLOCK), tile)
    own = slice(share.parts.start, share.parts.stop)
    partial, left, met = np.empty((share.chunks, L)), np.zeros(len(share.parts)), np.empty((len(share.parts), 2), int)
    moments, u, r = np.empty((1, L)), np.empty((stages, L)), np.empty((1, b.size))
    for k in range(replicas):
        if not lean:
            fill(tiles, y[k], c[k], w)
        for stage in range(-1, last):
            i = stage % stages if stage >= 0 else -1
            if lean:
                dt = lengths[max(stage, 0) // stages]
                replay.sweep(y[k, 0], c[k], chunk, w[0], u, i, dt, a, slopes, moving, tables, partial[own])
                met[:] = 0, L
            else:
                _pass(tiles, chunk, n, u[i], stage, scheme, tables, partial[own], left, met)
            if (stage + 1) % stages == 0 and (to := kept[(stage + 1) // stages]) >= 0:
                if lean:
                    out[1][k, to], out[2][k, to] = y[k, :, : out[1].shape[-1]], c[k, : out[2].shape[-1]]
                else:
                    read(tiles, out[1][k, to], out[2][k, to])
            share.collect(partial)
            i = (stage + 1) % stages
            seen = met[:, 0].min(initial=L), met[:, 1].max(initial=0)
            _close(partial, ways, b, moments, r, u[i : i + 1], seen, out[0][k], record[stage + 1])
        out[3][k] = max(out[3][k], left.max(initial=0.0))
        left[:] = 0.0
        if not lean:
            read(tiles, y[k], c[k])


@parallel
def _pass(tiles, chunk, n, u, stage, scheme, tables, partial, left, met):
    """One stage of all chunks. met : (chunks, 2), see `_stage`."""
    for part in prange(partial.shape[0]):
        scratch, own = np.empty(SCRATCH), u.copy()
        met[part, 0], met[part, 1] = partial.shape[1], 0
        out = _stage(tiles, np.int64(part), chunk, n, own, stage, scheme, tables, scratch, partial[part], met[part])
        left[part] = max(left[part], out)


@inlined
def _stage(tiles, part, chunk, n, u, stage, scheme, tables, scratch, partial, met):
    """One pass over the particles of a chunk: velocity, update, and the moments of the next stage.

    Stage -1 prepares the moments of the first. Returns the largest distance from the box.
    met : from one function of the basis up to another, widened to those that the particles meet now.
    """
    lengths, a, b, moving = scheme
    i = stage % b.size if stage >= 0 else -1
    dt = lengths[stage // b.size] if stage >= 0 else 0.0
    for l in range(partial.size):
        partial[l] = 0.0
    left = 0.0
    for at in range(part * chunk, min((part + 1) * chunk, tiles.shape[0])):
        size = min(BLOCK, n - at * BLOCK)
        out = passes.advance(tables, tiles[at], scratch, size, u, i, dt * b[i], dt * a[i], moving, True, partial)
        first, end = passes.columns(tables, tiles[at], size, partial.size)
        left, met[0], met[1] = max(left, out), min(met[0], first), max(met[1], end)
    return left


@kernel
def _close(partial, ways, b, moments, r, u, seen, coefficients, row):
    """What moves the particles next, from the chunks' moments: u at least where `seen` says that they are."""
    fold(partial, moments[0])
    contract(ways, moments, r)
    _residuals(r[0], b, coefficients, row)
    expand(ways, r, u, seen[0], seen[1])


@inlined
def _residuals(r, b, coefficients, row):
    """The representation's coefficients in their row if they go on record, and r = T m - b."""
    for m in range(coefficients.shape[1]):
        if row >= 0:
            coefficients[row, m] = r[m]
        r[m] -= b[m]
