"""Ridge functions g(A_k . y + B_k) as a basis: a unit at the nodes of mu, evaluated directly, the plain reference.

All units of the project are of this form: neurons h(a . x + b) with A_k = (x_k, 1), functions of a difference
g(x_k - y) with A_k = -1 and B_k = x_k, the linear neuron with A_k = x_k. A block of particles goes through the nodes
one by one, in rows that vectorise; the cost is nodes times particles, whatever the box.
"""

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from particles.jit import kernel, parallel, reduction
from particles.moves import move_c, move_y
from particles.tiles import AXIS, BLOCK, STAGE_C, STAGE_Y, WEIGHT

Array = NDArray[np.floating]

IDENTITY, TANH, SIGMOID, RELU, GAUSSIAN, VON_MISES, FOURIER = range(7)
PROFILES = {
    "identity": IDENTITY,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "relu": RELU,
    "gaussian": GAUSSIAN,
    "von_mises": VON_MISES,
    "fourier": FOURIER,
}
ROWS = 8  # of BLOCK numbers in the scratch: z, g and g' of a node, charges, then U and its derivatives
Z, G, DG, CHARGE, U, DU = range(6)
WORK = ROWS * BLOCK
MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding and taking it away rounds to the nearest integer
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # log 2 in two parts, the first of 33 bits
TERMS = 13
EXP_SERIES = np.cumprod([1.0, *(1.0 / k for k in range(1, TERMS))])  # reaches kernels as an argument, see `block`


@dataclass(frozen=True)
class Ridge:
    """The functions g(A_k . y + B_k) of y in R^N.

    A : (P, N).  B : (P,).  profile : name of g, one of PROFILES, with the parameters `shape`:
    gaussian s_1 exp(-z^2/(2 s_0^2)), von_mises s_1 exp(s_0 (cos z - 1)), fourier sum_k s_k cos kz, the others none.
    """

    A: Array
    B: Array
    profile: str
    shape: tuple[float, ...] = ()

    @property
    def dimension(self) -> int:
        """N."""
        return self.A.shape[1]

    @property
    def size(self) -> int:
        """P, the number of functions."""
        return self.B.size

    @property
    def table(self) -> Array:
        """What kernels know: (P + 1, 4), g and N first, then A_k, missing components 0, and B_k."""
        table = np.zeros((self.size + 1, 4))
        table[0, [0, 3]] = PROFILES[self.profile], self.dimension
        table[1:, : self.dimension] = self.A
        table[1:, 3] = self.B
        return table

    @property
    def series(self) -> Array:
        """The series of exp, then the parameters of g."""
        return np.concatenate([EXP_SERIES, self.shape])

    def combine(self, features: Array, y: Array, order: tuple[int, ...]) -> Array:
        """features (M, P) times the functions at y (N, n), (n, M). Raises NotImplementedError for derivatives."""
        if any(order):
            raise NotImplementedError("derivatives of ridge functions are the particle engine's alone")
        values = np.empty((y.shape[1], self.size))
        evaluate(np.ascontiguousarray(y), self.table, self.series, values)
        return values @ features.T


@kernel
def advance(tile, scratch, size, u, stage, weight, ahead, moving, table, series, wanted, moments):
    """One pass of a stage, as `block.advance` on the circle."""
    work = scratch[:WORK].reshape(-1, BLOCK)
    if stage >= 0:
        potential(tile, work, size, u, table, series)
        if moving != 0.0:
            for axis in range(int(table[0, 3])):
                move_y(tile, 0, axis, size, scratch, (DU + axis) * BLOCK, weight, ahead)
        move_c(tile, 0, size, scratch, U * BLOCK, weight, ahead)
    if not wanted:
        return
    charge = work[CHARGE]
    for i in range(size):
        charge[i] = tile[WEIGHT + i] * tile[STAGE_C + i]
    for k in range(moments.size):
        _argument(tile, work[Z], size, table, k)
        _profile(work, size, table, series)
        moments[k] += _sum(charge, work[G], size)


@kernel
def potential(tile, work, size, u, table, series):
    """U = sum_k u_k g(z_k) and its derivatives at the stage's positions, into the rows U, DU, ..."""
    N = int(table[0, 3])
    work[U : DU + N] = 0.0
    for k in range(u.size):
        _argument(tile, work[Z], size, table, k)
        _profile(work, size, table, series)
        _add(work[U], u[k], work[G], size)
        for axis in range(N):
            _add(work[DU + axis], u[k] * table[k + 1, axis], work[DG], size)


