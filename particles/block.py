"""The arithmetic of a block of particles on the circle: what happens to them between two looks at the whole ensemble.

A scratch is nine rows beside the tile's, a row of BLOCK numbers each:

    2cos y  cos ky  cos (k-1)y  sin ky  sin (k-1)y  U  U'  y of the stage  weight * c
"""

import numpy as np

from particles.jit import kernel, reduction
from particles.prefetch import prefetch
from particles.tiles import BLOCK, COS, SIN, SLOPE_C, SLOPE_Y, STAGE_C, STAGE_Y, WEIGHT, C, Y

ROWS = 8
FIRST, NEXT = 3, 4  # modes that are gone through together, at the start and from then on
TWICE, CK, CK1, SK, SK1, U, DU, AT, CHARGE = (row * BLOCK for row in range(9))
SCRATCH = 9 * BLOCK

_MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding and taking it away rounds to the nearest integer
_PIO2_HIGH, _PIO2_LOW = 1.5707963267341256, 6.077100506506192e-11  # pi/2 in two parts, the first of 33 bits
# Taylor coefficients in r^2 of (sin r - r)/r^3 and (cos r - 1)/r^2, to 1e-16 for |r| <= pi/4. They reach the kernel as
# arguments, because literals would be loaded again in every iteration.
SIN_SERIES = np.array([(-1.0) ** k / np.prod(np.arange(1.0, 2 * k + 2)) for k in range(1, 8)])
COS_SERIES = np.array([(-1.0) ** k / np.prod(np.arange(1.0, 2 * k + 1)) for k in range(1, 9)])


@kernel
def advance(tile, scratch, size, u, stage, kept, slope, ahead, moving, sin_series, cos_series, wanted, moments):
    """One pass of a stage: velocity, update, and the next one's moments if `wanted`. Stage -1 only prepares the first.

    kept, slope : the step's slope = kept slope + slope v.  ahead : the next stage stands at z + ahead v, 0 after the
    last.  moving : 0 where y is frozen.  moments : (L,), added to.
    """
    modes = (moments.size - 1) // 2
    if stage < 0:
        scratch[AT : AT + BLOCK] = tile[Y : Y + BLOCK]
    else:
        potential(tile, scratch, size, u, modes)
        if moving == 0.0:
            scratch[DU : DU + BLOCK] = 0.0
        if ahead != 0.0:
            move(tile, scratch, size, kept, slope, ahead)
        else:
            finish(tile, scratch, size, kept, slope)
    sincos(tile, scratch, size, sin_series, cos_series)
    if wanted:
        add_moments(tile, scratch, size, moments, modes)


@kernel
def advance_lean(
    tile, after, scratch, size, weight, u, stage, kept, slope, ahead, moving, sin_series, cos_series, wanted, moments
):  # fmt: skip
    """The same for equal weights with little traffic, where tiles come from memory: to the bit what `advance` does.

    A tile is laid out as in a box. It is worked on in a copy behind the scratch, its cos and sin are computed again; it
    gives what a stage needs and takes what a stage changes: 68 B a particle, RK4's stages on average, for 104.
    after : the tile that will be next.
    """
    local, modes = scratch[SCRATCH:], (moments.size - 1) // 2
    if stage < 0 or kept == 0.0:
        _load_first(tile, scratch, local, size, weight)
    else:
        _load(tile, scratch, local, size, weight)
    if stage >= 0:
        _fetch(after, C)
        sincos(local, scratch, size, sin_series, cos_series)
        _fetch(after, STAGE_C)
        potential(local, scratch, size, u, modes)
        if moving == 0.0:
            scratch[DU : DU + BLOCK] = 0.0
        _fetch(after, SLOPE_C)
        if ahead != 0.0:
            move(local, scratch, size, kept, slope, ahead)
            _store_stage(tile, scratch, local, size)
        else:
            finish(local, scratch, size, kept, slope)
            _store_step(tile, local, size)
    _fetch(after, Y)
    if wanted:
        sincos(local, scratch, size, sin_series, cos_series)
    _fetch(after, SLOPE_Y)
    if wanted:
        add_moments(local, scratch, size, moments, modes)
    _fetch(after, STAGE_Y)


@kernel
def _fetch(tile, row):
    """A row of the tile that will be next, a few at a time: memory then works while the arithmetic does."""
    for i in range(0, BLOCK, 8):
        prefetch(tile, row + i)


@kernel
def _load_first(tile, scratch, local, size, weight):
    """What the first stage of a step reads."""
    for i in range(size):
        c, y = tile[C + i], tile[Y + i]
        local[WEIGHT + i] = weight
        local[C + i] = c
        local[STAGE_C + i] = c
        local[SLOPE_C + i] = 0.0
        local[Y + i] = y
        scratch[AT + i] = y
        local[SLOPE_Y + i] = 0.0


@kernel
def _load(tile, scratch, local, size, weight):
    """What the others read."""
    for i in range(size):
        local[WEIGHT + i] = weight
        local[C + i] = tile[C + i]
        local[STAGE_C + i] = tile[STAGE_C + i]
        local[SLOPE_C + i] = tile[SLOPE_C + i]
        local[Y + i] = tile[Y + i]
        scratch[AT + i] = tile[STAGE_Y + i]
        local[SLOPE_Y + i] = tile[SLOPE_Y + i]


