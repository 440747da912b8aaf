"""The tables of the file, and the migrations from older versions."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import Final

from sessionstream.errors import StoreDamaged, StoreError, StoreUpgraded
from sessionstream.hydration.rules import new_epoch
from sessionstream.hydration.sqlite.columns import Query
from sessionstream.hydration.sqlite.failures import CHANGED, Damage

APPLICATION_ID: Final = 0x53535452
"""Marks a file of this library: "SSTR"."""

# An entity's present state is in `entities`; a state that was superseded is in `entity_versions`, with the
# ordinal at which that happened. So the timeline as of n is the present states not younger than n, and of the
# earlier ones those that n falls into. Both hang on a timeline id, not on the session: a rebuild is written
# beside the present timeline and becomes it by one update of `sessions.timeline`.
#
# What is only ever appended (events, versions) is in tables with rowids: many sessions then fill the same pages,
# where clustering by session would rewrite one page for each of them in every transaction.
#
# A pruned event keeps its id, its ordinal and its digest: a repeated event must still be recognised.
_VERSION_1: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE sessions (
        sid INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL UNIQUE,
        event_cursor INTEGER NOT NULL,
        timeline_cursor INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0,
        timeline INTEGER NOT NULL)""",
    "CREATE TABLE timelines (timeline INTEGER PRIMARY KEY AUTOINCREMENT, sid INTEGER NOT NULL)",
    """CREATE TABLE payload_types (
        type INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        digest BLOB NOT NULL,
        descriptors BLOB NOT NULL,
        UNIQUE (name, digest))""",
    """CREATE TABLE events (
        sid INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        event_id TEXT NOT NULL,
        name TEXT,
        type INTEGER,
        payload BLOB,
        digest BLOB,
        PRIMARY KEY (sid, ordinal))""",
    "CREATE UNIQUE INDEX events_by_id ON events (sid, event_id)",
    """CREATE TABLE entities (
        timeline INTEGER NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        created INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        tombstone INTEGER NOT NULL,
        type INTEGER,
        payload BLOB,
        PRIMARY KEY (timeline, kind, id)) WITHOUT ROWID""",
    "CREATE INDEX entities_by_change ON entities (timeline, changed)",
    """CREATE TABLE entity_versions (
        timeline INTEGER NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        created INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        superseded INTEGER NOT NULL,
        tombstone INTEGER NOT NULL,
        type INTEGER,
        encoding INTEGER NOT NULL DEFAULT 0,
        payload BLOB,
        PRIMARY KEY (timeline, kind, id, changed))""",
    """CREATE TABLE command_claims (
        session_id TEXT NOT NULL,
        key TEXT NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (session_id, key)) WITHOUT ROWID""",
    """CREATE TABLE errors (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        ordinal TEXT NOT NULL,
        event_name TEXT NOT NULL,
        error TEXT NOT NULL,
        raw_message BLOB NOT NULL,
        metadata TEXT NOT NULL,
        recorded_at INTEGER NOT NULL)""",
    "CREATE INDEX errors_by_session ON errors (session_id, seq)",
)

# A superseded state is kept as a delta against the state that superseded it (encoding 1, see ..delta) or in full
# (encoding 0); `entities.depth` counts the deltas since the last one in full. A delta therefore needs later rows
# only, and what is pruned are earlier ones.
#
# A row of `discarded` says which rows of other tables are no longer visible, so that they can be removed in small
# transactions (see discarded.py). A timeline that is being built beside the present one has a row there as well, so
# that it is removed if it is never finished.
#
# Events of an older file count as recorded when it was brought to this version.
_VERSION_2: Final = (
    "ALTER TABLE entities ADD COLUMN depth INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE events ADD COLUMN recorded_at INTEGER NOT NULL DEFAULT $now",
    """CREATE TABLE discarded (
        what TEXT NOT NULL,
        number INTEGER NOT NULL,
        below INTEGER NOT NULL DEFAULT 0,
        after INTEGER NOT NULL DEFAULT 0,
        kind TEXT NOT NULL DEFAULT '',
        id TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (what, number)) WITHOUT ROWID""",
)

# Keys of an older file count as claimed when it was brought to this version.
_VERSION_3: Final = ("ALTER TABLE command_claims ADD COLUMN claimed_at INTEGER NOT NULL DEFAULT $now",)

