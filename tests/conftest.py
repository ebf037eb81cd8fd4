"""Workers that share the cores take one each; no number depends on it, and tests that ask for more threads get them."""

import os

import numba

if "PYTEST_XDIST_WORKER" in os.environ:
    numba.set_num_threads(1)
