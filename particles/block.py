"""The arithmetic of a block of particles on the circle: what happens to them between two looks at the whole ensemble.

A tile has two rows more than `tiles` says, cos and sin of y at the start of the step, and two numbers behind them,
bounds of |c| at the start and at the stage. From the start a stage is a small turn away, whose cos and sin are shorter
series than those of any angle. U is a polynomial in cos y and sin y where there are no more than FIRST modes.

A scratch has rows of BLOCK numbers beside the tile's: y of the stage, then what `recurrence` needs for many modes.

No sum adds two fresh products, which a fused multiply-add could round in two ways: the code has the same bits wherever
it is inlined.
"""

import numpy as np

from particles import recurrence
from particles.jit import inlined, reduction
from particles.recurrence import DU, FIRST, U
from particles.tiles import BLOCK, COS, SIN, SLOPE_C, SLOPE_Y, STAGE_C, WEIGHT, C, Y

START_COS, START_SIN, REACH, STAGE_REACH = 8 * BLOCK, 9 * BLOCK, 10 * BLOCK, 10 * BLOCK + 1
TILE = 10 * BLOCK + 8
AT, SCRATCH = 0, recurrence.SCRATCH

_MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding and taking it away rounds to the nearest integer
_TURN_HIGH, _TURN_LOW = 6.2831853069365025, 2.430840202602477e-10  # 2 pi in two parts, the first of 33 bits

LONGEST_TURN = 0.25
EVEN = 14  # where SIN_SERIES says so

# Polynomials in r^2 that interpolate at Chebyshev's nodes. They reach kernels as arguments, because literals would be
# loaded again in every iteration. First sin(r/2)/r and cos(r/2) for |r| <= pi, to 2e-17; then sin(r)/r and cos(r) for
# |r| <= LONGEST_TURN, to 1e-16. Behind those of sin stands 1 where all modes after the first are even.
SIN_SERIES = np.array([
    0.5, -0.020833333333333332, 0.00026041666666666206, -1.5500992063444278e-06, 5.3822889084432824e-09,
    -1.2232474067660898e-11, 1.960319931455879e-14, -2.3324666009434914e-17, 2.0763968981158023e-20,
    1.0, -0.16666666666662938, 0.008333333328559567, -0.0001984124845280886, 2.751820077874892e-06,
    0.0,
])  # fmt: skip
COS_SERIES = np.array([
    1.0, -0.12499999999999993, 0.0026041666666664926, -2.1701388888707797e-05, 9.688120030240205e-08,
    -2.6911441788111085e-10, 5.096816855452432e-13, -6.996400086521775e-16, 7.032740788271785e-19,
    1.0, -0.49999999999999994, 0.04166666666665361, -0.0013888888879977843, 2.4801559801962674e-05,
    -2.751820049899299e-07,
])  # fmt: skip


@inlined
def advance(tile, scratch, size, u, stage, weight, ahead, moving, sin_series, cos_series, wanted, moments):
    """One pass of a stage: velocity, update, and the next one's moments if `wanted`. Stage -1 only prepares the first.

    weight : of v in the step's slope.  ahead : the next stage stands at z + ahead v, 0 after the last.
    moving : 0 where y is frozen.  moments : (L,), added to.
    """
    if stage < 0:
        begin(tile, size, sin_series, cos_series)
    else:
        descend(tile, scratch, size, u, weight, ahead, moving, sin_series, cos_series)
    if wanted:
        add_moments(tile, scratch, size, sin_series[EVEN] != 0.0, moments)


@inlined
def begin(tile, size, sin_series, cos_series):
    """A new step: no slope yet, and what its first stage is known by."""
    sin, cos = _whole(sin_series), _whole(cos_series)
    for i in range(size):
        c, s = _sincos(tile[Y + i], *sin, *cos)
        tile[COS + i] = tile[START_COS + i] = c
        tile[SIN + i] = tile[START_SIN + i] = s
        tile[STAGE_C + i] = tile[C + i]
        tile[SLOPE_Y + i] = tile[SLOPE_C + i] = 0.0
    tile[REACH] = tile[STAGE_REACH] = np.sqrt(np.sqrt(np.sqrt(_eighth_powers(tile, size))))


