"""The questions a store answers. Each is one statement, or several on one state of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sessionstream.descriptors import descriptor_set
from sessionstream.digests import stored_digest
from sessionstream.errors import PayloadDecodeError, SchemaError, UnknownSchemaError
from sessionstream.hydration.encoding import MAX_STORED, bounded
from sessionstream.hydration.positions import numbers_of, position
from sessionstream.hydration.postgres.failures import damaged
from sessionstream.hydration.postgres.rows import Rows
from sessionstream.hydration.rules import check_floor, known_since
from sessionstream.hydration.slices import all_in_order, each_of
from sessionstream.hydration.versions import DELTA, FULL, restored
from sessionstream.store import Change, Cursors, LoggedEvent, StoredTimeline, UnreadableEntity
from sessionstream.types import Event, Snapshot, TimelineEntity

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.hydration.postgres.connections import Link
    from sessionstream.hydration.postgres.payload_types import PayloadTypes
    from sessionstream.observe import ErrorRecord

_WHERE: Final = "SELECT s.event_cursor, s.timeline_cursor, s.epoch, s.floor FROM {s}.sessions s WHERE s.session_id = $1"
# If the caller knows the timeline at ordinal $2 of epoch $3, only what changed since, with tombstones; else all.
_STATES: Final = """SELECT s.event_cursor, s.timeline_cursor, s.epoch, s.floor,
        e.kind, e.id, e.created, e.changed, e.type, e.payload
    FROM (SELECT s.*, CASE WHEN $3 = s.epoch AND $2 BETWEEN s.floor AND s.timeline_cursor
        THEN $2 ELSE -1 END AS since FROM {s}.sessions s WHERE s.session_id = $1) s
    LEFT JOIN {s}.entities e ON e.timeline = s.timeline AND e.changed > s.since
    AND (e.type IS NOT NULL OR s.since >= 0)"""
_SINCE: Final = """SELECT s.event_cursor, s.timeline_cursor, s.epoch, s.floor,
        e.kind, e.id, e.created, e.changed, e.type, e.payload
    FROM {s}.sessions s LEFT JOIN {s}.entities e ON e.timeline = s.timeline AND e.changed > $2
    WHERE s.session_id = $1"""
_PLACE: Final = (
    "SELECT s.event_cursor, s.timeline_cursor, s.epoch, s.floor, s.timeline FROM {s}.sessions s WHERE s.session_id = $1"
)
_UNCHANGED: Final = """SELECT kind, id, created, changed, type, payload FROM {s}.entities
    WHERE timeline = $1 AND changed <= $2 AND type IS NOT NULL"""
_SUPERSEDED: Final = """SELECT v.kind, v.id, v.created, v.changed, v.type, v.payload, v.encoding
    FROM {s}.entities e CROSS JOIN LATERAL (
        SELECT * FROM {s}.entity_versions v
        WHERE v.timeline = e.timeline AND v.kind = e.kind AND v.id = e.id AND v.changed <= $2
        ORDER BY v.changed DESC LIMIT 1) v
    WHERE e.timeline = $1 AND e.changed > $2 AND v.superseded > $2 AND v.type IS NOT NULL"""
_LATER: Final = """SELECT encoding, payload FROM {s}.entity_versions
    WHERE timeline = $1 AND kind = $2 AND id = $3 AND changed > $4 ORDER BY changed"""
_PRESENT: Final = "SELECT payload FROM {s}.entities WHERE timeline = $1 AND kind = $2 AND id = $3"
EVENTS: Final = """SELECT e.ordinal, e.event_id, e.name, e.type, e.payload, e.metadata, e.recorded_at
    FROM {s}.sessions s CROSS JOIN LATERAL (
        SELECT * FROM {s}.events e WHERE e.sid = s.sid AND e.ordinal > greatest($2, s.floor - 1)
        ORDER BY e.ordinal LIMIT $3) e
    WHERE s.session_id = $1 ORDER BY e.ordinal"""
_EVENT: Final = """SELECT e.ordinal, e.name, e.type, e.payload, e.digest
    FROM {s}.sessions s JOIN {s}.events e ON e.sid = s.sid WHERE s.session_id = $1 AND e.event_id = $2"""
_FROM_END: Final = """SELECT coalesce((SELECT e.ordinal FROM {s}.events e
        WHERE e.sid = s.sid AND e.ordinal >= s.floor ORDER BY e.ordinal DESC LIMIT 1 OFFSET $2), 0)
    FROM {s}.sessions s WHERE s.session_id = $1"""
_NEXT: Final = "SELECT event_cursor + 1 FROM {s}.sessions WHERE session_id = $1"
_BEFORE: Final = """SELECT coalesce((SELECT e.ordinal FROM {s}.events e
        WHERE e.sid = s.sid AND e.ordinal >= s.floor AND e.recorded_at < $2 ORDER BY e.ordinal DESC LIMIT 1), 0)
    FROM {s}.sessions s WHERE s.session_id = $1"""
_SESSIONS: Final = """SELECT session_id FROM (
        (SELECT s.session_id FROM {s}.sessions s WHERE s.session_id > $1 AND (
            EXISTS (SELECT 1 FROM {s}.events e WHERE e.sid = s.sid)
            OR EXISTS (SELECT 1 FROM {s}.entities t WHERE t.timeline = s.timeline)) ORDER BY 1 LIMIT $2)
        UNION
        (SELECT DISTINCT session_id FROM {s}.command_claims WHERE session_id > $1 ORDER BY 1 LIMIT $2)
        UNION
        (SELECT DISTINCT session_id FROM {s}.errors WHERE session_id > $1 ORDER BY 1 LIMIT $2)
    ) AS found ORDER BY 1 LIMIT $2"""
# Transactions that still run may have lower numbers than some that have ended: what they change would be passed over.
_CHANGES: Final = """SELECT s.session_id, s.changed, s.sid, NOT (
        EXISTS (SELECT 1 FROM {s}.events e WHERE e.sid = s.sid)
        OR EXISTS (SELECT 1 FROM {s}.entities t WHERE t.timeline = s.timeline))
    FROM {s}.sessions s WHERE s.changed >= $1 AND (s.changed, s.sid) > ($1, $2)
    AND s.changed < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    ORDER BY s.changed, s.sid LIMIT $3"""
_NEXT_CHANGE: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_ERRORS: Final = """SELECT seq, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at
    FROM {s}.errors WHERE $1::text IS NULL OR session_id = $1 ORDER BY seq DESC LIMIT $2"""


class Reads:
    """Answers questions over a connection."""

    def __init__(self, types: PayloadTypes, first_epoch: int, name: str) -> None:
        self._types = types
        self._first_epoch = first_epoch
        self._name = name
        self.rows: Rows = Rows(name)

    async def cursors(self, link: Link, session_id: str) -> Cursors:
        """Return where the session stands."""
        return self._cursors(session_id, await link.fetch(_WHERE, session_id))

    async def snapshot(self, link: Link, session_id: str, as_of: int | None, since: int | None) -> Snapshot:
        """Return the timeline now, as of an ordinal, or what changed since one.

        Raises:
            HistoryPruned: the ordinal is below the floor.
            UnknownSchemaError: a payload's message is no longer registered.
        """
        if as_of is not None:
            return await self._as_of(link, session_id, as_of)
        if since is None:
            rows = await link.fetch(_STATES, session_id, 0, 0)
        else:
            rows = await link.fetch(_SINCE, session_id, bounded(since))
        cursors = self._cursors(session_id, rows)
        check_floor(session_id, cursors.floor, since)
        entities = await self._entities(link, session_id, await _states(rows))
        return Snapshot(session_id, cursors.timeline, tuple(entities), cursors.epoch, since)

    async def timeline(self, link: Link, session_id: str, known: Cursors | None) -> StoredTimeline:
        """Return the cursors and the timeline, or what changed in it, as one commit left them."""
        place = (0, 0) if known is None else (known.timeline, known.epoch)
        rows = await link.fetch(_STATES, session_id, *place)
        cursors = self._cursors(session_id, rows)
        states = await _states(rows)
        await self._types.load(link, (row[4] for row in states))
        unreadable: list[UnreadableEntity] = []

        def readable(row: Sequence[Any]) -> TimelineEntity | None:
            try:
                return self._entity(session_id, row)
            except (UnknownSchemaError, PayloadDecodeError) as error:
                unreadable.append(_unreadable(row, error))
                return None

        entities = [entity for entity in await each_of(states, readable) if entity is not None]
        return StoredTimeline(cursors, entities, unreadable, known_since(known, cursors))

    async def events(self, link: Link, session_id: str, after: int, limit: int | None) -> list[Event]:
        """Return logged events above ``after``, in order.

        Raises:
            UnknownSchemaError: a payload's message is no longer registered.
        """
        rows = await link.fetch(EVENTS, session_id, bounded(after), row_limit(limit))
        await self._types.load(link, (row[3] for row in rows))

        def event(row: Any) -> Event:
            ordinal, event_id, name, number, payload, metadata, recorded_at = row
            self.rows.check_event(session_id, ordinal, name, payload)
            try:
                message = self._types.decode("event", name, number, payload)
            except SchemaError as error:
                error.ordinal = ordinal
                raise
            facts = self.rows.event_metadata(session_id, ordinal, metadata)
            return Event(name, message, session_id, ordinal, event_id, facts, recorded_at)

        return await each_of(rows, event)

    async def find_event(self, link: Link, session_id: str, event_id: str) -> LoggedEvent | None:
        """Return what is known of the event with this id, or None."""
        rows = await link.fetch(_EVENT, session_id, event_id)
        if not rows:
            return None
        ordinal, name, number, payload, digest = rows[0]
        await self._types.load(link, [number])
        payload_type, descriptors = self._types.described(number)
        if digest is None:
            self.rows.check_event(session_id, ordinal, name, payload)
            present = self._types.registry.stored_as(payload_type)
            known = [descriptors] if present is None else [descriptors, descriptor_set(present)]
            digest = stored_digest(name, payload_type, payload, *known)
        return LoggedEvent(ordinal, digest, descriptors)

    async def ordinal_from_end(self, link: Link, session_id: str, count: int) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer."""
        if count == 0:
            rows = await link.fetch(_NEXT, session_id)
            return int(rows[0][0]) if rows else 1
        rows = await link.fetch(_FROM_END, session_id, bounded(count - 1))
        return int(rows[0][0]) if rows else 0

    async def ordinal_before(self, link: Link, session_id: str, moment: datetime) -> int:
        """Return the highest ordinal that was logged before a moment; 0 where there is none."""
        rows = await link.fetch(_BEFORE, session_id, moment)
        return int(rows[0][0]) if rows else 0

    async def sessions(self, link: Link, after: str, limit: int | None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted."""
        return [row[0] for row in await link.fetch(_SESSIONS, after, row_limit(limit))]

    async def changes(self, link: Link, after: str, limit: int | None) -> list[Change]:
        """Return the sessions that changed after a position, in the order of their last changes.

        Raises:
            ValueError: the position is not one of these tables.
        """
        latest = (await link.fetch(_NEXT_CHANGE))[0][0] if after else 0
        known = numbers_of(after, self._first_epoch, (latest, MAX_STORED))
        return [
            Change(session_id, position(self._first_epoch, changed, sid), deleted=empty)
            for session_id, changed, sid, empty in await link.fetch(_CHANGES, *known, row_limit(limit))
        ]

    async def error_records(self, link: Link, session_id: str | None, limit: int | None) -> list[ErrorRecord]:
        """Return the last error records of one session, or of all, in the order they came."""
        rows = await link.fetch(_ERRORS, session_id, row_limit(limit))
        return [self.rows.error_record(tuple(row)) for row in reversed(rows)]

    def _cursors(self, session_id: str, rows: Sequence[Any]) -> Cursors:
        return self.rows.cursors(session_id, tuple(rows[0])[:4]) if rows else Cursors(0, 0, self._first_epoch)

    async def states(
        self, link: Link, session_id: str, as_of: int | None = None
    ) -> tuple[Cursors, int, list[tuple[Any, ...]]]:
        """Return where the session stands, an ordinal of its timeline, and the states of entities right after it.

        They are of one state of the tables only within ``Link.one_state``.

        Raises:
            HistoryPruned: the ordinal is below the floor.
        """
        rows = await link.fetch(_PLACE, session_id)
        cursors = self._cursors(session_id, rows)
        check_floor(session_id, cursors.floor, as_of)
        ordinal = cursors.timeline if as_of is None else min(as_of, cursors.timeline)
        if not rows:
            return cursors, ordinal, []
        timeline = rows[0][4]
        found = await each_of(await link.fetch(_UNCHANGED, timeline, ordinal), tuple)
        await each_of(found, partial(self.rows.check_state, "entities", session_id))
        if ordinal < cursors.timeline:
            for row in await link.fetch(_SUPERSEDED, timeline, ordinal):
                self.rows.check_state("entity_versions", session_id, tuple(row))
                found.append(await self._restored(link, session_id, timeline, row))
        return cursors, ordinal, found

    async def _as_of(self, link: Link, session_id: str, as_of: int) -> Snapshot:
        async with link.one_state():
            cursors, ordinal, states = await self.states(link, session_id, as_of)
            entities = await self._entities(link, session_id, states)
        return Snapshot(session_id, ordinal, tuple(entities), cursors.epoch)

    async def _restored(self, link: Link, session_id: str, timeline: int, row: Any) -> tuple[Any, ...]:
        """Return a superseded state with its payload in full."""
        kind, entity_id, created, changed, number, payload, encoding = row
        if encoding == DELTA:
            key = (timeline, kind, entity_id)
            later = [(each[0], each[1]) for each in await link.fetch(_LATER, *key, changed)]
            present = await link.fetch(_PRESENT, *key)
            later.append((FULL, present[0][0] if present else None))
            try:
                payload = restored(payload, later)
            except ValueError as error:
                row = f"kind {kind!r}, id {entity_id!r}, changed {changed} of session {session_id!r}"
                wrong = f"a delta that cannot be applied ({error}), or a later one is"
                raise damaged(self._name, "entity_versions", row, "payload", wrong) from error
        return (kind, entity_id, created, changed, number, payload)

    async def _entities(self, link: Link, session_id: str, states: Sequence[Sequence[Any]]) -> list[TimelineEntity]:
        await self._types.load(link, (row[4] for row in states))
        return await all_in_order(await each_of(states, partial(self._entity, session_id)))

    def _entity(self, session_id: str, row: Sequence[Any]) -> TimelineEntity:
        self.rows.check_state("entities", session_id, row)
        kind, entity_id, created, changed, number, data = row
        payload: Message | None = None
        if number is not None:
            payload = self._types.decode("timeline entity", kind, number, data)
        return TimelineEntity(kind, entity_id, payload, created, changed, number is None)


async def _states(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the states in rows that begin with where the session stands; others run meanwhile."""
    states = await each_of(rows, lambda row: tuple(row)[4:])
    return [state for state in states if state[0] is not None]


def row_limit(limit: int | None) -> int | None:
    """Return a LIMIT for PostgreSQL; None for none."""
    return None if limit is None else bounded(limit)


def _unreadable(row: Sequence[Any], error: UnknownSchemaError | PayloadDecodeError) -> UnreadableEntity:
    kind, entity_id, created, changed = row[:4]
    if isinstance(error, UnknownSchemaError):
        return UnreadableEntity(kind, entity_id, created, changed, error.payload_type, error.clash)
    clash = f"its bytes are no such message ({error.reason})"
    return UnreadableEntity(kind, entity_id, created, changed, error.expected, clash)
