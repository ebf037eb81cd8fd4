"""Particles in a given field: block by block through all its stages, so that each stays in the first-level cache.

Nothing that one particle does changes what another sees, hence no stage waits for the moments of all. They are summed
in the order of `descent`: block after block in a chunk, chunk after chunk.
"""

from functools import partial

import numpy as np

from particles import passes
from particles.contraction import contract, expand
from particles.jit import concurrent, inlined, kernel
from particles.tiles import BLOCK, fill, read
from particles.workers import over_threads


def guide(y, c, w, ways, given, scheme, tables, run, tile, spread, out, share):
    """Move R replicas through some stages, first ... last - 1, of the potentials u given there, (last - first, L).

    run : first, last, blocks in a chunk, and the rows in which stages and steps go on record.  tile : numbers in one.
    spread : whether the chunks of one replica go over the threads, rather than replicas.  out : arrays of a `Descent`.
    """
    first, last, chunk, record, kept = run
    rows = record[first : last + 1]
    rows = rows[rows >= 0]
    base, count, L = (int(rows[0]) if rows.size else 0), rows.size, given.shape[1]
    blocks = -(-c.shape[1] // BLOCK)
    parts = -(-blocks // chunk)
    span = (first, last, chunk, record, kept, base)
    if not spread:
        work = partial(guide_replicas, y, c, w, ways, given, scheme, tables, span, (parts, count), tile, out)
        over_threads(work, len(c))
        return
    moments, all_parts = np.empty((count, L)), np.empty((share.chunks, L))
    for k in range(len(c)):
        sums, left = np.zeros((len(share.parts), count, L)), np.zeros(len(share.parts))
        kept_y, kept_c = out[1][k], out[2][k]
        work = partial(_chunks, y[k], c[k], w, given, scheme, tables, span, tile, kept_y, kept_c, left, sums)
        over_threads(work, len(share.parts))
        out[3][k] = max(out[3][k], left.max(initial=0.0))
        for row in range(count):
            all_parts[share.parts.start : share.parts.stop] = sums[:, row]
            share.collect(all_parts)
            fold(all_parts, moments[row])
        _record(ways, moments, out[0][k, base : base + count])


@kernel
def fold(partial, moments):
    """Add the chunks' moments (chunks, L) in their order."""
    for l in range(moments.size):
        moments[l] = partial[0, l]
    for chunk in range(1, partial.shape[0]):
        for l in range(moments.size):
            moments[l] += partial[chunk, l]


@kernel
def _record(ways, moments, coefficients):
    contract(ways, moments, coefficients)


def expanded(ways, field):
    """The potentials T' r (rows, L) of a field's rows r (rows, M), as a run closed by its own moments has them."""
    given = np.empty((len(field), ways[0].shape[1]))
    _expand(ways, field, given)
    return given


@kernel
def _expand(ways, field, given):
    expand(ways, field, given, np.int64(0), given.shape[1])


@concurrent
def guide_replicas(y, c, w, ways, given, scheme, tables, span, shape, size, out, begin, end):
    """The replicas begin, ..., end - 1, one after the other."""
    (parts, count), base, L = shape, span[5], given.shape[1]
    tile, scratch = np.zeros((1, size)), np.empty(passes.SCRATCH)
    sums, moments, all_parts = np.empty((parts, count, L)), np.empty((count, L)), np.empty((parts, L))
    for k in range(begin, end):
        sums[:] = 0.0
        for part in range(parts):
            left = _through(
                y[k], c[k], w, part, given, scheme, tables, span, tile, scratch, out[1][k], out[2][k], sums[part]
            )
            out[3][k] = max(out[3][k], left)
        for row in range(count):
            for part in range(parts):
                all_parts[part] = sums[part, row]
            fold(all_parts, moments[row])
        contract(ways, moments, out[0][k, base : base + count])


@concurrent
def _chunks(y, c, w, given, scheme, tables, span, size, kept_y, kept_c, left, sums, begin, end):
    """The chunks begin, ..., end - 1 of a replica."""
    tile, scratch = np.zeros((1, size)), np.empty(passes.SCRATCH)
    for part in range(begin, end):
        left[part] = _through(y, c, w, part, given, scheme, tables, span, tile, scratch, kept_y, kept_c, sums[part])


@inlined
def _through(y, c, w, part, given, scheme, tables, span, tile, scratch, kept_y, kept_c, sums):
    """A chunk of the particles y (N, n), c (n,) through all stages, the recorded moments added to sums (rows, L).

    The stage before the first prepares the moments of the start. Returns the largest distance from the box.
    """
    first, last, chunk, record, kept, base = span
    lengths, a, b, moving = scheme
    left, n, stages = 0.0, c.size, b.size
    for low in range(part * chunk * BLOCK, min((part + 1) * chunk * BLOCK, n), BLOCK):
        high = min(low + BLOCK, n)
        keep = min(max(kept_c.shape[1] - low, 0), high - low)
        fill(tile, y[:, low:high], c[low:high], w[low:high])
        for stage in range(first - 1, last):
            i = stage % stages if stage >= first else -1
            dt = lengths[stage // stages] if stage >= first else 0.0
            row = record[stage + 1]
            u, moments = given[max(stage - first, 0)], sums[max(row - base, 0)] if row >= 0 else scratch[:0]
            out = passes.advance(
                tables, tile[0], scratch, high - low, u, i, dt * b[i], dt * a[i], moving, row >= 0, moments
            )
            left = max(left, out)
            if (stage + 1) % stages == 0 and keep > 0 and kept[(stage + 1) // stages] >= 0:
                to = kept[(stage + 1) // stages]
                read(tile, kept_y[to, :, low : low + keep], kept_c[to, low : low + keep])
        read(tile, y[:, low:high], c[low:high])
    return left
