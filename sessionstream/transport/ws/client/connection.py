"""One connection of a client: what comes is read, what is to be said is sent."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from websockets.exceptions import ConnectionClosed

from sessionstream.transport.ws.client.conversation import LOST, Conversation
from sessionstream.transport.ws.client.effects import Effects
from sessionstream.transport.ws.wire.clock import Clock
from sessionstream.transport.ws.wire.codes import TOO_BIG

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OUTBOX: Final = 256
"""Messages that may wait to be sent before no more are read: a server that takes none is asked for no more."""

_log = logging.getLogger("sessionstream")


class Connection:
    """A socket with a client session behind it.

    Args:
        perform: does what the session wants done.
        room: returns when those who watch sessions can take more.

    Attributes:
        blocked: nothing is read at the moment, because nobody takes what came before.
    """

    __slots__ = ("_clock", "_conversation", "_outbox", "_perform", "_room", "_sent", "_socket", "_wake", "blocked")

    def __init__(
        self,
        socket: ClientConnection,
        conversation: Conversation,
        clock: Clock,
        perform: Callable[[Effects], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._socket = socket
        self._conversation = conversation
        self._clock = clock
        self._perform = perform
        self._room = room
        self._outbox: deque[str] = deque()
        self._wake = asyncio.Event()  # the outbox has something
        self._sent = asyncio.Event()  # it has nothing
        self.blocked = False

    async def run(self) -> None:
        """Carry the connection on until it is gone, tell the session, and leave nothing running."""
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write())
            code, reason = await self._read()
            writing.cancel()
        _log.info("a connection is gone: %d %s", code, reason)
        self._perform(self._conversation.closed(code, reason, self._clock.now()))

    def send(self, text: str) -> None:
        """Send a message, after those that wait."""
        self._outbox.append(text)
        self._sent.clear()
        self._wake.set()

    def abort(self) -> None:
        """End it without a word."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """End it with a word, and wait for the server's, but not for long."""
        await self._socket.close()

    async def _read(self) -> tuple[int, str]:
        """Read until the connection is gone; return the code and the reason of that."""
        while True:
            try:
                self._hear(await self._socket.recv())  # and keep nothing of it while the next is waited for
            except ConnectionClosed as gone:
                return _close_of(gone)
            self.blocked = True
            await self._room()
            if len(self._outbox) > OUTBOX:
                await self._sent.wait()
            self.blocked = False
            self._conversation.occupied(self._clock.now())

    def _hear(self, message: str | bytes) -> None:
        now = self._clock.now()
        if isinstance(message, str):
            self._perform(self._conversation.text(message, now))
        else:
            self._perform(self._conversation.binary(now))

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                while self._outbox:
                    await self._socket.send(self._outbox.popleft())
                self._wake.clear()
                self._sent.set()
        except ConnectionClosed:
            self._sent.set()  # the reader will see it too


def _close_of(gone: ConnectionClosed) -> tuple[int, str]:
    """Return how the connection was closed: by the server, or by us because a frame was too long."""
    if gone.rcvd is not None:
        return gone.rcvd.code, gone.rcvd.reason
    if gone.sent is not None and gone.sent.code == TOO_BIG.code:
        return TOO_BIG.code, gone.sent.reason
    return LOST, ""
