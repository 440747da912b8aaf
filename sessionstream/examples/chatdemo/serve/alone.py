"""Allows one server for each file: a second one would mark answers as stopped that the first is streaming."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sessionstream import StoreError


@contextmanager
def alone(store: Path) -> Iterator[None]:
    """Be the only server of a file until the block or the process ends.

    Raises:
        StoreError: another process is.
    """
    lock = Path(f"{store}.serving")
    descriptor = _locked(lock)
    if descriptor is None:
        raise StoreError(f"{store} is served by another process: end that one, or give another file with --store")
    try:
        yield
    finally:
        if sys.platform != "win32":  # which has removed it itself
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(lock: Path) -> int | None:
    """Return the lock file, open and locked; None if another process has locked it."""
    if sys.platform == "win32":
        with suppress(FileExistsError):
            return os.open(lock, os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)
        return None
    import fcntl

    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
