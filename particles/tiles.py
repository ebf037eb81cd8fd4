"""Tiles, the form in which the engine holds particles: one row of BLOCK numbers for each quantity.

A tile is one block's data, a 1-D array of rows. Constant distances in one array are what lets the compiler prove that
rows do not overlap, hence vectorise: the same loops on separate arrays run at a fifth of the speed.

    all bases   weight  c  slope_c  (c of the stage)  y_0  slope_0
    circle      cos  sin of the stage's y
    box         (y_0 of the stage)  y_1  slope_1  (y_1 of the stage)  y_2  slope_2  (y_2 of the stage)
"""

from particles.jit import kernel

BLOCK = 256  # of a block on the circle few modes use 25 kB, which the first-level cache holds

WEIGHT, C, SLOPE_C, STAGE_C, Y, SLOPE_Y, STAGE_Y = (row * BLOCK for row in range(7))
COS, SIN = 6 * BLOCK, 7 * BLOCK
AXIS = 3 * BLOCK  # from the rows of one component of y to those of the next


@kernel
def fill(tiles, y, c, weights):
    """Tiles (blocks, rows * BLOCK) of the particles y (N, n), c (n,) at the start of a step."""
    for i in range(c.size):
        tile, at = tiles[i // BLOCK], i % BLOCK
        tile[WEIGHT + at] = weights[i]
        tile[C + at] = tile[STAGE_C + at] = c[i]
        for axis in range(y.shape[0]):
            tile[Y + axis * AXIS + at] = tile[STAGE_Y + axis * AXIS + at] = y[axis, i]


@kernel
def read(tiles, y, c):
    """The positions of the first particles, as many as y (N, k) and c (k,) hold."""
    for i in range(c.size):
        tile, at = tiles[i // BLOCK], i % BLOCK
        c[i] = tile[C + at]
        for axis in range(y.shape[0]):
            y[axis, i] = tile[Y + axis * AXIS + at]
