"""Turns errors of SQLite and of the file system into StoreErrors that say what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from sessionstream.errors import StoreDamaged, StoreError, Unstorable

CHANGED: Final = "something else has changed it, so restore it from a backup, or open another file"

RESTORE: Final = (
    "restore its last whole backup (`sessionstream restore COPY FILE --replace`), or save what `sqlite3 FILE .recover` "
    "finds"
)

_DAMAGED: Final = f"the file is damaged: {RESTORE}"
_NO_DATABASE: Final = (
    "give the store a file of its own; if this was one, its first bytes are destroyed: move it away, with the files "
    "whose names begin with its name, and restore the last backup (`sessionstream restore COPY FILE`)"
)
_NOT_WRITABLE: Final = (
    "the store needs to write, as it writes to the file and beside it: allow both to the user of this process, or copy "
    "the file, with those that begin with its name, to where that is allowed"
)
_READ_ONLY: Final = (
    "its file system is mounted read-only: mount it for writing, or copy the file, with those that begin with its "
    "name, to where writing is allowed"
)
_BUSY: Final = "another process has been writing to it for more than {busy:g} seconds: end it, or try again"
_FULL: Final = "nothing of this was written; make room on the disk and try again"
_REFUSED: Final = (
    "nothing of this was written; a quota or the limit for the size of a file (`ulimit -f`) is used up, or the disk "
    "failed: make room, or raise the limit, and try again; the store need not be opened anew. The system's log says "
    "if it was the disk"
)
_DISK: Final = "the disk, or the file system, failed: look at the system's log, then open the store again"
_UNREADABLE: Final = (
    "the disk did not give back what is in the file: look at the system's log, and restore the file from a backup to a "
    "disk that is well"
)
_UNSURE: Final = (
    "the disk did not confirm what was written: look at the system's log, then open the store again, and see what is "
    "there"
)
_NOT_LOCAL: Final = (
    "the file system lacks the locks or the shared memory that SQLite needs, as those of networks do: put the file on "
    "a local disk"
)
_MEMORY: Final = "nothing of this was written; the process is out of memory: give it more, or ask for less at once"
_AGAIN: Final = "nothing of this was written; it was interrupted: try again"
_TOO_BIG: Final = "SQLite keeps rows of at most 1,000,000,000 bytes: keep the payload elsewhere, and its place here"
_FILES: Final = "{whose} has too many files open: close some, or raise the limit (`ulimit -n`), and try again"
_MISSING: Final = "it, or a directory on the way to it, is not there: create that, or correct the path"
_OURS: Final = (
    "something else has changed the file's tables, or this is a fault of the library: restore the file from a backup, "
    "or report what this says"
)

_WAYS_OUT: Final = {
    sqlite3.SQLITE_ERROR: _OURS,
    sqlite3.SQLITE_INTERNAL: _OURS,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_ABORT: _AGAIN,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_NOMEM: _MEMORY,
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_READONLY_DBMOVED: "it was moved, deleted or replaced: put it back, and open the store again",
    sqlite3.SQLITE_INTERRUPT: _AGAIN,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_IOERR_READ: _UNREADABLE,
    sqlite3.SQLITE_IOERR_SHORT_READ: _UNREADABLE,
    sqlite3.SQLITE_IOERR_WRITE: _REFUSED,
    sqlite3.SQLITE_IOERR_TRUNCATE: _REFUSED,
    sqlite3.SQLITE_IOERR_SHMSIZE: _REFUSED,
    sqlite3.SQLITE_IOERR_FSYNC: _UNSURE,
    sqlite3.SQLITE_IOERR_DIR_FSYNC: _UNSURE,
    sqlite3.SQLITE_IOERR_NOMEM: _MEMORY,
    sqlite3.SQLITE_IOERR_LOCK: _NOT_LOCAL,
    sqlite3.SQLITE_IOERR_RDLOCK: _NOT_LOCAL,
    sqlite3.SQLITE_IOERR_UNLOCK: _NOT_LOCAL,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK: _NOT_LOCAL,
    sqlite3.SQLITE_IOERR_SHMLOCK: _NOT_LOCAL,
    sqlite3.SQLITE_IOERR_SHMMAP: _NOT_LOCAL,
    sqlite3.SQLITE_IOERR_SHMOPEN: _NOT_LOCAL,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTFOUND: _OURS,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,  # or what the system says that it was
    sqlite3.SQLITE_CANTOPEN_ISDIR: "it is a directory: the store needs a file",
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_EMPTY: _OURS,
    sqlite3.SQLITE_SCHEMA: "another process changes its tables all the time: end it, or try again",
    sqlite3.SQLITE_TOOBIG: _TOO_BIG,
    sqlite3.SQLITE_CONSTRAINT: _OURS,
    sqlite3.SQLITE_MISMATCH: _OURS,
    sqlite3.SQLITE_MISUSE: _OURS,
    sqlite3.SQLITE_NOLFS: "the file system holds no larger file: move the file to another one",
    sqlite3.SQLITE_AUTH: _NOT_WRITABLE,
    sqlite3.SQLITE_FORMAT: _OURS,
    sqlite3.SQLITE_RANGE: _OURS,
    sqlite3.SQLITE_NOTADB: _NO_DATABASE,
    sqlite3.SQLITE_NOTICE: _OURS,
    sqlite3.SQLITE_WARNING: _OURS,
}
"""What to do, by SQLite's error codes; an extended code that is not listed has the text of its primary one."""

