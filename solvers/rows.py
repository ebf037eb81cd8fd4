"""How the finite volumes keep cells in memory: rows of constant y along c, in flat arrays, and slabs of rows.

Registers and scratch are flat arrays of rows that all look alike: LEFT empty cells, then the cells of one y along c,
Nc rounded up to `run`; what a row reads beyond its end are the empty cells of the next one. The row past the last is
empty, too, and stands for what lies beyond the walls. Rows with the same first component of y make a plane.

    row     |  LEFT zeros  |  0  1  2 ... Nc - 1  zeros |  (LEFT zeros of the next)
    c-face                -1  0  1 ... Nc - 1              j is the face between cells j and j + 1; both ends closed

A slab is some planes of the grid. It needs the two before it and the one after it, too, and goes through them in bands.
Its scratch is a ring of planes, two more than a band: what is updated lags one plane behind the cells' shares, and
needs the flux through the plane before.
"""

from typing import NamedTuple

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from particles.aligned import zeros
from particles.jit import kernel
from solvers.frames import SMALL
from solvers.potential import Index, Layout

Array = NDArray[np.floating]

LEFT = 8
ONE = np.uint64(1)  # unsigned offsets stay unsigned only among themselves
LANES = 8  # rows are whole vectors long
SLAB = 2**14  # cells of a slab, about; but at least
FEWEST = 24  # planes, because three more are computed twice
BAND = 2**12  # cells of a band, about


class Rows(NamedTuple):
    """How rows stand in registers and scratch, and what the slabs are."""

    width: int  # from one row to the next
    run: int  # cells that loops go through
    Nc: int
    c: Array  # (run,), zeros from Nc on
    plane: int  # rows in a plane
    band: int  # planes in a band
    sizes: Index  # (slabs,): planes of each slab; the kernels see two before them and one after
    rows: Index  # (slabs, rows of these): which row of the grid it is, the number of all where there is none
    place: Index  # (rows of these,): where it stands in the scratch
    empty: int  # where a row of zeros stands in it
    field: int  # from one field of the scratch to the next


def rows_of(layout: Layout) -> Rows:
    """The rows of a grid and its slabs."""
    Nc, n1, count = layout.c.size, int(layout.cells[0]), layout.padded.size
    plane = count // n1
    run = -(-Nc // LANES) * LANES
    width = LEFT + run
    width += 8 if width * 8 % 4096 == 0 else 0  # rows a page apart share cache sets
    pairs = min(-(-count * Nc // (2 * SLAB)), -(-n1 // (2 * FEWEST)))
    slabs = 1 if count * Nc < SMALL else 2 * pairs
    planes = -(-n1 // slabs)
    slabs = -(-n1 // planes)
    band = min(max(1, BAND // (plane * Nc)), planes)
    k = np.arange(slabs)[:, None] * planes + np.arange(-2, planes + 1)
    inside = layout.periodic[0] | ((k >= 0) & (k < n1))
    index = np.where(inside[..., None], (k % n1)[..., None] * plane + np.arange(plane), count)
    ring = band + 2
    place = (np.arange(planes + 3) % ring)[:, None] * plane + np.arange(plane)
    c = zeros(run)
    c[:Nc] = layout.c
    return Rows(
        width=width,
        run=run,
        Nc=Nc,
        c=c,
        plane=plane,
        band=band,
        sizes=np.minimum(planes, n1 - np.arange(slabs) * planes),
        rows=np.ascontiguousarray(index.reshape(slabs, -1)),
        place=place.ravel(),
        empty=ring * plane,
        field=(ring * plane + 1) * width,
    )


def scratch(rows: Rows, dimension: int) -> Array:
    """Room of each thread: fluxes through y-faces and c-faces and the cells' shares, then two single rows."""
    return zeros(get_num_threads(), (dimension + 2) * rows.field + 3 * rows.width)


def registers(rows: Rows, count: int, layout: Layout) -> Array:
    """Empty registers, (count, rows + 1, width)."""
    return zeros(count, layout.padded.size + 1, rows.width)


@kernel
def in_register(rows, source, row):
    """Where cell 0 of a row stands in the register whose row 0 has it at `source`."""
    return np.uint64(source + row * rows.width)


@kernel
def in_scratch(rows, field, place):
    """Where cell 0 of a row of a field stands in the scratch."""
    return np.uint64(field * rows.field + place * rows.width + LEFT)


@kernel
def place_before(rows, a, local, i, before, outside):
    """Where row `before`, next to row i of the grid along a, stands in the scratch; the empty row past a wall."""
    if a == 0:
        return rows.place[local - rows.plane]
    return rows.place[local] + before - i if before < outside else rows.empty
