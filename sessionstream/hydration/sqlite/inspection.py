"""SQLiteFile: the ``StoredState`` of a SQLite file, for operators' tools."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sessionstream.errors import StoreError
from sessionstream.hydration.encoding import bounded
from sessionstream.hydration.rules import check_floor, check_number, check_snapshot, check_text
from sessionstream.hydration.sqlite import history, reads, schema
from sessionstream.hydration.sqlite.columns import Query, moment
from sessionstream.hydration.sqlite.database import Database, check_length
from sessionstream.hydration.sqlite.payload_types import PAYLOAD_TYPE, ReadTypes
from sessionstream.hydration.sqlite.reads import Reading
from sessionstream.hydration.sqlite.rows import event_metadata
from sessionstream.hydration.sqlite.sessions import stored
from sessionstream.hydration.stored import (
    PayloadType,
    StoredEntity,
    StoredEvent,
    StoredPayload,
    StoredSession,
    StoredSnapshot,
)
from sessionstream.observe import ErrorRecord
from sessionstream.schema import SchemaRegistry
from sessionstream.types import snapshot_order

T = TypeVar("T")

_TIMED: Final = 2
"""The first schema version that keeps the time of an event."""

_WITH_METADATA: Final = 4
"""The first schema version that keeps the metadata of an event."""


def _events_of(version: int) -> Query:
    """Return the query for events of a file of that schema version; what it does not keep is 0 or empty."""
    recorded_at = "recorded_at" if version >= _TIMED else "0"
    metadata = "metadata" if version >= _WITH_METADATA else "''"
    query = f"SELECT {reads.EVENT}, {recorded_at}, {metadata} FROM events {reads.LOG}"  # noqa: S608 - our own names
    return Query("events", f"{reads.EVENT}, recorded_at, metadata", query, required=reads.LOGGED)


_EVENTS: Final = {version: _events_of(version) for version in range(1, schema.VERSION + 1)}


class SQLiteFile:
    """The ``StoredState`` of a file. It can be used only within the function that ``SQLiteStore.look`` was given."""

    def __init__(self, db: sqlite3.Connection, version: int, path: str) -> None:
        """Not for callers: use ``SQLiteStore.look``."""
        first_epoch = schema.first_epoch(db, path)
        self._db = db
        self._version = version
        self._reading = Reading(SchemaRegistry(), ReadTypes(), first_epoch)
        self._types: dict[int, PayloadType] = {}

    @property
    def version(self) -> int:
        """The schema version of the file, which may be an older one."""
        return self._version

    def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted, above ``after``, at most ``limit``."""
        check_text("after", after)
        check_number("limit", limit, optional=True)
        return reads.sessions(self._db, after, limit)

    def session(self, session_id: str) -> StoredSession | None:
        """Return where a session stands, None if the file does not know it."""
        check_text("session_id", session_id)
        db, session = self._db, self._reading.session(self._db, session_id)
        last = reads.error_records(db, session_id, 1)
        if stored(db, session_id) is None and not last and not self._has_claims(session_id):
            return None
        waiting = self.count_events(session_id, after=session.cursors.timeline)
        entities = db.execute(
            "SELECT count(*) FROM entities WHERE timeline = ? AND NOT tombstone", (session.timeline,)
        ).fetchone()[0]
        return StoredSession(session_id, session.cursors, waiting, entities, last[0] if last else None)

    def timeline(self, session_id: str, *, as_of: int | None = None) -> StoredSnapshot:
        """Return the timeline now, or right after an ordinal; beyond the cursor that means the cursor.

        Raises:
            HistoryPruned: the ordinal is below the floor.
        """
        check_snapshot(session_id, as_of, None)
        session = self._reading.session(self._db, session_id)
        check_floor(session_id, session.cursors.floor, as_of)
        ordinal = session.cursors.timeline if as_of is None else min(as_of, session.cursors.timeline)
        entities = [
            StoredEntity(kind, entity_id, created, changed, self._payload(number, data))
            for _, kind, entity_id, created, changed, _, number, data in history.as_of(
                self._db, session.timeline, ordinal
            )
        ]
        return StoredSnapshot(ordinal, session.cursors.epoch, tuple(sorted(entities, key=snapshot_order)))

    def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Return logged events above ``after`` that were not pruned, in order, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("limit", limit, optional=True)
        session = self._reading.session(self._db, session_id)
        query = _EVENTS[self._version]
        events = []
        for row in reads.log(self._db, query, session, after, limit):
            _, ordinal, event_id, name, number, data, recorded_at, metadata = row
            time = moment(recorded_at) if self._version >= _TIMED else None
            facts = event_metadata(query, row, metadata)
            events.append(StoredEvent(ordinal, event_id, name, time, self._payload(number, data), facts))
        return events

    def count_events(self, session_id: str, *, after: int = 0, below: int | None = None) -> int:
        """Return how many events there are above ``after``, and below an ordinal, that were not pruned."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("below", below, optional=True)
        session = self._reading.session(self._db, session_id)
        found = self._db.execute(
            "SELECT count(*) FROM events WHERE sid = ? AND ordinal > ? AND ordinal <= ?",
            (
                session.sid,
                bounded(max(after, session.cursors.floor - 1)),
                session.cursors.event if below is None else bounded(below) - 1,
            ),
        )
        return int(found.fetchone()[0])

    def ordinal_from_end(self, session_id: str, count: int) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer; pruned ones do not count."""
        check_text("session_id", session_id)
        check_number("count", count)
        return self._reading.ordinal_from_end(self._db, session_id, count)

    def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last ``limit`` error records of one session, or of all, in the order they came."""
        if session_id is not None:
            check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        return reads.error_records(self._db, session_id, limit)

    def _has_claims(self, session_id: str) -> bool:
        query = "SELECT 1 FROM command_claims WHERE session_id = ?"
        return self._db.execute(query, (session_id,)).fetchone() is not None

    def _payload(self, number: int, data: bytes) -> StoredPayload:
        found = self._types.get(number)
        if found is None:
            row = PAYLOAD_TYPE.first(self._db, (number,))
            _, name, _, descriptors = row or (number, "", b"", b"")
            found = self._types[number] = PayloadType(number, name, descriptors)
        return StoredPayload(found, data)


def look(path: str | os.PathLike[str], question: Callable[[SQLiteFile], T]) -> T:
    """Answer a question from one state of a file; see ``SQLiteStore.look``."""
    if not callable(question):
        raise TypeError(f"question is a function of a SQLiteFile, not {question!r}")
    database = Database.at(path)

    def ask(db: sqlite3.Connection) -> T:
        version = schema.check_identity(db, database.path)
        if version == 0:
            raise StoreError(f"{database.path} is an empty database: no store has written to it yet")
        return question(SQLiteFile(db, version, database.path))

    try:
        check_readable(database.path)
        return database.look(ask, settled=True)
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise database.failure(error, "cannot read") from error


def check_readable(path: str) -> None:
    """Check that there is a regular file at a path, which may be read.

    Raises:
        StoreError: there is not.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"cannot read {path}: there is no such file") from None
    if stat.S_ISDIR(mode):
        raise StoreError(f"cannot read {path}: it is a directory, the store is a file")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
        raise StoreError(f"cannot read {path}: it is not a regular file")
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(f"cannot read {path}: the user of this process may not")
    check_length(path, "read")