@kernel
def _store_stage(tile, scratch, local, size):
    for i in range(size):
        tile[STAGE_C + i] = local[STAGE_C + i]
        tile[SLOPE_C + i] = local[SLOPE_C + i]
        tile[STAGE_Y + i] = scratch[AT + i]
        tile[SLOPE_Y + i] = local[SLOPE_Y + i]


@kernel
def _store_step(tile, local, size):
    for i in range(size):
        tile[C + i] = local[C + i]
        tile[Y + i] = local[Y + i]


@kernel
def sincos(tile, scratch, size, sin_series, cos_series):
    """cos and sin of the stage's y, to 2e-16 for |y| < 1e5, without a branch."""
    s0, s1, s2, s3 = sin_series[0], sin_series[1], sin_series[2], sin_series[3]
    s4, s5, s6 = sin_series[4], sin_series[5], sin_series[6]
    c0, c1, c2, c3 = cos_series[0], cos_series[1], cos_series[2], cos_series[3]
    c4, c5, c6, c7 = cos_series[4], cos_series[5], cos_series[6], cos_series[7]
    for i in range(size):
        y = scratch[AT + i]
        k = (y * (2.0 / np.pi) + _MAGIC) - _MAGIC
        r = (y - k * _PIO2_HIGH) - k * _PIO2_LOW
        z = r * r
        s = r + r * z * (s0 + z * (s1 + z * (s2 + z * (s3 + z * (s4 + z * (s5 + z * s6))))))
        c = 1.0 + z * (c0 + z * (c1 + z * (c2 + z * (c3 + z * (c4 + z * (c5 + z * (c6 + z * c7)))))))
        swap = 0.5 * k - ((0.5 * k + _MAGIC) - _MAGIC) != 0.0  # k odd
        quarter = 0.25 * k - ((0.25 * k + _MAGIC) - _MAGIC)  # k mod 4 as 0, 0.25, +-0.5, -0.25
        tile[SIN + i] = (c if swap else s) * (-1.0 if (quarter < 0.0) | (quarter > 0.3) else 1.0)
        tile[COS + i] = (s if swap else c) * (-1.0 if (quarter > 0.1) | (quarter < -0.3) else 1.0)


@kernel
def potential(tile, scratch, size, u, modes):
    """U(y) = u . trig(y) and U'(y) at the stage's positions, three modes at once and then four by four."""
    a, b = u[: modes + 1], u[modes:]  # b[k] belongs to sin ky
    _first_potential(tile, scratch, size, a[0], *_three(a, modes), *_three(b, modes))
    if modes > FIRST:
        _recur(tile, scratch, size)
        for k in range(FIRST + 1, modes + 1, NEXT):
            _next_potential(scratch, size, float(k), *_four(a, k, modes), *_four(b, k, modes))


@kernel
def add_moments(tile, scratch, size, moments, modes):
    """moments += sum_i weight_i c_i trig(y_i) at the stage's positions."""
    m, a1, a2, a3, b1, b2, b3 = _first_moments(tile, scratch, size)
    moments[0] += m
    for k, a, b in ((1, a1, b1), (2, a2, b2), (3, a3, b3)):
        if k <= modes:
            moments[k] += a
            moments[modes + k] += b
    if modes > FIRST:
        _recur(tile, scratch, size)
        for first in range(FIRST + 1, modes + 1, NEXT):
            a1, a2, a3, a4, b1, b2, b3, b4 = _next_moments(scratch, size)
            for k, a, b in ((first, a1, b1), (first + 1, a2, b2), (first + 2, a3, b3), (first + 3, a4, b4)):
                if k <= modes:
                    moments[k] += a
                    moments[modes + k] += b


@kernel
def _three(a, modes):
    """Coefficients of the first three modes, 0 beyond the last."""
    return a[1], (a[2] if modes > 1 else 0.0), (a[3] if modes > 2 else 0.0)


@kernel
def _four(a, k, modes):
    """Coefficients of four modes from k on, 0 beyond the last."""
    second, third = (a[k + 1] if k < modes else 0.0), (a[k + 2] if k + 1 < modes else 0.0)
    return a[k], second, third, (a[k + 3] if k + 2 < modes else 0.0)


@kernel
def move(tile, scratch, size, kept, weight, ahead):
    """slope = kept slope + weight v; on to the next stage, z + ahead v, with v = (-c U', -U)."""
    for i in range(size):
        vy = -tile[STAGE_C + i] * scratch[DU + i]
        vc = -scratch[U + i]
        tile[SLOPE_Y + i] = kept * tile[SLOPE_Y + i] + weight * vy
        tile[SLOPE_C + i] = kept * tile[SLOPE_C + i] + weight * vc
        scratch[AT + i] = tile[Y + i] + ahead * vy
        tile[STAGE_C + i] = tile[C + i] + ahead * vc


