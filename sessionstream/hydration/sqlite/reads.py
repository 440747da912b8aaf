"""The questions a store answers, as functions that run inside a reader's transaction.

All rows are fetched before any is decoded: otherwise the traceback of a decoding error would keep an unfinished
statement alive, and with it a read transaction and all of the log since.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sessionstream.errors import PayloadDecodeError, SchemaError, UnknownSchemaError
from sessionstream.hydration.encoding import MAX_STORED, bounded
from sessionstream.hydration.positions import numbers_of, position
from sessionstream.hydration.rules import check_floor, known_since
from sessionstream.hydration.slices import in_order
from sessionstream.hydration.sqlite import event_ids, history
from sessionstream.hydration.sqlite.columns import Query, Row, moment
from sessionstream.hydration.sqlite.history import STATE, check_states
from sessionstream.hydration.sqlite.payload_types import ReadTypes
from sessionstream.hydration.sqlite.rows import ERROR, error_record, event_metadata
from sessionstream.hydration.sqlite.sessions import Stored, last_change, stored
from sessionstream.observe import ErrorRecord
from sessionstream.schema import Family, SchemaRegistry
from sessionstream.store import Change, Cursors, LoggedEvent, StoredTimeline, UnreadableEntity
from sessionstream.types import Event, Snapshot, TimelineEntity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

_NOW: Final = Query("entities", STATE, "WHERE timeline = ? AND NOT tombstone")
_SINCE: Final = Query("entities", STATE, "WHERE timeline = ? AND changed > ?")
EVENT: Final = "sid, ordinal, event_id, name, type, payload"
"""The columns of an event."""

LOG: Final = "WHERE sid = ? AND ordinal > ? ORDER BY ordinal LIMIT ?"
"""What ``log`` asks with."""

LOGGED: Final = ("name", "type", "payload")
"""The columns that an event has until it is pruned."""

_EVENTS: Final = Query("events", f"{EVENT}, recorded_at, metadata", LOG, required=LOGGED)
_FIRST_YOUNG: Final = Query(
    "events",
    "sid, ordinal, recorded_at",
    "WHERE sid = ? AND ordinal >= ? AND (recorded_at >= ? OR recorded_at IS NULL) ORDER BY ordinal LIMIT 1",
)
_LAST_BELOW: Final = Query(
    "events",
    "sid, ordinal",
    "WHERE sid = ? AND ordinal >= ? AND ordinal < ? ORDER BY ordinal DESC LIMIT 1",
)
_FROM_END: Final = Query(
    "events",
    "sid, ordinal",
    "WHERE sid = ? AND ordinal >= ? ORDER BY ordinal DESC LIMIT 1 OFFSET ?",
)
_OLD_AT_ONCE: Final = 1_000
"""How many old rows are looked for, and then forgotten, at a time: commits pass in between."""

_SESSIONS: Final = (
    Query(
        "sessions",
        "session_id",
        """WHERE session_id > ? AND (
        EXISTS (SELECT 1 FROM events WHERE events.sid = sessions.sid)
        OR EXISTS (SELECT 1 FROM entities WHERE entities.timeline = sessions.timeline))
        ORDER BY session_id LIMIT ?""",
    ),
    Query("command_claims", "session_id", "WHERE session_id > ? GROUP BY session_id ORDER BY session_id LIMIT ?"),
    Query("errors", "session_id", "WHERE session_id > ? GROUP BY session_id ORDER BY session_id LIMIT ?"),
)
_CHANGES: Final = Query("sessions", "sid, session_id, changed", "WHERE changed > ? ORDER BY changed LIMIT ?")
_EMPTY: Final = Query(
    "sessions",
    "sid",
    """WHERE changed > ? AND changed <= ?
    AND NOT EXISTS (SELECT 1 FROM events WHERE events.sid = sessions.sid)
    AND NOT EXISTS (SELECT 1 FROM entities WHERE entities.timeline = sessions.timeline)""",
)
_FIRST_YOUNG_ERROR: Final = Query(
    "errors",
    "seq, recorded_at",
    "WHERE session_id = ? AND (recorded_at >= ? OR recorded_at IS NULL) ORDER BY seq LIMIT 1",
)
_OLD_ERRORS: Final = Query("errors", "seq", "WHERE session_id = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?")
_OLD_CLAIMS: Final = Query(
    "command_claims",
    "session_id, key",
    "WHERE session_id = ? AND key >= ? AND claimed_at < ? ORDER BY key LIMIT ?",
)
_ALL_ERRORS: Final = Query("errors", ERROR, "ORDER BY seq DESC LIMIT ?")
_ERRORS: Final = Query("errors", ERROR, "WHERE session_id = ? ORDER BY seq DESC LIMIT ?")


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
            UnknownSchemaError: a payload's message is no longer registered.
        """
        session = self.session(db, session_id)
        check_floor(session_id, session.cursors.floor, as_of, since)
        ordinal = session.cursors.timeline if as_of is None else min(as_of, session.cursors.timeline)
        if ordinal < session.cursors.timeline:
            rows = history.as_of(db, session.timeline, ordinal)
        else:
            rows = self._present(db, session, since)
        entities = in_order([self._entity(db, row) for row in _taken(rows)])
        return Snapshot(session_id, ordinal, tuple(entities), session.cursors.epoch, since)

    def timeline(self, db: sqlite3.Connection, session_id: str, known: Cursors | None) -> StoredTimeline:
        """Return the cursors and the timeline, or what changed in it, as one commit left them."""
        session = self.session(db, session_id)
        since = known_since(known, session.cursors)
        entities, unreadable = [], []
        for row in _taken(self._present(db, session, since)):
            try:
                entities.append(self._entity(db, row))
            except (UnknownSchemaError, PayloadDecodeError) as error:
                unreadable.append(_unreadable(row, error))
        return StoredTimeline(session.cursors, entities, unreadable, since)

    def events(self, db: sqlite3.Connection, session_id: str, after: int, limit: int | None) -> list[Event]:
        """Return logged events above ``after``, in order.

        Raises:
            UnknownSchemaError: a payload's message is no longer registered.
        """
        session = self.session(db, session_id)
        events = []
        for row in log(db, _EVENTS, session, after, limit):
            _, ordinal, event_id, name, number, payload, recorded_at, metadata = row
            try:
                message = self._decode(db, "event", name, number, payload)
            except SchemaError as error:
                error.ordinal = ordinal
                raise
            facts = event_metadata(_EVENTS, row, metadata)
            events.append(Event(name, message, session_id, ordinal, event_id, facts, moment(recorded_at)))
        return events

    def ordinal_from_end(self, db: sqlite3.Connection, session_id: str, count: int) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer."""
        session = self.session(db, session_id)
        if count == 0:
            return session.cursors.event + 1
        row = _FROM_END.first(db, (session.sid, session.cursors.floor, bounded(count - 1)))
        return 0 if row is None else int(row[1])

    def ordinal_before(self, db: sqlite3.Connection, session_id: str, moment: int) -> int:
        """Return the highest ordinal that was logged, as all below it, before a moment; 0 where there is none.

        Times rise with ordinals, but not in files of earlier versions of this library, where the clock was turned back.
        So each is looked at, up to the first that is not before the moment: those that pruning is about to read.
        """
        session = self.session(db, session_id)
        sid, floor = session.sid, session.cursors.floor
        young = _FIRST_YOUNG.first(db, (sid, floor, moment))
        if young is None:
            return self.ordinal_from_end(db, session_id, 1)
        row = _LAST_BELOW.first(db, (sid, floor, young[1]))
        return 0 if row is None else int(row[1])

    def find_event(self, db: sqlite3.Connection, session_id: str, event_id: str) -> LoggedEvent | None:
        """Return what is known of the event with this id, or None."""
        return event_ids.find_event(db, self.types, self.registry, session_id, event_id)

    def _present(self, db: sqlite3.Connection, session: Stored, since: int | None) -> list[Row]:
        """Return the rows of the timeline as it is, or those that changed since an ordinal."""
        if not session.timeline:  # nobody has used it
            return []
        query = _NOW if since is None else _SINCE
        rows = query.all(db, (session.timeline,) if since is None else (session.timeline, bounded(since)))
        check_states(query, rows, session.cursors.timeline)
        return rows

    def _entity(self, db: sqlite3.Connection, row: Row) -> TimelineEntity:
        _, kind, entity_id, created, changed, tombstone, number, data = row
        payload = None
        if not tombstone:
            payload = self._decode(db, "timeline entity", kind, number, data)
        return TimelineEntity(kind, entity_id, payload, created, changed, bool(tombstone))

    def _decode(self, db: sqlite3.Connection, family: Family, name: str, number: int, data: bytes) -> Message:
        payload_type, clash = self.types.compared(db, number, self.registry)
        if clash:
            raise UnknownSchemaError(family, name, payload_type=payload_type, clash=clash)
        return self.registry.decode(family, name, payload_type, data)


def log(db: sqlite3.Connection, query: Query, session: Stored, after: int, limit: int | None) -> list[Row]:
    """Return the rows of logged events above ``after`` that were not pruned; the query selects sid and ordinal first.

    Raises:
        Damage: a value in them is not valid, or the last event is not where the cursor says.
    """
    cursors = session.cursors
    rows = query.all(db, (session.sid, bounded(max(after, cursors.floor - 1)), row_limit(limit)))
    if rows and rows[-1][1] > cursors.event:
        query.damaged(rows[-1], "ordinal", f"{rows[-1][1]}, above the session's event_cursor {cursors.event}")
    if not rows and after < cursors.event and limit != 0:
        last = _FROM_END.first(db, (session.sid, cursors.floor, 0))
        if last is not None:  # the log of a session that was deleted has none, with the same cursor
            _FROM_END.damaged(last, "ordinal", f"the last, and the session's event_cursor is {cursors.event}")
    return rows


def _taken(rows: list[Row]) -> Iterator[Row]:
    """Yield rows and let go of each, so that they are not in memory together with all that is made of them.

    It spares the garbage collector runs, too: they come with the number of objects that were made and not freed.
    """
    rows.reverse()
    while rows:
        yield rows.pop()


def _unreadable(row: Row, error: UnknownSchemaError | PayloadDecodeError) -> UnreadableEntity:
    _, kind, entity_id, created, changed = row[:5]
    if isinstance(error, UnknownSchemaError):
        return UnreadableEntity(kind, entity_id, created, changed, error.payload_type, error.clash)
    clash = f"its bytes are no such message ({error.reason})"
    return UnreadableEntity(kind, entity_id, created, changed, error.expected, clash)


def sessions(db: sqlite3.Connection, after: str, limit: int | None) -> list[str]:
    """Return the ids of the sessions that hold anything, sorted as Python sorts them."""
    found = {row[0] for query in _SESSIONS for row in query.all(db, (after, row_limit(limit)))}
    return sorted(found)[:limit]


def changes(db: sqlite3.Connection, first_epoch: int, after: str, limit: int | None) -> list[Change]:
    """Return the sessions that changed after a position, in the order of their last changes, at most ``limit``.

    Raises:
        ValueError: the position is not one of this file.
    """
    (known,) = numbers_of(after, first_epoch, (last_change(db),))
    known = known if after else -MAX_STORED  # also rows with damaged numbers
    rows = _CHANGES.all(db, (known, row_limit(limit)))
    if not rows:
        return []
    empty = {row[0] for row in _EMPTY.all(db, (known, rows[-1][2]))}
    return [Change(session_id, position(first_epoch, number), deleted=sid in empty) for sid, session_id, number in rows]


def old_errors(db: sqlite3.Connection, session_id: str, moment: int, after: int) -> list[int]:
    """Return the numbers of a session's next error records, from ``after`` on, that are older than a moment.

    One is not older than those before it, whatever it says: it may be of a time when the clock was turned back.
    """
    young = _FIRST_YOUNG_ERROR.first(db, (session_id, moment))
    below = MAX_STORED if young is None else young[0]
    return [row[0] for row in _OLD_ERRORS.all(db, (session_id, after, below, _OLD_AT_ONCE))]


def old_claims(db: sqlite3.Connection, session_id: str, moment: int, after: str) -> list[str]:
    """Return a session's next keys, from ``after`` on, that were claimed before a moment."""
    return [row[1] for row in _OLD_CLAIMS.all(db, (session_id, after, moment, _OLD_AT_ONCE))]


def error_records(db: sqlite3.Connection, session_id: str | None, limit: int | None) -> list[ErrorRecord]:
    """Return the last error records of one session, or of all, in the order they came."""
    if session_id is None:
        query, rows = _ALL_ERRORS, _ALL_ERRORS.all(db, (row_limit(limit),))
    else:
        query, rows = _ERRORS, _ERRORS.all(db, (session_id, row_limit(limit)))
    return [error_record(query, row) for row in rows][::-1]
