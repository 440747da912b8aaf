"""Servers without sessionstream that send to all connections: with Channels, and with Starlette's WebSockets.

Imports are inside the functions, as in ``cores.py``, because a process runs one of them.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from benchmarks.cores import ASGI

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

Publish = Callable[[int], Awaitable[None]]

CORE = "websockets-sansio"
GROUP = "s"


def written(frame: str) -> Callable[[int], str]:
    """Return a function that encodes the frame of an ordinal as JSON, of the same length as ours, for each event."""
    content = json.loads(frame)

    def write(ordinal: int) -> str:
        content["uiEvent"]["eventOrdinal"] = str(ordinal)
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False)

    assert write(1) == frame
    return write


async def starlette(sock: socket.socket, frame: str) -> Publish:
    """Send to every WebSocket of a set, one after the other."""
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    connections: set[WebSocket] = set()

    async def watch(connection: WebSocket) -> None:
        await connection.accept()
        connections.add(connection)
        try:
            async for _ in connection.iter_text():
                pass
        finally:
            connections.discard(connection)

    write = written(frame)

    async def publish(ordinal: int) -> None:
        text = write(ordinal)
        for connection in list(connections):
            await connection.send_text(text)

    await _serve(Starlette(routes=[WebSocketRoute("/", watch)]), sock)
    return publish


async def channels(sock: socket.socket, frame: str) -> Publish:
    """Send to a group of the in-memory layer, whose consumers forward each message unchanged."""
    from django.conf import settings

    settings.configure(CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.layers import get_channel_layer

    class Watcher(AsyncWebsocketConsumer):
        groups = (GROUP,)

        async def ui_event(self, message: dict[str, Any]) -> None:
            await self.send(text_data=message["text"])

    write, layer = written(frame), get_channel_layer()

    async def publish(ordinal: int) -> None:
        await layer.group_send(GROUP, {"type": "ui.event", "text": write(ordinal)})

    await _serve(Watcher.as_asgi(), sock)
    return publish


async def _serve(app: Any, sock: socket.socket) -> None:
    _running.add(asyncio.ensure_future(ASGI[CORE](app, sock)))


_running: set[asyncio.Future[None]] = set()

PEERS: dict[str, Callable[[socket.socket, str], Awaitable[Publish]]] = {"channels": channels, "starlette": starlette}
