"""The questions a store answers, as functions that run inside a reader's transaction.

Rows are fetched before any of them is decoded: the frames of an error that somebody keeps would keep a statement that
was not read to its end, and that its connection, its read transaction, and all of the log from there on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sessionstream.errors import SchemaError, UnknownSchemaError
from sessionstream.hydration.rules import check_floor, known_since
from sessionstream.hydration.sqlite import versions
from sessionstream.hydration.sqlite.rows import bounded, error_record, whole
from sessionstream.hydration.sqlite.types import ReadTypes
from sessionstream.hydration.sqlite.writes import Stored, stored
from sessionstream.observe import ErrorRecord
from sessionstream.schema import Family, SchemaRegistry
from sessionstream.store import Cursors, LoggedEvent, StoredTimeline, UnreadableEntity, stored_digest
from sessionstream.types import Event, Snapshot, TimelineEntity, in_snapshot_order

if TYPE_CHECKING:
    from google.protobuf.message import Message

_STATE: Final = "SELECT kind, id, created, changed, tombstone, type, payload FROM"
_NOW: Final = f"{_STATE} entities WHERE timeline = ? AND NOT tombstone"
_SINCE: Final = f"{_STATE} entities WHERE timeline = ? AND changed > ?"
_RECORDED: Final = """SELECT ordinal, recorded_at FROM events
    WHERE sid = ? AND ordinal BETWEEN ? AND ? ORDER BY ordinal DESC LIMIT 1"""
_FROM_END: Final = "SELECT ordinal FROM events WHERE sid = ? AND ordinal >= ? ORDER BY ordinal DESC LIMIT 1 OFFSET ?"
_OLD_AT_ONCE: Final = 1_000
"""How many old rows are looked for, and then forgotten, at a time: commits pass in between."""

_SESSIONS: Final = """SELECT session_id FROM sessions WHERE session_id > :after AND (
        EXISTS (SELECT 1 FROM events WHERE events.sid = sessions.sid)
        OR EXISTS (SELECT 1 FROM entities WHERE entities.timeline = sessions.timeline))
    UNION SELECT session_id FROM command_claims WHERE session_id > :after
    UNION SELECT session_id FROM errors WHERE session_id > :after
    ORDER BY session_id LIMIT :limit"""
_ERRORS: Final = """SELECT session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at
    FROM errors"""


def row_limit(limit: int | None) -> int:
    """Return a LIMIT for SQLite, -1 for none."""
    return -1 if limit is None else bounded(limit)


@dataclass(frozen=True, slots=True)
class Reading:
    """What questions are answered with, whichever connection answers them."""

    registry: SchemaRegistry
    types: ReadTypes
    first_epoch: int

    def session(self, db: sqlite3.Connection, session_id: str) -> Stored:
        """Return the session; one that nobody has used has no timeline, whose number is 0."""
        return stored(db, session_id) or Stored(0, Cursors(0, 0, self.first_epoch), 0)

    def cursors(self, db: sqlite3.Connection, session_id: str) -> Cursors:
        """Return where the session stands."""
        return self.session(db, session_id).cursors

    def snapshot(self, db: sqlite3.Connection, session_id: str, as_of: int | None, since: int | None) -> Snapshot:
        """Return the timeline now, as of an ordinal, or what changed since one.

        Raises:
            HistoryPruned: the ordinal is below the floor.
            UnknownSchemaError: a payload's message is registered no more.
        """
        session = self.session(db, session_id)
        check_floor(session_id, session.cursors.floor, as_of, since)
        ordinal = session.cursors.timeline if as_of is None else min(as_of, session.cursors.timeline)
        rows: Iterable[tuple[Any, ...]]
        if ordinal < session.cursors.timeline:
            rows = versions.as_of(db, session.timeline, ordinal)
        else:
            rows = self._present(db, session, since)
        entities = in_snapshot_order([self._entity(db, row) for row in rows])
        return Snapshot(session_id, ordinal, tuple(entities), session.cursors.epoch)

    def timeline(self, db: sqlite3.Connection, session_id: str, known: Cursors | None) -> StoredTimeline:
        """Return the cursors and the timeline, or what changed in it, as one commit left them."""
        session = self.session(db, session_id)
        since = known_since(known, session.cursors)
        entities, unreadable = [], []
        for row in self._present(db, session, since):
            try:
                entities.append(self._entity(db, row))
            except UnknownSchemaError as error:
                kind, entity_id, created, changed = row[:4]
                unreadable.append(UnreadableEntity(kind, entity_id, created, changed, error.payload_type, error.clash))
        return StoredTimeline(session.cursors, entities, unreadable, since)

    def events(self, db: sqlite3.Connection, session_id: str, after: int, limit: int | None) -> list[Event]:
        """Return logged events above ``after``, in order.

        Raises:
            UnknownSchemaError: a payload's message is registered no more.
        """
        session = self.session(db, session_id)
        rows = db.execute(
            "SELECT ordinal, event_id, name, type, payload FROM events WHERE sid = ? AND ordinal > ? "
            "ORDER BY ordinal LIMIT ?",
            (session.sid, bounded(max(after, session.cursors.floor - 1)), row_limit(limit)),
        ).fetchall()
        events = []
        for ordinal, event_id, name, number, payload in rows:
            try:
                message = self._decode(db, "event", name, number, payload)
            except SchemaError as error:
                error.ordinal = ordinal
                raise
            events.append(Event(name, message, session_id, ordinal, event_id))
        return events

    def ordinal_from_end(self, db: sqlite3.Connection, session_id: str, count: int) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer."""
        session = self.session(db, session_id)
        if count == 0:
            return session.cursors.event + 1
        row = db.execute(_FROM_END, (session.sid, session.cursors.floor, bounded(count - 1))).fetchone()
        return 0 if row is None else int(row[0])

    def ordinal_before(self, db: sqlite3.Connection, session_id: str, moment: int) -> int:
        """Return the highest ordinal that was logged before a moment, 0 where there is none."""
        session = self.session(db, session_id)
        low, high, found = session.cursors.floor, session.cursors.event, 0
        while low <= high:  # times rise with ordinals, so a few probes are enough
            middle = (low + high) // 2
            row = db.execute(_RECORDED, (session.sid, low, middle)).fetchone()
            if row is None:
                low = middle + 1
            elif row[1] < moment:
                low, found = middle + 1, row[0]
            else:
                high = row[0] - 1
        return int(found)

    def find_event(self, db: sqlite3.Connection, session_id: str, event_id: str) -> LoggedEvent | None:
        """Return what is known of the event with this id, or None."""
        row = db.execute(
            "SELECT ordinal, name, type, payload, digest FROM events WHERE event_id = ? AND "
            "sid = (SELECT sid FROM sessions WHERE session_id = ?)",
            (event_id, session_id),
        ).fetchone()
        if row is None:
            return None
        ordinal, name, number, payload, digest = row
        return LoggedEvent(ordinal, digest or stored_digest(name, self.types.name(db, number), whole(payload)))

    def _present(self, db: sqlite3.Connection, session: Stored, since: int | None) -> list[tuple[Any, ...]]:
        """Return the rows of the timeline as it is, or those that changed since an ordinal."""
        if since is None:
            return db.execute(_NOW, (session.timeline,)).fetchall()
        return db.execute(_SINCE, (session.timeline, bounded(since))).fetchall()

    def _entity(self, db: sqlite3.Connection, row: tuple[Any, ...]) -> TimelineEntity:
        kind, entity_id, created, changed, tombstone, number, data = row
        payload = None
        if not tombstone:
            payload = self._decode(db, "timeline entity", kind, number, data)
        return TimelineEntity(kind, entity_id, payload, created, changed, bool(tombstone))

    def _decode(self, db: sqlite3.Connection, family: Family, name: str, number: int, data: bytes) -> Message:
        payload_type, clash = self.types.compared(db, number, self.registry)
        if clash:
            raise UnknownSchemaError(family, name, payload_type=payload_type, clash=clash)
        return self.registry.decode(family, name, payload_type, whole(data))


