"""Notices that the file, or the write-ahead log beside it, was deleted, moved, replaced or emptied while it is open.

The operating system lets SQLite go on writing to a file that has no name any more, and what is committed there is gone
when the store is closed, or when the process dies. So the names are looked at once for every transaction, before
anything in it is acknowledged, that of the file also for every question, and that of the log for every new connection.

A log that was emptied (``: > x.db-wal``) has its name still, and what is written behind what was lost makes it as long
as before. SQLite empties a log as well, on request of another process, once all of it is in the file. The two differ
in what the next transaction writes: after SQLite's own doing it begins the log anew, after the other there is a hole in
front of it. A log that is cut somewhere in the middle is not noticed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from sessionstream.errors import StoreLost

_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""What a log begins with."""


class Watch:
    """Whether a path still leads to the file that it led to when the store was opened. Any thread may ask."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._log_path = ""
        self._opened: tuple[int, int] | None = None
        self._log: tuple[int, int] | None = None
        self._size = 0  # of the log, where the last transaction began; of the writer's thread alone, as the next
        self._shrank = False
        self._lost: StoreLost | None = None

    def begin(self) -> None:
        """Remember which file it is; the first time only, so that a file is not reopened as another.

        And which log is beside it, each time: it is another where nobody had the file open meanwhile.

        Raises:
            StoreLost: it has become another file meanwhile.
        """
        if self._opened is None:
            self._opened = _identity(self._path)
        self._log_path = log_of(self._path)
        with suppress(OSError):  # if it is not to be seen, it cannot be missed
            self._log = _identity(self._log_path)
        self.check()

    def pause(self) -> None:
        """Look for no log until the next beginning: the writer lets go of the file, and SQLite may remove it."""
        self._log = None
        self._size = 0

    def begin_writing(self) -> None:
        """Look how long the log is, before a transaction writes to it. Costs a question to the operating system."""
        try:
            size = os.stat(self._log_path).st_size  # noqa: PTH116 - as below
        except OSError:  # which is seen afterwards
            return
        self._shrank = size < self._size
        self._size = size or 1  # it will not be empty the next time

    def check_written(self) -> None:
        """Look whether what a transaction wrote is there to stay.

        Raises:
            StoreLost: as ``check``; or the log was emptied before.
        """
        if self._shrank and _is_hollow(self._log_path):
            self._lost = StoreLost(self._path, log=self._log_path, emptied=True)
        self.check()

    def check(self, *, log_too: bool = True) -> None:
        """Look whether they are still those. Costs a question to the operating system for each.

        A connection that is open goes on with the log that it has: questions on one need not look for it.

        Raises:
            StoreLost: one of them is another, or is not there, or has been.
        """
        self.refuse()
        log = self._log if log_too else None
        if self._opened is not None and _has_gone(self._path, self._opened):
            self._lost = StoreLost(self._path)
        elif log is not None and _has_gone(self._log_path, log) and log is self._log:
            self._lost = StoreLost(self._path, log=self._log_path)
        self.refuse()

    def refuse(self) -> None:
        """Raise what was found before, without looking again.

        Raises:
            StoreLost: something was another, or not there.
        """
        if self._lost is not None:
            lost = self._lost  # each caller gets an error of its own, with its traceback
            raise StoreLost(lost.name, log=lost.log, emptied=lost.emptied)


def log_of(path: str) -> str:
    """Return the path of the write-ahead log: beside the file itself, where the path is a symbolic link to it."""
    return f"{os.path.realpath(path)}-wal"


def _is_hollow(path: str) -> bool:
    """Whether a log begins with a hole. (Unlike the file, it may be opened: SQLite has no locks on it.)"""
    try:
        with open(path, "rb") as log:  # noqa: PTH123 - a str
            magic = log.read(4)
    except OSError:  # that we may not look says nothing about the log
        return False
    return len(magic) == 4 and magic not in _MAGIC


def _has_gone(path: str, opened: tuple[int, int]) -> bool:
    try:
        return _identity(path) != opened
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # that we may not look says nothing about the file
        return False


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - the cheapest that there is, and this is done for every commit
    return found.st_dev, found.st_ino
