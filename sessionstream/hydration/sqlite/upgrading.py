"""Brings a file of an earlier version to the present one, or says what that would change."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass

from sessionstream.errors import StoreError
from sessionstream.hydration.contradictions import lacking
from sessionstream.hydration.sqlite import schema
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.inspection import check_readable


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade has changed, or would change.

    Attributes:
        before, after: the schema versions; the same if there is nothing to do.
        changes: what is added, such as ``"table nodes"``, ``"column events.metadata"``.
    """

    before: int
    after: int
    changes: tuple[str, ...]


def upgrade(path: str | os.PathLike[str], *, dry_run: bool) -> Upgrade:
    """Bring a file to the present version; see ``SQLiteStore.upgrade``."""
    database = Database.at(path)
    try:
        check_readable(database.path)
        found = database.look(lambda db: _planned(db, database.path), settled=True)
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise database.failure(error, "cannot read") from error
    if not dry_run and found.before != found.after:
        database.connect_writer().close()
    return found


def _planned(db: sqlite3.Connection, path: str) -> Upgrade:
    """Migrate a copy of the file's tables, without their rows, in memory."""
    version = schema.check_identity(db, path)
    if version == 0:
        raise StoreError(f"{path} is an empty database: no store has written to it yet")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        made = "SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC"
        for (statement,) in db.execute(made).fetchall():
            copy.execute(statement)
        copy.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        copy.execute(f"PRAGMA user_version = {version}")
        schema.migrate(copy, path)
        added = lacking(schema.parts(copy), schema.parts(db))
    return Upgrade(version, schema.VERSION, tuple(added))
