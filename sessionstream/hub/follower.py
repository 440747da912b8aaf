"""Passes the UI events of other processes on to this hub's fan-out, between the hub's own, in order.

The fan-out says which sessions it watches. For each of them the follower knows how far it has told the fan-out. The
hub's own commits and the moves that it reads from the store both go through it:

- a move that begins where the last one ended is passed on;
- a move that is not above that is ignored, because the fan-out was told of it;
- a move with a gap before it is read again from the store, with the moves in the gap. If some of them are missing
  there, or the timeline is of another epoch, the fan-out is asked to send a snapshot (``resync``) instead.

So every client of every process gets each UI event once and in order, or a snapshot that contains its effect.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from sessionstream.errors import StoreClosed, StoreError, error_text
from sessionstream.feed import Position
from sessionstream.logs import SessionLog
from sessionstream.observe import FollowerStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from sessionstream.feed import Feed, Hint, Moves
    from sessionstream.types import UIEvent

RETRY_SECONDS: Final = 1.0
"""How long the follower waits after the store failed, before it reads again."""

_log = SessionLog()


class Watched:
    """How far the fan-out was told about a session.

    Attributes:
        watchers: how many have joined and not left.
        ordinal: where the last move ended that was passed on; -1 before the first.
        epoch: of that move; 0 if another one may have begun since.
        start: where the first move began. A snapshot below it lacks moves that the fan-out was not told of.
        hinted: whether there was a hint before the first move, and before a snapshot was loaded.
        resets: how often the position was set or forgotten, so that an answer asked for before is not applied.
    """

    __slots__ = ("epoch", "hinted", "ordinal", "resets", "start", "watchers")

    def __init__(self) -> None:
        self.watchers: int = 0
        self.ordinal: int = -1
        self.epoch: int = 0
        self.start: int = 0
        self.hinted: bool = False
        self.resets: int = 0

    def reset(self, position: Position) -> None:
        """Continue from a position to which no move has led."""
        self.ordinal = self.start = position.ordinal
        self.epoch = position.epoch
        self.resets += 1

    def forget(self) -> None:
        """Have the next answer of the store set the position, and clients get a snapshot."""
        self.epoch = 0
        self.resets += 1


class Follower:
    """The watched sessions of one hub, and the task that reads what other processes did to them.

    Args:
        feed: where it reads.
        publish: passes UI events to the fan-out: session id, ordinal, events, the metadata of their event; returns what
            that raised.
        resync: asks the fan-out for a snapshot: session id, ordinal, epoch; returns what that raised.
        failed: records what was raised: session id, ordinal, error.
        logged: is told of every hint: the ids of sessions whose logs may have grown, or None for all.

    It belongs to one event loop. Only ``catch_up`` waits.
    """

    __slots__ = (
        "_behind",
        "_being_read",
        "_error",
        "_failed",
        "_feed",
        "_gaps",
        "_hints",
        "_logged",
        "_moves",
        "_publish",
        "_reading",
        "_resync",
        "_stop",
        "watched",
    )  # fmt: skip

    def __init__(
        self,
        feed: Feed,
        publish: Callable[[str, int, Sequence[UIEvent], Mapping[str, str]], Exception | None],
        resync: Callable[[str, int, int], Exception | None],
        failed: Callable[[str, int, Exception], Awaitable[None]],
        logged: Hint,
    ) -> None:
        self.watched: dict[str, Watched] = {}
        self._feed = feed
        self._publish = publish
        self._resync = resync
        self._failed = failed
        self._logged = logged
        self._behind: dict[str, float] = {}  # sessions to be read, and since when, on the monotonic clock
        self._being_read: dict[str, float] = {}
        self._hints = self._moves = self._gaps = 0
        self._error = ""
        self._reading: asyncio.Task[None] | None = None
        self._stop: Callable[[], None] | None = None

    @property
    def status(self) -> FollowerStatus:
        """How far it has followed. Any thread may ask."""
        now = time.monotonic()
        since = self._behind.copy() | self._being_read.copy()  # what is being read was behind first
        behind = {each: now - start for each, start in since.items() if each in self.watched}
        return FollowerStatus(behind, len(self.watched), self._hints, self._moves, self._gaps, self._error)

    # -- who watches -------------------------------------------------------------------------------------------

    def joined(self, session_id: str) -> None:
        """Follow a session for one more watcher."""
        if self._stop is None:
            self._stop = self._feed.follow(self._hint)
        watched = self.watched.get(session_id)
        if watched is None:
            watched = self.watched[session_id] = Watched()
        watched.watchers += 1

    def left(self, session_id: str) -> None:
        """Follow a session for one watcher less."""
        watched = self.watched.get(session_id)
        if watched is None:
            return
        watched.watchers -= 1
        if not watched.watchers:
            del self.watched[session_id]
            if not self.watched:
                self.close()

    def close(self) -> None:
        """Follow nothing."""
        self.watched.clear()
        self._behind.clear()
        self._being_read = {}
        self._error = ""
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    # -- what this hub does ------------------------------------------------------------------------------------

    def loaded(self, session_id: str, position: Position) -> None:
        """Note that a snapshot was read after a watcher had joined the session."""
        watched = self.watched.get(session_id)
        if watched is None:
            return
        if watched.ordinal < 0:
            watched.reset(position)
            if watched.hinted:
                self._read([session_id])
        elif position.epoch != watched.epoch:
            watched.forget()  # either of the two is outdated
            self._read([session_id])
        elif position.ordinal < watched.start:
            self._resync(session_id, watched.ordinal, watched.epoch)

    def advance(self, session_id: str, before: int, ordinal: int, epoch: int) -> bool:
        """Note a commit of this hub; return whether the caller has to pass its UI events on now.

        If not, the fan-out has them already, or will get them, or a snapshot, once the moves before them are read.
        """
        watched = self.watched.get(session_id)
        if watched is None:
            return True
        if watched.ordinal < 0:
            watched.start, watched.epoch = before, epoch
        elif before != watched.ordinal or epoch != watched.epoch:
            if ordinal > watched.ordinal or epoch != watched.epoch:
                self._read([session_id])
            return False
        watched.ordinal = ordinal
        return True

    def replaced(self, session_id: str, position: Position) -> None:
        """Note that this hub has replaced a timeline, or has read one of another epoch."""
        watched = self.watched.get(session_id)
        if watched is not None:
            watched.reset(position)

    async def catch_up(self, session_id: str, position: Position) -> None:
        """Pass on what other processes have done to a session before now, if it is at another position than known.

        Raises:
            StoreError: the store failed.
        """
        watched = self.watched.get(session_id)
        if watched is not None and watched.ordinal >= 0 and (watched.ordinal, watched.epoch) != position:
            await self._read_now([session_id])

    # -- what other processes do -------------------------------------------------------------------------------

    def _hint(self, session_ids: Collection[str] | None) -> None:
        self._hints += 1
        self._logged(session_ids)
        self._read(self.watched if session_ids is None else session_ids)

    def _read(self, session_ids: Iterable[str]) -> None:
        """Read the moves of those sessions that are watched, in a task; a reading that has begun is finished first."""
        for session_id in session_ids:
            watched = self.watched.get(session_id)
            if watched is None:
                continue
            if watched.ordinal < 0:
                watched.hinted = True
            else:
                self._behind.setdefault(session_id, time.monotonic())
        if self._behind and self._reading is None:
            self._reading = asyncio.create_task(self._read_all(), name="sessionstream follower")

    async def _read_all(self) -> None:
        try:
            while self._behind:
                self._being_read, self._behind = self._behind, {}
                try:
                    await self._read_now(self._being_read)
                    if self._error:
                        self._error = ""
                        _log.info("the events of other processes are read again")
                except StoreClosed:
                    return
                except StoreError as error:
                    if not self._error:
                        _log.warning("the events of other processes cannot be read; trying again: %s", error)
                    self._error = error_text(error)
                    self._behind |= {each: at for each, at in self._being_read.items() if each in self.watched}
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            if self._reading is asyncio.current_task():
                self._reading = None
                self._being_read = {}
                self._error = ""

    async def _read_now(self, session_ids: Iterable[str]) -> None:
        asked = {each: self.watched[each] for each in session_ids if each in self.watched}
        resets = {each: watched.resets for each, watched in asked.items()}
        known = {each: Position(watched.ordinal, watched.epoch) for each, watched in asked.items()}
        failures: list[tuple[str, int, Exception]] = []
        for answer in await self._feed.moves(known):
            session_id = answer.session_id
            watched = asked[session_id]
            if self.watched.get(session_id) is not watched:
                continue  # all watchers have left meanwhile
            if watched.resets != resets[session_id]:
                self._read([session_id])  # the answer may be older than what the fan-out was told
                continue
            for ordinal, error in self._apply(answer, watched):
                failures.append((session_id, ordinal, error))
        for failure in failures:
            await self._failed(*failure)

    def _apply(self, answer: Moves, watched: Watched) -> Iterable[tuple[int, Exception]]:
        """Pass on the moves that follow from what the fan-out was told; yield what failed."""
        session_id, position = answer.session_id, answer.position
        if watched.epoch == position.epoch:
            for move in answer.moves:
                if move.ordinal <= watched.ordinal:
                    continue
                if move.before != watched.ordinal or move.epoch != watched.epoch or move.ui_events is None:
                    break
                watched.ordinal = move.ordinal
                self._moves += 1
                if not move.ui_events:
                    continue
                if error := self._publish(session_id, move.ordinal, move.ui_events, move.metadata):
                    yield move.ordinal, error
            if watched.ordinal >= position.ordinal:
                return
            self._gaps += 1
        watched.reset(position)
        if error := self._resync(session_id, position.ordinal, position.epoch):
            yield position.ordinal, error