@inlined
def sincos(tile, scratch, size, sin_series, cos_series):
    """cos and sin of the stage's y."""
    sin, cos = _whole(sin_series), _whole(cos_series)
    for i in range(size):
        tile[COS + i], tile[SIN + i] = _sincos(scratch[AT + i], *sin, *cos)


@inlined
def _whole(series):
    s = series
    return s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]


@inlined
def _sincos(y, s0, s1, s2, s3, s4, s5, s6, s7, s8, c0, c1, c2, c3, c4, c5, c6, c7, c8):
    """cos and sin to 1.2e-15 for |y| < 1e5, without a branch: from those of half the angle."""
    k = (y * (0.5 / np.pi) + _MAGIC) - _MAGIC
    r = (y - k * _TURN_HIGH) - k * _TURN_LOW
    z = r * r
    s = r * (s0 + z * (s1 + z * (s2 + z * (s3 + z * (s4 + z * (s5 + z * (s6 + z * (s7 + z * s8))))))))
    c = c0 + z * (c1 + z * (c2 + z * (c3 + z * (c4 + z * (c5 + z * (c6 + z * (c7 + z * c8)))))))
    twice = s + s
    return 1.0 - twice * s, twice * c


@inlined
def descend(tile, scratch, size, u, weight, ahead, moving, sin_series, cos_series):
    """slope += weight v, with v = (-c U', -U); on to z + ahead v, or where `ahead` is 0 to z + slope for a new step."""
    modes = (u.size - 1) // 2
    a, b = u[: modes + 1], u[modes:]  # b[k] belongs to sin ky
    turns = False
    if modes <= FIRST:
        reach, steepness = _bounds(a, b, modes)
        turns = tile[STAGE_REACH] * (abs(ahead) * moving * steepness) <= LONGEST_TURN
        tile[STAGE_REACH] = tile[REACH] + abs(ahead) * reach
    length = ahead if ahead != 0.0 else weight
    share = weight / length
    p, d = _cubics(-length, moving, a[0], *_three(a, modes), *_three(b, modes))
    if modes > FIRST:
        recurrence.potential(tile, scratch, size, a, b, -length, moving, sin_series[EVEN] != 0.0)
        if ahead == 0.0:
            for i in range(size):
                _finish(tile, i, scratch[U + i], scratch[DU + i])
        else:
            for i in range(size):
                scratch[AT + i] = tile[Y + i] + _move(tile, i, scratch[U + i], scratch[DU + i], share)
    elif ahead == 0.0:
        for i in range(size):
            _finish(tile, i, _cubic(tile, i, *p), _cubic(tile, i, *d))
    elif turns:
        s, c = sin_series[9:], cos_series[9:]
        turn = (s[0], s[1], s[2], s[3], s[4], c[0], c[1], c[2], c[3], c[4], c[5])
        for i in range(size):
            _turn(tile, i, _move(tile, i, _cubic(tile, i, *p), _cubic(tile, i, *d), share), *turn)
    else:
        for i in range(size):
            scratch[AT + i] = tile[Y + i] + _move(tile, i, _cubic(tile, i, *p), _cubic(tile, i, *d), share)
    if ahead == 0.0:
        begin(tile, size, sin_series, cos_series)
    elif not turns:
        sincos(tile, scratch, size, sin_series, cos_series)


@inlined
def add_moments(tile, scratch, size, even, moments):
    """moments += sum_i weight_i c_i trig(y_i) at the stage's positions; of k = 5, 7, ... not where `even`."""
    modes = (moments.size - 1) // 2
    m, a1, a2, a3, b1, b2, b3 = _first_moments(tile, size)
    moments[0] += m
    for k, a, b in ((1, a1, b1), (2, a2, b2), (3, a3, b3)):
        if k <= modes:
            moments[k] += a
            moments[modes + k] += b
    if modes > FIRST:
        recurrence.add_moments(tile, scratch, size, even, moments)


