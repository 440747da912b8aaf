"""The writer thread: whatever waits at a moment goes into one transaction, and each change is all or nothing.

Calling ``submit`` hands a change over; it is carried out whether or not anybody still waits for it. A change that is
alone goes to the thread at once. Those of one round of an event loop go as one list, at the end of the round: the
thread would otherwise begin with the first of them, and compete with the loop for the interpreter's lock. Outcomes
return with one ``call_soon_threadsafe`` per transaction and event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future as ThreadFuture
from contextlib import suppress
from math import ceil
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

from sessionstream.errors import CommitUnknown, StoreClosed, StoreError, StoreLost
from sessionstream.hydration.encoding import CommitRows
from sessionstream.hydration.sqlite import failures, schema
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.feed import IDLE_SECONDS, Node
from sessionstream.hydration.sqlite.payload_types import WrittenTypes
from sessionstream.hydration.sqlite.sessions import KnownSessions
from sessionstream.hydration.sqlite.times import Times
from sessionstream.hydration.sqlite.watch import Watch
from sessionstream.hydration.sqlite.writes import Writing, commit
from sessionstream.logs import SessionLog
from sessionstream.schema import SchemaRegistry

_log = SessionLog()

GROUP_LIMIT: Final = 500
"""Changes in one transaction: more would only make the first of them wait for the last."""

_TICK: Final = 1 / 8
"""The part of the patience that lies between two looks at changes that have no outcome yet."""

_OWN_TIMEOUT: Final = 0.9
"""A transaction gets a timeout of its own if less than this part of ``busy_seconds`` is left for it."""


class _Torn(Exception):  # internal: never leaves the thread
    """A change failed after it had written something, so that the transaction cannot go on."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Change:
    """A change that was handed over, and later its outcome."""

    __slots__ = ("at", "error", "future", "patient", "result", "run")

    def __init__(self, run: CommitRows | Callable[[Writing], Any], future: asyncio.Future[Any], patient: bool) -> None:
        self.run: Any = run
        self.patient = patient
        self.future = future
        self.at = time.monotonic()
        self.result: Any = None
        self.error: Exception | None = None

    def deliver(self) -> None:
        if self.future.done():  # cancelled, or it took too long: the change is true all the same
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Writer:
    """Owns the only connection that writes.

    Attributes:
        opened: done when the file is open; holds the epoch that unused sessions have.
        closed: done when all submitted changes are finished and the file is closed.
    """

    def __init__(
        self,
        database: Database,
        watch: Watch,
        at_end: Callable[[], None],
        times: Times,
        node: Node,
        registry: SchemaRegistry,
    ) -> None:
        self.opened: ThreadFuture[int] = ThreadFuture()
        self.closed: ThreadFuture[None] = ThreadFuture()
        self.opened.set_running_or_notify_cancel()  # from now on they cannot be cancelled
        self.closed.set_running_or_notify_cancel()
        self._database = database
        self._watch = watch
        self._at_end = at_end
        self._times = times
        self._node = node
        self._registry = registry
        self._queue: SimpleQueue[list[_Change] | None] = SimpleQueue()
        self._left: list[_Change] = []  # taken from the queue beyond a full group; used by the thread only
        self._lock = Lock()
        self._stopped = False
        self._under_way = 0  # changes whose outcomes are not delivered yet
        self._crowded = False  # whether a change has joined another under way since the last lone change
        self._locked: sqlite3.Error | None = None  # SQLite's error if the last wait for another process failed
        self._locked_since = 0.0  # when that wait began, or the first of several in a row
        self._blind = False  # whether the last look for other processes failed
        self._waits = False  # whether the thread waits for another process now
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Change]] = {}
        self._undelivered: dict[asyncio.AbstractEventLoop, deque[_Change]] = {}  # by loops that have a timer for it
        self._stuck = False  # whether a change has taken too long since the last outcome
        self._writing: Writing | None = None  # used by the thread only
        self._thread = Thread(target=self._main, name=f"sessionstream writer {database.path}", daemon=True)
        self._thread.start()

    def submit(self, run: CommitRows | Callable[[Writing], Any], *, patient: bool = True) -> asyncio.Future[Any]:
        """Submit a change and return the future of its outcome.

        Args:
            patient: whether it waits for a process that holds the lock even if earlier changes did so without success.

        Raises:
            StoreClosed: ``stop`` was called.
            StoreError: it is not patient, and other changes are waiting for the lock, or have waited too long.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        change = _Change(run, future, patient)
        with self._lock:
            if self._stopped:
                raise StoreClosed(self._database.path)
            locked = self._locked
            if locked is not None and self._waits and not patient:
                raise self._explain(locked)
            if self._stuck and not patient:
                raise self._unknown()
            alone = not self._under_way
            self._under_way += 1
            undelivered = self._undelivered.get(loop)
            if undelivered is None:
                undelivered = self._begin_timer(loop)
            undelivered.append(change)
            if loop in self._gathered:  # first, so that no change overtakes an earlier one
                self._gathered[loop].append(change)
                self._crowded = True
            elif alone and not self._crowded:
                self._queue.put([change])
            else:
                self._crowded = not alone
                self._gathered[loop] = [change]
                loop.call_soon(self._pass_on, loop)
        return future

    @property
    def pending(self) -> int:
        """How many changes have no outcome yet."""
        return self._under_way

    def wake(self) -> None:
        """Have the thread look for other processes now, if it waits."""
        self._queue.put([])

    def stop(self) -> None:
        """Refuse further changes, finish the submitted ones and close. Calling it twice is allowed."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                for loop in list(self._gathered):
                    self._enqueue(loop)
                self._queue.put(None)

    def join(self) -> None:
        """Wait for the thread to end. It ends right after ``closed`` is done."""
        self._thread.join()

    def _begin_timer(self, loop: asyncio.AbstractEventLoop) -> deque[_Change]:
        """Begin to look at a loop's changes every so often, for as long as there are any."""
        for each in [each for each in self._undelivered if each.is_closed()]:
            del self._undelivered[each]
        undelivered = self._undelivered[loop] = deque()
        loop.call_later(self._database.patience * _TICK, self._check_timer, loop)
        return undelivered

    def _check_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up the changes that will have taken too long at the next check."""
        tick = self._database.patience * _TICK
        too_old = time.monotonic() + tick - self._database.patience
        undelivered = self._undelivered[loop]
        while undelivered and (undelivered[0].at <= too_old or undelivered[0].future.done()):
            change = undelivered.popleft()
            if not change.future.done():
                change.future.set_exception(self._unknown())
                self._stuck = True
        if undelivered:
            loop.call_later(tick, self._check_timer, loop)
        else:
            del self._undelivered[loop]

    def _unknown(self) -> CommitUnknown:
        return CommitUnknown(self._database.path, self._database.patience)

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Pass the changes that one iteration of an event loop has gathered to the thread."""
        with self._lock:
            self._enqueue(loop)

    def _enqueue(self, loop: asyncio.AbstractEventLoop) -> None:
        if gathered := self._gathered.pop(loop, None):
            self._queue.put(gathered)

    def _main(self) -> None:
        try:
            self._writing = self._open()
        except Exception as error:  # noqa: BLE001 - raised where the store is opened
            self._at_end()
            self.opened.set_exception(self._explain(error))
            self.closed.set_result(None)
            return
        self.opened.set_result(self._writing.first_epoch)
        try:
            while self._run_group():
                if time.monotonic() >= self._node.due:
                    self._look()
        finally:
            self._refuse_the_rest()
            self._at_end()
            if self._writing is not None:
                with suppress(sqlite3.Error):  # its row expires
                    self._node.leave(self._writing.db)
                self._writing.db.close()
            self.closed.set_result(None)

    def _open(self) -> Writing:
        self._watch.refuse()
        db = self._database.connect_writer()
        try:
            self._watch.begin()
            first_epoch = schema.first_epoch(db, self._database.path)
            self._node.join(db)
        except (sqlite3.Error, OSError, StoreError):
            db.close()
            raise
        return Writing(db, WrittenTypes(), first_epoch, self._times, KnownSessions(), self._node, self._registry)

    def _run_group(self) -> bool:
        """Carry out the waiting changes; return whether more may come."""
        group = self._left or self._next()
        if group is None:
            return False
        while len(group) < GROUP_LIMIT and not self._queue.empty():
            more = self._queue.get()
            if more is None:
                self._queue.put(None)  # for the next call; nothing is put behind it
                break
            group += more
        group, self._left = group[:GROUP_LIMIT], group[GROUP_LIMIT:]
        try:
            self._carry_out(group)
        except BaseException as error:
            for change in group:
                change.error = change.error or StoreError(f"the writer of {self._database.path} died: {error!r}")
            raise
        finally:
            self._deliver(group)
        return True

    def _next(self) -> list[_Change] | None:
        """Wait for changes, and look for other processes meanwhile; None says that the store is closed."""
        while True:
            try:
                group = self._queue.get(timeout=max(0.0, self._node.due - time.monotonic()))
            except Empty:
                group = []
            if group or group is None:
                return group
            self._look()

    def _look(self) -> None:
        """Look for other processes and what they have done."""
        if self._writing is None:
            self._node.due = time.monotonic() + IDLE_SECONDS
            return
        try:
            self._node.look(self._writing.db)
            self._blind = False
        except (sqlite3.Error, failures.Damage) as error:
            if not self._blind:
                _log.warning("what other processes do to %s cannot be seen: %s", self._database.path, error)
            self._blind = True

    def _refuse_the_rest(self) -> None:
        """Refuse further changes, and those that are left; some are left only if a bug has ended the thread."""
        with self._lock:
            self._stopped = True
            rest = [change for gathered in self._gathered.values() for change in gathered]
            self._gathered.clear()
            while not self._queue.empty():
                rest += self._queue.get() or ()
            for change in rest + self._left:
                change.error = StoreClosed(self._database.path)
        self._deliver(rest + self._left)

    def _carry_out(self, group: list[_Change], together: bool = True) -> None:
        """Carry out a group in a transaction; ``together``: its commits table by table, instead of one by one."""
        try:
            self._watch.refuse()
            if self._writing is None:
                self._watch.check()  # opening would create a missing file
                self._writing = self._open()  # the last connection was closed
            self._begin(self._writing.db, group)
            if not self._writing.sessions.begin(self._writing.db):
                schema.check_version(self._writing.db, self._database.path)
            self._watch.begin_writing()
        except (sqlite3.Error, StoreError) as error:  # the file is locked or lost, which concerns every change
            self._roll_back()
            for change in group:
                change.error = self._explain(error)
            return
        try:
            self._transact(self._writing, group, together)
            self._watch.check_written()  # before any change is acknowledged
        except StoreLost as error:
            for change in group:
                change.result, change.error = None, error
        except (sqlite3.Error, _Torn) as error:
            self._roll_back()
            if len(group) == 1:
                group[0].result, group[0].error = None, self._explain(error)
                return
            # The group is rolled back. Repeating it one by one, then each change alone, finds the one that fails.
            for change in group:
                change.result, change.error = None, None
            for again in [group] if together else [[change] for change in group]:
                self._carry_out(again, together=False)

    def _begin(self, db: sqlite3.Connection, group: list[_Change]) -> None:
        """Begin a transaction. Changes that have waited for the lock for long enough get an error and leave the group.

        Raises:
            sqlite3.Error: it cannot begin, which concerns all that are left in the group.
        """
        busy, limited = self._database.busy_seconds, False
        began = time.monotonic() if self._locked is None else self._locked_since
        try:
            while not db.in_transaction:
                left = max(0.0, min(self._deadline(change, began) for change in group) - time.monotonic())
                if limited or left < busy * _OWN_TIMEOUT:  # mostly not: it is one statement more
                    limited = True
                    db.execute(f"PRAGMA busy_timeout = {ceil(left * 1000)}")
                self._waits = left > 0.0
                try:
                    db.execute("BEGIN IMMEDIATE")
                except sqlite3.Error as error:
                    self._locked, self._locked_since = (error if failures.is_busy(error) else None), began
                    now = time.monotonic()
                    late = [change for change in group if self._deadline(change, began) <= now]
                    if self._locked is None or len(late) == len(group):
                        raise
                    for change in late:
                        change.error = self._explain(error)
                        group.remove(change)
                    self._deliver(late)
        finally:
            self._waits = False
            if limited:
                db.execute(f"PRAGMA busy_timeout = {int(busy * 1000)}")
        self._locked = None

    def _deadline(self, change: _Change, began: float) -> float:
        """Return until when a change waits for the lock; an impatient one does not if another has waited in vain.

        Args:
            began: when the thread began to wait for the lock: what delayed the change before is no wait for it.
        """
        waits = change.patient or self._locked is None
        return max(change.at, began) + (self._database.busy_seconds if waits else 0.0)

    def _transact(self, writing: Writing, group: Sequence[_Change], together: bool) -> None:
        """Carry out a group in the current transaction; a refused change gets its error and has no effect.

        A change is usually refused before it writes anything; then the others continue.

        Raises:
            sqlite3.Error, _Torn: the group must be rolled back: a change failed after it wrote something, COMMIT
                failed, or one of several commits that were written together was refused or failed.
        """
        db = writing.db
        for changes in _portions(group, together):
            before = db.total_changes
            try:
                _run(writing, changes)
            except Exception as error:
                if len(changes) > 1 or not db.in_transaction or db.total_changes != before:
                    raise _Torn(error) from error
                changes[0].error = self._explain(error)
        db.execute("COMMIT")
        if writing.types.pending:
            writing.types.committed()

    def _roll_back(self) -> None:
        if self._writing is None:
            return
        self._writing.types.rolled_back()
        self._writing.sessions.rolled_back()
        try:
            if self._writing.db.in_transaction:
                self._writing.db.execute("ROLLBACK")
        except sqlite3.Error:
            self._watch.pause()
            self._writing.db.close()  # this rolls back as well; the next group opens a new connection
            self._writing = None

    def _explain(self, error: Exception) -> Exception:
        """Return the error for the caller: ours unchanged, SQLite's as a StoreError."""
        if isinstance(error, _Torn):
            return self._explain(error.cause)
        if isinstance(error, sqlite3.Error | OverflowError | UnicodeError):
            failure = self._database.failure(error)
            failure.__cause__ = error
            return failure
        return error

    def _deliver(self, group: Sequence[_Change]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Change]] = {}
        for change in group:
            by_loop.setdefault(change.future.get_loop(), []).append(change)
        for loop, changes in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._deliver_here, changes)
            except RuntimeError:  # the loop is closed, so no task waits for them
                self._count_off(changes)

    def _count_off(self, changes: Sequence[_Change]) -> None:
        with self._lock:
            self._under_way -= len(changes)

    def _deliver_here(self, changes: Sequence[_Change]) -> None:
        self._count_off(changes)
        self._stuck = False
        for change in changes:
            change.deliver()
        undelivered = self._undelivered.get(changes[0].future.get_loop())
        while undelivered and undelivered[0].future.done():
            undelivered.popleft()


def _portions(group: Sequence[_Change], together: bool) -> list[list[_Change]]:
    """Divide a group into portions: consecutive commits, if ``together`` is true, or single changes."""
    portions: list[list[_Change]] = []
    for change in group:
        if together and portions and type(change.run) is type(portions[-1][0].run) is CommitRows:
            portions[-1].append(change)
        else:
            portions.append([change])
    return portions


def _run(writing: Writing, changes: Sequence[_Change]) -> None:
    """Carry out one change, or several commits."""
    if type(changes[0].run) is CommitRows:
        for change, refused in zip(changes, commit(writing, [change.run for change in changes]), strict=True):
            change.error = refused
    else:
        changes[0].result = changes[0].run(writing)
