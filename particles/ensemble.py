"""Streams and chunks of an ensemble of independent replicas."""

from collections.abc import Iterator

import numpy as np

CHUNK = 2**18  # particles moved at once: bounds the memory, changes no number
RECORDED = 2**22  # numbers recorded at once, of all replicas in a chunk


def stream(seed: int, n: int, replica: int, block: int = 0) -> np.random.Generator:
    """The random stream of one replica, or of a later block of it; other sizes and more replicas never change it."""
    key = (n, replica, block) if block else (n, replica)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def nested(seed: int, replica: int, block: int) -> np.random.Generator:
    """The stream of one block of particles of a replica whose sizes are nested: the same blocks at every n."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(0, replica, block))))


def chunks(n: int, replicas: int, start: int = 0, record: int = 1, ranks: int = 1) -> Iterator[range]:
    """Split the replicas from `start` on into ranges of at most about CHUNK particles and RECORDED numbers.

    record : numbers that a run of one replica records.  ranks : that there should be work for.
    """
    size = max(1, min(CHUNK // n, RECORDED // record, -((start - replicas) // ranks)))
    for low in range(start, replicas, size):
        yield range(low, min(low + size, replicas))
