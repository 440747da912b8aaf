"""A TCP proxy in front of a server, which cuts connections, and holds back or loses what passes through it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from ..listening import Listener, listening

_NO_LINGER = struct.pack("ii", 1, 0)
"""Makes closing a socket send RST."""


class Way:
    """One direction through a proxy: what clients send, or what the server answers."""

    def __init__(self) -> None:
        self._passing = asyncio.Event()
        self._passing.set()
        self._dropping = False
        self._caught = asyncio.Event()

    def stall(self) -> None:
        """Hold back what is sent from now on, ends of connections included."""
        self._caught.clear()
        self._passing.clear()

    def drop(self) -> None:
        """Lose what is sent from now on."""
        self._caught.clear()
        self._dropping = True

    def go_on(self) -> None:
        """Pass on what was held back, and what is sent from now on."""
        self._dropping = False
        self._passing.set()

    async def caught(self) -> None:
        """Wait until something was held back or lost since ``stall`` or ``drop``."""
        await self._caught.wait()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one connection sends, until it ends."""
        while True:
            data = await reader.read(65536)
            if self._dropping or not self._passing.is_set():
                self._caught.set()
            await self._passing.wait()
            if not data:
                return
            if not self._dropping:
                writer.write(data)
                await writer.drain()


class Proxy:
    """Listens on a port of 127.0.0.1 for as long as its block runs.

    Args:
        server: the Unix socket of the server. While nobody listens there, connections are reset.
        tls: what clients connect to by TLS; by default they do not.
    """

    def __init__(self, server: Path, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        """Where it listens."""
        self.requests = Way()
        """What clients send."""
        self.answers = Way()
        """What the server sends."""
        self._server = server
        self._listening = listening(self._connect, tls=tls)
        self._listener: Listener | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    def cut(self) -> None:
        """Reset all connections. What was held back on them is lost; new ones are accepted."""
        for connection in self._tasks:
            connection.cancel()

    def stall(self) -> None:
        """Accept everything and pass nothing on in either direction, as a network does that loses every packet."""
        self.requests.stall()
        self.answers.stall()

    def go_on(self) -> None:
        """Be a proxy that breaks nothing again."""
        self.requests.go_on()
        self.answers.go_on()

    async def __aenter__(self) -> Self:
        self._listener = await self._listening.__aenter__()
        self.port = self._listener.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._listening.__aexit__(kind, error, traceback)

    @property
    def _tasks(self) -> set[asyncio.Task[None]]:
        return self._listener.connections if self._listener is not None else set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client to the server, until either ends or this is cancelled."""
        try:
            their_reader, their_writer = await asyncio.open_unix_connection(self._server)
        except OSError:  # the server is down
            _reset(writer)
            return
        ways = [
            asyncio.create_task(self.requests.pump(reader, their_writer)),
            asyncio.create_task(self.answers.pump(their_reader, writer)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            broken = any(way.exception() for way in done)
        except asyncio.CancelledError:
            broken = True
            raise
        finally:
            for each in (writer, their_writer):
                _reset(each) if broken else each.close()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await asyncio.gather(writer.wait_closed(), their_writer.wait_closed(), return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        writer.transport.abort()
