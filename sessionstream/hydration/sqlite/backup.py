"""Copies a file that may be in use: completely, checked, and with new epochs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, TypeAlias

from sessionstream.errors import StoreError
from sessionstream.hydration.rules import new_epoch
from sessionstream.hydration.sqlite import schema
from sessionstream.hydration.sqlite.database import Database, check_length
from sessionstream.hydration.sqlite.inspection import check_readable

Told: TypeAlias = Callable[[int, int], object]
"""Takes how many pages are copied, and how many there are."""

_PAGES: Final = 4_000
"""Pages that are copied in one step: 16 MB."""

_BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files of a database."""


def back_up(path: str | os.PathLike[str], copy: str | os.PathLike[str], told: Told | None = None) -> None:
    """Copy a file, also while it is in use; see ``SQLiteStore.back_up``."""
    source, target = Database.at(path), Database.at(copy)
    what = f"cannot copy {source.path} to"
    try:
        check_readable(source.path)
        _claim(target.path, Path(source.path).stat().st_mode & 0o777)
    except OSError as error:
        raise target.failure(error, what) from error
    try:
        with closing(sqlite3.connect(target.path, isolation_level=None)) as db:
            source.look(lambda live: _copy(live, source.path, db, told), settled=True)
            _finish(db, source.path)
    except BaseException as error:
        for ending in _BESIDE:
            with suppress(OSError):
                Path(target.path + ending).unlink()
        if isinstance(error, sqlite3.Error | OSError):
            raise target.failure(error, what) from error
        raise


def _claim(path: str, mode: int) -> None:
    """Create an empty file.

    Raises:
        StoreError: the file exists, or one that SQLite would take for a part of it, or the path is too long.
    """
    check_length(path, "copy to")
    for ending in _BESIDE:
        if os.path.lexists(path + ending):
            raise StoreError(
                f"cannot copy to {path}: there is a {path + ending} already: give another name, or move it away first"
            )
    if not Path(path).parent.is_dir():
        raise StoreError(f"cannot copy to {path}: its directory {Path(path).parent} does not exist")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def _copy(live: sqlite3.Connection, path: str, copy: sqlite3.Connection, told: Told | None) -> None:
    """Copy the state that the connection reads, within its transaction: what others commit meanwhile is not seen."""

    def progress(_status: int, remaining: int, total: int) -> None:
        if told is not None:
            told(total - remaining, total)

    if schema.check_identity(live, path) == 0:
        raise StoreError(f"{path} is an empty database: no store has written to it yet")
    live.backup(copy, pages=_PAGES, progress=progress)


def _finish(copy: sqlite3.Connection, path: str) -> None:
    """Check the copy, and give it new epochs: clients may have seen what happened after it was made.

    What the processes that have the file open tell each other is not in the copy.
    """
    copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(
            f"{path} is damaged, so no copy of it was made: {found}: restore it from a backup, or save what "
            f"`sqlite3 FILE .recover` finds"
        )
    epoch = new_epoch()
    with copy:
        copy.execute("BEGIN")
        copy.execute("UPDATE sessions SET epoch = ?", (epoch,))
        copy.execute("UPDATE meta SET value = ? WHERE key = 'first_epoch'", (epoch,))
        if copy.execute("PRAGMA user_version").fetchone()[0] >= schema.FIRST_WITH_NODES:
            copy.execute("UPDATE command_claims SET node = ''")  # none of their processes has the copy open
            copy.execute("DELETE FROM nodes")
            copy.execute("DELETE FROM ui_events")
