"""Copies a file that may be in use, and restores a copy: completely, checked, and with new epochs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, TypeAlias
from uuid import uuid4

from sessionstream.errors import StoreError
from sessionstream.hydration.rules import new_epoch
from sessionstream.hydration.sqlite import schema
from sessionstream.hydration.sqlite.database import Database, check_length
from sessionstream.hydration.sqlite.failures import RESTORE, code_of, is_busy
from sessionstream.hydration.sqlite.inspection import check_readable
from sessionstream.hydration.sqlite.watch import log_of

ProgressFunction: TypeAlias = Callable[[int, int], object]
"""Takes how many pages are copied, and how many there are."""

_PAGES: Final = 4_000
"""Pages that are copied in one step: 16 MB."""

_OWN: Final = 0o600
"""What the owner of a copy may do at least: a backup that is read-only is restored to a file that is not."""

_BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files of a database."""


def back_up(
    path: str | os.PathLike[str], copy: str | os.PathLike[str], progress: ProgressFunction | None = None
) -> None:
    """Copy a file, also while it is in use; see ``SQLiteStore.back_up``."""
    source, target = Database.at(path), Database.at(copy)

    def check() -> None:
        _check_name(target.path, f"cannot copy to {target.path}")
        _check_free(target.path, f"cannot copy to {target.path}", "give another name, or move it away first")

    check()
    beside = f"{target.path}.copying-{uuid4().hex[:8]}"
    _make(source, target, beside, f"cannot copy {source.path} to", progress, check)


def restore(
    copy: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    replace: bool = False,
    progress: ProgressFunction | None = None,
) -> None:
    """Put a copy in the place of a file; see ``SQLiteStore.restore``."""
    source, target = Database.at(copy), Database.at(path)
    place = os.path.realpath(target.path)
    if os.path.realpath(source.path) == place:
        raise StoreError(f"cannot restore {source.path} to itself: name the copy, and then the file to restore")
    if os.path.lexists(log := log_of(source.path)):
        raise StoreError(
            f"cannot restore {source.path} to {target.path}: {source.path} is no backup, as there is a {log}: a "
            "process has it open, or was killed or copied while it had. If this is what you mean to restore, make a "
            "backup of it first, and restore that (the backup is named first, then the file to restore)"
        )
    beside = f"{place}.restoring-{uuid4().hex[:8]}"

    def settle() -> None:
        _check_place(target, place, replace=replace)
        if Path(place).exists():
            _give_owner(beside, place)
            _settle(target, place)

    try:
        _check_place(target, place, replace=replace)
    except OSError as error:
        raise target.failure(error, f"cannot restore {source.path} to") from error
    _make(source, target, beside, f"cannot restore {source.path} to", progress, settle)


def _make(
    source: Database,
    target: Database,
    beside: str,
    what: str,
    progress: ProgressFunction | None,
    ready: Callable[[], None],
) -> None:
    """Copy a file, check the copy and give it new epochs; then it gets its name. Leave nothing if that fails.

    Args:
        beside: the name of the copy until it is whole, in the directory of the target.
        ready: called when it is whole; it raises if the target cannot be had.
    """
    place = Path(os.path.realpath(target.path))
    try:
        check_readable(source.path)
        _claim(target.path, beside, Path(source.path).stat().st_mode & 0o777 | _OWN)
    except OSError as error:
        raise target.failure(error, what) from error
    try:
        with closing(sqlite3.connect(beside, isolation_level=None, check_same_thread=False)) as db:
            source.look(lambda live: _copy(live, source.path, db, progress), settled=True)
            _finish(db, source.path)
        ready()
        Path(beside).replace(place)
        _sync(place.parent)
    except BaseException as error:
        _remove(beside)
        if isinstance(error, sqlite3.Error | OSError):
            raise target.failure(error, what) from error
        raise


def _remove(path: str) -> None:
    """Remove the files of a database that is not finished."""
    for ending in _BESIDE:
        with suppress(OSError):
            Path(path + ending).unlink()


def _check_name(path: str, what: str) -> None:
    """Check that SQLite would not take a file of this name for a part of another one.

    Raises:
        StoreError: it would.
    """
    for ending in _BESIDE[1:]:
        whole = path.removesuffix(ending)
        if whole != path and os.path.lexists(whole):
            raise StoreError(f"{what}: SQLite takes it for a part of {whole}: give another name")


def _check_free(path: str, what: str, way_out: str) -> None:
    """Check that there is no file of this name, nor one that SQLite would take for a part of it.

    Raises:
        StoreError: there is.
    """
    for ending in _BESIDE:
        if os.path.lexists(path + ending):
            raise StoreError(f"{what}: there is a {path + ending} already: {way_out}")