@inlined
def _three(a, modes):
    """Coefficients of the first three modes, 0 beyond the last."""
    return a[1], (a[2] if modes > 1 else 0.0), (a[3] if modes > 2 else 0.0)


@inlined
def _bounds(a, b, modes):
    """Of |U| and |U'|."""
    reach, steepness = abs(a[0]), 0.0
    for k in range(1, modes + 1):
        reach += abs(a[k]) + abs(b[k])
        steepness += k * (abs(a[k]) + abs(b[k]))
    return reach, steepness


@inlined
def _cubics(factor, moving, constant, a1, a2, a3, b1, b2, b3):
    """Three modes as a polynomial of degree 3 in cos y and one of degree 2 times sin y: factor U, factor moving U'."""
    p = (constant - a2, a1 - 3.0 * a3, 2.0 * a2, 4.0 * a3, b1 - b3, 2.0 * b2, 4.0 * b3)
    d = (-2.0 * b2, b1 - 9.0 * b3, 4.0 * b2, 12.0 * b3, 3.0 * a3 - a1, -4.0 * a2, -12.0 * a3)
    return _times(factor, *p), _times(factor * moving, *d)


@inlined
def _times(x, p0, p1, p2, p3, q0, q1, q2):
    return x * p0, x * p1, x * p2, x * p3, x * q0, x * q1, x * q2


@inlined
def _cubic(tile, i, p0, p1, p2, p3, q0, q1, q2):
    c, s = tile[COS + i], tile[SIN + i]
    return (p0 + c * (p1 + c * (p2 + c * p3))) + s * (q0 + c * (q1 + c * q2))


@inlined
def _move(tile, i, dc, slope, share):
    """A particle on its way to the next stage, dc and dy = c slope from the start; returns dy."""
    dy = tile[STAGE_C + i] * slope
    tile[SLOPE_Y + i] += share * dy
    tile[SLOPE_C + i] += share * dc
    tile[STAGE_C + i] = tile[C + i] + dc
    return dy


@inlined
def _turn(tile, i, r, s0, s1, s2, s3, s4, c0, c1, c2, c3, c4, c5):
    """cos and sin of the start turned by r."""
    z = r * r
    s = r * (s0 + z * (s1 + z * (s2 + z * (s3 + z * s4))))
    c = c0 + z * (c1 + z * (c2 + z * (c3 + z * (c4 + z * c5))))
    cos, sin = tile[START_COS + i], tile[START_SIN + i]
    tile[COS + i] = cos * c - (sin * s + 0.0)  # adding 0 leaves but one product to be fused with the difference
    tile[SIN + i] = sin * c + (cos * s + 0.0)


@inlined
def _finish(tile, i, dc, slope):
    """A particle after its last stage."""
    tile[Y + i] = (tile[Y + i] + tile[SLOPE_Y + i]) + tile[STAGE_C + i] * slope
    tile[C + i] = (tile[C + i] + tile[SLOPE_C + i]) + dc


@reduction
def _eighth_powers(tile, size):
    """sum c^8, whose eighth root bounds |c| not far above the largest."""
    total = 0.0
    for i in range(size):
        square = tile[C + i] * tile[C + i]
        fourth = square * square
        total += fourth * fourth
    return total


@reduction
def _first_moments(tile, size):
    """Those of 1 and three modes, cos first, from sums of the powers of cos y."""
    p0, p1, p2, p3, q0, q1, q2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(size):
        cos, charge = tile[COS + i], tile[WEIGHT + i] * tile[STAGE_C + i]
        p, q = charge * cos, charge * tile[SIN + i]
        pp, qq = p * cos, q * cos
        p0 += charge
        p1 += p
        p2 += pp
        p3 += pp * cos
        q0 += q
        q1 += qq
        q2 += qq * cos
    return p0, p1, 2.0 * p2 - p0, 4.0 * p3 - 3.0 * p1, q0, 2.0 * q1, 4.0 * q2 - q0
