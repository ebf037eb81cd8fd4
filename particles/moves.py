"""What a stage does to particles in a box, once U and its gradient are known at their places."""

from particles.jit import inlined
from particles.tiles import AXIS, SLOPE_C, SLOPE_Y, STAGE_C, STAGE_Y, C, Y


@inlined
def move_y(tile, low, axis, count, work, at, weight, ahead):
    """The stage's move along an axis, or the step's where `ahead` is 0, of the particles low, ..., low + count - 1.

    work[at], ... : the derivative of U there.
    """
    y, slope, stage = low + axis * AXIS + Y, low + axis * AXIS + SLOPE_Y, low + axis * AXIS + STAGE_Y
    for i in range(count):
        v = -tile[STAGE_C + low + i] * work[at + i]
        tile[slope + i] += weight * v
        if ahead == 0.0:
            tile[y + i] += tile[slope + i]
            tile[slope + i] = 0.0
        tile[stage + i] = tile[y + i] + ahead * v


@inlined
def move_c(tile, low, count, work, at, weight, ahead):
    """The same of c, by U in work[at], ...; last, as y moves by the stage's c."""
    c, slope, stage = low + C, low + SLOPE_C, low + STAGE_C
    for i in range(count):
        v = -work[at + i]
        tile[slope + i] += weight * v
        if ahead == 0.0:
            tile[c + i] += tile[slope + i]
            tile[slope + i] = 0.0
        tile[stage + i] = tile[c + i] + ahead * v
