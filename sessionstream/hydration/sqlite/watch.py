"""Notices that the file, or the write-ahead log beside it, was deleted, moved, replaced or emptied while it is open.

The operating system lets SQLite go on writing to a file that was deleted, and what is committed there is lost when the
store is closed or the process ends. So both paths are checked once for every transaction, before it is acknowledged;
the path of the file also for every question, and that of the log for every new connection.

A log that was emptied (``: > x.db-wal``) still has its path, and later writes make it as long as before. SQLite empties
a log as well, at the request of another process, after copying it to the file. The two differ in the next transaction:
after SQLite's own truncation it starts at the beginning of the log; after another's, the log begins with a hole. A log
that is cut in the middle is not noticed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from sessionstream.errors import StoreLost

_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""First bytes of a log."""


class Watch:
    """Checks that a path still leads to the file that was opened. Any thread may use it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._log_path = ""
        self._opened: tuple[int, int] | None = None
        self._log: tuple[int, int] | None = None
        self._size = 0  # of the log, where the last transaction began; of the writer's thread alone, as the next
        self._shrank = False
        self._lost: StoreLost | None = None

    def begin(self) -> None:
        """Remember which file it is, the first time only, and which log is beside it, each time.

        The log is a new one if the file was not open anywhere meanwhile.

        Raises:
            StoreLost: there is another file at the path by now.
        """
        if self._opened is None:
            self._opened = _identity(self._path)
        self._log_path = log_of(self._path)
        with suppress(OSError):  # a log that cannot be seen is not checked later
            self._log = _identity(self._log_path)
        self.check()

    def pause(self) -> None:
        """Check no log until ``begin``: the writer closes its connection, and SQLite may remove the log."""
        self._log = None
        self._size = 0

    def begin_writing(self) -> None:
        """Note the length of the log before a transaction writes to it. Costs a system call."""
        try:
            size = os.stat(self._log_path).st_size  # noqa: PTH116 - as below
        except OSError:  # check_written reports it
            return
        self._shrank = size < self._size
        self._size = size or 1  # it will not be empty the next time

    def check_written(self) -> None:
        """Check that a transaction was written to the file and its log.

        Raises:
            StoreLost: as ``check``; or the log was emptied before.
        """
        if self._shrank and _is_hollow(self._log_path):
            self._lost = StoreLost(self._path, log=self._log_path, emptied=True)
        self.check()

    def check(self, *, log_too: bool = True) -> None:
        """Check that file and log are still the same. Costs a system call for each.

        An open connection keeps its log, so questions on one need not check it.

        Raises:
            StoreLost: one of them was replaced or is missing, now or at an earlier check.
        """
        self.refuse()
        log = self._log if log_too else None
        if self._opened is not None and _has_gone(self._path, self._opened):
            self._lost = StoreLost(self._path)
        elif log is not None and _has_gone(self._log_path, log) and log is self._log:
            self._lost = StoreLost(self._path, log=self._log_path)
        self.refuse()

    def refuse(self) -> None:
        """Raise what an earlier check has found.

        Raises:
            StoreLost: it found that file or log was replaced or missing.
        """
        if self._lost is not None:
            lost = self._lost  # each caller gets an error of its own, with its traceback
            raise StoreLost(lost.name, log=lost.log, emptied=lost.emptied)


def log_of(path: str) -> str:
    """Return the path of the write-ahead log: beside the file itself, where the path is a symbolic link to it."""
    return f"{os.path.realpath(path)}-wal"


def _is_hollow(path: str) -> bool:
    """Whether a log begins with a hole. (Unlike the file, it may be opened: SQLite does not lock it.)"""
    try:
        with open(path, "rb") as log:  # noqa: PTH123 - a str
            magic = log.read(4)
    except OSError:  # no permission to read says nothing about the log
        return False
    return len(magic) == 4 and magic not in _MAGIC


def _has_gone(path: str, opened: tuple[int, int]) -> bool:
    try:
        return _identity(path) != opened
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # no permission to read says nothing about the file
        return False


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - faster than Path, and called for every commit
    return found.st_dev, found.st_ino
