"""PostgresTables: the ``StoredState`` of the tables, for operators' tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

from sessionstream.digests import stored_digest
from sessionstream.errors import StoreError, StoreUpgraded
from sessionstream.hydration.encoding import MAX_STORED, bounded
from sessionstream.hydration.postgres import contradictions, reads, schema
from sessionstream.hydration.postgres.asking import REACH_SECONDS, Asking, check_no_event_loop
from sessionstream.hydration.postgres.connections import Database, Link
from sessionstream.hydration.postgres.payload_types import PayloadTypes
from sessionstream.hydration.postgres.reads import Reads
from sessionstream.hydration.rules import check_number, check_snapshot, check_text
from sessionstream.hydration.stored import (
    Problem,
    PrunedEvent,
    StoredClaim,
    StoredEntity,
    StoredError,
    StoredEvent,
    StoredSession,
    StoredSnapshot,
    StoredVersion,
)
from sessionstream.hydration.versions import FULL
from sessionstream.schema import SchemaRegistry
from sessionstream.types import snapshot_order

if TYPE_CHECKING:
    from sessionstream.observe import ErrorRecord
    from sessionstream.store import Cursors

T = TypeVar("T")

_version_order: Final = attrgetter("kind", "id", "last_event_ordinal")

CHECK_SECONDS: Final = 600.0
"""Seconds that reading whole tables may take."""

_DENIED: Final = "may not be read by this user: grant it USAGE on the schema and SELECT on the tables in it"

# Of events that were not pruned, those above $2 and below $3.
_COUNT: Final = """SELECT count(*) FROM {s}.sessions s JOIN {s}.events e ON e.sid = s.sid
    WHERE s.session_id = $1 AND e.ordinal > greatest($2, s.floor - 1) AND ($3::bigint IS NULL OR e.ordinal < $3)"""
_ENTITIES: Final = """SELECT count(*) FROM {s}.sessions s JOIN {s}.entities e ON e.timeline = s.timeline
    WHERE s.session_id = $1 AND e.type IS NOT NULL"""
_IS_KNOWN: Final = """SELECT EXISTS (SELECT 1 FROM {s}.sessions WHERE session_id = $1)
    OR EXISTS (SELECT 1 FROM {s}.command_claims WHERE session_id = $1)"""

_PROCESSES: Final = "SELECT count(*) FROM {s}.nodes WHERE until > clock_timestamp()"
_USED: Final = "SELECT session_id FROM {s}.sessions ORDER BY changed, sid"
_HELD: Final = "SELECT session_id FROM {s}.sessions WHERE timeline_cursor < event_cursor ORDER BY session_id"
_PRUNED: Final = """SELECT e.ordinal, e.event_id, e.name, e.type, e.payload, e.digest, e.recorded_at
    FROM {s}.sessions s CROSS JOIN LATERAL (
        SELECT * FROM {s}.events e WHERE e.sid = s.sid AND e.ordinal > $2 AND e.ordinal < s.floor
        ORDER BY e.ordinal LIMIT $3) e
    WHERE s.session_id = $1 ORDER BY e.ordinal"""
# States that a question at the floor or above it needs.
_PRESENT: Final = """SELECT e.kind, e.id, e.created, e.changed, NULL::bigint, e.type, e.payload, $6::integer
    FROM {s}.sessions s CROSS JOIN LATERAL (
        SELECT * FROM {s}.entities e WHERE e.timeline = s.timeline AND (e.kind, e.id) >= ($2, $3)
        AND (e.kind, e.id, e.changed) > ($2, $3, $4) AND NOT (e.type IS NULL AND e.changed <= s.floor)
        ORDER BY e.kind, e.id LIMIT $5) e
    WHERE s.session_id = $1"""
_PAST: Final = """SELECT v.kind, v.id, v.created, v.changed, v.superseded, v.type, v.payload, v.encoding
    FROM {s}.sessions s CROSS JOIN LATERAL (
        SELECT * FROM {s}.entity_versions v WHERE v.timeline = s.timeline AND (v.kind, v.id, v.changed) > ($2, $3, $4)
        AND NOT (v.changed <= s.floor AND (v.superseded <= s.floor OR v.type IS NULL))
        ORDER BY v.kind, v.id, v.changed LIMIT $5) v
    WHERE s.session_id = $1"""
_CLAIMS: Final = """SELECT key, digest, finished, claimed_at FROM {s}.command_claims
    WHERE session_id = $1 AND key > $2 ORDER BY key LIMIT $3"""
_ERRORS: Final = """SELECT seq, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at
    FROM {s}.errors WHERE session_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"""


class PostgresTables:
    """The ``StoredState`` of the tables. It can be used only within the function that ``look`` was given."""

    def __init__(self, asking: Asking, version: int, first_epoch: int) -> None:
        """Not for callers: use ``PostgresStore.look``."""
        self._run = asking.run
        self._link = asking.link
        self._version = version
        self.types: PayloadTypes = PayloadTypes(SchemaRegistry(), asking.name)
        self._first_epoch = first_epoch
        self._reads = Reads(self.types, first_epoch, asking.name)

    @property
    def version(self) -> int:
        """The schema version of the tables, which may be another one."""
        return self._version

    @property
    def first_epoch(self) -> int:
        """The epoch of sessions that nobody has used."""
        return self._first_epoch

    def processes(self) -> int:
        """Return how many processes have the store open now."""
        return int(self._run(self._link.fetch(_PROCESSES))[0][0])

    def damages(self) -> list[str]:
        """Return nothing: PostgreSQL does not check itself."""
        return []

    def problems(self) -> list[Problem]:
        """Return what is wrong with the tables, and between them."""
        return self._run(contradictions.found(self._link, self._version), CHECK_SECONDS)

    def used_sessions(self) -> list[str]:
        """Return the ids of all sessions that were ever used, in the order of their last changes."""
        return [row[0] for row in self._run(self._link.fetch(_USED))]

    def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted, above ``after``, at most ``limit``."""
        check_text("after", after)
        check_number("limit", limit, optional=True)
        return self._run(self._reads.sessions(self._link, after, limit))

    def held_sessions(self) -> list[str]:
        """Return the ids of the sessions that are held, sorted."""
        return [row[0] for row in self._run(self._link.fetch(_HELD))]

    def session(self, session_id: str) -> StoredSession | None:
        """Return where a session stands, None if the tables do not know it."""
        check_text("session_id", session_id)
        return self._run(self._session(session_id))

    async def _session(self, session_id: str) -> StoredSession | None:
        last = await self._reads.error_records(self._link, session_id, 1)
        if not last and not (await self._link.fetch(_IS_KNOWN, session_id))[0][0]:
            return None
        cursors: Cursors = await self._reads.cursors(self._link, session_id)
        waiting = (await self._link.fetch(_COUNT, session_id, cursors.timeline, None))[0][0]
        entities = (await self._link.fetch(_ENTITIES, session_id))[0][0]
        return StoredSession(session_id, cursors, waiting, entities, last[0] if last else None)

    def timeline(self, session_id: str, *, as_of: int | None = None) -> StoredSnapshot:
        """Return the timeline now, or right after an ordinal; beyond the cursor that means the cursor.

        Raises:
            HistoryPruned: the ordinal is below the floor.
        """
        check_snapshot(session_id, as_of, None)
        return self._run(self._timeline(session_id, as_of))

    async def _timeline(self, session_id: str, as_of: int | None) -> StoredSnapshot:
        cursors, ordinal, states = await self._reads.states(self._link, session_id, as_of)
        await self.types.load(self._link, (number for *_, number, _ in states))
        entities = [
            StoredEntity(kind, entity_id, created, changed, self.types.stored(number, data))
            for kind, entity_id, created, changed, number, data in states
        ]
        return StoredSnapshot(ordinal, cursors.epoch, tuple(sorted(entities, key=snapshot_order)))

    def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Return logged events above ``after`` that were not pruned, in order, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("limit", limit, optional=True)
        return self._run(self._events(session_id, after, limit))

    async def _events(self, session_id: str, after: int, limit: int | None) -> list[StoredEvent]:
        rows = await self._link.fetch(reads.EVENTS, session_id, bounded(after), reads.row_limit(limit))
        await self.types.load(self._link, (row[3] for row in rows))
        events = []
        for ordinal, event_id, name, number, data, metadata, recorded_at in rows:
            self._reads.rows.check_event(session_id, ordinal, name, data)
            facts = self._reads.rows.event_metadata(session_id, ordinal, metadata)
            events.append(StoredEvent(ordinal, event_id, name, recorded_at, self.types.stored(number, data), facts))
        return events

    def count_events(self, session_id: str, *, after: int = 0, below: int | None = None) -> int:
        """Return how many events there are above ``after``, and below an ordinal, that were not pruned."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("below", below, optional=True)
        limits = bounded(after), None if below is None else bounded(below)
        return int(self._run(self._link.fetch(_COUNT, session_id, *limits))[0][0])

    def ordinal_from_end(self, session_id: str, count: int) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer; pruned ones do not count."""
        check_text("session_id", session_id)
        check_number("count", count)
        return self._run(self._reads.ordinal_from_end(self._link, session_id, count))

    def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last ``limit`` error records of one session, or of all, in the order they came."""
        if session_id is not None:
            check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        return self._run(self._reads.error_records(self._link, session_id, limit))

    def pruned_events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[PrunedEvent]:
        """Return events above ``after`` that were pruned, in order, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("limit", limit, optional=True)
        return self._run(self._pruned_events(session_id, after, limit))

    async def _pruned_events(self, session_id: str, after: int, limit: int | None) -> list[PrunedEvent]:
        rows = await self._link.fetch(_PRUNED, session_id, bounded(after), reads.row_limit(limit))
        await self.types.load(self._link, (row[3] for row in rows))
        events = []
        for ordinal, event_id, name, number, payload, digest, recorded_at in rows:
            if digest is None:  # the floor has risen, and the rest of the event is still there
                self._reads.rows.check_event(session_id, ordinal, name, payload)
                payload_type, descriptors = self.types.described(number)
                digest = stored_digest(name, payload_type, payload, descriptors)
            events.append(PrunedEvent(ordinal, event_id, recorded_at, self.types.stored(number, b"").type, digest))
        return events

    def versions(
        self, session_id: str, *, after: tuple[str, str, int] = ("", "", 0), limit: int | None = None
    ) -> list[StoredVersion]:
        """Return the states from which questions about the timeline are answered, above ``after``, in order."""
        check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        return self._run(self._versions(session_id, after, limit))

    async def _versions(self, session_id: str, after: tuple[str, str, int], limit: int | None) -> list[StoredVersion]:
        place = (session_id, *after, reads.row_limit(limit))
        rows = [*await self._link.fetch(_PAST, *place), *await self._link.fetch(_PRESENT, *place, FULL)]
        for row in rows:
            state = [*row[:4], *row[5:7]]
            self._reads.rows.check_state("entities" if row[4] is None else "entity_versions", session_id, state)
        await self.types.load(self._link, (row[5] for row in rows))
        versions = [
            StoredVersion(
                *(kind, entity_id, created, changed, superseded),
                None if number is None else self.types.stored(number, data),
                encoding,
            )
            for kind, entity_id, created, changed, superseded, number, data, encoding in rows
        ]
        return sorted(versions, key=_version_order)[:limit]

    def claims(self, session_id: str, *, after: str = "", limit: int | None = None) -> list[StoredClaim]:
        """Return the keys that are claimed in a session, sorted, above ``after``, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        found = self._run(self._link.fetch(_CLAIMS, session_id, after, reads.row_limit(limit)))
        return [StoredClaim(*row) for row in found]

    def numbered_errors(
        self, session_id: str, *, after: int | None = None, limit: int | None = None
    ) -> list[StoredError]:
        """Return the error records of a session in the order they came, after a number, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        place = (session_id, -MAX_STORED if after is None else after, reads.row_limit(limit))
        found = self._run(self._link.fetch(_ERRORS, *place))
        return [StoredError(row[0], self._reads.rows.error_record(tuple(row))) for row in found]


