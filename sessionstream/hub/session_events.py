"""SessionEvents: the events of a session as they are logged, in this process or another one that shares the store."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from sessionstream.codec import copy_event

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from sessionstream.hub.context import TurnContext
    from sessionstream.types import Event

READ_AT_ONCE: Final = 100
"""How many events are read from the store at a time, and how many wait to be returned."""


class SessionEvents:
    """An async context manager and iterator of the events of one session, in order; see ``Hub.session_events``."""

    def __init__(self, context: TurnContext, session_id: str, after: int | None) -> None:
        self._context = context
        self._session_id = session_id
        self._after = after  # the ordinal of the last event that was added
        self._events: deque[Event] = deque()  # those that are known and were not returned yet
        self._grown = asyncio.Event()
        self._open = False

    async def __aenter__(self) -> SessionEvents:
        """Begin to listen.

        Raises:
            StoreError: the store failed.
        """
        self._context.listeners.setdefault(self._session_id, []).append(self._listen)
        self._open = True
        if self._context.follower is not None:
            self._context.follower.joined(self._session_id)
        try:
            if self._after is None:
                self._after = (await self._context.store.cursors(self._session_id)).event
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def __aiter__(self) -> SessionEvents:
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event. The iteration ends when the hub is shut down.

        Raises:
            RuntimeError: the context was not entered.
            UnknownSchemaError, PayloadDecodeError: the event cannot be read; its ordinal is in the error.
            StoreError: the store failed.
        """
        if self._after is None or not self._open:
            raise RuntimeError("write: async with hub.session_events(session_id) as events, and iterate inside it")
        while not self._events:
            if self._session_id not in self._context.listeners:
                raise StopAsyncIteration
            self._grown.clear()
            found = await self._context.store.events(self._session_id, after=self._after, limit=READ_AT_ONCE)
            self._add(event for event in found if event.ordinal > self._after)
            if not self._events:
                await self._grown.wait()
        return self._events.popleft()

    def _listen(self, before: int, event: Event | None) -> None:
        """Add an event that this hub has logged, if it is the next one; others are read from the store."""
        if event is not None and before == self._after and len(self._events) < READ_AT_ONCE:
            self._add([copy_event(event)])
        self._grown.set()

    def _add(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events.append(event)
            self._after = event.ordinal

    def _leave(self) -> None:
        self._open = False
        listening = self._context.listeners.get(self._session_id)
        if listening is None:
            return
        listening.remove(self._listen)
        if not listening:
            del self._context.listeners[self._session_id]
        if self._context.follower is not None:
            self._context.follower.left(self._session_id)