# A claim says which process runs its command (`node`, a row of `nodes` while that has the file open; empty once it runs
# no more), and whether the command has finished; those of an older file count as finished. `ui_events` holds for a
# short time what moved a timeline (from `before` to `ordinal`), for other processes that have the file open. A copy of
# the file has neither table's rows.
_VERSION_4: Final = (
    "ALTER TABLE events ADD COLUMN metadata TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE command_claims ADD COLUMN node TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE command_claims ADD COLUMN finished INTEGER NOT NULL DEFAULT 1",
    "CREATE TABLE nodes (node TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE ui_events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        before INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        node TEXT NOT NULL,
        data BLOB,
        at INTEGER NOT NULL)""",
    "CREATE INDEX ui_events_by_ordinal ON ui_events (session_id, ordinal)",
)

# `sessions.changed` rises with every change of a session (see sessions.py). Sessions of an older file count as changed
# in the order in which they began.
_VERSION_5: Final = (
    "ALTER TABLE sessions ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
    "UPDATE sessions SET changed = sid",
    "CREATE INDEX sessions_by_change ON sessions (changed)",
)

MIGRATIONS: Final = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
"""The statements that lead from each version to the next; the first from an empty file. ``$now`` is the present
time in microseconds."""

VERSION: Final = len(MIGRATIONS)

FIRST_WITH_NODES: Final = 4
"""The first version with the tables ``nodes`` and ``ui_events``."""

_FIRST_EPOCH_KEY: Final = "first_epoch"
_FIRST_EPOCH: Final = Query("meta", "key, value", f"WHERE key = '{_FIRST_EPOCH_KEY}'")
_TABLES: Final[list[str]] = re.findall(r"CREATE TABLE (\w+)", "\n".join(chain.from_iterable(MIGRATIONS)))


@contextmanager
def one_state(db: sqlite3.Connection) -> Iterator[None]:
    """Run several queries on one state of the file, whatever another process does to it."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        _roll_back(db)


def check_identity(db: sqlite3.Connection, path: str) -> int:
    """Return the file's version, 0 for an empty file, without changing anything.

    Raises:
        StoreError: the file is another application's, or of a newer version, or of a version that does not exist.
    """
    version, tables = check_ours(db, path)
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer version of sessionstream (schema {version}, this one knows "
            f"{VERSION}): upgrade sessionstream, or open another file; this one was left as it is"
        )
    if version < 0 or (version == 0 and tables):
        raise StoreError(
            f"{path} says that it is schema {version}, which no version of sessionstream has written: {CHANGED}"
        )
    return version


def check_ours(db: sqlite3.Connection, path: str) -> tuple[int, int]:
    """Return the version of a file and the number of its tables and indexes; the version may be a newer one.

    Raises:
        StoreError: the file is another application's.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(
            f"{path} is another application's SQLite database (application_id {application}): "
            f"give the store a file of its own"
        )
    return version, tables


def check_version(db: sqlite3.Connection, path: str) -> None:
    """Check the version of the file; within a transaction it stays the same.

    Raises:
        StoreUpgraded: another process has migrated the file.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise StoreUpgraded(path, version=version, known=VERSION)


def first_epoch(db: sqlite3.Connection, path: str) -> int:
    """Return the epoch of unused sessions.

    Raises:
        StoreDamaged: the file does not have it.
    """
    try:
        row = _FIRST_EPOCH.first(db)
    except Damage:
        row = None
    if row is None:
        where = f"value of the row with key {_FIRST_EPOCH_KEY!r} in table meta"
        raise StoreDamaged(
            path,
            f"{path} lacks its first epoch, the {where}: {CHANGED}",
            table="meta",
            row=f"key {_FIRST_EPOCH_KEY!r}",
            column="value",
        )
    return int(row[1])


def _check_tables(db: sqlite3.Connection, path: str) -> None:
    present = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in _TABLES:
        if table not in present:
            raise StoreError(f"{path} lacks the table {table}: {CHANGED}")


def migrate(db: sqlite3.Connection, path: str) -> None:
    """Migrate the file to the present version, in one transaction.

    Raises:
        StoreError: the file is another application's, or newer, or lacks a table.
    """
    with one_state(db):
        if check_identity(db, path) == VERSION:
            _check_tables(db, path)
            return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = check_identity(db, path)  # again: another process may have been faster
        _execute(db, MIGRATIONS[version:])
        if version == 0:
            db.execute("INSERT INTO meta VALUES ('first_epoch', ?)", (new_epoch(),))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        _roll_back(db)
        raise
    db.execute("COMMIT")


def parts(db: sqlite3.Connection) -> dict[str, str]:
    """Return the tables of a database, their columns, and the indexes; each with the statement that made it.

    That of a column is empty.
    """
    found = {}
    made = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type DESC, name"
    for kind, name, sql in db.execute(made).fetchall():
        found[f"{kind} {name}"] = sql
        if kind == "table":
            found |= {
                f"column {name}.{row[1]}": "" for row in db.execute("SELECT * FROM pragma_table_info(?)", (name,))
            }
    return found


def parts_of(version: int) -> dict[str, str]:
    """Return the ``parts`` that a file of a schema version has."""
    with closing(sqlite3.connect(":memory:")) as db:
        _execute(db, MIGRATIONS[:version])
        return parts(db)


def _execute(db: sqlite3.Connection, migrations: Sequence[Sequence[str]]) -> None:
    for statement in chain.from_iterable(migrations):
        db.execute(statement.replace("$now", str(time.time_ns() // 1000)))


def _roll_back(db: sqlite3.Connection) -> None:
    """Roll back, unless SQLite has done so itself: a second error would hide the first."""
    if db.in_transaction:
        db.execute("ROLLBACK")
