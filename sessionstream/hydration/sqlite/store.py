"""SQLiteStore: a store in one SQLite file, for asyncio."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Callable, Generator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sessionstream.errors import OrdinalConflict, StoreError, Unstorable
from sessionstream.hydration import encoding
from sessionstream.hydration.checked import CheckedStore
from sessionstream.hydration.rules import check_clock, check_instance, time_of_day
from sessionstream.hydration.sqlite import reads, writes
from sessionstream.hydration.sqlite.backup import back_up, restore
from sessionstream.hydration.sqlite.database import PATIENCE, Database, Synchronous
from sessionstream.hydration.sqlite.feed import Node, SQLiteFeed
from sessionstream.hydration.sqlite.inspection import SQLiteFile, look
from sessionstream.hydration.sqlite.payload_types import ReadTypes
from sessionstream.hydration.sqlite.reader import Reader
from sessionstream.hydration.sqlite.reads import Reading
from sessionstream.hydration.sqlite.rebuilding import Rebuilds
from sessionstream.hydration.sqlite.removing import Removal
from sessionstream.hydration.sqlite.times import Times, microseconds
from sessionstream.hydration.sqlite.upgrading import Upgrade, upgrade
from sessionstream.hydration.sqlite.watch import Watch
from sessionstream.hydration.sqlite.writer import Writer
from sessionstream.hydration.sweeper import Sweeper
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Change, CommandClaim, Commit, Cursors, LoggedEvent, StoredTimeline, TimelineReplacement
from sessionstream.types import Event, Snapshot

if TYPE_CHECKING:
    from types import TracebackType

    from sessionstream.feed import Feed
    from sessionstream.observe import ErrorRecord


T = TypeVar("T")


class Opening:
    """A store that is about to be opened: await it, or use it with ``async with``, which closes the store."""

    def __init__(
        self, database: Database, registry: SchemaRegistry, clock: Callable[[], datetime] = time_of_day
    ) -> None:
        self._database = database
        self._registry = registry
        self._clock = clock
        self._store: SQLiteStore | None = None

    def __await__(self) -> Generator[Any, None, SQLiteStore]:
        return self._open().__await__()

    async def __aenter__(self) -> SQLiteStore:
        self._store = await self._open()
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is not None:
            await self._store.close()

    async def _open(self) -> SQLiteStore:
        watch = Watch(self._database.path)
        reader = Reader(self._database, watch)
        node = Node(self._database.busy_seconds)
        writer = Writer(self._database, watch, reader.close, Times(self._clock), node, self._registry)
        try:
            first_epoch = await asyncio.wrap_future(writer.opened)
        except asyncio.CancelledError:
            writer.stop()
            await asyncio.wait([asyncio.wrap_future(writer.closed)])  # or the thread would go on to make files
            raise
        except Exception:
            writer.join()
            raise
        reading = Reading(self._registry, ReadTypes(), first_epoch)
        return SQLiteStore(self._database, writer, reader, reading, node)


class SQLiteStore(CheckedStore):
    """A HydrationStore in one SQLite file, which several processes may share.

    One thread writes, and commits all waiting changes in one transaction; other threads read, and never wait for it.
    The event loop waits for neither disk nor lock nor thread. Payloads are decoded with the registry, and only those
    that a question needs.

    A store may be used from several event loops. Close it: a store that is not closed causes a ResourceWarning, but the
    file is not harmed. If the file is deleted, moved or replaced meanwhile, every call raises StoreLost.
    """

    _closed = True  # until __init__ is done

    def __init__(
        self,
        database: Database,
        writer: Writer | None = None,
        reader: Reader | None = None,
        reading: Reading | None = None,
        node: Node | None = None,
    ) -> None:
        """Use ``SQLiteStore.open`` instead."""
        if writer is None or reader is None or reading is None or node is None:
            raise TypeError("a SQLiteStore is not made but opened: write await SQLiteStore.open(path, registry)")
        super().__init__(database.path)
        self._process = os.getpid()
        self._database = database
        self._writer = writer
        self._reader = reader
        self._reading = reading
        self._node = node
        self._feed = SQLiteFeed(node, writer.wake, reader.ask, reading.registry, reading.first_epoch)
        self._rebuilds = Rebuilds(reader.run, reading.registry.codec_of)
        self._sweeper = Sweeper(database.path, Removal(writer))

    @staticmethod
    def open(
        path: str | os.PathLike[str],
        registry: SchemaRegistry,
        *,
        synchronous: Synchronous = "normal",
        patience: float = PATIENCE,
        clock: Callable[[], datetime] = time_of_day,
    ) -> Opening:
        """Open the file, creating it where there is none.

        ``async with SQLiteStore.open(…) as store`` closes it at the end; after ``await SQLiteStore.open(…)`` the caller
        closes it. Older files are migrated to the present version.

        With ``synchronous="full"`` a commit is acknowledged when the disk has it. With ``"normal"`` it survives the end
        of the process at any instant; a power failure or a crash of the operating system may lose the last commits:
        each completely, and never an earlier one without the later ones.

        Args:
            path: of the file.
            registry: what payloads are decoded with.
            synchronous: what a commit waits for.
            patience: seconds after which a commit that has no outcome, because the disk does not answer, raises
                CommitUnknown, and ``close`` a StoreError. A sixth of it is waited for another process's transaction.
            clock: returns the time of day with a time zone, in the writer's thread; for tests. By default it is the
                machine's.

        Raises:
            StoreError: the path does not name a file (nor does ``":memory:"``: use MemoryStore); or, when awaited, the
                file cannot be opened or may not be written, is not a database, is damaged, another application's, or
                of a newer version. A file that is refused is not changed.
            ValueError: ``synchronous`` is neither "normal" nor "full", or ``patience`` is not above 0.
            TypeError: ``path`` is not a path, ``patience`` is not a number, ``registry`` is not a SchemaRegistry, or
                ``clock`` is not a function.
        """
        check_instance("registry", SchemaRegistry, registry)
        check_clock(clock)
        return Opening(Database.at(path, synchronous, patience), registry, clock)

    @staticmethod
    def look(path: str | os.PathLike[str], question: Callable[[SQLiteFile], T]) -> T:
        """Answer a question from one state of a file, without opening it as a store: for operators' tools.

        It creates, changes and migrates nothing, and needs no schemas. It does not wait for processes that have the
        file open. It is a plain function that reads a disk: where an event loop runs, call it in a thread.

        Args:
            path: of the file.
            question: takes a ``SQLiteFile``, and returns the answer. Its exceptions are passed on. It may be called
                again if the file was changed meanwhile, so it must have no side effects.

        Raises:
            StoreError: there is no such file, or it cannot be read, is damaged, not a store's, or of a newer version.
            TypeError: ``path`` is not a path, or ``question`` cannot be called.
        """
        return look(path, question)

    @staticmethod
    def back_up(
        path: str | os.PathLike[str],
        copy: str | os.PathLike[str],
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Copy a file to a new one, also while it is in use: to make a backup.

        The copy is one state of the file, with every commit that was acknowledged before. It gets its name when it is
        whole; until then it is ``….copying-…``, which only a process that is killed leaves. SQLite checks it; payloads
        are not decoded. It has the same schema version, and is complete without a file beside it. Its sessions are in a
        new epoch, so that a client which has seen later events takes a full snapshot. Writers do not wait. It is a
        plain function that reads and writes a disk: call it in another process, or in a thread.

        Args:
            path: of the file.
            copy: of the copy; nothing may be there, nor a ``-wal``, ``-shm`` or ``-journal`` file beside it.
            progress: called from time to time, and at the end, with how many pages are copied, and how many there are.

        Raises:
            StoreError: there is something at ``copy``, or it cannot be written; or ``path`` cannot be read, is
                damaged, not a store's, or of a newer version. Then nothing is left at ``copy``.
            TypeError: an argument is not a path.
        """
        back_up(path, copy, progress)

    @staticmethod
    def restore(
        copy: str | os.PathLike[str],
        path: str | os.PathLike[str],
        *,
        replace: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Copy a backup to where an app will open it, or in place of a file that no process has open.

        The copy is made and checked beside the place, as ``back_up`` does, and then renamed: whenever the process ends,
        the place has either what was there, or all of the copy. A file that is replaced is gone, with its ``-wal`` and
        ``-shm`` files. It is a plain function that reads and writes a disk.

        Args:
            copy: the backup, which stays as it is. One with a ``-wal`` file beside it is none: a process has it open,
                or was killed or copied while it had.
            path: where the app opens it. Through a symbolic link, the file that it leads to is meant.
            replace: whether a file that is there is replaced; the new one has its mode and owner.
            progress: called from time to time, and at the end, with how many pages are copied, and how many there are.

        Raises:
            StoreError: there is a file at ``path`` and it is not to be replaced, a process has it open, it may not be
                written, or it is no SQLite file or not a store's; or there is a ``-wal`` file of one that is gone; or
                it cannot be written; or ``copy`` cannot be read, is damaged, has a ``-wal`` file, is not a store's, or
                of a newer version. Then nothing is changed.
            TypeError: an argument is not a path.
        """
        restore(copy, path, replace=replace, progress=progress)

    @staticmethod
    def upgrade(path: str | os.PathLike[str], *, dry_run: bool = False) -> Upgrade:
        """Bring a file of an earlier schema version to the present one, as ``open`` does, and say what has changed.

        It is one transaction, so that the file has the earlier version or the present one. Processes that know only the
        earlier one raise StoreUpgraded from then on. It is a plain function that reads and writes a disk.

        Args:
            path: of the file.
            dry_run: change nothing, and say what would change.

        Raises:
            StoreError: there is no such file, or it cannot be written, is damaged, not a store's, or of a newer
                version.
            TypeError: ``path`` is not a path.
        """
        return upgrade(path, dry_run=dry_run)

    @property
    def registry(self) -> SchemaRegistry:
        """What payloads are decoded with."""
        return self._reading.registry

    @property
    def feed(self) -> Feed:
        """Tells a hub what other processes do to the file."""
        return self._feed

    @property
    def pending(self) -> int:
        """How many changes were handed over and have no outcome yet. Any thread may read it."""
        return self._writer.pending

    @property
    def max_ordinal(self) -> int:
        """The highest integer of SQLite."""
        return encoding.MAX_STORED

    def _commit(self, commit: Commit) -> asyncio.Future[None]:
        try:
            others = self._node.others_until
            encoded = encoding.commit_rows(commit, self.registry.codec_of, is_heard=others > 0 and others > time.time())
        except StoreError:
            raise
        except Exception as error:
            raise Unstorable(f"the commit cannot be encoded: {error}") from error
        return self._writer.submit(encoded)

    async def _snapshot(self, session_id: str, as_of: int | None, since: int | None) -> Snapshot:
        return await self._ask(partial(self._reading.snapshot, session_id=session_id, as_of=as_of, since=since))

    async def _events(self, session_id: str, after: int, limit: int | None) -> list[Event]:
        return await self._ask(partial(self._reading.events, session_id=session_id, after=after, limit=limit))

    async def _find_event(self, session_id: str, event_id: str) -> LoggedEvent | None:
        return await self._ask(partial(self._reading.find_event, session_id=session_id, event_id=event_id))

    async def _timeline(self, session_id: str, known: Cursors | None) -> StoredTimeline:
        return await self._ask(partial(self._reading.timeline, session_id=session_id, known=known))

    async def _cursors(self, session_id: str) -> Cursors:
        return await self._ask(partial(self._reading.cursors, session_id=session_id))

    async def _replace_timeline(self, replacement: TimelineReplacement) -> Cursors:
        encoding.check_ordinal(replacement.session_id, replacement.timeline_cursor)
        try:
            cursors = await self._rebuilds.swap_in(replacement, self._write)
        except OrdinalConflict:
            await self._sweeper.sweep()
            raise
        await self._sweeper.sweep()
        return cursors

    async def _claim_command(self, session_id: str, key: str, digest: bytes) -> CommandClaim | None:
        return await self._write(partial(writes.claim_command, session_id=session_id, key=key, digest=digest))

    async def _end_command(self, session_id: str, key: str, finished: bool) -> None:
        await self._write(partial(writes.end_command, session_id=session_id, key=key, finished=finished))

    async def _release_command(self, session_id: str, key: str) -> None:
        await self._write(partial(writes.release_command, session_id=session_id, key=key))

    async def _check_writable(self) -> None:
        await self._write(writes.touch, patient=False)

    async def _record_error(self, record: ErrorRecord) -> None:
        # While another process holds the lock, only the first record waits for it.
        await self._write(partial(writes.record_error, row=encoding.error_row(record)), patient=False)

    async def _error_records(self, session_id: str | None, limit: int | None) -> list[ErrorRecord]:
        return await self._ask(partial(reads.error_records, session_id=session_id, limit=limit))

    async def _sessions(self, after: str, limit: int | None) -> list[str]:
        return await self._ask(partial(reads.sessions, after=after, limit=limit))

    async def _changes(self, after: str, limit: int | None) -> list[Change]:
        first_epoch = self._reading.first_epoch
        return await self._ask(partial(reads.changes, first_epoch=first_epoch, after=after, limit=limit))

    async def _prune(self, session_id: str, before: int) -> None:
        await self._write(partial(writes.prune, session_id=session_id, before=encoding.bounded(before)))
        await self._sweeper.sweep()

    async def _ordinal_before(self, session_id: str, moment: datetime) -> int:
        before = microseconds(moment)
        return await self._ask(partial(self._reading.ordinal_before, session_id=session_id, moment=before))

    async def _ordinal_from_end(self, session_id: str, count: int) -> int:
        return await self._ask(partial(self._reading.ordinal_from_end, session_id=session_id, count=count))

    async def _forget_errors(self, session_id: str, moment: datetime) -> int:
        old = partial(reads.old_errors, session_id=session_id, moment=microseconds(moment))
        return await self._forget(old, writes.forget_errors, 0)

    async def _forget_claims(self, session_id: str, moment: datetime) -> int:
        before = microseconds(moment)
        old = partial(reads.old_claims, session_id=session_id, moment=before)
        return await self._forget(old, partial(writes.forget_claims, session_id=session_id, moment=before), "")

    async def _delete_session(self, session_id: str, expected: Cursors | None) -> None:
        await self._write(partial(writes.delete_session, session_id=session_id, expected=expected))
        await self._sweeper.sweep()

    async def _close(self) -> None:
        if self._is_inherited():
            return
        self._writer.stop()
        patience = self._database.patience
        try:
            async with asyncio.timeout(patience):  # wait_for may lose a cancellation in Python 3.11
                await asyncio.wrap_future(self._writer.closed)
        except TimeoutError:
            raise StoreError(
                f"{self._database.path} could not be closed within {patience:g} seconds, because the disk does not "
                f"answer: commits whose outcome is not known are stored, or not, when it does"
            ) from None
        self._writer.join()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        """Warn of a store that was not closed, and stop its threads."""
        if not self._closed and not self._is_inherited():
            warn(f"unclosed {type(self).__name__} of {self._database.path}", ResourceWarning, source=self, stacklevel=2)
            self._writer.stop()

    async def _ask(self, question: Callable[..., T]) -> T:
        return await self._reader.ask(question)

    async def _write(self, change: Callable[..., T], *, patient: bool = True) -> T:
        outcome: asyncio.Future[T] = self._writer.submit(change, patient=patient)
        return await outcome

    async def _forget(self, old: Callable[..., list[T]], forget: Callable[..., int], first: T) -> int:
        """Forget what a question finds from ``first`` on, page by page; return how many it were."""
        forgotten, page = 0, [first]
        while page := await self._ask(partial(old, after=page[-1])):
            forgotten += await self._write(partial(forget, old=page))
            self._check_open()  # it may have been closed meanwhile
        return forgotten

    def _check_open(self) -> None:
        if self._closed:
            super()._check_open()
        if self._is_inherited():
            raise StoreError(
                f"{self._database.path} was opened by process {self._process}, from which this one was forked: threads "
                f"and locks of the store stayed there; open a store in each process, after the fork"
            )

    def _is_inherited(self) -> bool:
        return os.getpid() != self._process
