"""The queue of updates of one watcher, and the async iterator that takes from it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from sessionstream.errors import TransportError
from sessionstream.transport.ws.client.updates import Update


class Feed:
    """The queue between the connection and one iterator.

    Putting never waits; the reader of the connection waits for ``room`` before it reads on.

    Args:
        limit: number of updates from which ``room`` waits.
    """

    __slots__ = ("_changed", "_ended", "_error", "_limit", "_room", "_updates")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._updates: deque[Update] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False
        self._error: TransportError | None = None

    def __len__(self) -> int:
        return len(self._updates)

    def put(self, update: Update) -> None:
        """Add an update, even above the limit."""
        if not self._ended:
            self._updates.append(update)
            self._changed.set()
            if len(self._updates) >= self._limit:
                self._room.clear()

    def end(self, error: TransportError | None = None, *, drop: bool = False) -> None:
        """Accept no more updates; those in the queue are still given, unless ``drop``."""
        if not self._ended:
            self._ended, self._error = True, error
        if drop:
            self._updates.clear()
        self._changed.set()
        self._room.set()

    async def room(self) -> None:
        """Return when the queue is below the limit, or has ended."""
        await self._room.wait()

    async def take(self) -> Update | None:
        """Return the next update; None at the end.

        Raises:
            TransportError: the error it ended with; only once.
        """
        while not self._updates:
            if self._ended:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                return None
            self._changed.clear()
            await self._changed.wait()
        update = self._updates.popleft()
        if len(self._updates) < self._limit:
            self._room.set()
        return update


class Updates(AsyncIterator[Update]):
    """What ``Client.subscribe`` returns: an async iterator over the updates of a session."""

    __slots__ = ("_done", "_feed", "_leave", "_session_id", "_watch", "_watcher")

    def __init__(
        self,
        session_id: str,
        watch: Callable[[str], tuple[int, Feed]],
        leave: Callable[[str, int, Feed], None],
    ) -> None:
        self._session_id = session_id
        self._watch = watch
        self._leave = leave
        self._watcher = 0
        self._feed: Feed | None = None
        self._done = False

    async def __anext__(self) -> Update:
        if self._done:
            raise StopAsyncIteration
        try:
            if self._feed is None:
                self._watcher, self._feed = self._watch(self._session_id)
            update = await self._feed.take()
        except TransportError:
            self._done = True
            raise
        if update is None:
            self._done = True
            raise StopAsyncIteration
        return update

    async def aclose(self) -> None:
        """End the subscription; a pending ``__anext__`` ends too. May be called more than once."""
        self._close()

    async def __aenter__(self) -> Updates:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the subscription."""
        self._close()

    def _close(self) -> None:
        self._done = True
        if self._feed is not None:
            self._leave(self._session_id, self._watcher, self._feed)

    def __del__(self) -> None:
        self._close()  # an ``async for`` was left by break
