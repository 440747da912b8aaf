"""How soon browsers of one process get the events of another one, and what looking for them costs.

    python -m benchmarks.follow

Two processes share a SQLite file, as two workers of a server do. One publishes events at random intervals; the other
serves a client over a ``WebSocketServer``. "Soon" is the time from the call of ``publish`` to the frame at the client's
``send``, for events of the other process and, compared with it, of the client's own.

The cost is the CPU time of a process that watches 1,000 sessions and does nothing else, for a second: while it is
alone, and while the other process publishes 100 events a second. It is compared with a process that watches nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median, quantiles

from benchmarks.figures import Figure, report
from benchmarks.publish_memory import new_schemas, timeline_projection, ui_projection
from benchmarks.subscribe import SESSION, Peer
from sessionstream import Event, Hub, HydrationStore, PostgresStore, SQLiteStore
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.transport.ws import WebSocketServer

EVENTS = 200
SESSIONS = 1_000
SECONDS = 4.0
RATE = 100


def hub_on(store: HydrationStore) -> Hub:
    """Return a hub with both projections."""
    hub = Hub(new_schemas(), store=store)
    hub.register_ui_projection(ui_projection)
    hub.register_timeline_projection(timeline_projection)
    return hub


async def _publish(hub: Hub, session_id: str) -> None:
    chunk = repr(time.monotonic())  # the clock of the machine, which both processes read
    await hub.publish(Event("Delta", TokensDeltaEvent(message_id="m", chunk=chunk), session_id))


def _opened(location: str) -> AbstractAsyncContextManager[HydrationStore]:
    schemas = new_schemas()
    if location.startswith("postgres"):
        return PostgresStore.connect(location, schemas)
    return SQLiteStore.open(location, schemas)


async def publish(location: str, kind: str) -> None:
    """Be the other process."""
    async with _opened(location) as store, hub_on(store) as hub:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        if kind == "one":
            for _ in range(EVENTS):
                await _publish(hub, SESSION)
                await asyncio.sleep(random.uniform(0.02, 0.08))
        else:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                await _publish(hub, f"s{random.randrange(SESSIONS)}")
                await asyncio.sleep(1 / RATE)


async def other(location: str, kind: str) -> asyncio.subprocess.Process:
    """Start the other process, which publishes to a file or a database once it is told to."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.follow", location, kind,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    return process


def go(process: asyncio.subprocess.Process) -> None:
    """Tell the other process to begin."""
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def waits(peer: Peer, count: int) -> list[float]:
    """Return how long each of the next events took until its frame was sent, in milliseconds."""
    found = []
    for _ in range(count):
        payload = json.loads(await peer.read())["uiEvent"]["payload"]
        found.append((time.monotonic() - float(payload["chunk"])) * 1e3)
    return found


async def _latency(path: Path) -> tuple[list[float], list[float]]:
    async with SQLiteStore.open(path, new_schemas()) as store, hub_on(store) as hub:
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        peer = Peer(server)
        await peer.subscribe()
        process = await other(str(path), "one")
        await asyncio.sleep(0.2)
        go(process)
        others = await waits(peer, EVENTS)
        await process.wait()
        own = []
        for _ in range(EVENTS):
            await _publish(hub, SESSION)
            own += await waits(peer, 1)
        await peer.leave()
        return others, own


async def _cost(path: Path, *, watches: bool, alone: bool) -> float:
    """Return the CPU time of a second in milliseconds."""
    async with SQLiteStore.open(path, new_schemas()) as store, hub_on(store) as hub:
        process = None if alone else await other(str(path), "many")
        for number in range(SESSIONS if watches else 0):
            hub.joined(f"s{number}")
            await hub.states(f"s{number}")
        await asyncio.sleep(0.2)
        if process is not None:
            go(process)
        began = time.process_time()
        await asyncio.sleep(SECONDS)
        spent = time.process_time() - began
        if process is not None:
            await process.wait()
    return spent / SECONDS * 1e3


async def main() -> list[Figure]:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        others, own = await _latency(Path(folder) / "latency.db")
        costs = {
            (watches, alone): await _cost(Path(folder) / f"{watches}{alone}.db", watches=watches, alone=alone)
            for watches in (False, True)
            for alone in (True, False)
        }
    own_event, nothing = "an event of its own", "nothing watched"
    slowest = quantiles(others, n=100)[98], quantiles(own, n=100)[98]
    watching = f"CPU of a second, {SESSIONS:,} sessions watched"
    published = f"{watching}, another process publishes {RATE} events"
    return [
        Figure("event of another process, median", median(others), own_event, median(own), "ms"),
        Figure("event of another process, 99 of 100", slowest[0], own_event, slowest[1], "ms"),
        Figure(f"{watching}, alone", costs[True, True], nothing, costs[False, True], "ms"),
        Figure(published, costs[True, False], nothing, costs[False, False], "ms"),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(publish(*sys.argv[1:]))
    else:
        report(asyncio.run(main()))
