"""Gradient descent (9) of ensembles of particles, closed by their own moments or moved by a given field.

In a basis of L functions (9) is closed by the moments m = sum_i w_i C_i basis(Y_i) (w_i = 1/n):

    U(y) = u . basis(y),   u = T' r,   r = T m - b,   dY_i/dt = -C_i grad U(Y_i),   dC_i/dt = -U(Y_i),

with the features T and the target b for the unit, the target and the measure. A given r(t) moves free particles, and
unequal weights give the characteristics of (12): one kernel serves all three.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles import block, passes
from particles.closure import Closure
from particles.contraction import padded, to_features, to_functions
from particles.jit import kernel, parallel
from particles.linear import map_rows
from particles.splines import Splines, pieces
from particles.tableaux import Tableau
from particles.tiles import BLOCK, fill, read
from particles.trigonometric import Trigonometric

Array = NDArray[np.floating]

CHUNK = 16  # blocks whose moments are summed together, whatever the threads, or more where the moments are many
LEAN = 2**18  # particles from which tiles do not stay in a cache
LARGE = 2**15  # particles from which one replica is spread over all threads
TOGETHER = 8  # replicas that share a look at the features, where these are many
STORED = 2**22  # numbers of a given field's u held at once
SCRATCH = passes.SCRATCH


@dataclass(frozen=True)
class Descent:
    """What an ensemble of R replicas leaves behind.

    coefficients : (R, steps * stages // record + 1, M), int c psi drho at every `record`-th stage, the start included.
    y, c : (R, steps // every + 1, N, keep) and (R, steps // every + 1, keep), the first `keep` particles of each
        replica at every `every`-th step.
    left : (R,), the largest distance of a particle from the basis's box at any stage, inf where one was not a number; 0
        where the basis has no box.
    """

    coefficients: Array
    y: Array
    c: Array
    left: Array


def descend(
    closure: Closure,
    y: Array,
    c: Array,
    weights: Array,
    dt: float,
    steps: int,
    tableau: Tableau,
    *,
    field: Array | None = None,
    record: int = 1,
    every: int = 1,
    keep: int = 0,
) -> Descent:
    """Move R replicas of n particles by (9) over `steps` steps of length dt.

    y, c : (R, N, n) and (R, n), C-contiguous, overwritten with the final positions.  weights : (n,), summing to 1.
    field : residuals r at every stage, (steps * stages, M), that move the particles in place of their own.
    The result has the same bits for every number of threads and however replicas are put together.

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
    coefficients = np.empty((replicas, steps * tableau.stages // record + 1, M))
    kept_y, kept_c = (
        np.empty((replicas, steps // every + 1, *shape)) for shape in ((closure.dimension, keep), (keep,))
    )
    left = np.zeros(replicas)
    tables = passes.tables(closure)
    T, b = padded(closure.features), padded(closure.target)
    a, slopes = tableau.arrays
    chunk = max(CHUNK, L // 1024)
    spread = n >= LARGE or (replicas < numba.get_num_threads() and n >= 2 * chunk * BLOCK)
    together = min(TOGETHER, max(1, replicas // (4 * numba.get_num_threads()))) if M * L > 4096 else 1
    scheme = (dt, a, slopes, every, 1.0 if closure.moving else 0.0)
    lean = spread and n >= LEAN and isinstance(closure.basis, Trigonometric) and bool(np.all(weights == weights[0]))
    # a given field's u takes (steps, L) numbers: so many steps at once
    span = max(1, steps if field is None else STORED // (L * tableau.stages))
    for first in range(0, max(steps, 1), span):
        last = min(first + span, steps)
        given: Array = np.empty((0, L))
        if field is not None:
            given = map_rows(closure.features.T, field[first * tableau.stages : last * tableau.stages])
        run = (first * tableau.stages, last * tableau.stages, chunk, record, passes.rows(closure, lean))
        out = (coefficients, kept_y, kept_c, left)
        if spread:
            _one_by_one(y, c, weights, T, b, given, scheme, tables, run, lean, out)
        else:
            _ensemble(y, c, weights, T, b, given, scheme, tables, run, together, out)
    return Descent(coefficients, kept_y, kept_c, left)


def basis_tables(closure: Closure) -> tuple[Array, Array, Array, Array]:
    """What kernels know of a basis: a mesh, empty on the circle, the splines' pieces, and the series of sin and cos."""
    mesh = closure.basis.mesh if isinstance(closure.basis, Splines) else np.empty((0, 4))
    return mesh, pieces(), block.SIN_SERIES, block.COS_SERIES


@parallel
def _ensemble(y, c, w, T, b, given, scheme, tables, run, together, out):
    """Some replicas' whole run on one core, replicas over threads: no synchronisation at all."""
    first, last, chunk, record, rows = run
    replicas, n = c.shape
    for group in prange((replicas + together - 1) // together):
        low = group * together
        count = min(together, replicas - low)
        blocks = (n + BLOCK - 1) // BLOCK
        tiles = np.zeros((count, blocks, rows * BLOCK))
        partial = np.empty(((blocks + chunk - 1) // chunk, T.shape[1]))
        moments, u, r = np.empty((count, T.shape[1])), np.empty((count, T.shape[1])), np.empty((count, T.shape[0]))
        scratch = np.empty(SCRATCH)
        for k in range(count):
            fill(tiles[k], y[low + k], c[low + k], w)
        for stage in range(first - 1, last):
            recorded = (stage + 1) % record == 0
            wanted = recorded or given.shape[0] == 0
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
                _keep(tiles[k], stage, scheme, out[1][low + k], out[2][low + k])
            if wanted:
                to_features(T, moments, r)
                for k in range(count):
                    _residuals(r[k], b, out[0][low + k, (stage + 1) // record], recorded)
        for k in range(count):
            read(tiles[k], y[low + k], c[low + k])


@parallel
def _one_by_one(y, c, w, T, b, given, scheme, tables, run, lean, out):
    """One large replica after the other, its chunks over threads: the same sums in the same order."""
    first, last, chunk, record, rows = run
    replicas, n = c.shape
    blocks = (n + BLOCK - 1) // BLOCK
    tiles = np.zeros((blocks, rows * BLOCK))
    weight = w[0] if lean else 0.0  # of every particle, 0 where they are in the tiles
    parts = (blocks + chunk - 1) // chunk
    partial, left = np.empty((parts, T.shape[1])), np.empty(parts)
    moments, u, r = np.empty((1, T.shape[1])), np.empty((1, T.shape[1])), np.empty((1, T.shape[0]))
    for k in range(replicas):
        fill(tiles, y[k], c[k], w)
        for stage in range(first - 1, last):
            recorded = (stage + 1) % record == 0
            wanted = recorded or given.shape[0] == 0
            if stage >= first and given.shape[0] == 0:
                to_functions(T, r, u)
            at = given[stage - first] if stage >= first and given.shape[0] > 0 else u[0]
            for part in prange(parts):
                scratch = np.empty(SCRATCH)
                left[part] = _stage(
                    tiles, part, chunk, n, weight, at, stage, first, wanted, scheme, tables, scratch, partial[part]
                )
            out[3][k] = max(out[3][k], left.max())
            _keep(tiles, stage, scheme, out[1][k], out[2][k])
            if wanted:
                _fold(partial, moments[0])
                to_features(T, moments, r)
                _residuals(r[0], b, out[0][k, (stage + 1) // record], recorded)
        read(tiles, y[k], c[k])


@kernel
def _residuals(r, b, coefficients, recorded):
    """The representation's coefficients where they go on record, and r = T m - b."""
    for m in range(coefficients.size):
        if recorded:
            coefficients[m] = r[m]
        r[m] -= b[m]


@kernel
def _stage(tiles, part, chunk, n, weight, u, stage, first, wanted, scheme, tables, scratch, partial):
    """One pass over the particles of a chunk: velocity, update, and the moments of the next stage if they are wanted.

    The stage before the first prepares its moments. Returns the largest distance from the box.
    """
    dt, a, b, _, moving = scheme
    i = stage % b.size
    kept = 0.0 if i == 0 else 1.0
    stage = -1 if stage < first else i
    partial[:] = 0.0
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
    moments[:] = partial[0]
    for chunk in range(1, partial.shape[0]):
        for l in range(moments.size):
            moments[l] += partial[chunk, l]


@kernel
def _keep(tiles, stage, scheme, y, c):
    interval = scheme[2].size * scheme[3]
    if (stage + 1) % interval == 0:
        read(tiles, y[(stage + 1) // interval], c[(stage + 1) // interval])
