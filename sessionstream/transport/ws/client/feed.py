"""What one who watches a session is given: bounded, filled by a reader that waits for room, taken by an iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from sessionstream.errors import TransportError
from sessionstream.transport.ws.client.updates import Update


class Feed:
    """The updates for one who watches, between the connection and the user.

    Args:
        limit: how many may wait before the reader of the connection has to.
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
        """Add one, however many there are."""
        if not self._ended:
            self._updates.append(update)
            self._changed.set()
            if len(self._updates) >= self._limit:
                self._room.clear()

    def end(self, error: TransportError | None = None, *, drop: bool = False) -> None:
        """Let there be no more, after those that wait, or instead of them (``drop``)."""
        if not self._ended:
            self._ended, self._error = True, error
        if drop:
            self._updates.clear()
        self._changed.set()
        self._room.set()

    async def room(self) -> None:
        """Return when less wait than the limit, or nobody waits for more."""
        await self._room.wait()

    async def take(self) -> Update | None:
        """Return the next; None at the end.

        Raises:
            TransportError: it ended with this error; once.
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
    """What ``Client.subscribe`` returns: an async iterator over the updates of a session, which may be closed."""

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
        """End the subscription. Whoever waits for an update waits no longer; it may be called again."""
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
        self._close()  # a loop that was left by break
