"""What kernels know of a basis, and the choice among them by its kind: what is compiled is what a basis needs.

The tables say which: those of the circle are two series, those of a mesh two arrays of rows, those of ridge functions
rows and a series. A basis that a run does not use is not compiled with it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from particles import block
from particles.closure import Closure
from particles.ridge import Ridge
from particles.splines import Splines, pieces

Array = NDArray[np.floating]
Kernel = Callable[..., Any]


def tables(closure: Closure) -> tuple[Array, Array]:
    """What kernels know of a basis."""
    if isinstance(closure.basis, Splines):
        return closure.basis.mesh, pieces()
    if isinstance(closure.basis, Ridge):
        return closure.basis.table, closure.basis.series
    modes, series = closure.basis.modes, block.SIN_SERIES.copy()
    used = np.any(closure.features != 0.0, axis=0)
    series[block.EVEN] = not np.any(used[3 : modes + 1 : 2] | used[modes + 3 :: 2])
    return series, block.COS_SERIES


def chosen(tables: Any, circle: Kernel, mesh: Kernel, nodes: Kernel | None = None) -> Kernel:
    """The kernel for these tables, or for their types."""
    kernels = {(1, 1): circle, (2, 2): mesh, (2, 1): nodes}
    kernel = kernels[tables[0].ndim, tables[1].ndim]
    if kernel is None:
        raise TypeError("ridge functions are known by their values alone: a mesh is needed")
    return kernel


def by_basis(function: Kernel, circle: Kernel, mesh: Kernel, nodes: Kernel | None = None) -> None:
    """Let `function(tables, ...)` be one of these in compiled code, too."""

    @overload(function)
    def typed(tables, *arguments):
        kernel = chosen(tables, circle, mesh, nodes)

        def implementation(tables, *arguments):
            return kernel(tables, *arguments)

        return implementation
