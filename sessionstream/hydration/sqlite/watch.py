"""Notices that the file was deleted, moved or replaced while it is open.

The operating system lets SQLite go on writing to a file that has no name any more, and what is committed there is gone
when the store is closed. So the name is looked at once for every transaction, before anything in it is
acknowledged, and for every question.
"""

from __future__ import annotations

import os

from sessionstream.errors import StoreLost


class Watch:
    """Whether a path still leads to the file that it led to when the store was opened. Any thread may ask."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None
        self._lost = False

    def begin(self) -> None:
        """Remember which file it is; the first time only, so that a file is not reopened as another.

        Raises:
            StoreLost: it has become another file meanwhile.
        """
        if self._opened is None:
            self._opened = _identity(self._path)
        self.check()

    def check(self) -> None:
        """Look whether it is still that file. Costs one question to the operating system.

        Raises:
            StoreLost: it is another one, or none, or has been.
        """
        self.refuse()
        try:
            self._lost = self._opened not in (None, _identity(self._path))
        except (FileNotFoundError, NotADirectoryError):
            self._lost = True
        except OSError:  # that we may not look says nothing about the file
            return
        self.refuse()

    def refuse(self) -> None:
        """Raise what was found before, without looking again.

        Raises:
            StoreLost: it was another file, or none.
        """
        if self._lost:
            raise StoreLost(self._path)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - the cheapest that there is, and this is done for every commit
    return found.st_dev, found.st_ino
