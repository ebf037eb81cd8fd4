"""Many modes on the circle, by recurrences over them; particles in a block go through some modes together.

U = P(cos y) + sin y Q(cos y) with P = sum a_k T_k and Q = sum b_k U_(k-1) by Clenshaw's recurrence, from the last mode
to the first, p_k = a_k + 2x p_(k+1) - p_(k+2), and its derivative in x = cos y, of which DP and DQ are the half.
Several modes at once stay in registers; between the groups the last two numbers of each kind lie in the scratch.
Products and sums are equally many: processors that do both in a cycle take half of it for each.

Where all modes after the first are even, as those of max(0, cos y), they are half as many modes of the angle 2y.
"""

from particles.jit import inlined, kernel, reduction
from particles.tiles import BLOCK, COS, SIN, STAGE_C, WEIGHT

FIRST, NEXT = 3, 4  # modes whose moments `block` has, and those that are gone through together after them

# Rows of a scratch, whose first is the caller's: twice the cosine of y, or of 2y, and what was reached, for U and for
# the moments.
TWICE = BLOCK
P, P1, DP, DP1, Q, Q1, DQ, DQ1 = (row * BLOCK for row in range(2, 10))
U, DU = P, Q
CK, CK1, SK, SK1 = (row * BLOCK for row in range(2, 6))
SCRATCH = 10 * BLOCK


@inlined
def potential(tile, scratch, size, a, b, factor, moving, even):
    """factor U and factor moving U' at cos y, sin y of a tile, into the rows U and DU.

    a, b : (modes + 1,), coefficients of cos ky and of sin ky, b[0] is not used.  even : whether those of k = 3, 5, ...
    are 0.
    """
    step = 2 if even else 1
    modes = (a.size - 1) // step
    last = (modes - 1) // NEXT * NEXT + 1
    angle = (0.0, 4.0, -2.0) if even else (2.0, 0.0, 0.0)
    _last_modes(tile, scratch, size, *angle, *_four(a, last, modes, step), *_four(b, last, modes, step))
    for k in range(last - NEXT, 0, -NEXT):
        _previous_modes(scratch, size, *_four(a, k, modes, step), *_four(b, k, modes, step))
    if even:
        _close_even(tile, scratch, size, a[0], a[1], b[1], factor, moving)
    else:
        _close(tile, scratch, size, a[0], factor, moving)


@kernel
def _last_modes(tile, scratch, size, p, q, r, a1, a2, a3, a4, b1, b2, b3, b4):
    """p, q, r : twice the cosine is (p + q cos y) cos y + r."""
    for i in range(size):
        x = scratch[TWICE + i] = (p + q * tile[COS + i]) * tile[COS + i] + r
        scratch[P + i], scratch[P1 + i], scratch[DP + i], scratch[DP1 + i] = _back(
            x, 0.0, 0.0, 0.0, 0.0, a1, a2, a3, a4
        )
        scratch[Q + i], scratch[Q1 + i], scratch[DQ + i], scratch[DQ1 + i] = _back(
            x, 0.0, 0.0, 0.0, 0.0, b1, b2, b3, b4
        )


@kernel
def _previous_modes(scratch, size, a1, a2, a3, a4, b1, b2, b3, b4):
    for i in range(size):
        x = scratch[TWICE + i]
        p, p1, dp, dp1 = scratch[P + i], scratch[P1 + i], scratch[DP + i], scratch[DP1 + i]
        q, q1, dq, dq1 = scratch[Q + i], scratch[Q1 + i], scratch[DQ + i], scratch[DQ1 + i]
        scratch[P + i], scratch[P1 + i], scratch[DP + i], scratch[DP1 + i] = _back(x, p, p1, dp, dp1, a1, a2, a3, a4)
        scratch[Q + i], scratch[Q1 + i], scratch[DQ + i], scratch[DQ1 + i] = _back(x, q, q1, dq, dq1, b1, b2, b3, b4)


@inlined
def _back(x, p, p1, dp, dp1, a1, a2, a3, a4):
    """Four modes of one series, the fourth first."""
    dp1 = (x * dp + p) - dp1
    p1 = (x * p + a4) - p1
    dp = (x * dp1 + p1) - dp
    p = (x * p1 + a3) - p
    dp1 = (x * dp + p) - dp1
    p1 = (x * p + a2) - p1
    dp = (x * dp1 + p1) - dp
    p = (x * p1 + a1) - p
    return p, p1, dp, dp1


