"""What is asked of a file, each as a function that runs within ``file.look``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sessionstream.admin.outcome import Failed
from sessionstream.admin.payloads import Payload, Payloads
from sessionstream.hydration.rules import check_floor
from sessionstream.hydration.sqlite import reads, versions
from sessionstream.hydration.sqlite.rows import bounded
from sessionstream.hydration.sqlite.writes import Stored, stored
from sessionstream.observe import ErrorRecord
from sessionstream.store import Cursors

_TIMED: Final = 2
"""The first schema version that knows when an event was logged."""

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SessionState:
    """Where a session stands.

    Attributes:
        waiting: events in the log that the timeline does not reflect.
        entities: live ones in the timeline.
    """

    id: str
    cursors: Cursors
    waiting: int
    entities: int
    last_error: ErrorRecord | None


@dataclass(frozen=True, slots=True)
class Entity:
    """A live entity."""

    kind: str
    id: str
    created: int
    changed: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class Timeline:
    """A timeline as it was right after an event, in snapshot order."""

    ordinal: int
    epoch: int
    entities: Sequence[Entity]


@dataclass(frozen=True, slots=True)
class Logged:
    """An event; ``recorded_at`` is None in a file of the first version, ``applied`` False while it waits."""

    ordinal: int
    event_id: str
    name: str
    recorded_at: datetime | None
    applied: bool
    payload: Payload


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some events, and whether there are more above them."""

    events: Sequence[Logged]
    more: bool


def all_sessions(db: sqlite3.Connection) -> list[SessionState]:
    """Return every session that holds anything, by id."""
    return [_state(db, session_id, _stored(db, session_id)) for session_id in reads.sessions(db, "", None)]


def one_session(db: sqlite3.Connection, session_id: str) -> SessionState:
    """Return one session.

    Raises:
        Failed: the file has no such session.
    """
    state = _state(db, session_id, _stored(db, session_id))
    known = state.last_error is not None or stored(db, session_id) is not None
    if not known and not db.execute("SELECT 1 FROM command_claims WHERE session_id = ?", (session_id,)).fetchone():
        raise Failed(f"the file has no session {session_id!r}")
    return state


def timeline(db: sqlite3.Connection, session_id: str, as_of: int | None) -> Timeline:
    """Return the timeline now, or right after an ordinal; beyond the cursor that means the cursor.

    Raises:
        HistoryPruned: the ordinal is below the floor.
    """
    session = _stored(db, session_id)
    check_floor(session_id, session.cursors.floor, as_of)
    ordinal = session.cursors.timeline if as_of is None else min(as_of, session.cursors.timeline)
    payloads = Payloads()
    entities = [
        Entity(kind, entity_id, created, changed, payloads.read(db, number, data))
        for kind, entity_id, created, changed, _, number, data in versions.as_of(db, session.timeline, ordinal)
    ]
    entities.sort(key=lambda entity: (entity.created, entity.changed, entity.kind, entity.id))
    return Timeline(ordinal, session.cursors.epoch, entities)


def events(db: sqlite3.Connection, version: int, session_id: str, after: int, limit: int) -> Excerpt:
    """Return at most ``limit`` events above ``after`` that were not pruned, in order."""
    session, payloads = _stored(db, session_id), Payloads()
    time = "recorded_at" if version >= _TIMED else "NULL"
    rows = db.execute(
        f"SELECT ordinal, event_id, name, {time}, type, payload FROM events "  # noqa: S608 - one of two words
        "WHERE sid = ? AND ordinal > ? ORDER BY ordinal LIMIT ?",
        (session.sid, bounded(max(after, session.cursors.floor - 1)), bounded(limit + 1)),
    ).fetchall()
    found = [
        Logged(
            ordinal,
            event_id,
            name,
            None if recorded is None else _START + timedelta(microseconds=recorded),
            ordinal <= session.cursors.timeline,
            payloads.read(db, number, data),
        )
        for ordinal, event_id, name, recorded, number, data in rows[:limit]
    ]
    return Excerpt(found, len(rows) > limit)


def errors(db: sqlite3.Connection, session_id: str | None, limit: int) -> list[ErrorRecord]:
    """Return the last error records of one session, or of all, in the order they came."""
    return reads.error_records(db, session_id, limit)


def _stored(db: sqlite3.Connection, session_id: str) -> Stored:
    """Return the session's row; of one that has but keys or errors, what it would begin with."""
    first_epoch = db.execute("SELECT value FROM meta WHERE key = 'first_epoch'").fetchone()
    return stored(db, session_id) or Stored(0, Cursors(0, 0, first_epoch[0]), 0)


def _state(db: sqlite3.Connection, session_id: str, session: Stored) -> SessionState:
    waiting = db.execute(
        "SELECT count(*) FROM events WHERE sid = ? AND ordinal > ?", (session.sid, session.cursors.timeline)
    ).fetchone()[0]
    entities = db.execute(
        "SELECT count(*) FROM entities WHERE timeline = ? AND NOT tombstone", (session.timeline,)
    ).fetchone()[0]
    last = reads.error_records(db, session_id, 1)
    return SessionState(session_id, session.cursors, waiting, entities, last[0] if last else None)
