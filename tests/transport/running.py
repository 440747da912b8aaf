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
    server = _Server(uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, **options))
    running = asyncio.create_task(server.serve([listening]))
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    ready.cancel()
    assert server.ready.is_set(), "uvicorn did not start"
    try:
        yield f"ws://127.0.0.1:{port}"
    finally:
        server.ended.set()
        await asyncio.wait_for(running, PATIENCE)
        listening.close()


class _Server(uvicorn.Server):
    """A uvicorn server that starts and ends without the pauses of a tenth of a second that uvicorn makes.

    Attributes:
        ready: set once it listens.
        ended: to be set when it has to end.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # prepares the headers of responses
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for _ in range(3):
            await asyncio.sleep(0)  # connections that clients have just closed are removed
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
            await server.wait_closed()
        await self.lifespan.shutdown()

    def capture_signals(self) -> Any:
        return nullcontext()


def unused_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
