"""A TCP proxy on loopback that simulates faults of networks."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Literal, TypeAlias

from ..listening import listening

Direction: TypeAlias = Literal["up", "down"]
"""``up`` is from the client to the server."""

GARBAGE = b"\xff\xfe\xff\xfe\xff"
"""As the beginning of a WebSocket frame it breaks the rules, and within a text it is no UTF-8."""


class Pipe:
    """One direction of one connection."""

    def __init__(self, proxy: Proxy, direction: Direction) -> None:
        self.proxy = proxy
        self.direction = direction
        self.began = False  # the handshake has passed
        self.garbage = b""
        self.half_closed = False

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self.proxy.gates[self.direction].wait()
                if self.half_closed:
                    continue  # what comes is lost
                await self._pass(data, writer)
            await self.proxy.gates[self.direction].wait()
            if not self.half_closed:
                writer.write_eof()
        except OSError:
            pass  # either side is gone, and the other pipe is told by its own reader
        finally:
            self.half_closed = True

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.garbage and self.began:
            data, self.garbage = self.garbage + data, b""
        self.began = True
        size = self.proxy.sizes[self.direction]
        for start in range(0, len(data), size):
            if self.half_closed:
                return  # meanwhile
            writer.write(data[start : start + size])
            await writer.drain()
            if size < len(data):
                await asyncio.sleep(0)  # the other side may read the piece by itself


class Link:
    """A connection through the proxy."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.pipes = {"up": Pipe(proxy, "up"), "down": Pipe(proxy, "down")}

    def reset(self) -> None:
        """Reset both connections."""
        for writer in (self.client, self.server):
            if writer.is_closing():
                continue
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    def vanish(self) -> None:
        """Drop all further bytes in both directions without closing: a half-open connection."""
        for pipe in self.pipes.values():
            pipe.half_closed = True

    def half_close(self, direction: Direction) -> None:
        """Close this direction; the other one stays open."""
        pipe, writer = self.pipes[direction], self.server if direction == "up" else self.client
        if not pipe.half_closed:
            pipe.half_closed = True
            if not writer.is_closing():
                with suppress(OSError):  # that side is gone, and its own reader is told
                    writer.write_eof()


class Proxy:
    """Passes bytes on, or delays, changes or drops them.

    Attributes:
        target: port of the server; 0 refuses.
        gates: open, or the direction is stalled for every connection.
        sizes: in pieces of how many bytes a direction passes on.
        made: connections that were made to the server, in all.
        answers: what the next requests are answered with, instead of being passed on; see ``answer``.
        always: what every request is answered with after those; None passes them on.
        heads: the request lines and headers that the proxy answered itself.
    """

    def __init__(self) -> None:
        self.target = 0
        self.gates: dict[Direction, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        self.sizes: dict[Direction, int] = {"up": 65_536, "down": 65_536}
        self.links: list[Link] = []
        self.made = 0
        self.poisoned = False
        self.answers: deque[bytes] = deque()
        self.always: bytes | None = None
        self.heads: list[str] = []
        self._changed = asyncio.Condition()
        for gate in self.gates.values():
            gate.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = self.answers.popleft() if self.answers else self.always
        if answer is not None:
            await self._answer(answer, reader, writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        link = Link(self, writer, up_writer)
        self.links.append(link)
        self.made += 1
        async with self._changed:
            self._changed.notify_all()
        try:
            await asyncio.gather(link.pipes["up"].pump(reader, up_writer), link.pipes["down"].pump(up_reader, writer))
        finally:
            self.links.remove(link)
            for each in (writer, up_writer):
                each.transport.abort()

    async def _answer(self, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # whoever asked is gone
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            self.heads.append(head.decode())
            async with self._changed:
                self._changed.notify_all()
        writer.close()

    async def connected(self, made: int) -> None:
        """Return when so many connections have been made in all."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.made >= made)

    async def answered(self, times: int) -> None:
        """Return when so many requests have been answered in all."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.heads) >= times)

    def answer(self, status: int, *, times: int | None = None, retry_after: int | None = None) -> None:
        """Answer requests with an HTTP status, as an ingress does in a deploy, a gateway, or a check of tokens.

        Args:
            status: 401, 404, 503, say.
            times: so many of the next ones; None answers every one, until ``heal``.
            retry_after: seconds, for the header ``Retry-After``.
        """
        told = f"Retry-After: {retry_after}\r\n" if retry_after is not None else ""
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        answer = f"{line}{told}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        if times is None:
            self.always = answer
        else:
            self.answers.extend([answer] * times)

    def stall(self, direction: Direction) -> None:
        self.gates[direction].clear()

    def flow(self, direction: Direction) -> None:
        self.gates[direction].set()

    def every(self, do: Callable[[Link], None]) -> None:
        for link in list(self.links):
            do(link)

    def reset(self) -> None:
        self.every(Link.reset)

    def vanish(self) -> None:
        """Have every connection that is there lose everything; new ones pass."""
        self.every(Link.vanish)

    def half_close(self, direction: Direction) -> None:
        self.every(lambda link: link.half_close(direction))

    def garbage(self, direction: Direction) -> None:
        """Insert garbage before the next bytes."""
        for link in self.links:
            link.pipes[direction].garbage = GARBAGE
            self.poisoned = True

    def heal(self) -> None:
        """Pass all further bytes. Connections with garbage or lost bytes stay broken."""
        self.answers.clear()
        self.always = None
        self.sizes = {"up": 65_536, "down": 65_536}
        for link in self.links:
            for pipe in link.pipes.values():
                pipe.garbage = b""
        for gate in self.gates.values():
            gate.set()


@asynccontextmanager
async def proxied(address: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Put a proxy before a server; yield it and its address."""
    proxy = Proxy()
    proxy.target = int(address.rpartition(":")[2])
    async with listening(proxy.serve) as listener:
        try:
            yield proxy, f"ws://127.0.0.1:{listener.port}"
        finally:
            proxy.heal()
            proxy.reset()
