"""One connection of a client: reads and writes the socket for the conversation."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from websockets.exceptions import ConnectionClosed

from sessionstream.logs import SessionLog
from sessionstream.transport.clock import Clock
from sessionstream.transport.ws.client.conversation import LOST, Conversation
from sessionstream.transport.ws.client.effects import Effects
from sessionstream.transport.ws.wire.codes import TOO_BIG

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OUTBOX: Final = 256
"""Messages that may wait to be sent; above it, nothing is read, so that no further requests arise."""

_log = SessionLog()


class Connection:
    """A socket, served for a conversation.

    Args:
        perform: performs the effects of the conversation.
        room: returns when all iterators can take more updates.

    Attributes:
        blocked: whether reading is paused, because an iterator or the outbox is full.
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
        self._wake = asyncio.Event()  # set: the outbox has messages
        self._sent = asyncio.Event()  # set: the outbox is empty
        self.blocked: bool = False

    async def run(self) -> None:
        """Serve the connection until it is closed, report that to the conversation, and stop both tasks."""
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write())
            code, reason = await self._read()
            writing.cancel()
        _log.info("a connection is gone: %d %s", code, reason)
        self._perform(self._conversation.closed(code, reason, self._clock.now()))

    def send(self, text: str) -> None:
        """Enqueue a message."""
        self._outbox.append(text)
        self._sent.clear()
        self._wake.set()

    def abort(self) -> None:
        """End the connection without a close frame."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """Close the connection; wait for the server's close frame until the timeout."""
        await self._socket.close()

    async def _read(self) -> tuple[int, str]:
        """Read until the connection is closed; return the close code and reason."""
        while True:
            try:
                self._receive(await self._socket.recv())  # no reference to it is kept while waiting for the next
            except ConnectionClosed as gone:
                return _close_of(gone)
            self.blocked = True
            await self._room()
            if len(self._outbox) > OUTBOX:
                await self._sent.wait()
            self.blocked = False
            self._conversation.occupied(self._clock.now())

    def _receive(self, message: str | bytes) -> None:
        """Pass a message to the conversation, and perform the effects."""
        now = self._clock.now()
        if isinstance(message, str):
            self._perform(self._conversation.text(message, now))
        else:
            self._perform(self._conversation.binary(now))

    async def _write(self) -> None:
        """Send messages of the outbox until the connection is closed."""
        try:
            while True:
                await self._wake.wait()
                while self._outbox:
                    await self._socket.send(self._outbox.popleft())
                self._wake.clear()
                self._sent.set()
        except ConnectionClosed:
            self._sent.set()  # the reader raises it too


def _close_of(gone: ConnectionClosed) -> tuple[int, str]:
    """Return the code and reason: from the server, or ours if a frame was too long; else 1006."""
    if gone.rcvd is not None:
        return gone.rcvd.code, gone.rcvd.reason
    if gone.sent is not None and gone.sent.code == TOO_BIG.code:
        return TOO_BIG.code, gone.sent.reason
    return LOST, ""
