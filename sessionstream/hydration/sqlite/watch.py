"""Notices that the file, or the write-ahead log beside it, was deleted, moved or replaced while it is open.

The operating system lets SQLite go on writing to a file that has no name any more, and what is committed there is gone
when the store is closed, or when the process dies. So the names are looked at once for every transaction, before
anything in it is acknowledged, that of the file also for every question, and that of the log for every new connection.
"""

from __future__ import annotations

import os
from contextlib import suppress

from sessionstream.errors import StoreLost


class Watch:
    """Whether a path still leads to the file that it led to when the store was opened. Any thread may ask."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._log_path = ""
        self._opened: tuple[int, int] | None = None
        self._log: tuple[int, int] | None = None
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
            raise StoreLost(self._lost.name, log=self._lost.log)  # one of its own for each caller, with its traceback


def log_of(path: str) -> str:
    """Return the path of the write-ahead log: beside the file itself, where the path is a symbolic link to it."""
    return f"{os.path.realpath(path)}-wal"


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
