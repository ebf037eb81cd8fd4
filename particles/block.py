"""The arithmetic of a block of particles on the circle: what happens to them between two looks at the whole ensemble.

A scratch is nine rows beside the tile's, a row of BLOCK numbers each:

    2cos y  cos ky  cos (k-1)y  sin ky  sin (k-1)y  U  U'  y of the stage  weight * c
"""

import numpy as np

from particles.jit import kernel, reduction
from particles.tiles import BLOCK, COS, SIN, SLOPE_C, SLOPE_Y, STAGE_C, WEIGHT, C, Y

ROWS = 8
TWICE, CK, CK1, SK, SK1, U, DU, AT, CHARGE = (row * BLOCK for row in range(9))
SCRATCH = 9 * BLOCK

_MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding and taking it away rounds to the nearest integer
_PIO2_HIGH, _PIO2_LOW = 1.5707963267341256, 6.077100506506192e-11  # pi/2 in two parts, the first of 33 bits
# Taylor coefficients in r^2 of (sin r - r)/r^3 and (cos r - 1)/r^2, to 1e-16 for |r| <= pi/4. They reach the kernel as
# arguments, because literals would be loaded again in every iteration.
SIN_SERIES = np.array([(-1.0) ** k / np.prod(np.arange(1.0, 2 * k + 2)) for k in range(1, 8)])
COS_SERIES = np.array([(-1.0) ** k / np.prod(np.arange(1.0, 2 * k + 1)) for k in range(1, 9)])


@kernel
def advance(tile, scratch, size, u, stage, kept, slope, ahead, moving, sin_series, cos_series, moments):
    """One pass of a stage: velocity, update, and the moments of the next. Stage -1 only prepares the first.

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
    add_moments(tile, scratch, size, moments, modes)


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
    """U(y) = u . trig(y) and U'(y) at the stage's positions."""
    _first_potential(tile, scratch, size, u[0], u[1], u[modes + 1])
    for k in range(2, modes + 1):
        _next_potential(scratch, size, u[k], u[modes + k], k * u[k], k * u[modes + k])


@kernel
def add_moments(tile, scratch, size, moments, modes):
    """moments += sum_i weight_i c_i trig(y_i) at the stage's positions."""
    m, a, b = _first_moment(tile, scratch, size)
    moments[0] += m
    moments[1] += a
    moments[modes + 1] += b
    for k in range(2, modes + 1):
        a, b = _next_moment(scratch, size)
        moments[k] += a
        moments[modes + k] += b


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


@kernel
def _first_potential(tile, scratch, size, constant, a, b):
    for i in range(size):
        c, s = tile[COS + i], tile[SIN + i]
        scratch[TWICE + i] = 2.0 * c
        scratch[CK + i] = c
        scratch[CK1 + i] = 1.0
        scratch[SK + i] = s
        scratch[SK1 + i] = 0.0
        scratch[U + i] = constant + a * c + b * s
        scratch[DU + i] = b * c - a * s


@kernel
def _next_potential(scratch, size, a, b, ka, kb):
    for i in range(size):
        c = scratch[TWICE + i] * scratch[CK + i] - scratch[CK1 + i]
        s = scratch[TWICE + i] * scratch[SK + i] - scratch[SK1 + i]
        scratch[CK1 + i] = scratch[CK + i]
        scratch[SK1 + i] = scratch[SK + i]
        scratch[CK + i] = c
        scratch[SK + i] = s
        scratch[U + i] += a * c + b * s
        scratch[DU + i] += kb * c - ka * s


@reduction
def _first_moment(tile, scratch, size):
    m, a, b = 0.0, 0.0, 0.0
    for i in range(size):
        c, s, charge = tile[COS + i], tile[SIN + i], tile[WEIGHT + i] * tile[STAGE_C + i]
        scratch[TWICE + i] = 2.0 * c
        scratch[CK + i] = c
        scratch[CK1 + i] = 1.0
        scratch[SK + i] = s
        scratch[SK1 + i] = 0.0
        scratch[CHARGE + i] = charge
        m += charge
        a += charge * c
        b += charge * s
    return m, a, b


@reduction
def _next_moment(scratch, size):
    a, b = 0.0, 0.0
    for i in range(size):
        c = scratch[TWICE + i] * scratch[CK + i] - scratch[CK1 + i]
        s = scratch[TWICE + i] * scratch[SK + i] - scratch[SK1 + i]
        scratch[CK1 + i] = scratch[CK + i]
        scratch[SK1 + i] = scratch[SK + i]
        scratch[CK + i] = c
        scratch[SK + i] = s
        a += scratch[CHARGE + i] * c
        b += scratch[CHARGE + i] * s
    return a, b
