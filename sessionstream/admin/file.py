"""A SQLite file opened for reading only: nothing of it, and nothing beside it, is created or changed.

A file that nobody has open is read as it lies there. One with a write-ahead log beside it is read through that log, as
every reader does, so that a writer and this do not wait for each other.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from sessionstream.admin.outcome import Failed, Refused
from sessionstream.errors import SessionstreamError, StoreError
from sessionstream.hydration.sqlite import schema
from sessionstream.hydration.sqlite.files import Database

T = TypeVar("T")

_ATTEMPTS: Final = 10


def look(path: str, question: Callable[[sqlite3.Connection, int], T]) -> T:
    """Answer a question from one state of the file; it gets a connection and the file's schema version.

    The question may be asked again where the file was changed meanwhile, so it must have no effects. What it raises
    comes out unchanged, but for SQLite's own errors.

    Raises:
        Refused: there is no such file, or it cannot be read, is damaged, is no store's, or from a newer version.
    """
    try:
        database = Database.at(path)
    except StoreError as error:
        raise Refused(str(error)) from error
    try:
        _check_place(database.path)
        for _ in range(_ATTEMPTS):
            # Without a log nobody has the file open, and SQLite need not create one to read it.
            quiet = not Path(f"{database.path}-wal").exists()
            before = _trace(database.path)
            try:
                answer = _ask(database, question, quiet)
            except (Refused, Failed, SessionstreamError, sqlite3.Error):
                # It may have been read from the pages of several states.
                if not quiet or _trace(database.path) == before:
                    raise
            else:
                if not quiet or _trace(database.path) == before:
                    return answer
        raise Refused(f"cannot read {path}: it is opened and closed all the time: try again")
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise Refused(str(database.failure(error, "cannot read"))) from error


def _ask(database: Database, question: Callable[[sqlite3.Connection, int], T], quiet: bool) -> T:
    mode = "ro&immutable=1" if quiet else "ro"
    uri = f"{Path(database.path).as_uri()}?mode={mode}"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=database.busy_seconds, isolation_level=None)) as db,
        schema.one_state(db),
    ):
        return question(db, _version(db, database.path))


def _version(db: sqlite3.Connection, path: str) -> int:
    try:
        version = schema.check_identity(db, path)
    except StoreError as error:
        raise Refused(str(error)) from error
    if version == 0:
        raise Refused(f"{path} is an empty database: no store has written to it yet")
    return version


def _check_place(path: str) -> None:
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(f"cannot read {path}: there is no such file") from None
    if stat.S_ISDIR(mode):
        raise Refused(f"cannot read {path}: it is a directory, the store is a file")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
        raise Refused(f"cannot read {path}: it is no regular file")
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise Refused(f"cannot read {path}: the user of this process may not")


def _trace(path: str) -> tuple[object, ...]:
    """Return what shows that the file was changed, or opened."""
    status = Path(path).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, Path(f"{path}-wal").exists()
