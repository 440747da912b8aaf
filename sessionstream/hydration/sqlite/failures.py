"""What SQLite and the file system say when they fail, and the way out of each."""

from __future__ import annotations

import sqlite3
from typing import Final

from sessionstream.errors import StoreDamaged, StoreError

CHANGED: Final = "something else has changed it, so restore it from a backup, or open another file"

_DAMAGED: Final = "the file is damaged: restore it from a backup, or save what `sqlite3 FILE .recover` finds"
_NOT_WRITABLE: Final = (
    "the store needs to write, as it writes to the file and beside it: allow both to the user of this process, or copy "
    "the file, with those that begin with its name, to where that is allowed"
)
_WAYS_OUT: Final = {
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: "give the store a file of its own; if this was one, restore it from a backup",
    sqlite3.SQLITE_FULL: "nothing of this was written; make room on the disk and try again",
    sqlite3.SQLITE_IOERR: "the disk, or the file system, failed: look at the system's log, then open the store again",
}
_OF_ALL_ROWS: Final = frozenset(
    (
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    )
)


class Damage(sqlite3.DatabaseError):  # internal: it leaves as a StoreDamaged
    """A row of the file holds what is no value of ours.

    Attributes:
        table, row, column: where; for the row, what names it; empty column if all of the row is wrong.
        wrong: what is there, or what is wrong with it.
    """

    def __init__(self, table: str, row: str, column: str, wrong: str) -> None:
        place = f"{column and column + ' of '}the row with {row} in table {table}"
        super().__init__(f"{place} is {wrong}")
        self.table = table
        self.row = row
        self.column = column
        self.wrong = wrong


def failure(path: str, error: Exception, what: str, busy_seconds: float) -> StoreError:
    """Return the StoreError for what SQLite, or the file system, said while ``what`` was done to the file."""
    if isinstance(error, OSError):
        way_out = f": {_NOT_WRITABLE}" if isinstance(error, PermissionError) else ""
        return StoreError(f"{what} {path}: {error.strerror}{way_out}")
    if isinstance(error, Damage):
        damage = f"{path} is damaged: {error}: {CHANGED}"
        return StoreDamaged(path, damage, table=error.table, row=error.row, column=error.column)
    way_out = _way_out(error, busy_seconds) if isinstance(error, sqlite3.Error) else ""
    return StoreError(f"{what} {path}: {error}{way_out and ': '}{way_out}")


def _way_out(error: sqlite3.Error, busy_seconds: float) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest are details; none where Python itself refused
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another process has been writing to it for more than {busy_seconds} seconds: end it, or try again"
    if code == sqlite3.SQLITE_ERROR and str(error).startswith("no such"):
        return CHANGED
    return _WAYS_OUT.get(code, "")


def is_of_rows(error: StoreError) -> bool:
    """Whether SQLite failed of something in some rows, so that it may do better with others.

    Not where the file or the disk as a whole cannot be used: full, locked, lost, closed.
    """
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF not in _OF_ALL_ROWS
