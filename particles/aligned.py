"""Arrays that start a cache line: vectors that lie across two of them take up to twice as long."""

import numpy as np
from numpy.typing import NDArray

LINE = 8  # numbers


def zeros(*shape: int) -> NDArray[np.floating]:
    """Zeros whose first number starts a cache line."""
    size = int(np.prod(shape))
    room = np.zeros(size + LINE)
    start = -room.ctypes.data // room.itemsize % LINE
    return room[start : start + size].reshape(shape)
