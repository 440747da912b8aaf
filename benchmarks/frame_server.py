"""A server that delivers UI events to whoever connects, in a process of its own, and says what CPU time it took.

    python -m benchmarks.frame_server {bare,websockets,websockets-sansio,wsproto} [OUTBOX_FRAMES]

``bare`` is ``broadcast()`` of the websockets library with a string that is ready; the others are a WebSocketServer in
uvicorn, with that implementation of WebSockets. It prints its port, waits for lines, and answers each with a number:

    deliver CONNECTIONS EVENTS   delivers events at a pace that leaves it idle in between: CPU seconds of the process
    time CONNECTIONS EVENTS      the same with the time in each event: microseconds that the median publish_ui takes
    stuff                        writes to the session "stuffed" until its only client takes no more: events it took
    memory                       the process's resident bytes
"""

from __future__ import annotations

import asyncio
import resource
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

from benchmarks.frame_clients import allow_many
from sessionstream import MemoryStore, SchemaRegistry, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate
from sessionstream.transport.ws import Limits, WebSocketServer, conflate
from sessionstream.transport.ws.frames import ui_event

SESSION = "s"
PACE = 60e-6
"""Seconds that a frame is given: events come so slowly that no queue builds up."""

STUFFED = "stuffed"
"""The session of which so much comes that a client's socket is full."""

PATIENCE = 0.05
"""Seconds after which a frame that still waits is taken to wait for the client."""


def event(chunk: str) -> UIEvent:
    return UIEvent("Appended", ChatMessageUpdate(message_id="m1", chunk=chunk))


EVENT = event("x" * 100)


async def _commands(handle: Callable[..., Awaitable[object]]) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *numbers = line.split()
        print(_resident() if command == "memory" else await handle(command, *map(int, numbers)), flush=True)


def _resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file in a file system
        return int(file.read().split()[1]) * resource.getpagesize()


async def _deliver(publish: Callable[[int], object], connections: int, events: int, pace: float = PACE) -> float:
    start = time.process_time()
    for ordinal in range(1, events + 1):
        publish(ordinal)
        await asyncio.sleep(connections * pace)
    return time.process_time() - start


async def _time(server: WebSocketServer, connections: int, events: int) -> float:
    took = []

    def publish(ordinal: int) -> None:
        stamped = event(f"{time.monotonic()} {'x' * 1_000}")
        start = time.perf_counter()
        server.publish_ui(SESSION, ordinal, [stamped])
        took.append((time.perf_counter() - start) * 1e6)

    await _deliver(publish, connections, events, 2 * PACE)  # the clients take their time as well
    return statistics.median(took)


async def _stuff(server: WebSocketServer) -> int:
    ordinal, large = 0, event("x" * 10_000)
    while True:
        if any(info.queue_depth for info in server.connections()):
            await asyncio.sleep(PATIENCE)
            if any(info.queue_depth for info in server.connections()):
                return ordinal
        ordinal += 1
        server.publish_ui(STUFFED, ordinal, [large])
        await asyncio.sleep(0)


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
        await _commands(lambda _, *numbers: _deliver(lambda _: broadcast(connections, text), *numbers))


async def ours(implementation: str, outbox_frames: int) -> None:
    """Serve as an application would."""
    import uvicorn

    limits = Limits(connections=5000, outbox_frames=outbox_frames)
    server = WebSocketServer(MemoryStore(SchemaRegistry()), limits=limits, slow_consumers=conflate)
    config = uvicorn.Config(
        server,
        ws=implementation,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        log_level="warning",
        lifespan="off",
    )
    running = asyncio.create_task(uvicorn.Server(config).serve(sockets=[_listen()]))
    commands: dict[str, Callable[..., Awaitable[object]]] = {
        "deliver": partial(_deliver, lambda ordinal: server.publish_ui(SESSION, ordinal, [EVENT])),
        "time": partial(_time, server),
        "stuff": partial(_stuff, server),
    }
    await _commands(lambda command, *numbers: commands[command](*numbers))
    running.cancel()


if __name__ == "__main__":
    allow_many()
    variant, *rest = sys.argv[1:]
    asyncio.run(bare() if variant == "bare" else ours(variant, *map(int, rest or ["1000"])))
