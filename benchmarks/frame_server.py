"""A server that delivers UI events to its clients, in a separate process, and reports its CPU time.

    python -m benchmarks.frame_server SERVER[+uvloop] [OUTBOX_FRAMES]

SERVER is a core of ``cores.py`` (a bare one, which sends a prepared string, or an ASGI server that runs a hub and its
WebSocketServer), or a server of ``peer_servers.py``. The process prints its port, reads lines, and answers each with a
number:

    deliver CONNECTIONS EVENTS BURST
                                 delivers events, so many at once, with idle time in between: CPU seconds
    publish CONNECTIONS EVENTS BURST
                                 the same through the hub, which logs and projects them
    time CONNECTIONS EVENTS      the same with the time in each event: microseconds of the median publish_ui
    stuff                        writes to the session "stuffed" until the buffer of its only client is full: events
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

from benchmarks.cores import ASGI, BARE
from benchmarks.frame_clients import allow_many
from benchmarks.peer_servers import PEERS
from benchmarks.publish_memory import new_hub
from sessionstream import Event, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate, TokensDeltaEvent
from sessionstream.transport.ws import Limits, WebSocketServer, conflate
from sessionstream.transport.ws.server.frames import ui_event

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
DELTA = TokensDeltaEvent(message_id="m1", chunk="x" * 100)
"""Of which the hub's projection makes that event."""


async def _commands(handle: Callable[..., Awaitable[object]]) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *numbers = line.split()
        print(_resident() if command == "memory" else await handle(command, *map(int, numbers)), flush=True)


def _resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file in a file system
        return int(file.read().split()[1]) * resource.getpagesize()


async def _deliver(
    publish: Callable[[int], Awaitable[object] | None],
    connections: int,
    events: int,
    burst: int = 1,
    pace: float = PACE,
) -> float:
    start = time.process_time()
    for ordinal in range(1, events + 1):
        if (publishing := publish(ordinal)) is not None:
            await publishing
        if ordinal % burst == 0:
            await asyncio.sleep(connections * burst * pace)
    return time.process_time() - start


async def _time(server: WebSocketServer, connections: int, events: int) -> float:
    took = []

    def publish(ordinal: int) -> None:
        stamped = event(f"{time.monotonic()} {'x' * 1_000}")
        start = time.perf_counter()
        server.publish_ui(SESSION, ordinal, [stamped])
        took.append((time.perf_counter() - start) * 1e6)

    await _deliver(publish, connections, events, pace=2 * PACE)  # the clients take their time as well
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


async def bare(core: str) -> None:
    """Serve with a bare core."""
    send, text = await BARE[core](_listen()), ui_event(SESSION, 1, EVENT)[0].text
    await _commands(lambda _, *numbers: _deliver(lambda _: send(text), *numbers))


async def peer(name: str) -> None:
    """Serve with a server of ``peer_servers.py``."""
    publish = await PEERS[name](_listen(), ui_event(SESSION, 1, EVENT)[0].text)
    await _commands(lambda _, *numbers: _deliver(publish, *numbers))


async def ours(core: str, outbox_frames: int) -> None:
    """Serve with a hub and a WebSocketServer."""
    limits = Limits(connections=5000, outbox_frames=outbox_frames)
    hub = new_hub([])
    server = WebSocketServer(hub, limits=limits, slow_consumers=conflate)
    hub.set_fanout(server)
    running = asyncio.ensure_future(ASGI[core](server, _listen()))
    commands: dict[str, Callable[..., Awaitable[object]]] = {
        "deliver": partial(_deliver, lambda ordinal: server.publish_ui(SESSION, ordinal, [EVENT])),
        "publish": partial(_deliver, lambda _: hub.publish(Event("Delta", DELTA, SESSION))),
        "time": partial(_time, server),
        "stuff": partial(_stuff, server),
    }
    await _commands(lambda command, *numbers: commands[command](*numbers))
    running.cancel()


def main(variant: str, outbox_frames: str = "1000") -> None:
    """Run until stdin ends."""
    core, _, loop = variant.partition("+")
    factory = None
    if loop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if core in BARE:
            runner.run(bare(core))
        elif core in PEERS:
            runner.run(peer(core))
        else:
            runner.run(ours(core, int(outbox_frames)))


if __name__ == "__main__":
    allow_many()
    main(*sys.argv[1:])
