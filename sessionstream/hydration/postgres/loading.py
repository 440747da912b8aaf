"""Loading: writes whole sessions into the tables, as another store had them.

Each session is written in one transaction, in which it is also read back before it is committed. The table ``copied``
says with which contents each was loaded, so that a later load can tell whether it was changed since.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import uuid4

from asyncpg import SerializationError, UniqueViolationError

from sessionstream.errors import StoreError
from sessionstream.hydration.contents import PAGE_BYTES, Content, Fingerprint, NotCopied, size_of
from sessionstream.hydration.encoding import error_row
from sessionstream.hydration.postgres import schema
from sessionstream.hydration.postgres.asking import ANSWER_SECONDS, REACH_SECONDS, Asking, check_no_event_loop
from sessionstream.hydration.postgres.connections import Database
from sessionstream.hydration.postgres.inspection import PostgresTables
from sessionstream.hydration.stored import (
    PayloadType,
    PrunedEvent,
    StoredClaim,
    StoredError,
    StoredEvent,
    StoredVersion,
)
from sessionstream.hydration.versions import FULL
from sessionstream.ids import check_new_id
from sessionstream.store import Cursors

T = TypeVar("T")

REMOVE_SECONDS: Final = 600.0
"""Seconds that removing a session, to write it anew, may take."""

_ROWS: Final = 2_000
"""Rows that are sent together at most."""

_DENIED: Final = (
    "may not be written by this user: grant it CREATE on the database, or on the schema, or have the owner of the "
    "tables copy"
)

_BEGIN: Final = ("BEGIN ISOLATION LEVEL REPEATABLE READ",)
_NOW: Final = "SELECT now()"
_COPIED: Final = "SELECT contents, times FROM {s}.copied WHERE session_id = $1"
_NOTE: Final = """INSERT INTO {s}.copied (session_id, contents, times) VALUES ($1, $2, $3)
    ON CONFLICT (session_id) DO UPDATE SET contents = excluded.contents, times = excluded.times"""
_REMOVE: Final = """WITH old AS (DELETE FROM {s}.sessions WHERE session_id = $1 RETURNING *),
    events AS (DELETE FROM {s}.events e USING old WHERE e.sid = old.sid),
    entities AS (DELETE FROM {s}.entities e USING old WHERE e.timeline = old.timeline),
    versions AS (DELETE FROM {s}.entity_versions v USING old WHERE v.timeline = old.timeline),
    claims AS (DELETE FROM {s}.command_claims WHERE session_id = $1),
    errors AS (DELETE FROM {s}.errors WHERE session_id = $1)
    SELECT event_cursor, timeline_cursor, epoch, changed FROM old"""
_NUMBERS: Final = "SELECT nextval('{s}.sids'), nextval('{s}.timelines')"
_SESSION: Final = """INSERT INTO {s}.sessions
    (session_id, sid, timeline, event_cursor, timeline_cursor, epoch, floor, last_time, changed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, '-infinity'::timestamptz),
        coalesce($9, pg_current_xact_id()::text::bigint))"""

_COLUMNS: Final = {
    "events": ("sid", "ordinal", "event_id", "name", "type", "payload", "digest", "metadata", "recorded_at"),
    "entities": ("timeline", "kind", "id", "created", "changed", "type", "payload", "depth"),
    "entity_versions": (
        *("timeline", "kind", "id", "created", "changed", "superseded", "type", "encoding", "payload"),
    ),
    "command_claims": ("session_id", "key", "digest", "node", "token", "finished", "claimed_at"),
    "errors": (
        *("seq", "token", "session_id", "kind", "ordinal", "event_name", "error", "raw_message", "metadata"),
        "recorded_at",
    ),
}

# Error records are listed in the order of their numbers, which begin at 1. Those that are copied keep their order, in a
# range below that, which the store that they come from has for itself.
_FIRST_NUMBER: Final = -(2**62)
_RANGE: Final = 2**40
_RANGES: Final = 2**20


@contextmanager
def loading(dsn: str, schema_name: str) -> Iterator[Loading]:
    """Connect to a database, creating the tables where there are none, and yield what sessions are loaded with.

    Raises:
        StoreError: the server cannot be reached within 5 seconds, refuses the user, or may not be written; or the
            schema holds other tables, or those of a newer version.
        RuntimeError: an event loop runs in this thread.
        ValueError, TypeError: an argument is not valid.
    """
    database = Database.at(dsn, schema_name, REACH_SECONDS, pooled=False)
    check_no_event_loop("copying")
    with asyncio.Runner() as runner:
        asking = Asking(database, runner, _DENIED)
        try:
            asking.run(schema.exist(asking.link, database.schema), REACH_SECONDS)
            epoch = asking.run(schema.migrate(asking.link, database.name, database.schema))
            yield Loading(asking, epoch)
        finally:
            asking.end()


class Loading:
    """Writes whole sessions. Every method but ``begin`` needs a transaction that was begun.

    Each raises StoreError if the server fails or does not answer. What was not kept is then not in the tables.
    """

    def __init__(self, asking: Asking, first_epoch: int) -> None:
        """Not for callers: use ``stores.loading``."""
        self.state: PostgresTables = PostgresTables(asking, schema.VERSION, first_epoch)
        """The tables, as the transaction sees them."""
        self._asking = asking
        self._link = asking.link
        self._beside = asking.another()
        self._types: dict[PayloadType, int] = {}
        self._begun = False
        self._removed: list[tuple[int, ...]] = []

    def begin(self) -> None:
        """Begin a transaction. What was begun before and not kept is undone."""
        if self._begun:
            self._do(self._link.run_script(["ROLLBACK"]))
        self._begun = True
        self._removed = []
        self._do(self._link.run_script(_BEGIN))

    def loaded(self, session_id: str) -> Fingerprint | None:
        """Return the contents with which a session was loaded last, None if it never was."""
        rows = self._do(self._link.fetch(_COPIED, session_id))
        return Fingerprint(*rows[0]) if rows else None

    def remove(self, session_id: str) -> None:
        """Remove all of a session, which is about to be written anew."""
        self._removed = [tuple(row) for row in self._do(self._link.fetch(_REMOVE, session_id), REMOVE_SECONDS)]

    def write(self, session_id: str, parts: Iterable[Content], origin: int) -> None:
        """Write a session of which there is nothing. A time that is not known becomes the present one.

        Args:
            parts: as from ``contents``.
            origin: the first epoch of the store that it comes from.

        Raises:
            InvalidIdError: an id is longer than this store can keep.
            NotCopied: something else has written the session meanwhile.
        """
        now = self._do(self._link.fetch(_NOW))[0][0]
        rows = _Rows(self, session_id, now, origin)
        for part in parts:
            rows.add(part)
        rows.flush()
        if rows.cursors is not None:
            place = (rows.cursors.event, rows.cursors.timeline, rows.cursors.epoch)
            # A session that was only pruned, say, has not changed for lists of sessions.
            changed = next((number for *before, number in self._removed if tuple(before) == place), None)
            values = (session_id, rows.sid, rows.timeline, *place, rows.cursors.floor, rows.last_time, changed)
            self._do(self._link.fetch(_SESSION, *values))

    def keep(self, session_id: str, found: Fingerprint) -> None:
        """Commit, and note what was loaded.

        Raises:
            NotCopied: something else has written the session meanwhile.
        """
        self._do(self._link.fetch(_NOTE, session_id, found.contents, found.times))
        self._do(self._link.run_script(["COMMIT"]))
        self._begun = False

    def numbers(self) -> tuple[int, int]:
        """Return new numbers for a session and its timeline."""
        sid, timeline = self._do(self._link.fetch(_NUMBERS))[0]
        return sid, timeline

    def type_number(self, found: PayloadType) -> int:
        """Return the number of a message schema, which is inserted where it is new.

        It is inserted outside the transaction: else processes that need it, too, would wait for the end of that.
        """
        number = self._types.get(found)
        if number is None:
            types = self.state.types
            number = self._types[found] = self._do(types.number(self._beside, found.name, found.descriptors))
            self._do(types.load(self._beside, [number]))  # the transaction does not see it
        return number

    def copy(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Add rows to a table."""
        self._do(self._link.copy(table, _COLUMNS[table], rows))

    def _do(self, work: Awaitable[T], seconds: float = ANSWER_SECONDS) -> T:
        try:
            return self._asking.run(work, seconds)
        except StoreError as error:
            if isinstance(error.__cause__, UniqueViolationError | SerializationError):
                raise NotCopied(
                    f"something else has written to it in {self._asking.name} meanwhile ({error.__cause__}): end that, "
                    f"and copy again"
                ) from error
            raise


