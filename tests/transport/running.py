"""Real servers on loopback ports, and clients that wait for frames."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 30.0
"""Seconds after which a test that waits gives up; none waits that long unless something hangs."""


@asynccontextmanager
async def served(app: Any, *, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Run an ASGI application under uvicorn; yield its address, ``ws://127.0.0.1:PORT``."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port may be served again at once
    listening.bind(("127.0.0.1", port))
    port = listening.getsockname()[1]
    config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, **options)
    server = uvicorn.Server(config)
    started = asyncio.Event()
    original = server.startup

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await original(sockets)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    running = asyncio.create_task(server.serve([listening]))
    ready = asyncio.create_task(started.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    ready.cancel()
    assert started.is_set(), "uvicorn did not start"
    try:
        yield f"ws://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(running, PATIENCE)
        listening.close()


def unused_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _no_signals() -> Any:
    return nullcontext()


class Client:
    """A client that sends and receives JSON."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, frame: dict[str, Any] | str) -> None:
        await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            frame = json.loads(await self.socket.recv())
        assert isinstance(frame, dict)
        return frame

    async def hear_until(self, member: str) -> list[dict[str, Any]]:
        """Return the frames up to the first that has this member."""
        heard: list[dict[str, Any]] = []
        while not heard or member not in heard[-1]:
            heard.append(await self.hear())
        return heard

    async def subscribe(self, session_id: str, **fields: Any) -> list[dict[str, Any]]:
        """Subscribe; return the frames up to ``subscribed``."""
        await self.say({"subscribe": {"sessionId": session_id, **fields}})
        return await self.hear_until("subscribed")

    async def closed(self) -> tuple[int, str]:
        """Skip further frames; return the code and the reason of the close."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code or 0, self.socket.close_reason or ""


@asynccontextmanager
async def client(address: str, **options: Any) -> AsyncIterator[Client]:
    """Connect, and receive the hello."""
    async with connect(address, compression=None, **options) as socket:
        connected = Client(socket)
        hello = await connected.hear()
        assert hello["hello"]["connectionId"]
        yield connected
