"""What the processes that share a file tell each other: which of them are there, and what they do to sessions.

Each process that has the file open has a row in ``nodes``, which it renews while it is not alone. While another process
is there, every commit that moves a timeline leaves a row in ``ui_events``, in its own transaction. Whoever watches
sessions asks ``PRAGMA data_version`` every 50 ms, on the writer's connection, where it changes only when another
process has committed; then new rows say which sessions have moved. So a process that is alone writes and reads nothing
more than that.

A process that was just opened, or stopped for a while, may be unknown to another one, which then leaves no rows. The
positions of all watched sessions are compared once a second, if another process has committed anything.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import uuid4

from sessionstream.feed import Move, Moves, Position
from sessionstream.hydration.recorded import recorded_move
from sessionstream.hydration.sqlite.columns import MAX_MOMENT, Query
from sessionstream.hydration.sqlite.failures import is_busy

if TYPE_CHECKING:
    from sessionstream.feed import Hint
    from sessionstream.schema import SchemaRegistry

TICK_SECONDS: Final = 0.05
"""How often a process that watches sessions looks for commits of others."""

IDLE_SECONDS: Final = 0.25
"""How often any other process looks for others."""

PRUNE_SECONDS: Final = 2.0
"""How often old rows are looked for."""

SWEEP_SECONDS: Final = 1.0
"""How long after a commit of another process the positions of all watched sessions are compared."""

LEASE_SECONDS: Final = 10.0
"""How long a process counts as there after it has last renewed its row."""

NOTICED_SECONDS: Final = 2 * IDLE_SECONDS
"""How long a process that was just opened may be unknown to others."""

KEPT_SECONDS: Final = 60.0
"""How long a row of ``ui_events`` is kept."""

FORGOTTEN_SECONDS: Final = 86_400.0
"""After this time without renewal the row of a process is deleted."""

DELETED_AT_ONCE: Final = 2_000
"""How many old rows of ``ui_events`` are deleted in one transaction."""

BUSY_MILLISECONDS: Final = 100
"""How long the rows of this module wait for a lock; what could not be written is written later."""

MOVES_AT_ONCE: Final = 1_000
"""A watcher that lacks more moves than this gets a snapshot instead."""

_ASKED_AT_ONCE: Final = 100

_MICROSECONDS: Final = 1_000_000

_LATEST: Final = Query(
    "nodes",
    "node, until",
    "WHERE node <> ? AND typeof(until) = 'integer' AND until BETWEEN 0 AND ? ORDER BY until DESC LIMIT 1",
)
_ROW: Final = Query("nodes", "node, until", "WHERE node = ?")
_NEW: Final = Query("ui_events", "position, session_id", "WHERE position > ? AND node <> ? ORDER BY position")
_FIRST_YOUNG: Final = Query("ui_events", "position", "WHERE at >= ? ORDER BY position LIMIT 1")
_MOVES: Final = Query(
    "ui_events",
    "session_id, ordinal, before, data",
    "WHERE session_id = ? AND epoch = ? AND ordinal > ? ORDER BY position LIMIT ?",
)
_POSITIONS: Final = Query(
    "sessions",
    "session_id, timeline_cursor, epoch",
    f"WHERE session_id IN ({', '.join('?' * _ASKED_AT_ONCE)})",
)
_RECORD: Final = """INSERT INTO ui_events (session_id, ordinal, before, epoch, node, data, at)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


MoveRow: TypeAlias = tuple[str, int, int, int, bytes | None]
"""Session id, ordinal of the timeline, its ordinal before, epoch, encoded UI events; None for another timeline."""


