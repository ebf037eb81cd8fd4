"""Rows of eight numbers as tuples, which the compiler keeps in registers."""

import numpy as np

from particles.jit import inlined

ZERO = (0.0,) * 8


@inlined
def index_of(x):
    """A place in an array, which a float holds; unsigned, or it would be asked whether it counts from the end."""
    return np.uint64(np.int64(x))


@inlined
def row_of(u, at):
    one = np.uint64(1)
    a, b, c = at + one, at + np.uint64(2), at + np.uint64(3)
    d, e, f, g = at + np.uint64(4), at + np.uint64(5), at + np.uint64(6), at + np.uint64(7)
    return u[at], u[a], u[b], u[c], u[d], u[e], u[f], u[g]


@inlined
def store_row(u, at, row):
    store4(u, at, row[0], row[1], row[2], row[3])
    store4(u, at + np.uint64(4), row[4], row[5], row[6], row[7])


@inlined
def store4(u, at, a, b, c, d):
    u[at], u[at + np.uint64(1)], u[at + np.uint64(2)], u[at + np.uint64(3)] = a, b, c, d


@inlined
def scaled_row(s, w):
    return s * w[0], s * w[1], s * w[2], s * w[3], s * w[4], s * w[5], s * w[6], s * w[7]


@inlined
def add_row(v, s, w):
    return (
        v[0] + s * w[0],
        v[1] + s * w[1],
        v[2] + s * w[2],
        v[3] + s * w[3],
        v[4] + s * w[4],
        v[5] + s * w[5],
        v[6] + s * w[6],
        v[7] + s * w[7],
    )
