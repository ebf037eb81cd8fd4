"""The peers of `pde.py`, one file each, as a good user of the library would write it.

A peer has NAME, PACKAGE (its name on PyPI), ORDER (of f_0 in the cell width, checked before it is timed), THREADED (it
uses numba's threads) and solve((Ny, Nc)) -> (coefficients of f_0 at TIMES, seconds without compilation, cell-stages).
"""