_SYSTEM: Final = {
    errno.EACCES: _NOT_WRITABLE,
    errno.EPERM: _NOT_WRITABLE,
    errno.EROFS: _READ_ONLY,
    errno.EMFILE: _FILES.format(whose="this process"),
    errno.ENFILE: _FILES.format(whose="this machine"),
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _REFUSED,
    errno.EFBIG: _REFUSED,
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _MISSING,
    errno.ENAMETOOLONG: "give the file a shorter path",
    errno.ELOOP: "a symbolic link on the way to it leads to itself: fix the link",
    errno.EISDIR: "it is a directory: the store needs a file",
    errno.ENOMEM: _MEMORY,
    errno.EINTR: _AGAIN,
    errno.EAGAIN: _AGAIN,
    errno.EBUSY: _AGAIN,
    errno.ENOLCK: _NOT_LOCAL,
    errno.ESTALE: _NOT_LOCAL,
}
"""What to do, by the error numbers of the operating system; any other counts as a failure of the disk."""

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
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    )
)

_OPENED: Final = 4
"""Files that SQLite opens for a connection: the database, its log, the log's index, and a directory."""


class Damage(sqlite3.DatabaseError):  # internal: callers get a StoreDamaged
    """A row of the file holds a value that the store did not write.

    Attributes:
        table, row, column: where; the row by its key; an empty column if the whole row is wrong.
        wrong: the value, or what is wrong with it.
    """

    def __init__(self, table: str, row: str, column: str, wrong: str) -> None:
        place = f"{column and column + ' of '}the row with {row} in table {table}"
        super().__init__(f"{place} is {wrong}")
        self.table = table
        self.row = row
        self.column = column
        self.wrong = wrong


def failure(path: str, error: Exception, what: str, busy_seconds: float) -> StoreError:
    """Return the StoreError for an error of SQLite or the file system; ``what`` says what was done to the file."""
    if isinstance(error, Damage):
        damage = f"{path} is damaged: {error}: {CHANGED}"
        return StoreDamaged(path, damage, table=error.table, row=error.row, column=error.column)
    if isinstance(error, OSError):
        return StoreError(f"{what} {path}: {error.strerror}: {_SYSTEM.get(error.errno or 0, _DISK)}")
    if isinstance(error, sqlite3.Error):
        kind = Unstorable if code_of(error) == sqlite3.SQLITE_TOOBIG else StoreError
        return kind(f"{what} {path}: {error}: {_way_out(path, error).format(busy=busy_seconds)}")
    return Unstorable(f"{what} {path}: {error}: SQLite keeps no such value, so correct the value in the call")


def _way_out(path: str, error: sqlite3.Error) -> str:
    code = code_of(error)
    if code == sqlite3.SQLITE_ERROR and str(error).startswith("no such"):
        return CHANGED
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN and code != sqlite3.SQLITE_CANTOPEN_ISDIR:
        found = _why_not_opened(path)
    else:
        found = _WAYS_OUT.get(code) or _WAYS_OUT.get(code & 0xFF, _OURS)
    return _READ_ONLY if found is _NOT_WRITABLE and is_read_only(path) else found


def is_read_only(path: str) -> bool:
    """Whether the file system of a path, or of its directory, is mounted read-only."""
    with suppress(OSError, AttributeError):  # no such place, or a system that cannot say
        return bool(os.statvfs(Path(os.path.realpath(path)).parent).f_flag & os.ST_RDONLY)
    return False


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock."""
    return code_of(error) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's extended code of an error; SQLITE_ERROR if Python's module raised it."""
    return getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR


def _why_not_opened(path: str) -> str:
    """Return what to do if SQLite could not open a file: it does not say why, so the system is asked.

    The file itself must not be opened: closing it would release SQLite's locks.
    """
    place = os.path.realpath(path)
    try:
        with ExitStack() as opened:
            for _ in range(_OPENED):
                opened.callback(os.close, os.open(Path(place).parent, os.O_RDONLY))
    except OSError as error:
        return _SYSTEM.get(error.errno or 0, _DISK)
    effective = os.access in os.supports_effective_ids
    needed = [Path(place).parent, *(Path(place + ending) for ending in ("", "-wal", "-shm", "-journal"))]
    allowed = [os.access(each, os.W_OK, effective_ids=effective) for each in needed if each.exists()]
    return _DISK if all(allowed) else _NOT_WRITABLE


def is_of_rows(error: StoreError) -> bool:
    """Whether SQLite failed because of some rows, so that other rows may work.

    False if the file or the disk as a whole cannot be used: full, locked, lost, closed.
    """
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and code_of(cause) & 0xFF not in _OF_ALL_ROWS
