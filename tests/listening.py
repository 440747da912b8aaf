"""A listener on loopback for proxies: whatever it has accepted is closed when it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """Listen on a port of 127.0.0.1 until the block ends; ``serve`` is called for each connection, in its own task.

    ``asyncio.start_server`` leaves the transport of a connection open if it is closed just after it has accepted it.
    """
    with socket.create_server(("127.0.0.1", 0)) as bound:
        bound.setblocking(False)
        listener = Listener(bound, serve, tls)
        loop = asyncio.get_running_loop()
        loop.add_reader(bound, listener.accept)
        try:
            yield listener
        finally:
            loop.remove_reader(bound)
            await listener.end()


class Listener:
    """See ``listening``.

    Attributes:
        port: where it listens.
        connections: the tasks that serve.
    """

    def __init__(self, bound: socket.socket, serve: Serve, tls: ssl.SSLContext | None) -> None:
        self.port: int = bound.getsockname()[1]
        self.connections: set[asyncio.Task[None]] = set()
        self._bound = bound
        self._serve = serve
        self._tls = tls

    def accept(self) -> None:
        """Accept a connection."""
        with suppress(BlockingIOError, ConnectionError):  # whoever came is gone
            task = asyncio.create_task(self._run(self._bound.accept()[0]))
            self.connections.add(task)
            task.add_done_callback(self.connections.discard)

    async def end(self) -> None:
        """Cancel what serves, and wait until all is closed."""
        for connection in self.connections:
            connection.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def _run(self, accepted: socket.socket) -> None:
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls)
        except OSError:  # it is gone, or does not speak TLS
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await self._serve(reader, writer)
        finally:
            transport.abort()