class Node:
    """This process among those that have the file open, and what it hears of the others.

    The writer's thread calls its methods, except for those that say so.

    Args:
        busy_seconds: how long the connection waits for a lock; the rows of this module wait for less.

    Attributes:
        id: identifies the process, or rather its open store.
        due: when to call ``look`` again, on the monotonic clock.
        others_until: until when another process counts as there, on the clock of the day. Any thread may read it.
    """

    def __init__(self, busy_seconds: float) -> None:
        self.id: str = uuid4().hex
        self.due: float = 0.0
        self.others_until: float = 0.0
        self._busy_seconds = busy_seconds
        self._hints: dict[object, tuple[asyncio.AbstractEventLoop, Hint]] = {}
        self._renewed_until = 0.0
        self._version: int | None = None  # of the file, when it was last looked at
        self._position: int | None = None  # of the last row that was heard of; None before the first look
        # These are on the monotonic clock.
        self._joined_at = 0.0  # the first time
        self._sweep_at: float | None = None
        self._swept_at = 0.0
        self._prune_at = 0.0

    # -- for the event loop ------------------------------------------------------------------------------------

    def is_heard(self) -> bool:
        """Whether another process may be there, so that commits have to leave rows. Any thread may call it."""
        return self.others_until > 0 and self.others_until > time.time()

    def follow(self, hint: Hint) -> Callable[[], None]:
        """Call ``hint`` in the running event loop when sessions may have moved; return a function that ends this."""
        key = object()
        self._hints[key] = (asyncio.get_running_loop(), hint)
        self.due = 0.0

        def stop() -> None:
            self._hints.pop(key, None)

        return stop

    # -- for the writer's thread -------------------------------------------------------------------------------

    def join(self, db: sqlite3.Connection) -> None:
        """Say that this process has the file open. If the file is locked, ``look`` does it later."""
        self._position, self._version = None, None
        self._joined_at = self._joined_at or time.monotonic()
        now = time.time()
        if self._write(db, "DELETE FROM nodes WHERE until < ?", _micro(now - FORGOTTEN_SECONDS)):
            self._renew(db, now)
        if _LATEST.first(db, (self.id, MAX_MOMENT)) is not None:  # its row may be old, because it was alone until now
            self.others_until = now + LEASE_SECONDS

    def leave(self, db: sqlite3.Connection) -> None:
        """Say that this process is about to close the file."""
        self._write(db, "DELETE FROM nodes WHERE node = ?", self.id)

    def is_there(self, db: sqlite3.Connection, node: str) -> bool:
        """Return whether a process has the file open, as far as is known.

        One that was alone has not renewed its row. It does so once it has seen this process, which takes it a moment.
        """
        if node == self.id or (node and time.monotonic() < self._joined_at + NOTICED_SECONDS):
            return True
        found = _ROW.first(db, (node,))
        return found is not None and found[1] > _micro(time.time())

    def look(self, db: sqlite3.Connection) -> None:
        """Look for other processes and what they have done."""
        ticks = time.monotonic()
        follows = bool(self._hints)
        if not follows:
            self._position = None
        self.due = ticks + (TICK_SECONDS if follows else IDLE_SECONDS)
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._look_for_others(db)
            if self._sweep_at is None:
                self._sweep_at = max(ticks, self._swept_at + SWEEP_SECONDS)
            if follows:
                self._look_for_moves(db)
        elif follows and self._position is None:
            self._look_for_moves(db)
        now = time.time()
        if self.others_until > now and self._renewed_until - now < LEASE_SECONDS / 2:
            self._renew(db, now)
        if self._sweep_at is not None and ticks >= self._sweep_at:
            self._sweep_at, self._swept_at = None, ticks
            self._tell(None)
        if ticks >= self._prune_at:
            self._prune(db, ticks, now)

    def record(self, db: sqlite3.Connection, rows: Sequence[MoveRow]) -> None:
        """Leave rows for other processes, in the current transaction."""
        now = _micro(time.time())
        db.executemany(_RECORD, [(*row[:4], self.id, row[4], now) for row in rows])

    def _look_for_others(self, db: sqlite3.Connection) -> None:
        latest = _LATEST.first(db, (self.id, MAX_MOMENT))
        if latest is not None:
            self.others_until = max(self.others_until, latest[1] / _MICROSECONDS)

    def _look_for_moves(self, db: sqlite3.Connection) -> None:
        if self._position is None:
            self._position = db.execute("SELECT ifnull(max(position), 0) FROM ui_events").fetchone()[0]
            self._sweep_at = 0.0  # what moved before is found by comparing positions
            return
        rows = _NEW.all(db, (self._position, self.id))
        if rows:
            self._position = rows[-1][0]
            self._tell({row[1] for row in rows})

    def _tell(self, session_ids: Collection[str] | None) -> None:
        for loop, hint in list(self._hints.values()):
            try:
                loop.call_soon_threadsafe(hint, session_ids)
            except RuntimeError:  # the loop is closed
                continue

    def _renew(self, db: sqlite3.Connection, now: float) -> None:
        until = now + LEASE_SECONDS
        if self._write(db, "INSERT OR REPLACE INTO nodes (node, until) VALUES (?, ?)", self.id, _micro(until)):
            self._renewed_until = until

    def _write(self, db: sqlite3.Connection, sql: str, *parameters: object) -> bool:
        """Execute a statement in a transaction of its own; return False if another process holds the lock."""
        db.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        try:
            db.execute(sql, parameters)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            return False
        finally:
            db.execute(f"PRAGMA busy_timeout = {int(self._busy_seconds * 1000)}")
        return True

    def _prune(self, db: sqlite3.Connection, ticks: float, now: float) -> None:
        young = _FIRST_YOUNG.first(db, (_micro(now - KEPT_SECONDS),))
        first = db.execute("SELECT min(position) FROM ui_events").fetchone()[0]
        self._prune_at = ticks + PRUNE_SECONDS
        if first is None or (young is not None and young[0] <= first):
            return
        end = first + DELETED_AT_ONCE if young is None else min(first + DELETED_AT_ONCE, young[0])
        if self._write(db, "DELETE FROM ui_events WHERE position < ?", end):
            self._prune_at = ticks  # there may be more


