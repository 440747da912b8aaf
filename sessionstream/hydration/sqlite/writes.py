"""What each change of a session does to the file, as functions that run inside the writer's transaction.

Each is all or nothing because the writer wraps it in a savepoint or a transaction; none begins or ends one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Final

from sessionstream.errors import EventConflict, OrdinalConflict
from sessionstream.hydration.rules import conflict, new_epoch
from sessionstream.hydration.sqlite.rows import EntityRow, ErrorRow, EventRow
from sessionstream.hydration.sqlite.types import WrittenTypes
from sessionstream.store import Commit, Cursors, TimelineReplacement, stored_digest


@dataclass(slots=True)
class Stored:
    """What the sessions table says of a session."""

    sid: int
    cursors: Cursors
    timeline: int


@dataclass(frozen=True, slots=True)
class Writing:
    """What a change is carried out with."""

    db: sqlite3.Connection
    types: WrittenTypes
    first_epoch: int


_SESSION: Final = "SELECT sid, event_cursor, timeline_cursor, epoch, floor, timeline FROM sessions WHERE session_id = ?"
_SUPERSEDE: Final = """INSERT INTO entity_versions
    (timeline, kind, id, created, changed, superseded, tombstone, type, payload)
    SELECT timeline, kind, id, created, changed, ?, tombstone, type, payload
    FROM entities WHERE timeline = ? AND kind = ? AND id = ?"""
_PRESENT: Final = """INSERT INTO entities (timeline, kind, id, created, changed, tombstone, type, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (timeline, kind, id) DO UPDATE SET created = excluded.created, changed = excluded.changed,
        tombstone = excluded.tombstone, type = excluded.type, payload = excluded.payload"""
_PAST: Final = """INSERT INTO entity_versions
    (timeline, kind, id, created, changed, superseded, tombstone, type, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_entity_key: Final = attrgetter("kind", "id")
_version_key: Final = attrgetter("kind", "id", "changed")


def stored(db: sqlite3.Connection, session_id: str) -> Stored | None:
    """Return what the sessions table says of a session, None where nobody has used it yet."""
    row = db.execute(_SESSION, (session_id,)).fetchone()
    if row is None:
        return None
    sid, event, timeline_cursor, epoch, floor, timeline = row
    return Stored(sid, Cursors(event, timeline_cursor, epoch, floor), timeline)


def _new_timeline(db: sqlite3.Connection, sid: int) -> int:
    number = db.execute("INSERT INTO timelines (sid) VALUES (?)", (sid,)).lastrowid
    assert number is not None  # noqa: S101 - an INSERT always gives one
    return number


def _start(writing: Writing, session_id: str) -> Stored:
    db = writing.db
    sid = db.execute(
        "INSERT INTO sessions (session_id, event_cursor, timeline_cursor, epoch, timeline) VALUES (?, 0, 0, ?, 0)",
        (session_id, writing.first_epoch),
    ).lastrowid
    assert sid is not None  # noqa: S101 - an INSERT always gives one
    timeline = _new_timeline(db, sid)
    db.execute("UPDATE sessions SET timeline = ? WHERE sid = ?", (timeline, sid))
    return Stored(sid, Cursors(0, 0, writing.first_epoch), timeline)


def commit(writing: Writing, step: Commit, event: EventRow | None, entities: Sequence[EntityRow]) -> None:
    """Make one step of a session true.

    Raises:
        OrdinalConflict: cursors or epoch are not what the commit expects.
        EventConflict: the session has an event of that id already.
    """
    session = stored(writing.db, step.session_id)
    cursors = Cursors(0, 0, writing.first_epoch) if session is None else session.cursors
    if (
        step.expected_ordinal != cursors.event
        or step.timeline_before != cursors.timeline
        or step.expected_epoch not in (None, cursors.epoch)
    ):
        raise conflict(step, cursors)
    if session is None:
        session = _start(writing, step.session_id)
    if event is not None:
        _log(writing, session.sid, step.session_id, event)
    _move(writing, session.timeline, step.timeline_cursor, entities)
    writing.db.execute(
        "UPDATE sessions SET event_cursor = ?, timeline_cursor = ? WHERE sid = ?",
        (step.event_cursor, step.timeline_cursor, session.sid),
    )


def _log(writing: Writing, sid: int, session_id: str, event: EventRow) -> None:
    number = writing.types.number(writing.db, event.message)
    try:
        writing.db.execute(
            "INSERT INTO events (sid, ordinal, event_id, name, type, payload) VALUES (?, ?, ?, ?, ?, ?)",
            (sid, event.ordinal, event.event_id, event.name, number, event.payload),
        )
    except sqlite3.IntegrityError:
        found = writing.db.execute(
            "SELECT ordinal FROM events WHERE sid = ? AND event_id = ?", (sid, event.event_id)
        ).fetchone()
        if found is None:
            raise
        raise EventConflict(session_id, event.event_id, found[0]) from None


def _type(writing: Writing, row: EntityRow) -> int | None:
    return None if row.message is None else writing.types.number(writing.db, row.message)


def _move(writing: Writing, timeline: int, ordinal: int, entities: Sequence[EntityRow]) -> None:
    db = writing.db
    for row in entities:
        db.execute(_SUPERSEDE, (ordinal, timeline, row.kind, row.id))
        db.execute(
            _PRESENT,
            (
                timeline,
                row.kind,
                row.id,
                row.created,
                row.changed,
                row.message is None,
                _type(writing, row),
                row.payload,
            ),
        )


def replace_timeline(writing: Writing, replacement: TimelineReplacement, versions: Sequence[EntityRow]) -> Cursors:
    """Write the rebuilt timeline beside the present one, swap it in, drop the old one.

    Raises:
        OrdinalConflict: the session is not where the rebuild was based.
    """
    db, expected = writing.db, replacement.expected
    session = stored(db, replacement.session_id)
    actual = Cursors(0, 0, writing.first_epoch) if session is None else session.cursors
    if actual != expected:
        raise OrdinalConflict(replacement.session_id, expected=expected, actual=actual)
    if session is None:
        session = _start(writing, replacement.session_id)
    timeline = _new_timeline(db, session.sid)
    for _, states in groupby(sorted(versions, key=_version_key), _entity_key):
        _write_history(writing, timeline, list(states))
    cursors = Cursors(expected.event, replacement.timeline_cursor, new_epoch(expected.epoch), expected.floor)
    _swap(db, session, cursors, timeline)
    return cursors


def _write_history(writing: Writing, timeline: int, states: list[EntityRow]) -> None:
    for state, later in pairwise(states):
        gone = state.message is None
        writing.db.execute(
            _PAST,
            (
                timeline,
                state.kind,
                state.id,
                state.created,
                state.changed,
                later.changed,
                gone,
                _type(writing, state),
                state.payload,
            ),
        )
    _move(writing, timeline, 0, states[-1:])


def _swap(db: sqlite3.Connection, session: Stored, cursors: Cursors, timeline: int) -> None:
    db.execute(
        "UPDATE sessions SET timeline_cursor = ?, epoch = ?, floor = ?, timeline = ? WHERE sid = ?",
        (cursors.timeline, cursors.epoch, cursors.floor, timeline, session.sid),
    )
    for table in ("entities", "entity_versions", "timelines"):
        db.execute(f"DELETE FROM {table} WHERE timeline = ?", (session.timeline,))  # noqa: S608 - our own names


def prune(writing: Writing, session_id: str, before: int) -> None:
    """Forget what only questions below ``before`` need, and raise the floor."""
    db, session = writing.db, stored(writing.db, session_id)
    if session is None:
        return
    floor = min(before, session.cursors.timeline)
    if floor <= session.cursors.floor:
        return
    pruned = db.execute(
        "SELECT ordinal, events.name, payload_types.name, payload FROM events JOIN payload_types USING (type) "
        "WHERE sid = ? AND ordinal < ? AND events.digest IS NULL",
        (session.sid, floor),
    ).fetchall()
    db.executemany(
        "UPDATE events SET digest = ?, name = NULL, type = NULL, payload = NULL WHERE sid = ? AND ordinal = ?",
        [(stored_digest(name, kind, data), session.sid, ordinal) for ordinal, name, kind, data in pruned],
    )
    db.execute(
        "DELETE FROM entity_versions WHERE timeline = ? AND (superseded <= ? OR (tombstone AND changed <= ?))",
        (session.timeline, floor, floor),
    )
    db.execute("DELETE FROM entities WHERE timeline = ? AND tombstone AND changed <= ?", (session.timeline, floor))
    db.execute("UPDATE sessions SET floor = ? WHERE sid = ?", (floor, session.sid))


def delete_session(writing: Writing, session_id: str) -> None:
    """Forget all of a session but its event cursor."""
    db = writing.db
    db.execute("DELETE FROM command_claims WHERE session_id = ?", (session_id,))
    db.execute("DELETE FROM errors WHERE session_id = ?", (session_id,))
    session = stored(db, session_id)
    if session is None:
        return
    db.execute("DELETE FROM events WHERE sid = ?", (session.sid,))
    event = session.cursors.event
    cursors = Cursors(event, event, new_epoch(session.cursors.epoch))
    _swap(db, session, cursors, _new_timeline(db, session.sid))


def claim_command(writing: Writing, session_id: str, key: str, digest: bytes) -> bytes | None:
    """Claim an idempotency key; return None, or the digest of the earlier claim."""
    found = writing.db.execute(
        "SELECT digest FROM command_claims WHERE session_id = ? AND key = ?", (session_id, key)
    ).fetchone()
    if found is None:
        writing.db.execute("INSERT INTO command_claims VALUES (?, ?, ?)", (session_id, key, digest))
        return None
    return bytes(found[0])


def release_command(writing: Writing, session_id: str, key: str) -> None:
    """Give a claim back."""
    writing.db.execute("DELETE FROM command_claims WHERE session_id = ? AND key = ?", (session_id, key))


def record_error(writing: Writing, row: ErrorRow) -> None:
    """Keep an error record."""
    writing.db.execute(
        "INSERT INTO errors (session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
