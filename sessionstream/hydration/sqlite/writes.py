"""What each change of a session does to the file, as functions that run inside the writer's transaction.

None begins or ends a transaction: the writer does, and it undoes the transaction of a change that fails half-way. One
that refuses does so before it writes anything, so that the changes beside it can go on.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sessionstream.errors import EventConflict, StoreError
from sessionstream.hydration.delta import MIN_SIZE
from sessionstream.hydration.rules import check_expected, conflict, new_epoch
from sessionstream.hydration.sqlite.columns import Query
from sessionstream.hydration.sqlite.discarded import discard, keep
from sessionstream.hydration.sqlite.payload_types import WrittenTypes
from sessionstream.hydration.sqlite.rows import ErrorRow, EventRow
from sessionstream.hydration.sqlite.sessions import Stored, stored
from sessionstream.hydration.sqlite.times import Times
from sessionstream.hydration.versions import EntityRow, HistoryRow, kept
from sessionstream.store import Commit, Cursors, TimelineReplacement

if TYPE_CHECKING:
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Writing:
    """What a change is carried out with."""

    db: sqlite3.Connection
    types: WrittenTypes
    first_epoch: int
    times: Times


_EVENT: Final = Query("events", "sid, ordinal", "WHERE sid = ? AND event_id = ?")
_CLAIM: Final = Query("command_claims", "session_id, key, digest", "WHERE session_id = ? AND key = ?")
_SUPERSEDE: Final = """INSERT INTO entity_versions
    (timeline, kind, id, created, changed, superseded, tombstone, type, payload)
    SELECT timeline, kind, id, created, changed, ?, tombstone, type, payload
    FROM entities WHERE timeline = ? AND kind = ? AND id = ?"""
_SUPERSEDED: Final = Query(
    "entities",
    "timeline, kind, id, created, changed, tombstone, type, payload, depth",
    "WHERE timeline = ? AND kind = ? AND id = ?",
)
_PRESENT: Final = """INSERT INTO entities (timeline, kind, id, created, changed, tombstone, type, payload, depth)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (timeline, kind, id) DO UPDATE SET created = excluded.created, changed = excluded.changed,
        tombstone = excluded.tombstone, type = excluded.type, payload = excluded.payload, depth = excluded.depth"""
_PAST: Final = """INSERT INTO entity_versions
    (timeline, kind, id, created, changed, superseded, tombstone, type, encoding, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def _cursors(writing: Writing, session: Stored | None) -> Cursors:
    return Cursors(0, 0, writing.first_epoch) if session is None else session.cursors


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
    cursors = _cursors(writing, session)
    if (
        step.expected_ordinal != cursors.event
        or step.timeline_before != cursors.timeline
        or step.expected_epoch not in (None, cursors.epoch)
        or (step.expected_event_id and not _is_last(writing.db, session, step))
    ):
        raise conflict(step, cursors)
    if session is None:
        session = _start(writing, step.session_id)
    if event is not None:
        _log(writing, session.sid, step.session_id, event)
    extend_timeline(writing, session.timeline, entities)
    writing.db.execute(
        "UPDATE sessions SET event_cursor = ?, timeline_cursor = ? WHERE sid = ?",
        (step.event_cursor, step.timeline_cursor, session.sid),
    )


def _is_last(db: sqlite3.Connection, session: Stored | None, step: Commit) -> bool:
    """Return whether the session's last event has the id that a commit expects."""
    if session is None:
        return False
    return _EVENT.first(db, (session.sid, step.expected_event_id)) == (session.sid, step.expected_ordinal)


def _log(writing: Writing, sid: int, session_id: str, event: EventRow) -> None:
    number, recorded_at = writing.types.number(writing.db, event.message), writing.times.of_event(writing.db, sid)
    try:
        writing.db.execute(
            "INSERT INTO events (sid, ordinal, event_id, name, type, payload, recorded_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (sid, event.ordinal, event.event_id, event.name, number, event.payload, recorded_at),
        )
    except sqlite3.IntegrityError:
        found = _EVENT.first(writing.db, (sid, event.event_id))
        if found is None:
            raise
        raise EventConflict(session_id, event.event_id, found[1]) from None


def _type(writing: Writing, message: type[Message] | None) -> int | None:
    return None if message is None else writing.types.number(writing.db, message)


def _supersede(db: sqlite3.Connection, timeline: int, row: EntityRow) -> int:
    """Keep the present state of an entity, if it has one, as superseded by ``row``; return the row's depth."""
    key = (timeline, row.kind, row.id)
    if row.payload is None or len(row.payload) < MIN_SIZE:  # then there is no delta, and SQLite needs no help
        db.execute(_SUPERSEDE, (row.changed, *key))
        return 0
    found = _SUPERSEDED.first(db, key)
    if found is None:
        return 0
    _, _, _, created, changed, tombstone, number, payload, depth = found
    past = kept(payload, row.payload, depth)
    db.execute(_PAST, (*key, created, changed, row.changed, tombstone, number, past.encoding, past.data))
    return past.depth


def _write_present(writing: Writing, timeline: int, row: EntityRow, depth: int) -> None:
    kind, entity_id, created, changed, message, payload = row
    number = _type(writing, message)
    values = (timeline, kind, entity_id, created, changed, message is None, number, payload, depth)
    writing.db.execute(_PRESENT, values)


def begin_timeline(writing: Writing) -> int:
    """Begin a timeline beside those that are there, and return its number."""
    timeline = _new_timeline(writing.db, 0)
    discard(writing.db, "building", timeline, after=time.time_ns() // 1000)
    return timeline


def write_history(writing: Writing, timeline: int, rows: Sequence[HistoryRow]) -> None:
    """Write some states of a timeline that was begun."""
    for row in rows:
        if row.superseded is None:
            _write_present(writing, timeline, row.state, row.kept.depth)
            continue
        kind, entity_id, created, changed, message, _ = row.state
        values = (timeline, kind, entity_id, created, changed, row.superseded, message is None)
        writing.db.execute(_PAST, (*values, _type(writing, message), row.kept.encoding, row.kept.data))


def extend_timeline(writing: Writing, timeline: int, rows: Sequence[EntityRow]) -> None:
    """Write later states of a timeline, in the order in which entities came to be in them."""
    for row in rows:
        depth = _supersede(writing.db, timeline, row)
        _write_present(writing, timeline, row, depth)


def replace_timeline(
    writing: Writing, replacement: TimelineReplacement, timeline: int, last: Sequence[EntityRow] = ()
) -> Cursors:
    """Swap in the timeline that was written, once its last states are added, and discard the old one.

    Raises:
        OrdinalConflict: the session is not where the rebuild was based.
        StoreError: the new timeline was taken for an abandoned one.
    """
    db, expected = writing.db, replacement.expected
    session = stored(db, replacement.session_id)
    check_expected(replacement.session_id, expected, _cursors(writing, session))
    if not keep(db, "building", timeline):
        raise StoreError(
            f"the rebuilt timeline of session {replacement.session_id!r} took so long to write that it was removed as "
            f"abandoned; the present one stays: rebuild again"
        )
    extend_timeline(writing, timeline, last)
    if session is None:
        session = _start(writing, replacement.session_id)
    cursors = Cursors(expected.event, replacement.timeline_cursor, new_epoch(expected.epoch), expected.floor)
    _swap(db, session, cursors, timeline)
    return cursors


def abandon_timeline(writing: Writing, timeline: int) -> None:
    """Give up a timeline that was begun."""
    if keep(writing.db, "building", timeline):
        discard(writing.db, "timeline", timeline)


def _swap(db: sqlite3.Connection, session: Stored, cursors: Cursors, timeline: int) -> None:
    db.execute(
        "UPDATE sessions SET timeline_cursor = ?, epoch = ?, floor = ?, timeline = ? WHERE sid = ?",
        (cursors.timeline, cursors.epoch, cursors.floor, timeline, session.sid),
    )
    db.execute("UPDATE timelines SET sid = ? WHERE timeline = ?", (session.sid, timeline))
    discard(db, "timeline", session.timeline)


def prune(writing: Writing, session_id: str, before: int) -> None:
    """Raise the floor, and discard what only questions below it need."""
    db, session = writing.db, stored(writing.db, session_id)
    if session is None:
        return
    floor = min(before, session.cursors.timeline)
    if floor <= session.cursors.floor:
        return
    db.execute("UPDATE sessions SET floor = ? WHERE sid = ?", (floor, session.sid))
    discard(db, "events", session.sid, below=floor, after=session.cursors.floor)
    discard(db, "versions", session.timeline, below=floor)


def delete_session(writing: Writing, session_id: str, expected: Cursors | None) -> None:
    """Forget all of a session but its event cursor.

    Raises:
        OrdinalConflict: the session is not where it is expected.
    """
    db, session = writing.db, stored(writing.db, session_id)
    check_expected(session_id, expected, _cursors(writing, session))
    db.execute("DELETE FROM command_claims WHERE session_id = ?", (session_id,))
    db.execute("DELETE FROM errors WHERE session_id = ?", (session_id,))
    if session is None:
        return
    event = session.cursors.event
    cursors = Cursors(event, event, new_epoch(session.cursors.epoch))
    _swap(db, session, cursors, _new_timeline(db, session.sid))
    # Under a new number the session has no events; those of the old one belong to nobody.
    keep(db, "events", session.sid)
    discard(db, "session", session.sid)
    db.execute("UPDATE sessions SET sid = (SELECT max(sid) + 1 FROM sessions) WHERE sid = ?", (session.sid,))


def claim_command(writing: Writing, session_id: str, key: str, digest: bytes) -> bytes | None:
    """Claim an idempotency key; return None, or the digest of the earlier claim."""
    found = _CLAIM.first(writing.db, (session_id, key))
    if found is None:
        values = (session_id, key, digest, writing.times.of_claim(writing.db, session_id))
        writing.db.execute(
            "INSERT INTO command_claims (session_id, key, digest, claimed_at) VALUES (?, ?, ?, ?)", values
        )
        return None
    return bytes(found[2])


def release_command(writing: Writing, session_id: str, key: str) -> None:
    """Give a claim back."""
    writing.db.execute("DELETE FROM command_claims WHERE session_id = ? AND key = ?", (session_id, key))


def forget_claims(writing: Writing, session_id: str, moment: int, old: Sequence[str]) -> int:
    """Forget those of some keys that were claimed before a moment; return how many."""
    return writing.db.executemany(
        "DELETE FROM command_claims WHERE session_id = ? AND key = ? AND claimed_at < ?",
        [(session_id, key, moment) for key in old],
    ).rowcount


def forget_errors(writing: Writing, old: Sequence[int]) -> int:
    """Forget some error records; return how many there were."""
    return writing.db.executemany("DELETE FROM errors WHERE seq = ?", [(number,) for number in old]).rowcount


def record_error(writing: Writing, row: ErrorRow) -> None:
    """Keep an error record."""
    writing.db.execute(
        "INSERT INTO errors (session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, writing.times.of_error(writing.db, row[0])),
    )