def _claim(path: str, beside: str, mode: int) -> None:
    """Create an empty file beside a path.

    Raises:
        StoreError: the path is too long, or there is no such directory.
    """
    check_length(path, "copy to")
    check_length(beside, "copy to")
    if not Path(beside).parent.is_dir():
        raise StoreError(f"cannot copy to {path}: its directory {Path(beside).parent} does not exist")
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def _copy(live: sqlite3.Connection, path: str, copy: sqlite3.Connection, progress: ProgressFunction | None) -> None:
    """Copy the state that the connection reads, within its transaction: what others commit meanwhile is not seen."""

    def tell(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    if schema.check_identity(live, path) == 0:
        raise StoreError(f"{path} is an empty database: no store has written to it yet")
    live.backup(copy, pages=_PAGES, progress=tell)


def _finish(copy: sqlite3.Connection, path: str) -> None:
    """Check the copy, and give it new epochs: clients may have seen what happened after it was made.

    What the processes that have the file open tell each other is not in the copy.
    """
    copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    if (found := _finding(copy)) != "ok":
        raise StoreError(f"{path} is damaged, so no copy of it was made: {found}: {RESTORE}")
    epoch = new_epoch()
    with copy:
        copy.execute("BEGIN")
        copy.execute("UPDATE sessions SET epoch = ?", (epoch,))
        copy.execute("UPDATE meta SET value = ? WHERE key = 'first_epoch'", (epoch,))
        if copy.execute("PRAGMA user_version").fetchone()[0] >= schema.FIRST_WITH_NODES:
            copy.execute("UPDATE command_claims SET node = ''")  # none of their processes has the copy open
            copy.execute("DELETE FROM nodes")
            copy.execute("DELETE FROM ui_events")


def _finding(copy: sqlite3.Connection) -> str:
    """Return what SQLite finds damaged, "ok" if nothing.

    It runs in a thread, as Python handles signals only between the calls of its main thread, and a check takes long.
    """
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(lambda: str(copy.execute("PRAGMA integrity_check(1)").fetchone()[0])).result()
        except BaseException:
            copy.interrupt()
            raise


# -- the place of a file that is restored -----------------------------------------------------------------------------


def _check_place(target: Database, place: str, *, replace: bool) -> None:
    """Check that a copy may be put at a place.

    Raises:
        StoreError: there is a file, and it is not to be replaced or may not be written; or there is none, but a log of
            one.
    """
    what = f"cannot restore to {target.path}"
    _check_name(place, what)
    if not Path(place).exists():
        _check_free(place, what, "it is a part of a file that is gone; move it away first")
    elif not Path(place).is_file():
        raise StoreError(f"{what}: it is not a regular file: correct the path")
    elif not replace:
        raise StoreError(
            f"{what}: there is a file already: end every process that has it open, then move it away with the files "
            "whose names begin with its name, or replace it (--replace)"
        )
    elif not os.access(place, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(
            f"{what}: the user of this process may not read and write it, and the new file would have its mode: allow "
            "that, or move it away with the files whose names begin with its name"
        )


def _settle(target: Database, place: str) -> None:
    """Bring the file that is to be replaced to where it is whole without a log, and nobody has it open.

    So the one rename that follows leads from the old state to the new one. A log beside the new file would be read as a
    part of it.

    Raises:
        StoreError: a process has it open, it is no SQLite file or another application's, or its log cannot be written
            to it.
    """
    what = f"cannot restore to {target.path}"
    try:
        with closing(sqlite3.connect(place, timeout=0, isolation_level=None)) as old:
            schema.check_ours(old, target.path)
            old.execute("PRAGMA journal_mode = DELETE")  # only if no other connection has it open
    except sqlite3.Error as error:
        if is_busy(error):
            raise StoreError(f"{what}: a process has it open: end every process that has, and try again") from error
        if code_of(error) == sqlite3.SQLITE_NOTADB:
            raise StoreError(
                f"{what}: it is no SQLite file, or its first bytes are destroyed: correct the path, or move it away, "
                "with the files whose names begin with its name, and restore again"
            ) from error
        if any(os.path.lexists(place + ending) for ending in _BESIDE[1:]):
            raise StoreError(
                f"{what}: what is in the log beside it cannot be written to it ({error}): move it away, with the files "
                "whose names begin with its name, and restore again"
            ) from error


def _give_owner(path: str, place: str) -> None:
    """Give a file the mode and the owner of another one: an app must be able to open what root has restored."""
    wanted, made = Path(place).stat(), Path(path).stat()
    if (wanted.st_uid, wanted.st_gid) != (made.st_uid, made.st_gid):
        os.chown(path, wanted.st_uid, wanted.st_gid)
    Path(path).chmod(wanted.st_mode & 0o777)


def _sync(directory: Path) -> None:
    """Wait until the disk has a rename; where a directory cannot be opened, as on Windows, that is not needed."""
    if os.name == "posix":
        opened = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
