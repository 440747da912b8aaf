"""PostgresTables: the ``StoredState`` of the tables, for operators' tools."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from asyncpg import InsufficientPrivilegeError

from sessionstream.errors import StoreError, StoreUpgraded
from sessionstream.hydration.encoding import bounded
from sessionstream.hydration.postgres import reads, schema
from sessionstream.hydration.postgres.connections import Database, Link
from sessionstream.hydration.postgres.failures import DRIVER_ERRORS, store_error
from sessionstream.hydration.postgres.payload_types import PayloadTypes
from sessionstream.hydration.postgres.reads import Reads
from sessionstream.hydration.rules import check_number, check_snapshot, check_text
from sessionstream.hydration.stored import StoredEntity, StoredEvent, StoredSession, StoredSnapshot
from sessionstream.schema import SchemaRegistry
from sessionstream.types import snapshot_order

if TYPE_CHECKING:
    from sessionstream.observe import ErrorRecord
    from sessionstream.store import Cursors

T = TypeVar("T")

REACH_SECONDS: Final = 5.0
"""Seconds within which the server has to be reached."""

ANSWER_SECONDS: Final = 60.0
"""Seconds within which the server has to answer each part of a question."""

END_SECONDS: Final = 1.0
"""Seconds within which the connection has to be closed; then it is thrown away."""

# Of events that were not pruned, those above $2 and below $3.
_COUNT: Final = """SELECT count(*) FROM {s}.sessions s JOIN {s}.events e ON e.sid = s.sid
    WHERE s.session_id = $1 AND e.ordinal > greatest($2, s.floor - 1) AND ($3::bigint IS NULL OR e.ordinal < $3)"""
_ENTITIES: Final = """SELECT count(*) FROM {s}.sessions s JOIN {s}.entities e ON e.timeline = s.timeline
    WHERE s.session_id = $1 AND e.type IS NOT NULL"""
_IS_KNOWN: Final = """SELECT EXISTS (SELECT 1 FROM {s}.sessions WHERE session_id = $1)
    OR EXISTS (SELECT 1 FROM {s}.command_claims WHERE session_id = $1)"""


class PostgresTables:
    """The ``StoredState`` of the tables. It can be used only within the function that ``look`` was given."""

    def __init__(self, asking: _Asking, version: int, first_epoch: int) -> None:
        """Not for callers: use ``PostgresStore.look``."""
        self._run = asking.run
        self._link = asking.link
        self._version = version
        self._types = PayloadTypes(SchemaRegistry())
        self._reads = Reads(self._types, first_epoch, asking.name)

    @property
    def version(self) -> int:
        """The schema version of the tables, which may be another one."""
        return self._version

    def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted, above ``after``, at most ``limit``."""
        check_text("after", after)
        check_number("limit", limit, optional=True)
        return self._run(self._reads.sessions(self._link, after, limit))

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
        await self._types.load(self._link, (number for *_, number, _ in states))
        entities = [
            StoredEntity(kind, entity_id, created, changed, self._types.stored(number, data))
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
        await self._types.load(self._link, (row[3] for row in rows))
        return [
            StoredEvent(
                ordinal, event_id, name, recorded_at, self._types.stored(number, data), reads.event_metadata(metadata)
            )
            for ordinal, event_id, name, number, data, metadata, recorded_at in rows
        ]

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


class _Asking:
    """A connection in a transaction, and the event loop in which it is used.

    Attributes:
        name: of the database, in messages.
    """

    def __init__(self, database: Database, runner: asyncio.Runner) -> None:
        self.link = Link(database)
        self.name = database.name
        self._runner = runner
        self._state = AsyncExitStack()

    def begin(self) -> None:
        """Connect, and fix the state of the tables that is asked.

        Raises:
            StoreError: the server cannot be reached, or refuses.
        """
        self.run(self._state.enter_async_context(self.link.one_state()), REACH_SECONDS)

    def end(self) -> None:
        """End the transaction, and close the connection."""
        self._runner.run(self._end())

    async def _end(self) -> None:
        with suppress(*DRIVER_ERRORS):  # whatever becomes of it: nothing was changed
            async with asyncio.timeout(END_SECONDS):
                await self._state.aclose()
        await self.link.close(END_SECONDS)

    def run(self, work: Awaitable[T], seconds: float = ANSWER_SECONDS) -> T:
        """Run a part of the question to its end.

        Raises:
            StoreError: the server failed, or did not answer in time.
        """
        return self._runner.run(self._finished(work, seconds))

    async def _finished(self, work: Awaitable[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except InsufficientPrivilegeError as error:
            raise StoreError(
                f"{self.name} may not be read by this user ({error}): grant it USAGE on the schema and SELECT on the "
                f"tables in it"
            ) from error
        except TimeoutError as error:
            self.link.drop()
            raise StoreError(f"{self.name} cannot be read: no answer within {seconds:g} seconds") from error
        except DRIVER_ERRORS as error:
            raise store_error(error, self.name) from error
        except asyncio.CancelledError:
            self.link.drop()  # the answer to what was asked does not come before the end
            raise


def look(dsn: str, question: Callable[[PostgresTables], T], schema_name: str) -> T:
    """Answer a question from one state of the tables; see ``PostgresStore.look``."""
    database = Database.at(dsn, schema_name, REACH_SECONDS, pooled=True)
    if not callable(question):
        raise TypeError(f"question is a function of a PostgresTables, not {question!r}")
    _check_no_event_loop()
    with asyncio.Runner() as runner:
        asking = _Asking(database, runner)
        try:
            asking.begin()
            version, first_epoch = asking.run(_identified(asking.link, database))
            return question(PostgresTables(asking, version, first_epoch))
        finally:
            asking.end()


def _check_no_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("an event loop runs in this thread, and look would block it: use await asyncio.to_thread(…)")


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
