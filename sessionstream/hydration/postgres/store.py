"""PostgresStore: keeps sessions in PostgreSQL, shared by processes on several machines."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Generator
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from sessionstream.errors import StoreError, Unstorable
from sessionstream.hints import Hints
from sessionstream.hydration import encoding
from sessionstream.hydration.checked import CheckedStore
from sessionstream.hydration.postgres import changes
from sessionstream.hydration.postgres import schema as tables
from sessionstream.hydration.postgres.committer import Committer
from sessionstream.hydration.postgres.connections import (
    SCHEMA,
    Attempts,
    Database,
    Failed,
    Link,
    Links,
    check_dsn,
)
from sessionstream.hydration.postgres.feed import PostgresFeed
from sessionstream.hydration.postgres.inspection import look
from sessionstream.hydration.postgres.notifications import Notifications
from sessionstream.hydration.postgres.payload_types import PayloadTypes
from sessionstream.hydration.postgres.reads import Reads
from sessionstream.hydration.postgres.rebuilding import Rebuilds
from sessionstream.hydration.postgres.upkeep import Upkeep
from sessionstream.hydration.rules import check_instance, new_epoch
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Change, CommandClaim, Commit, Cursors, LoggedEvent, StoredTimeline, TimelineReplacement
from sessionstream.types import Event, Snapshot

if TYPE_CHECKING:
    from types import TracebackType

    from sessionstream.feed import Feed
    from sessionstream.hydration.postgres.inspection import PostgresTables
    from sessionstream.observe import ErrorRecord

T = TypeVar("T")

PATIENCE: Final = 30.0

READERS: Final = 4
"""Connections for everything but commits and hints."""


class Connecting:
    """A store that is about to be connected: await it, or use it with ``async with``, which closes the store."""

    def __init__(self, database: Database, registry: SchemaRegistry, listen_dsn: str, hints: Hints | None) -> None:
        self._database = database
        self._registry = registry
        self._listen_dsn = listen_dsn
        self._hints = hints
        self._store: PostgresStore | None = None

    def __await__(self) -> Generator[Any, None, PostgresStore]:
        return self._connect().__await__()

    async def __aenter__(self) -> PostgresStore:
        self._store = await self._connect()
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is not None:
            await self._store.close()

    async def _connect(self) -> PostgresStore:
        database = self._database
        store = PostgresStore(database, self._registry)
        await store.open(self._listen_dsn, self._hints)
        return store


class PostgresStore(CheckedStore):
    """A HydrationStore in PostgreSQL, which processes on several machines may share.

    Every commit is one statement; commits that wait at the same time go into one together. While the server restarts or
    cannot be reached, calls wait and are repeated, for up to ``patience``; no change happens twice.

    Use a store in the event loop in which it was connected, and close it.
    """

    _closed = True  # until it is open

    def __init__(self, database: Database, registry: SchemaRegistry) -> None:
        """Use ``PostgresStore.connect`` instead."""
        if not isinstance(database, Database):
            raise TypeError(
                "a PostgresStore is not made but connected: write await PostgresStore.connect(dsn, registry)"
            )
        super().__init__(database.name)
        self._closed = True
        self._database = database
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._types = PayloadTypes(registry, database.name)
        self._links = Links(database, READERS)
        self._upkeep = Upkeep(self._links, self._types, database.name)
        self._closing: asyncio.Task[None] | None = None

    @staticmethod
    def connect(
        dsn: str,
        registry: SchemaRegistry,
        *,
        schema: str = SCHEMA,
        patience: float = PATIENCE,
        listen_dsn: str | None = None,
        hints: Hints | None = None,
    ) -> Connecting:
        """Connect to a database, and create the tables where there are none.

        ``async with PostgresStore.connect(…) as store`` closes it at the end; after ``await`` the caller closes it.
        Tables of an older version are migrated to the present one; several processes may start at the same time.

        Args:
            dsn: where the database is, for example ``"postgres://user:password@host:5432/name?sslmode=verify-full"``.
                It has to be the primary: a replica cannot answer where a session stands.
            registry: what payloads are decoded with.
            schema: the namespace of the tables. It is created if the user may do that.
            patience: seconds for which a call waits for a server that does not answer. A change whose outcome is not
                known then raises CommitUnknown, any other call a StoreError; and so does ``connect``.
            listen_dsn: where to listen for hints. Give it if ``dsn`` leads through a pooler, such as PgBouncer with
                ``pool_mode=transaction``: it has to lead to the server itself. The pooler is then treated as one.
            hints: another way to tell processes of each other's commits, instead of LISTEN and NOTIFY.

        Raises:
            StoreError: when awaited: the server cannot be reached, refuses the user, or may not be written; the schema
                holds other tables; or its tables are of a newer version.
            ValueError: ``dsn`` or ``listen_dsn`` is not an URL of PostgreSQL, ``schema`` is not a name, or ``patience``
                is not above 0.
            TypeError: an argument is of another type.
        """
        check_instance("registry", SchemaRegistry, registry)
        database = Database.at(dsn, schema, patience, pooled=listen_dsn is not None)
        if listen_dsn is not None:
            check_dsn("listen_dsn", listen_dsn)
        return Connecting(database, registry, listen_dsn or dsn, hints)

    @staticmethod
    def look(dsn: str, question: Callable[[PostgresTables], T], *, schema: str = SCHEMA) -> T:
        """Answer a question from one state of the tables, without connecting to them as a store: for operators' tools.

        It creates, changes and migrates nothing, and needs no schemas, only the right to read. It locks nothing. It is
        a plain function that waits for a server: where an event loop runs, call it in a thread.

        Args:
            dsn: where the database is; it may lead through a pooler, or to a replica.
            question: takes a ``PostgresTables``, and returns the answer. Its exceptions are passed on.
            schema: the namespace of the tables.

        Raises:
            StoreError: the server cannot be reached within 5 seconds, does not answer a statement within 60, or refuses
                the user; or there are no tables, or those of a newer version.
            RuntimeError: an event loop runs in this thread.
            ValueError: ``dsn`` is not an URL of PostgreSQL, or ``schema`` is not a name.
            TypeError: one of them is not a string, or ``question`` cannot be called.
        """
        return look(dsn, question, schema)

    @property
    def registry(self) -> SchemaRegistry:
        """What payloads are decoded with."""
        return self._registry

    @property
    def feed(self) -> Feed:
        """Tells a hub what other processes do to the sessions."""
        return self._feed

    @property
    def pending(self) -> int:
        """How many commits were handed over and have no outcome yet. Any thread may read it."""
        return self._committer.pending

    @property
    def max_ordinal(self) -> int:
        """The highest bigint of PostgreSQL."""
        return encoding.MAX_STORED

    async def open(self, listen_dsn: str, hints: Hints | None) -> None:
        """Not for callers: use ``PostgresStore.connect``."""
        database, link = self._database, Link(self._database)
        attempts = Attempts(database, changes=False)
        while True:
            try:
                first_epoch = await attempts.attempt(link, self._prepare)
                break
            except Failed:
                continue
            except BaseException:
                link.drop()
                raise
        self._reads = Reads(self._types, first_epoch, database.name)
        self._rebuilds = Rebuilds(self._types, self._registry.codec_of, first_epoch, self._reads.cursors)
        self._hints = Notifications(listen_dsn, Link(database)) if hints is None else hints
        self._feed = PostgresFeed(self._links, self._hints, self._registry, first_epoch, self._upkeep.node)
        self._committer = Committer(database, self._types, self._reads, first_epoch, self._feed.send, link)
        self._closed = False
        self._upkeep.start()
        await self._hints.start(_channel(database), self._feed.heard)

    async def _prepare(self, link: Link) -> int:
        first_epoch = await tables.migrate(link, self._database.name, self._database.schema)
        await self._upkeep.join(link)
        return first_epoch

    def _commit(self, commit: Commit) -> asyncio.Future[None]:
        try:
            encoded = encoding.commit_rows(commit, self._registry.codec_of, is_heard=True)
        except StoreError:
            raise
        except Exception as error:
            raise Unstorable(f"the commit cannot be encoded: {error}") from error
        return self._committer.submit(encoded)

    async def _snapshot(self, session_id: str, as_of: int | None, since: int | None) -> Snapshot:
        return await self._links.read(lambda link: self._reads.snapshot(link, session_id, as_of, since))

    async def _events(self, session_id: str, after: int, limit: int | None) -> list[Event]:
        return await self._links.read(lambda link: self._reads.events(link, session_id, after, limit))

    async def _find_event(self, session_id: str, event_id: str) -> LoggedEvent | None:
        return await self._links.read(lambda link: self._reads.find_event(link, session_id, event_id))

    async def _timeline(self, session_id: str, known: Cursors | None) -> StoredTimeline:
        return await self._links.read(lambda link: self._reads.timeline(link, session_id, known))

    async def _cursors(self, session_id: str) -> Cursors:
        return await self._links.read(lambda link: self._reads.cursors(link, session_id))

    async def _replace_timeline(self, replacement: TimelineReplacement) -> Cursors:
        encoding.check_ordinal(replacement.session_id, replacement.timeline_cursor)
        epoch = new_epoch(replacement.expected.epoch)
        try:
            cursors = await self._links.change(lambda link: self._rebuilds.swap_in(link, replacement, epoch))
            self._feed.send([replacement.session_id])
        finally:
            await self._upkeep.remove()
        return cursors

    async def _claim_command(self, session_id: str, key: str, digest: bytes) -> CommandClaim | None:
        node, token = self._upkeep.node, uuid4()
        return await self._links.change(lambda link: changes.claim_command(link, session_id, key, digest, node, token))

    async def _end_command(self, session_id: str, key: str, finished: bool) -> None:
        await self._links.change(lambda link: changes.end_command(link, session_id, key, finished))

    async def _release_command(self, session_id: str, key: str) -> None:
        await self._links.change(lambda link: changes.release_command(link, session_id, key))

    async def _check_writable(self) -> None:
        await self._upkeep.renew()

    async def _record_error(self, record: ErrorRecord) -> None:
        row, token = encoding.error_row(record), uuid4()
        await self._links.note(lambda link: changes.record_error(link, row, token))

    async def _error_records(self, session_id: str | None, limit: int | None) -> list[ErrorRecord]:
        return await self._links.read(lambda link: self._reads.error_records(link, session_id, limit))

    async def _sessions(self, after: str, limit: int | None) -> list[str]:
        return await self._links.read(lambda link: self._reads.sessions(link, after, limit))

    async def _changes(self, after: str, limit: int | None) -> list[Change]:
        return await self._links.read(lambda link: self._reads.changes(link, after, limit))

    async def _prune(self, session_id: str, before: int) -> None:
        await self._links.change(lambda link: changes.prune(link, session_id, encoding.bounded(before)))
        await self._upkeep.remove()

    async def _ordinal_before(self, session_id: str, moment: datetime) -> int:
        return await self._links.read(lambda link: self._reads.ordinal_before(link, session_id, moment))

    async def _ordinal_from_end(self, session_id: str, count: int) -> int:
        return await self._links.read(lambda link: self._reads.ordinal_from_end(link, session_id, count))

    async def _forget_errors(self, session_id: str, moment: datetime) -> int:
        return await self._links.change(lambda link: changes.forget_errors(link, session_id, moment))

    async def _forget_claims(self, session_id: str, moment: datetime) -> int:
        return await self._links.change(lambda link: changes.forget_claims(link, session_id, moment))

    async def _delete_session(self, session_id: str, expected: Cursors | None) -> None:
        epoch = new_epoch()
        await self._links.change(
            lambda link: changes.delete_session(link, session_id, epoch, expected, self._reads.cursors)
        )
        self._feed.send([session_id])
        await self._upkeep.remove()

    async def _close(self) -> None:
        if self._closing is None:
            self._closing = self._loop.create_task(self._end(), name="sessionstream closing")
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        patience = self._database.patience
        self._feed.close()
        await self._committer.close(patience)
        await self._upkeep.stop()
        await self._hints.close()
        await self._links.close(1.0)

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        """Warn of a store that was not closed."""
        if not self._closed:
            warn(f"unclosed {type(self).__name__} of {self._name}", ResourceWarning, source=self, stacklevel=2)

    def _check_open(self) -> None:
        super()._check_open()
        if self._upkeep.upgraded is not None:
            raise self._upkeep.upgraded
        if asyncio.get_running_loop() is not self._loop:
            raise StoreError(
                f"{self._name} was connected in another event loop, to which its connections belong: connect a store "
                f"in each event loop"
            )


def _channel(database: Database) -> str:
    """Return the name of the channel that the processes with these tables share."""
    return f"sessionstream_{sha256(database.schema.encode()).hexdigest()[:40]}"