def sessions(db: sqlite3.Connection, after: str, limit: int | None) -> list[str]:
    """Return the ids of the sessions that hold anything, sorted as Python sorts them."""
    return [row[0] for row in db.execute(_SESSIONS, {"after": after, "limit": row_limit(limit)})]


def old_errors(db: sqlite3.Connection, session_id: str, moment: int, after: int) -> list[int]:
    """Return the numbers of a session's next error records, from ``after`` on, that are older than a moment."""
    query = "SELECT seq FROM errors WHERE session_id = ? AND seq >= ? AND recorded_at < ? ORDER BY seq LIMIT ?"
    return [row[0] for row in db.execute(query, (session_id, after, moment, _OLD_AT_ONCE))]


def old_claims(db: sqlite3.Connection, session_id: str, moment: int, after: str) -> list[str]:
    """Return a session's next keys, from ``after`` on, that were claimed before a moment."""
    query = "SELECT key FROM command_claims WHERE session_id = ? AND key >= ? AND claimed_at < ? ORDER BY key LIMIT ?"
    return [row[0] for row in db.execute(query, (session_id, after, moment, _OLD_AT_ONCE))]


def error_records(db: sqlite3.Connection, session_id: str | None, limit: int | None) -> list[ErrorRecord]:
    """Return the last error records of one session, or of all, in the order they came."""
    rows: Iterable[tuple[Any, ...]]
    if session_id is None:
        rows = db.execute(f"{_ERRORS} ORDER BY seq DESC LIMIT ?", (row_limit(limit),))
    else:
        rows = db.execute(f"{_ERRORS} WHERE session_id = ? ORDER BY seq DESC LIMIT ?", (session_id, row_limit(limit)))
    return [error_record(row) for row in rows][::-1]
