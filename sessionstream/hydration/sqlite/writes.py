"""What each change of a session does to the file, as functions that run inside the writer's transaction.

None begins or ends a transaction: the writer does, and rolls it back if a change fails half-way. A change is refused
before it has written anything, so that the other changes of the transaction can go on.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sessionstream.errors import EventConflict, OrdinalConflict, StoreError
from sessionstream.hydration.delta import MIN_SIZE
from sessionstream.hydration.encoding import CommitRows, ErrorRow
from sessionstream.hydration.rules import check_expected, conflict, new_epoch
from sessionstream.hydration.sqlite.columns import Query, Row
from sessionstream.hydration.sqlite.discarded import discard, keep
from sessionstream.hydration.sqlite.event_ids import find_event
from sessionstream.hydration.sqlite.feed import MoveRow, Node
from sessionstream.hydration.sqlite.payload_types import ReadTypes, WrittenTypes
from sessionstream.hydration.sqlite.sessions import KnownSessions, Stored
from sessionstream.hydration.sqlite.times import Times
from sessionstream.hydration.versions import EntityRow, HistoryRow, kept
from sessionstream.schema import SchemaRegistry
from sessionstream.store import CommandClaim, Cursors, TimelineReplacement, new_cursors

if TYPE_CHECKING:
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Writing:
    """What a change is carried out with."""

    db: sqlite3.Connection
    types: WrittenTypes
    first_epoch: int
    times: Times
    sessions: KnownSessions
    node: Node
    registry: SchemaRegistry


_LOG: Final = """INSERT INTO events (sid, ordinal, event_id, name, type, payload, recorded_at, metadata)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_CLAIM: Final = Query("command_claims", "session_id, key, digest, node, finished", "WHERE session_id = ? AND key = ?")
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