class _Rows:
    """The rows of a session, which are sent when there are enough of them."""

    def __init__(self, loading: Loading, session_id: str, now: datetime, origin: int) -> None:
        self.cursors: Cursors | None = None
        self.sid = self.timeline = 0
        self.last_time: datetime | None = None
        self._loading = loading
        self._session_id = session_id
        self._now = now
        self._errors_begin = _FIRST_NUMBER + origin % _RANGES * _RANGE
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
        self._count = self._size = 0
        self._depth = 0

    def add(self, part: Content) -> None:
        match part:
            case Cursors():
                self.cursors = part
                self.sid, self.timeline = self._loading.numbers()
                return
            case PrunedEvent() | StoredEvent():
                self._event(part)
            case StoredVersion():
                self._version(part)
            case StoredClaim():
                self._claim(part)
            case StoredError():
                self._error(part)
        self._count += 1
        self._size += size_of(part)
        if self._count >= _ROWS or self._size >= PAGE_BYTES:
            self.flush()

    def flush(self) -> None:
        for table, rows in self._rows.items():
            if rows:
                self._loading.copy(table, rows)
                rows.clear()
        self._count = self._size = 0

    def _event(self, event: PrunedEvent | StoredEvent) -> None:
        place = (self.sid, event.ordinal, check_new_id("event id", event.event_id))
        time = event.recorded_at or self._now
        self.last_time = time if self.last_time is None else max(self.last_time, time)
        if isinstance(event, PrunedEvent):
            number = self._loading.type_number(event.type)
            self._rows["events"].append((*place, None, number, None, event.digest, "", time))
        else:
            number = self._loading.type_number(event.payload.type)
            metadata = json.dumps(dict(event.metadata)) if event.metadata else ""
            self._rows["events"].append((*place, event.name, number, event.payload.data, None, metadata, time))

    def _version(self, version: StoredVersion) -> None:
        """Add a state. Those of an entity come in order, the present one last: it counts the deltas before it."""
        kind, entity_id = check_new_id("entity kind", version.kind), check_new_id("entity id", version.id)
        place = (self.timeline, kind, entity_id, version.created_ordinal, version.last_event_ordinal)
        number = data = None
        if version.payload is not None:
            number, data = self._loading.type_number(version.payload.type), version.payload.data
        if version.superseded_ordinal is None:
            self._rows["entities"].append((*place, number, data, self._depth))
            self._depth = 0
        else:
            self._rows["entity_versions"].append((*place, version.superseded_ordinal, number, version.encoding, data))
            self._depth = 0 if version.encoding == FULL else self._depth + 1

    def _claim(self, claim: StoredClaim) -> None:
        """Add a claim. Its command does not run in a process of this store, whether or not it has finished."""
        key = check_new_id("idempotency key", claim.key)
        time = claim.claimed_at or max(self._now, self.last_time or self._now)
        self._rows["command_claims"].append((self._session_id, key, claim.digest, "", uuid4(), claim.finished, time))

    def _error(self, error: StoredError) -> None:
        time = error.record.recorded_at or datetime.now(UTC)
        number = self._errors_begin + error.number
        self._rows["errors"].append((number, uuid4(), *error_row(error.record), time))