def look(dsn: str, question: Callable[[PostgresTables], T], schema_name: str) -> T:
    """Answer a question from one state of the tables; see ``PostgresStore.look``."""
    database = Database.at(dsn, schema_name, REACH_SECONDS, pooled=True)
    if not callable(question):
        raise TypeError(f"question is a function of a PostgresTables, not {question!r}")
    check_no_event_loop("look")
    with asyncio.Runner() as runner:
        asking = Asking(database, runner, _DENIED)
        try:
            asking.begin()
            version, first_epoch = asking.run(_identified(asking.link, database))
            return question(PostgresTables(asking, version, first_epoch))
        finally:
            asking.end()


async def _identified(link: Link, database: Database) -> tuple[int, int]:
    """Return the version of the tables, and the epoch of unused sessions.

    Raises:
        StoreError: there are no tables, or those of a newer version.
    """
    if not await schema.exist(link, database.schema):
        raise StoreError(
            f"{database.name} holds no sessions: no store was connected to this schema of the database yet, or the "
            f"tables have another schema"
        )
    try:
        return await schema.check(link, database.name)
    except StoreUpgraded as error:
        raise StoreError(
            f"{database.name} was written by a newer version of sessionstream (schema {error.version}, this one knows "
            f"{error.known}): upgrade sessionstream; the tables were left as they are"
        ) from error