class _Batch:
    """Rows of several changes, for the same transaction: each statement is executed once, for all rows of a table.

    Nothing is written before ``execute`` but sessions and payload types that are new.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._now = writing.times.now()
        self._events: list[Row] = []
        self._superseded: list[Row] = []  # states that SQLite copies from entities to entity_versions as they are
        self._past: list[Row] = []
        self._present: dict[Row, Row] = {}
        self._sessions: dict[str, Stored] = {}
        self._moves: list[MoveRow] = []

    def commit(self, rows: CommitRows) -> None:
        """Add one step of a session.

        Raises:
            OrdinalConflict: cursors or epoch are not what the commit expects. Nothing is added then.
        """
        (step, event, entities, ui_events), writing = rows, self._writing
        session_id, cursor = step.session_id, step.expected_ordinal
        session = self._sessions.get(session_id) or writing.sessions.find(writing.db, session_id)
        cursors = _cursors(writing, session) if session is None else session.cursors
        if (
            cursor != cursors.event
            or (cursor if step.expected_timeline is None else step.expected_timeline) != cursors.timeline
            or (step.expected_epoch is not None and step.expected_epoch != cursors.epoch)
            or (step.expected_commit_id and (session is None or step.expected_commit_id != session.commit_id))
        ):
            raise conflict(step, cursors)
        if session is None:
            session = _start(writing, session_id)
        last_time = session.last_time
        if event is not None:
            last_time = writing.times.of_event(writing.db, session.sid, last_time, self._now)
            cursor, event_id, name, message, payload, metadata = event
            number = self._type(message)
            self._events.append((session.sid, cursor, event_id, name, number, payload, last_time, metadata))
        for row in entities:
            self.state(session.timeline, row)
        if ui_events is not None and step.timeline_cursor != cursors.timeline:
            move = (session_id, step.timeline_cursor, cursors.timeline, cursors.epoch, ui_events)
            self._moves.append(move)
        cursors = new_cursors(cursor, step.timeline_cursor, cursors.epoch, cursors.floor)
        changed = writing.sessions.next_change(writing.db)
        self._sessions[session_id] = Stored(session.sid, cursors, session.timeline, step.commit_id, last_time, changed)

    def state(self, timeline: int, row: EntityRow) -> None:
        """Add a later state of a timeline; the present one of that entity, if there is one, becomes a past one."""
        kind, entity_id, _, changed_now, _, data = row
        key, depth = (timeline, kind, entity_id), 0
        present = self._present.get(key)
        if present is None:
            if data is None or len(data) < MIN_SIZE:  # then there is no delta to be made
                self._superseded.append((changed_now, timeline, kind, entity_id))
            else:
                present = _SUPERSEDED.first(self._writing.db, key)
        if present is not None:
            created, changed, tombstone, number, payload, depth = present[3:]
            encoding, past, depth = kept(payload, data, depth)
            self._past.append((*key, created, changed, changed_now, tombstone, number, encoding, past))
        self._put(timeline, row, depth)

    def history(self, timeline: int, row: HistoryRow) -> None:
        """Add a state of a timeline that has no other state of the same time."""
        if row.superseded is None:
            self._put(timeline, row.state, row.kept.depth)
            return
        kind, entity_id, created, changed, message, _ = row.state
        values = (timeline, kind, entity_id, created, changed, row.superseded, message is None)
        self._past.append((*values, self._type(message), row.kept.encoding, row.kept.data))

    def execute(self) -> None:
        """Write everything that was added.

        Raises:
            EventConflict: the only event there is has an id that its session has already. Nothing was written then.
        """
        db, sessions = self._writing.db, self._sessions
        moved = [(each.cursors.event, each.cursors.timeline, each.changed, each.sid) for each in sessions.values()]
        self._log()
        for sql, rows in (
            (_SUPERSEDE, self._superseded),
            (_PAST, self._past),
            (_PRESENT, self._present.values()),
            ("UPDATE sessions SET event_cursor = ?, timeline_cursor = ?, changed = ? WHERE sid = ?", moved),
        ):
            if rows:
                db.executemany(sql, rows)
        if self._moves:
            self._writing.node.record(db, self._moves)
        self._writing.sessions.remember(sessions)

    def _log(self) -> None:
        if not self._events:
            return
        db = self._writing.db
        try:
            db.executemany(_LOG, self._events)
        except sqlite3.IntegrityError:
            (_, _, event_id, *_), (session_id, *_) = self._events[0], self._sessions
            if len(self._events) > 1:
                raise
            found = find_event(db, ReadTypes(), self._writing.registry, session_id, event_id)
            if found is None:
                raise
            raise EventConflict(session_id, event_id, found.ordinal, found.digest, found.descriptors) from None

    def _put(self, timeline: int, row: EntityRow, depth: int) -> None:
        kind, entity_id, created, changed, message, payload = row
        number = self._type(message)
        values = (timeline, kind, entity_id, created, changed, message is None, number, payload, depth)
        self._present[timeline, kind, entity_id] = values

    def _type(self, message: type[Message] | None) -> int | None:
        if message is None:
            return None
        types = self._writing.types
        return types.known.get(message) or types.number(self._writing.db, message)


def commit(writing: Writing, commits: Sequence[CommitRows]) -> list[OrdinalConflict | None]:
    """Make steps of sessions true, in order; return for each why it was refused, None if it was not.

    Raises:
        EventConflict: the only commit has an event whose id the session has already.
        Exception: some commit is refused or fails. Which one, and whether something was written, is not known.
    """
    batch = _Batch(writing)
    refused: list[OrdinalConflict | None] = []
    for rows in commits:
        try:
            batch.commit(rows)
            refused.append(None)
        except OrdinalConflict as error:
            refused.append(error)
    batch.execute()
    return refused


def begin_timeline(writing: Writing) -> int:
    """Begin a timeline beside those that are there, and return its number."""
    timeline = _new_timeline(writing.db, 0)
    discard(writing.db, "building", timeline, after=time.time_ns() // 1000)
    return timeline


def write_history(writing: Writing, timeline: int, rows: Sequence[HistoryRow]) -> None:
    """Write some states of a timeline that was begun."""
    batch = _Batch(writing)
    for row in rows:
        batch.history(timeline, row)
    batch.execute()


def extend_timeline(writing: Writing, timeline: int, rows: Sequence[EntityRow]) -> None:
    """Write later states of a timeline, in the order in which entities came to be in them."""
    batch = _Batch(writing)
    for row in rows:
        batch.state(timeline, row)
    batch.execute()


def replace_timeline(
    writing: Writing, replacement: TimelineReplacement, timeline: int, last: Sequence[EntityRow] = ()
) -> Cursors:
    """Swap in the timeline that was written, once its last states are added, and discard the old one.

    Raises:
        OrdinalConflict: the session is not where the rebuild was based.
        StoreError: the new timeline was taken for an abandoned one.
    """
    db, expected = writing.db, replacement.expected
    session = writing.sessions.take(db, replacement.session_id)
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
    _swap(writing, session, cursors, timeline)
    _tell_of_reset(writing, replacement.session_id, cursors)
    return cursors


def abandon_timeline(writing: Writing, timeline: int) -> None:
    """Give up a timeline that was begun."""
    if keep(writing.db, "building", timeline):
        discard(writing.db, "timeline", timeline)


def _swap(writing: Writing, session: Stored, cursors: Cursors, timeline: int) -> None:
    db, changed = writing.db, writing.sessions.next_change(writing.db)
    db.execute(
        "UPDATE sessions SET timeline_cursor = ?, epoch = ?, floor = ?, timeline = ?, changed = ? WHERE sid = ?",
        (cursors.timeline, cursors.epoch, cursors.floor, timeline, changed, session.sid),
    )
    db.execute("UPDATE timelines SET sid = ? WHERE timeline = ?", (session.sid, timeline))
    discard(db, "timeline", session.timeline)


def _tell_of_reset(writing: Writing, session_id: str, cursors: Cursors) -> None:
    """Tell other processes that a session has another timeline."""
    if writing.node.is_heard():
        writing.node.record(writing.db, [(session_id, cursors.timeline, cursors.timeline, cursors.epoch, None)])


def prune(writing: Writing, session_id: str, before: int) -> None:
    """Raise the floor, and discard what only questions below it need."""
    db, session = writing.db, writing.sessions.take(writing.db, session_id)
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
    db, session = writing.db, writing.sessions.take(writing.db, session_id)
    check_expected(session_id, expected, _cursors(writing, session))
    db.execute("DELETE FROM command_claims WHERE session_id = ?", (session_id,))
    db.execute("DELETE FROM errors WHERE session_id = ?", (session_id,))
    if session is None:
        return
    event = session.cursors.event
    cursors = Cursors(event, event, new_epoch(session.cursors.epoch))
    _swap(writing, session, cursors, _new_timeline(db, session.sid))
    # Under a new number the session has no events; those of the old one belong to nobody.
    keep(db, "events", session.sid)
    discard(db, "session", session.sid)
    _tell_of_reset(writing, session_id, cursors)
    db.execute("UPDATE sessions SET sid = (SELECT max(sid) + 1 FROM sessions) WHERE sid = ?", (session.sid,))


def claim_command(writing: Writing, session_id: str, key: str, digest: bytes) -> CommandClaim | None:
    """Claim an idempotency key for this process; return None, or the earlier claim."""
    found = _CLAIM.first(writing.db, (session_id, key))
    if found is None:
        values = (session_id, key, digest, writing.times.of_claim(writing.db, session_id), writing.node.id)
        columns = "session_id, key, digest, claimed_at, node, finished"
        writing.db.execute(f"INSERT INTO command_claims ({columns}) VALUES (?, ?, ?, ?, ?, 0)", values)  # noqa: S608
        return None
    _, _, earlier, node, finished = found
    if finished:
        return CommandClaim(earlier, "finished")
    return CommandClaim(earlier, "running" if writing.node.is_there(writing.db, node) else "unfinished")


def end_command(writing: Writing, session_id: str, key: str, finished: bool) -> None:
    """Note that the command of a claim runs no more: then the claim has no process."""
    writing.db.execute(
        "UPDATE command_claims SET node = '', finished = ? WHERE session_id = ? AND key = ?",
        (finished, session_id, key),
    )


def release_command(writing: Writing, session_id: str, key: str) -> None:
    """Give a claim back."""
    writing.db.execute("DELETE FROM command_claims WHERE session_id = ? AND key = ?", (session_id, key))


def touch(writing: Writing) -> None:
    """Write a row of no meaning, in which something changes each time."""
    writing.db.execute(
        "INSERT INTO meta (key, value) VALUES ('touched', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1"
    )


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