@parallel
def evaluate(y, table, series, values):
    """g(A_k . y + B_k) at y (N, n), values (n, P)."""
    n = y.shape[1]
    for low in prange((n + BLOCK - 1) // BLOCK):
        start = low * BLOCK
        size = min(BLOCK, n - start)
        work, tile = np.empty((ROWS, BLOCK)), np.empty((3 * y.shape[0] + 4) * BLOCK)
        for axis in range(y.shape[0]):
            tile[STAGE_Y + axis * AXIS :][:size] = y[axis, start : start + size]
        for k in range(values.shape[1]):
            _argument(tile, work[Z], size, table, k)
            _profile(work, size, table, series)
            values[start : start + size, k] = work[G, :size]


@kernel
def _argument(tile, z, size, table, k):
    """z = A_k . y + B_k."""
    N, b = int(table[0, 3]), table[k + 1, 3]
    y, a = tile[STAGE_Y:], table[k + 1, 0]
    for i in range(size):
        z[i] = a * y[i] + b
    for axis in range(1, N):
        _add(z, table[k + 1, axis], tile[STAGE_Y + axis * AXIS :], size)


@kernel
def _add(out, factor, row, size):
    for i in range(size):
        out[i] += factor * row[i]


@reduction
def _sum(a, b, size):
    total = 0.0
    for i in range(size):
        total += a[i] * b[i]
    return total


@kernel
def _profile(work, size, table, series):
    """g and g' of the row Z into the rows G and DG."""
    z, g, dg = work[Z], work[G], work[DG]
    profile, shape = int(table[0, 0]), series[TERMS:]
    if profile == TANH:
        _tanh(z, g, dg, size, 1.0, series)
    elif profile == SIGMOID:  # (1 + tanh(z/2))/2
        _tanh(z, g, dg, size, 0.5, series)
        for i in range(size):
            g[i] = 0.5 + 0.5 * g[i]
            dg[i] = 0.5 * dg[i]
    elif profile == RELU:
        for i in range(size):
            g[i] = max(z[i], 0.0)
            dg[i] = 1.0 if z[i] > 0.0 else 0.0
    elif profile == GAUSSIAN:
        _gaussian(z, g, dg, size, 1.0 / (shape[0] * shape[0]), shape[1], series)
    elif profile == VON_MISES:
        for i in range(size):
            g[i] = shape[1] * np.exp(shape[0] * (np.cos(z[i]) - 1.0))
            dg[i] = -shape[0] * np.sin(z[i]) * g[i]
    elif profile == FOURIER:
        for i in range(size):
            g[i], dg[i] = _fourier(z[i], shape)
    else:
        for i in range(size):
            g[i] = z[i]
            dg[i] = 1.0


@kernel
def _tanh(z, g, dg, size, scale, series):
    """tanh(scale z) = sign(z) (1 - e)/(1 + e), e = exp(-2 |scale z|), and its derivative in z."""
    for i in range(size):
        g[i] = -2.0 * scale * abs(z[i])
    _exp(g, size, series)
    for i in range(size):
        t = (1.0 - g[i]) / (1.0 + g[i])
        g[i] = t if z[i] > 0.0 else -t
        dg[i] = scale * (1.0 - t * t)


@kernel
def _gaussian(z, g, dg, size, precision, scale, series):
    for i in range(size):
        g[i] = -0.5 * precision * z[i] * z[i]
    _exp(g, size, series)
    for i in range(size):
        g[i] = scale * g[i]
        dg[i] = -precision * z[i] * g[i]


@kernel
def _fourier(z, shape):
    """sum_k s_k cos kz and its derivative, by recurrence."""
    cos, sin = np.cos(z), np.sin(z)
    g, dg, c, s = shape[0], 0.0, 1.0, 0.0
    for k in range(1, shape.size):
        c, s = c * cos - s * sin, s * cos + c * sin
        g += shape[k] * c
        dg -= k * shape[k] * s
    return g, dg


@kernel
def _exp(x, size, series):
    """exp of a row of x <= 0 in place, to 3e-16 (relative, above 1e-300), without a branch."""
    c2, c3, c4, c5, c6, c7 = series[2], series[3], series[4], series[5], series[6], series[7]
    c8, c9, c10, c11, c12 = series[8], series[9], series[10], series[11], series[12]
    for i in range(size):
        y = max(x[i], -700.0)
        k = (y * 1.4426950408889634 + MAGIC) - MAGIC
        r = (y - k * LN2_HIGH) - k * LN2_LOW
        p = c6 + r * (c7 + r * (c8 + r * (c9 + r * (c10 + r * (c11 + r * c12)))))
        p = 1.0 + r * (1.0 + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * p)))))
        x[i] = p * np.int64((np.int64(k) + 1023) << 52).view(np.float64)
