"""A server that delivers UI events to whoever connects, in a process of its own, and says what CPU time it took.

    python -m benchmarks.frame_server {bare,websockets,websockets-sansio,wsproto}

``bare`` is ``broadcast()`` of the websockets library with a string that is ready; the others are a WebSocketServer in
uvicorn, with that implementation of WebSockets. It prints its port, waits for a line ``CONNECTIONS EVENTS``, delivers
that many events at a pace that leaves it idle in between, and prints the CPU seconds of the whole process. A line
``memory`` is answered by the process's resident bytes.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.frame_clients import allow_many
from sessionstream import MemoryStore, SchemaRegistry, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate
from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.transport.ws.frames import ui_event

SESSION = "s"
PACE = 60e-6
"""Seconds that a frame is given: events come so slowly that no queue builds up."""

EVENT = UIEvent("Appended", ChatMessageUpdate(message_id="m1", chunk="x" * 100))


async def _commands(handle: Callable[[str], Awaitable[object]]) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await handle(line.strip()), flush=True)


def _resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file in a file system
        return int(file.read().split()[1]) * resource.getpagesize()


async def _deliver(line: str, publish: Callable[[int], None]) -> float | int:
    if line == "memory":
        return _resident()
    connections, events = map(int, line.split())
    start = time.process_time()
    for ordinal in range(1, events + 1):
        publish(ordinal)
        await asyncio.sleep(connections * PACE)
    return time.process_time() - start


def _listen() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(sock.getsockname()[1], flush=True)
    return sock


async def bare() -> None:
    """Serve with nothing but the library."""
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    connections: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()

    text = ui_event(SESSION, 1, EVENT).text
    async with serve(handler, sock=_listen(), compression=None, ping_interval=None):
        await _commands(lambda line: _deliver(line, lambda _: broadcast(connections, text)))


async def ours(implementation: str) -> None:
    """Serve as an application would."""
    import uvicorn

    server = WebSocketServer(MemoryStore(SchemaRegistry()), limits=Limits(connections=5000))
    config = uvicorn.Config(
        server,
        ws=implementation,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        log_level="warning",
        lifespan="off",
    )
    running = asyncio.create_task(uvicorn.Server(config).serve(sockets=[_listen()]))
    await _commands(lambda line: _deliver(line, lambda ordinal: server.publish_ui(SESSION, ordinal, [EVENT])))
    running.cancel()


if __name__ == "__main__":
    allow_many()
    variant = sys.argv[1]
    asyncio.run(bare() if variant == "bare" else ours(variant))
