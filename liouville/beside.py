"""What stands beside a result file while it is written: its lock, and the next version of it.

The lock is ``flock`` on ``RUN.h5.lock``, not on the result itself, which readers must be free to open at any
time. The kernel drops it when its holder dies, however it dies; a lock file left behind holds nothing.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ATTEMPTS, PAUSE = 5, 0.02  # seconds; a reader's glance (`held`) may stand in a writer's way for an instant
FULL = os.strerror(errno.ENOSPC)
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class FileProblem(ValueError):
    """An unusable result file; ``str()`` is one line that names it."""


@contextmanager
def locking(path: Path) -> Iterator[int]:
    """Take the lock of `path` without waiting for it; keep it, for `release`, unless the body fails.

    FileProblem if another live process holds it, or if it cannot be had.
    """
    try:
        lock = _acquire(path)
    except OSError as problem:
        reason = "its file system has no locks: choose another" if problem.errno in NO_LOCKS else problem.strerror
        raise FileProblem(f"{path}: cannot be written, {reason}") from problem
    try:
        yield lock
    except BaseException:
        release(path, lock)
        raise


def release(path: Path, lock: int) -> None:
    """Remove the lock file, then let go of it: who opened it meanwhile sees that it is gone."""
    if _is_still(_lock_file(path), lock):
        _lock_file(path).unlink()
    os.close(lock)


def held(path: Path) -> bool:
    """Whether a live process writes `path`."""
    try:
        lock = os.open(_lock_file(path), os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _flock(lock, fcntl.LOCK_SH)
    except OSError:  # no locks here, hence no writers
        return False
    finally:
        os.close(lock)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A name beside `path` for a new file, moved into place when it is whole and removed when it fails."""
    real = path.resolve()
    new = real.with_name(real.name + ".new")
    try:
        yield new
        fsync(new)
        os.replace(new, real)
        fsync(real.parent)
    except FileProblem:
        raise
    except (OSError, RuntimeError, ValueError) as problem:  # HDF5 has all of them for a full disk
        full = FULL if FULL in str(problem) else None
        if not (full or isinstance(problem, OSError)):
            raise
        reason = full or getattr(problem, "strerror", None) or str(problem).splitlines()[0]
        raise FileProblem(f"{path}: cannot be written, {reason}") from problem
    finally:
        new.unlink(missing_ok=True)


def require_space(path: Path, needed: int) -> None:
    """FileProblem if so many bytes do not fit on the disk: better before than halfway."""
    free = shutil.disk_usage(path.resolve().parent).free
    if needed > free:
        raise FileProblem(f"{path}: needs {needed / 1e9:.3g} GB, the disk has {free / 1e9:.3g} GB left")


def fsync(path: Path) -> None:
    """Bring a file or folder onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _acquire(path: Path) -> int:
    for _ in range(ATTEMPTS):
        lock = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _flock(lock, fcntl.LOCK_EX) and _is_still(_lock_file(path), lock):
                os.ftruncate(lock, 0)
                os.write(lock, str(os.getpid()).encode())
                return lock
            holder = os.pread(lock, 20, 0).decode(errors="replace")
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        time.sleep(PAUSE)
    raise FileProblem(f"{path}: is being written by process {holder or 'unknown'}")


def _lock_file(path: Path) -> Path:
    """One for all names of a file, symbolic links followed."""
    real = path.resolve()
    return real.with_name(real.name + ".lock")


def _flock(lock: int, kind: int) -> bool:
    """Whether it was free."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(name: Path, descriptor: int) -> bool:
    """Whether the open file still has this name: its last holder may have removed it."""
    try:
        return os.path.samestat(os.stat(name), os.fstat(descriptor))
    except FileNotFoundError:
        return False
