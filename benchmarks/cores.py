"""WebSocket servers: ASGI servers, and bare cores that send a prepared string. Each runs on a listening socket.

Imports are inside the functions, because a process runs one of them, and some packages may not be installed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from hashlib import sha1
from typing import Any, cast

App = Any
Broadcast = Callable[[str], None]


# -- ASGI servers ----------------------------------------------------------------------------------------------


async def uvicorn(app: App, sock: socket.socket, *, ws: Any) -> None:
    """Run under uvicorn, with one of its WebSocket implementations."""
    from uvicorn import Config, Server

    config = Config(
        app, ws=ws, ws_per_message_deflate=False, ws_ping_interval=None, log_level="warning", lifespan="off"
    )
    await Server(config).serve(sockets=[sock])


async def joining(app: App, sock: socket.socket) -> None:
    """Run under uvicorn, with a protocol that joins the frames of one turn of the loop, and encodes each only once.

    It tests an alternative that decision 0024 rejects.
    """
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class Joining(WebSocketsSansIOProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._ready: list[bytes] = []
            self._size = 0

        async def send(self, message: Any) -> None:
            text = message.get("text")
            if text is None or self.disconnected or self.close_sent:
                self._flush()
                await super().send(message)
                return
            if not self.writable.is_set():
                await self.writable.wait()
            data = framed(text)
            if not self._ready:
                self.loop.call_soon(self._flush)
            self._ready.append(data)
            self._size += len(data)
            if self._size > 65_536:
                self._flush()

        def _flush(self) -> None:
            ready, self._ready, self._size = self._ready, [], 0
            if ready and not self.disconnected:
                self.transport.write(ready[0] if len(ready) == 1 else b"".join(ready))

    await uvicorn(app, sock, ws=Joining)


async def hypercorn(app: App, sock: socket.socket) -> None:
    """Run under hypercorn."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{sock.fileno()}"]
    config.backlog = 2048
    config.errorlog = logging.getLogger("hypercorn.silent")
    await serve(app, config)


async def granian(app: App, sock: socket.socket) -> None:
    """Run under granian, embedded in this process."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    port = sock.getsockname()[1]
    sock.close()
    await Server(app, port=port, interface=Interfaces.ASGINL, backlog=2048, log_enabled=False).serve()


# -- bare cores ------------------------------------------------------------------------------------------------


async def websockets(sock: socket.socket) -> Broadcast:
    """Send by ``broadcast()`` of the websockets library."""
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    connections: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.remove(connection)

    await serve(handler, sock=sock, compression=None, ping_interval=None)
    return partial(broadcast, connections)


async def picows(sock: socket.socket) -> Broadcast:
    """Send by picows, which frames each message in C."""
    from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

    connections: set[WSTransport] = set()

    class Listener(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            connections.add(transport)

        def on_ws_disconnected(self, transport: WSTransport) -> None:
            connections.remove(transport)

    def accept(_: WSUpgradeRequest) -> WSListener:
        return Listener()

    def send(text: str) -> None:
        data = text.encode()
        for connection in connections:
            connection.send(WSMsgType.TEXT, data)

    await ws_create_server(accept, None, None, sock=sock)
    return send


async def transport(sock: socket.socket) -> Broadcast:
    """Write prepared bytes to asyncio's transports: the lowest cost of sending each frame to each socket separately."""
    connections: set[asyncio.Transport] = set()

    class Protocol(asyncio.Protocol):
        _transport: asyncio.Transport

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            if self._transport not in connections:
                self._transport.write(_accepted(data))
                connections.add(self._transport)

        def connection_lost(self, error: Exception | None) -> None:
            connections.discard(self._transport)

    def send(text: str) -> None:
        data = framed(text)
        for connection in connections:
            connection.write(data)

    await asyncio.get_running_loop().create_server(Protocol, sock=sock)
    return send


def _accepted(request: bytes) -> bytes:
    key = request.lower().index(b"sec-websocket-key: ") + len("sec-websocket-key: ")
    accept = b64encode(sha1(request[key : key + 24] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


@lru_cache(maxsize=64)
def framed(text: str) -> bytes:
    """Return a server's text frame."""
    data = text.encode()
    size = len(data)
    if size < 126:
        head = bytes((0x81, size))
    elif size < 65_536:
        head = b"\x81\x7e" + size.to_bytes(2, "big")
    else:
        head = b"\x81\x7f" + size.to_bytes(8, "big")
    return head + data


ASGI: dict[str, Callable[[App, socket.socket], Awaitable[None]]] = {
    "websockets-sansio": partial(uvicorn, ws="websockets-sansio"),
    "websockets": partial(uvicorn, ws="websockets"),
    "wsproto": partial(uvicorn, ws="wsproto"),
    "joining": joining,
    "hypercorn": hypercorn,
    "granian": granian,
}
BARE: dict[str, Callable[[socket.socket], Awaitable[Broadcast]]] = {
    "bare": websockets,
    "picows": picows,
    "transport": transport,
}
