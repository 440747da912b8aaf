"""What waits to be taken by whoever watches a session: bounded, filled by a reader that waits for room."""

from __future__ import annotations

import asyncio
from collections import deque

from sessionstream.errors import TransportError
from sessionstream.transport.ws.client_updates import Update


class Feed:
    """The updates of one subscription, between the connection and the user.

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
