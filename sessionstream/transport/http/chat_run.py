"""One answer of a chat as a client follows it: the changes of the transcript until the answer is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from sessionstream.logs import SessionLog
from sessionstream.transport.http.problems import Problem, shutting_down
from sessionstream.transport.http.transcript import Change, Transcript

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sessionstream.fanout import LiveSessions
    from sessionstream.transport.http.chat import ChatMapping
    from sessionstream.types import LiveEvents, Snapshot


_log = SessionLog()


class ChatRun:
    """Follows a session while its answer is going on.

    Args:
        sessions: where the session is.
        watch: an entered watch of the session, with shared values.
    """

    def __init__(
        self, sessions: LiveSessions, session_id: str, watch: AsyncIterator[Snapshot | LiveEvents], mapping: ChatMapping
    ) -> None:
        self.transcript: Transcript = Transcript(mapping)
        self._sessions = sessions
        self.session_id = session_id
        self._watch = watch
        self._update: asyncio.Task[Snapshot | LiveEvents] | None = None
        self._submitted: asyncio.Task[Problem | None] | None = None
        self._asked = ""

    async def load(self) -> None:
        """Read the first snapshot.

        Raises:
            Problem: the server shuts down.
            StoreError: the store failed.
            ValueError, TypeError: the application's mapping is wrong.
        """
        self.transcript.apply(await _next_of(self._watch))

    def follow(self, submitted: asyncio.Task[Problem | None], message_id: str) -> None:
        """Follow the command for a message: the run is not over before its handler has returned."""
        self._submitted = submitted
        self._asked = message_id

    async def following(self) -> list[Change] | None:
        """Wait for the next changes; None says that the run is over. Cancelling the wait loses nothing.

        Raises:
            Problem: the command failed, or the server shuts down.
            StoreError: the store failed.
            ValueError, TypeError: the application's mapping is wrong.
        """
        while self._submitted is not None or self.transcript.runs:
            update = await self._next() if self._submitted is None else await self._update_or_end(self._submitted)
            changes = await self._settle() if update is None else self.transcript.apply(update)
            if changes:
                return changes
        return None

    async def _update_or_end(self, submitted: asyncio.Task[Problem | None]) -> Snapshot | LiveEvents | None:
        """Wait for the next update; None if the command is done before."""
        if self._update is None:
            self._update = asyncio.ensure_future(_next_of(self._watch))
        await asyncio.wait({self._update, submitted}, return_when=asyncio.FIRST_COMPLETED)
        return await self._next() if self._update.done() else None

    async def _next(self) -> Snapshot | LiveEvents:
        if self._update is None:
            return await _next_of(self._watch)
        update = await asyncio.shield(self._update)
        self._update = None
        return update

    async def _settle(self) -> list[Change]:
        """The command is done: return what it has published that the watch has not returned yet."""
        if self._submitted is None or self._submitted.cancelled():
            raise shutting_down()
        problem = self._submitted.result()
        if problem is not None:
            raise problem
        async with self._sessions.watch(self.session_id, shared=True) as watch:
            snapshot = cast("Snapshot", await _next_of(watch))  # a watch begins with one
        self._submitted = None
        changes = self.transcript.apply(snapshot) if snapshot.snapshot_ordinal > self.transcript.ordinal else []
        if self._asked not in self.transcript.messages:
            _log.warning(
                "the command for message %r has returned, and session %r has no message with that id: clients see no "
                "answer, or the message twice; the command and ChatMapping.message have to keep the client's id",
                self._asked,
                self.session_id,
                session_id=self.session_id,
            )
        return changes

    async def close(self) -> None:
        """Wait for nothing any more. The command goes on."""
        if self._update is not None:
            self._update.cancel()
            await asyncio.wait([self._update])
            if not self._update.cancelled():
                self._update.exception()
            self._update = None


async def _next_of(watch: AsyncIterator[Snapshot | LiveEvents]) -> Snapshot | LiveEvents:
    """Return what comes next.

    Raises:
        Problem: the server shuts down.
    """
    try:
        return await anext(watch)
    except StopAsyncIteration:
        raise shutting_down() from None
