"""The writer thread: whatever waits at a moment goes into one transaction, each change in its own savepoint.

Calling ``submit`` hands a change over; it is carried out whether or not anybody still waits for it. Outcomes
return with one ``call_soon_threadsafe`` per transaction and event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future as ThreadFuture
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

from sessionstream.errors import StoreClosed
from sessionstream.hydration.sqlite.files import Database
from sessionstream.hydration.sqlite.types import WrittenTypes
from sessionstream.hydration.sqlite.writes import Writing

GROUP_LIMIT: Final = 500
"""Changes in one transaction: more would only make the first of them wait for the last."""


class _TransactionLost(Exception):
    """SQLite rolled the whole transaction back, not only the change that failed."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


class _Change:
    """A change that was handed over, and later its outcome."""

    __slots__ = ("error", "future", "loop", "result", "run")

    def __init__(
        self,
        run: Callable[[Writing], Any],
        future: asyncio.Future[Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.run = run
        self.future = future
        self.loop = loop
        self.result: Any = None
        self.error: Exception | None = None

    def deliver(self) -> None:
        if self.future.done():  # cancelled: the change is true all the same
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Writer:
    """Owns the only connection that writes.

    Attributes:
        opened: done when the file is open; holds the epoch that unused sessions have.
        closed: done when everything handed over is finished and the file is let go of.
    """

    def __init__(self, database: Database, at_end: Callable[[], None]) -> None:
        self.opened: ThreadFuture[int] = ThreadFuture()
        self.closed: ThreadFuture[None] = ThreadFuture()
        self.opened.set_running_or_notify_cancel()  # from now on nobody who waits for them can cancel them
        self.closed.set_running_or_notify_cancel()
        self._database = database
        self._at_end = at_end
        self._queue: SimpleQueue[_Change | None] = SimpleQueue()
        self._lock = Lock()
        self._stopped = False
        self._thread = Thread(target=self._main, name=f"sessionstream writer {database.path}", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Writing], Any]) -> asyncio.Future[Any]:
        """Hand a change over and return the future of its outcome.

        Raises:
            StoreClosed: ``stop`` was called.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            if self._stopped:
                raise StoreClosed(self._database.path)
            self._queue.put(_Change(run, future, loop))
        return future

    def stop(self) -> None:
        """Take nothing more; finish what was handed over and close. Stopping twice is allowed."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._queue.put(None)

    def _main(self) -> None:
        try:
            db = self._database.connect_writer()
            first_epoch = db.execute("SELECT value FROM meta WHERE key = 'first_epoch'").fetchone()[0]
        except BaseException as error:  # noqa: BLE001 - whoever opens the store gets it
            self._at_end()
            self.opened.set_exception(error)
            self.closed.set_result(None)
            return
        self.opened.set_result(first_epoch)
        writing = Writing(db, WrittenTypes(), first_epoch)
        try:
            while self._run_group(writing):
                pass
        finally:
            self._at_end()
            db.close()
            self.closed.set_result(None)

    def _run_group(self, writing: Writing) -> bool:
        """Carry out what waits; return whether more may come."""
        group: list[_Change] = []
        change = self._queue.get()
        while change is not None:
            group.append(change)
            if len(group) == GROUP_LIMIT or self._queue.empty():
                break
            change = self._queue.get()
        if group:
            self._carry_out(writing, group)
            _deliver(group)
        return change is not None

    def _carry_out(self, writing: Writing, group: Sequence[_Change]) -> None:
        try:
            self._transact(writing, group)
        except _TransactionLost:
            # Nothing of the group is true. Each change alone finds out which of them it was.
            for change in group:
                change.result, change.error = None, None
                try:
                    self._transact(writing, [change])
                except _TransactionLost as lost:
                    change.error = self._explain(lost.reason)

    def _transact(self, writing: Writing, group: Sequence[_Change]) -> None:
        """Carry out a group in one transaction; changes that fail have their error and no effect."""
        db = writing.db
        try:
            db.execute("BEGIN IMMEDIATE")
            for change in group:
                self._attempt(writing, change)
            db.execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(db)
            writing.types.rolled_back()
            for change in group:
                change.error = self._explain(error)
        except _TransactionLost:
            writing.types.rolled_back()
            raise
        else:
            writing.types.committed()

    def _attempt(self, writing: Writing, change: _Change) -> None:
        db = writing.db
        db.execute("SAVEPOINT change")
        try:
            change.result = change.run(writing)
        except Exception as error:  # it is the caller's, the writer goes on
            if not db.in_transaction:
                raise _TransactionLost(error) from error
            db.execute("ROLLBACK TO change")
            writing.types.rolled_back()
            change.error = self._explain(error)
        db.execute("RELEASE change")

    def _explain(self, error: Exception) -> Exception:
        """Return the error the caller gets: our own as they are, SQLite's as a StoreError."""
        if isinstance(error, sqlite3.Error | OverflowError | UnicodeError):
            failure = self._database.failure(error)
            failure.__cause__ = error
            return failure
        return error


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _deliver(group: Sequence[_Change]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Change]] = {}
    for change in group:
        by_loop.setdefault(change.loop, []).append(change)
    for loop, changes in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver_here, changes)
        except RuntimeError:  # that loop is closed, so nobody waits there
            continue


def _deliver_here(changes: Sequence[_Change]) -> None:
    for change in changes:
        change.deliver()