@kernel
def finish(tile, scratch, size, kept, weight):
    """The last stage: z = z + kept slope + weight v, which is also where the next step's first stage stands."""
    for i in range(size):
        y = tile[Y + i] + kept * tile[SLOPE_Y + i] - weight * tile[STAGE_C + i] * scratch[DU + i]
        c = tile[C + i] + kept * tile[SLOPE_C + i] - weight * scratch[U + i]
        tile[Y + i] = y
        tile[C + i] = c
        scratch[AT + i] = y
        tile[STAGE_C + i] = c


# Chebyshev recurrence, fused with what each mode is for: cos (k+1)y = 2 cos y cos ky - cos (k-1)y, the same for sin.
# Several modes at once stay in registers; between the groups the last two of each kind lie in the scratch.


@kernel
def _recur(tile, scratch, size):
    """The rows that the next modes start from: 2 cos y, and cos and sin of 3y and 2y."""
    for i in range(size):
        c, s = tile[COS + i], tile[SIN + i]
        twice = 2.0 * c
        c2, s2 = twice * c - 1.0, twice * s
        scratch[TWICE + i] = twice
        scratch[CK1 + i] = c2
        scratch[SK1 + i] = s2
        scratch[CK + i] = twice * c2 - c
        scratch[SK + i] = twice * s2 - s


@kernel
def _first_potential(tile, scratch, size, constant, a1, a2, a3, b1, b2, b3):
    d1, d2, d3, e1, e2, e3 = -a1, -2.0 * a2, -3.0 * a3, b1, 2.0 * b2, 3.0 * b3
    for i in range(size):
        c, s = tile[COS + i], tile[SIN + i]
        twice = 2.0 * c
        c2, s2 = twice * c - 1.0, twice * s
        c3, s3 = twice * c2 - c, twice * s2 - s
        scratch[U + i] = ((constant + a1 * c + b1 * s) + (a2 * c2 + b2 * s2)) + (a3 * c3 + b3 * s3)
        scratch[DU + i] = ((e1 * c + d1 * s) + (e2 * c2 + d2 * s2)) + (e3 * c3 + d3 * s3)


@kernel
def _next_potential(scratch, size, k, a1, a2, a3, a4, b1, b2, b3, b4):
    d1, d2, d3, d4 = -k * a1, -(k + 1.0) * a2, -(k + 2.0) * a3, -(k + 3.0) * a4
    e1, e2, e3, e4 = k * b1, (k + 1.0) * b2, (k + 2.0) * b3, (k + 3.0) * b4
    for i in range(size):
        twice, c0, s0 = scratch[TWICE + i], scratch[CK + i], scratch[SK + i]
        c1, s1 = twice * c0 - scratch[CK1 + i], twice * s0 - scratch[SK1 + i]
        c2, s2 = twice * c1 - c0, twice * s1 - s0
        c3, s3 = twice * c2 - c1, twice * s2 - s1
        c4, s4 = twice * c3 - c2, twice * s3 - s2
        scratch[CK1 + i] = c3
        scratch[SK1 + i] = s3
        scratch[CK + i] = c4
        scratch[SK + i] = s4
        scratch[U + i] += ((a1 * c1 + b1 * s1) + (a2 * c2 + b2 * s2)) + ((a3 * c3 + b3 * s3) + (a4 * c4 + b4 * s4))
        scratch[DU + i] += ((e1 * c1 + d1 * s1) + (e2 * c2 + d2 * s2)) + ((e3 * c3 + d3 * s3) + (e4 * c4 + d4 * s4))


@reduction
def _first_moments(tile, scratch, size):
    m, a1, a2, a3, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(size):
        c, s, charge = tile[COS + i], tile[SIN + i], tile[WEIGHT + i] * tile[STAGE_C + i]
        twice = 2.0 * c
        c2, s2 = twice * c - 1.0, twice * s
        scratch[CHARGE + i] = charge
        m += charge
        a1 += charge * c
        b1 += charge * s
        a2 += charge * c2
        b2 += charge * s2
        a3 += charge * (twice * c2 - c)
        b3 += charge * (twice * s2 - s)
    return m, a1, a2, a3, b1, b2, b3


@reduction
def _next_moments(scratch, size):
    a1, a2, a3, a4, b1, b2, b3, b4 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(size):
        twice, c0, s0, charge = scratch[TWICE + i], scratch[CK + i], scratch[SK + i], scratch[CHARGE + i]
        c1, s1 = twice * c0 - scratch[CK1 + i], twice * s0 - scratch[SK1 + i]
        c2, s2 = twice * c1 - c0, twice * s1 - s0
        c3, s3 = twice * c2 - c1, twice * s2 - s1
        c4, s4 = twice * c3 - c2, twice * s3 - s2
        scratch[CK1 + i] = c3
        scratch[SK1 + i] = s3
        scratch[CK + i] = c4
        scratch[SK + i] = s4
        a1 += charge * c1
        b1 += charge * s1
        a2 += charge * c2
        b2 += charge * s2
        a3 += charge * c3
        b3 += charge * s3
        a4 += charge * c4
        b4 += charge * s4
    return a1, a2, a3, a4, b1, b2, b3, b4
