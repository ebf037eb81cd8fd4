"""Second derivatives of U from the splines' coefficients.

The work, the splines and the order of the axes are those of `stencil`.
"""

import numpy as np

from particles.eights import ZERO, add_row, index_of, row_of
from particles.jit import inlined, kernel, reduction
from particles.stencil import CURVE, FOUND, GROUP, INDEX, SLOPE, VALUE, A, B, J, dimension


@kernel
def gather_curvature(work, count, u, mesh):
    """U, Ua, Ub, Uj, Uaa, Uab, Uaj, Ubb, Ubj, Ujj into the rows FOUND ... FOUND + 9 (missing axes first)."""
    N = dimension(mesh)
    rows_a, rows_b = (8 if N > 2 else 1), (8 if N > 1 else 1)
    stride_a, stride_b = index_of(mesh[0, 3]), index_of(mesh[1, 3])
    for i in range(count):
        start = index_of(work[INDEX + i])
        V, Va, Vb, Vaa, Vab, Vbb = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
        for a in range(rows_a):
            P, Q, R = ZERO, ZERO, ZERO
            at = start
            for b in range(rows_b):
                row = row_of(u, at)
                value, slope, curve = _functions(work, B, i, b, N > 1)
                P = add_row(P, value, row)
                Q = add_row(Q, slope, row)
                R = add_row(R, curve, row)
                at += stride_b
            value, slope, curve = _functions(work, A, i, a, N > 2)
            V = add_row(V, value, P)
            Va = add_row(Va, slope, P)
            Vaa = add_row(Vaa, curve, P)
            Vb = add_row(Vb, value, Q)
            Vab = add_row(Vab, slope, Q)
            Vbb = add_row(Vbb, value, R)
            start += stride_a
        value, slope = row_of(work, np.uint64(J + VALUE + 8 * i)), row_of(work, np.uint64(J + SLOPE + 8 * i))
        curve = row_of(work, np.uint64(J + CURVE + 8 * i))
        sums = (
            *(_dot(V, value), _dot(Va, value), _dot(Vb, value), _dot(V, slope)),
            *(_dot(Vaa, value), _dot(Vab, value), _dot(Va, slope)),
            *(_dot(Vbb, value), _dot(Vb, slope), _dot(V, curve)),
        )
        for k in range(10):
            work[FOUND + k * GROUP + i] = sums[k]


@inlined
def _functions(work, axis, i, k, there):
    """Function k of an axis at particle i and its derivatives; the only one of a missing axis is 1."""
    at = axis + 8 * i + k
    return (work[at + VALUE], work[at + SLOPE], work[at + CURVE]) if there else (1.0, 0.0, 0.0)


@reduction
def _dot(v, w):
    a = v[0] * w[0] + v[1] * w[1] + v[2] * w[2] + v[3] * w[3]
    return a + v[4] * w[4] + v[5] * w[5] + v[6] * w[6] + v[7] * w[7]