@kernel
def _close(tile, scratch, size, constant, factor, moving):
    """factor U and factor moving U' from the rows of the recurrence, into two of them."""
    for i in range(size):
        x, s, p, q = tile[COS + i], tile[SIN + i], scratch[P + i], scratch[Q + i]
        value = ((constant - scratch[P1 + i]) + x * p) + s * q
        slope = 0.5 * p + (x * scratch[DP + i] - scratch[DP1 + i])  # half of P'
        turned = (x * q + 0.0) - 2.0 * s * (slope + s * scratch[DQ + i])
        scratch[U + i] = factor * value
        scratch[DU + i] = (factor * moving) * turned


@kernel
def _close_even(tile, scratch, size, constant, a1, b1, factor, moving):
    """The same where the recurrence was that of 2y, with the first mode of y beside."""
    for i in range(size):
        c, s, x, p, q = tile[COS + i], tile[SIN + i], 0.5 * scratch[TWICE + i], scratch[P + i], scratch[Q + i]
        twice = 2.0 * s * c
        value = (((constant - scratch[P1 + i]) + x * p) + twice * q) + (a1 * c + (b1 * s + 0.0))
        slope = 0.5 * p + (x * scratch[DP + i] - scratch[DP1 + i])
        turned = (x * q + 0.0) - 2.0 * twice * (slope + twice * scratch[DQ + i])
        scratch[U + i] = factor * value
        scratch[DU + i] = (factor * moving) * (2.0 * turned + (b1 * c - (a1 * s + 0.0)))


@inlined
def add_moments(tile, scratch, size, even, moments):
    """Those after the first: cos (k+1)y = 2 cos y cos ky - cos (k-1)y, the same for sin, all times the charge."""
    modes = (moments.size - 1) // 2
    if even:
        _start_even_moments(tile, scratch, size)
    else:
        _start_moments(tile, scratch, size)
    step, begin = (2, 4) if even else (1, FIRST + 1)
    for k in range(begin, modes + 1, step * NEXT):
        a1, a2, a3, a4, b1, b2, b3, b4 = _next_moments(scratch, size)
        for j, a, b in ((0, a1, b1), (1, a2, b2), (2, a3, b3), (3, a4, b4)):
            m = k + step * j
            if m <= modes:
                moments[m] += a
                moments[modes + m] += b


@kernel
def _start_even_moments(tile, scratch, size):
    """The same of 2y: cos and sin of it and of 0."""
    for i in range(size):
        c, s, charge = tile[COS + i], tile[SIN + i], tile[WEIGHT + i] * tile[STAGE_C + i]
        half = 2.0 * c * c - 1.0
        scratch[TWICE + i] = 2.0 * half
        scratch[CK1 + i] = charge
        scratch[SK1 + i] = 0.0
        scratch[CK + i] = charge * half
        scratch[SK + i] = charge * (2.0 * s * c)


@kernel
def _start_moments(tile, scratch, size):
    """The rows that the next modes start from: 2 cos y, and cos and sin of 3y and 2y."""
    for i in range(size):
        c, s, charge = tile[COS + i], tile[SIN + i], tile[WEIGHT + i] * tile[STAGE_C + i]
        twice = 2.0 * c
        c1, s1 = charge * c, charge * s
        c2, s2 = twice * c1 - charge, twice * s1
        scratch[TWICE + i] = twice
        scratch[CK1 + i] = c2
        scratch[SK1 + i] = s2
        scratch[CK + i] = twice * c2 - c1
        scratch[SK + i] = twice * s2 - s1


@reduction
def _next_moments(scratch, size):
    a1, a2, a3, a4, b1, b2, b3, b4 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
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
        a1 += c1
        b1 += s1
        a2 += c2
        b2 += s2
        a3 += c3
        b3 += s3
        a4 += c4
        b4 += s4
    return a1, a2, a3, a4, b1, b2, b3, b4


@inlined
def _four(a, k, modes, step):
    """Coefficients of four modes from k on, of those `step` apart; 0 beyond the last."""
    second, third = (a[step * (k + 1)] if k < modes else 0.0), (a[step * (k + 2)] if k + 1 < modes else 0.0)
    return a[step * k], second, third, (a[step * (k + 3)] if k + 2 < modes else 0.0)