class SQLiteFeed:
    """The Feed of a SQLite file.

    Args:
        node: hears of other processes.
        wake: has the writer's thread call ``node.look`` soon.
        ask: answers a question from one state of the file.
        registry: what UI events are decoded with.
        first_epoch: the epoch of sessions that nobody has used.
    """

    def __init__(
        self,
        node: Node,
        wake: Callable[[], None],
        ask: Callable[[Callable[[sqlite3.Connection], list[Moves]]], Awaitable[list[Moves]]],
        registry: SchemaRegistry,
        first_epoch: int,
    ) -> None:
        self._node = node
        self._wake = wake
        self._ask = ask
        self._registry = registry
        self._first_epoch = first_epoch

    def follow(self, hint: Hint, /) -> Callable[[], None]:
        """Call ``hint`` in the running event loop, whenever other processes may have moved sessions."""
        stop = self._node.follow(hint)
        self._wake()
        return stop

    async def moves(self, known: Mapping[str, Position], /) -> Sequence[Moves]:
        """Return what happened to sessions after a known position of each."""
        known = dict(known)
        return await self._ask(lambda db: self._moves(db, known))

    def _moves(self, db: sqlite3.Connection, known: Mapping[str, Position]) -> list[Moves]:
        unused = Position(0, self._first_epoch)
        positions = dict.fromkeys(known, unused)
        ids = iter(known)
        while asked := list(islice(ids, _ASKED_AT_ONCE)):
            parameters = asked + asked[-1:] * (_ASKED_AT_ONCE - len(asked))
            positions.update((row[0], Position(row[1], row[2])) for row in _POSITIONS.all(db, parameters))
        return [
            Moves(session_id, position, self._moves_of(db, session_id, known[session_id], position))
            for session_id, position in positions.items()
            if position != known[session_id]
        ]

    def _moves_of(self, db: sqlite3.Connection, session_id: str, known: Position, position: Position) -> list[Move]:
        if known.epoch != position.epoch:
            return []
        rows = _MOVES.all(db, (session_id, position.epoch, known.ordinal, MOVES_AT_ONCE))
        return [
            recorded_move(before, ordinal, position.epoch, data, self._registry) for _, ordinal, before, data in rows
        ]


def _micro(moment: float) -> int:
    return int(moment * _MICROSECONDS)
