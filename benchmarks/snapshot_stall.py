"""How long reading a timeline of 50,000 entities blocks the event loop.

    python -m benchmarks.snapshot_stall

A task repeatedly sleeps for a millisecond, and records the longest CPU time of the loop's thread and the longest
elapsed time between two of its runs: while ``hub.snapshot`` is awaited; while a client subscribes over a
WebSocketServer, from its frame to the last frame of the answer; and while a hub loads the session. "Cold" is a new hub
and a new server on a store that has the session; "warm" is a hub that has cached the session, and a server to which
another client has subscribed before. The elapsed time is longer if other processes use the machine, or another thread
holds the interpreter lock.

These rounds run without Python's garbage collector. A full collection visits every object of the process and stops
every thread meanwhile; when it happens depends on the number of new objects. So other rounds measure the elapsed time
with the collector, and the duration of a full collection is printed beside it: an elapsed time of that length contains
one.

It also measures the CPU time of the loop's thread for a warm subscription to 5,000 entities, compared with the time of
joining their cached JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, best, report
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection
from benchmarks.subscribe import SESSION, Peer
from sessionstream import Commit, Event, Hub, HydrationStore, MemoryStore, SQLiteStore, TimelineEntity
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent
from sessionstream.transport.ws import WebSocketServer

ENTITIES = 50_000
FEWER = 5_000
PAUSE = 1e-3
ROUNDS = 4
SUBSCRIPTIONS = 25


async def _fill(store: HydrationStore, entities: int) -> None:
    made = tuple(
        TimelineEntity("Message", f"m{number}", ChatMessageEntity(text=CHUNK), 1, 1) for number in range(entities)
    )
    await store.commit(Commit(SESSION, Event("Delta", TokensDeltaEvent(), SESSION, 1, "id"), made, 0, 1))


async def longest_gap(work: Callable[[], Awaitable[object]], *, collect: bool = False) -> tuple[float, float]:
    """Return the longest CPU time and the longest elapsed time between two runs of a sleeping task, in milliseconds.

    With ``collect`` the garbage collector is on, and the results are the elapsed time and the duration of a full
    collection at the end.
    """
    gaps: list[tuple[float, float]] = []
    working = True

    async def tick() -> None:
        last = time.perf_counter(), time.thread_time()
        while working:
            await asyncio.sleep(PAUSE)
            now = time.perf_counter(), time.thread_time()
            gaps.append(((now[0] - last[0]) * 1e3, (now[1] - last[1]) * 1e3))
            last = now

    gc.collect()
    if not collect:
        gc.disable()
    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0)
    result = await work()
    working = False
    await ticker
    gc.enable()
    start = time.perf_counter()
    gc.collect()
    full_run = (time.perf_counter() - start) * 1e3
    del result  # until here, so that freeing it is not measured
    passed, computed = map(max, zip(*gaps, strict=True))
    return (passed, full_run) if collect else (computed, passed)


@asynccontextmanager
async def _client(store: HydrationStore, *, warm: bool) -> AsyncIterator[tuple[Hub, Peer]]:
    """Make a new hub, and a client of its server that has not subscribed yet."""
    hub = Hub(new_schemas(), store=store)
    hub.register_timeline_projection(timeline_projection)
    server = WebSocketServer(hub)
    hub.set_fanout(server)
    before, client = Peer(server), Peer(server)
    if warm:
        await hub.retry_timeline(SESSION)  # nothing waits there: it loads the timeline, and no more
        await before.subscribe()
    yield hub, client
    await before.leave()
    await client.leave()


async def _while_reading(store: HydrationStore, *, warm: bool, collect: bool) -> tuple[float, float]:
    async with _client(store, warm=warm) as (hub, _):
        return await longest_gap(lambda: hub.snapshot(SESSION), collect=collect)


async def _while_subscribing(store: HydrationStore, *, warm: bool, collect: bool) -> tuple[float, float]:
    async with _client(store, warm=warm) as (_, client):
        return await longest_gap(client.subscribe, collect=collect)


async def _while_loading(store: HydrationStore, *, collect: bool) -> tuple[float, float]:
    async with _client(store, warm=False) as (hub, _):
        return await longest_gap(lambda: hub.retry_timeline(SESSION), collect=collect)


async def _stalls(name: str, store: HydrationStore) -> list[Figure]:
    await _fill(store, ENTITIES)
    measures = {
        "hub.snapshot, cold": partial(_while_reading, store, warm=False),
        "hub.snapshot, warm": partial(_while_reading, store, warm=True),
        "subscribing, cold": partial(_while_subscribing, store, warm=False),
        "subscribing, warm": partial(_while_subscribing, store, warm=True),
        "a hub loads it, as the first publish does": partial(_while_loading, store),
    }
    both = [(what, collect) for what in measures for collect in (False, True)]
    rounds = [[await measures[what](collect=collect) for what, collect in both] for _ in range(ROUNDS)]
    title = f"{ENTITIES:,} entities, {name}"
    return [
        Figure(f"{title}: {what}, passed with the collector", *_least(found, "a full run of it"))
        if collect
        else Figure(f"{title}: {what}, computed at once", *_least(found, "passed meanwhile"), "≤ 10 ms")
        for (what, collect), found in zip(both, zip(*rounds, strict=True), strict=True)
    ]


def _least(found: Sequence[tuple[float, float]], against: str) -> tuple[float, str, float, str]:
    ours, other = map(min, zip(*found, strict=True))
    return ours, against, other, "ms"


async def _warm_subscription() -> Figure:
    store = MemoryStore(new_schemas())
    await _fill(store, FEWER)
    async with _client(store, warm=True) as (_, client):

        async def subscribe() -> float:
            start = time.thread_time()
            await client.subscribe()
            return (time.thread_time() - start) * 1e3

        written = [json.dumps(entity) for entity in json.loads(await client.subscribe())["snapshot"]["entities"]]
        assert len(written) == FEWER

        async def join() -> float:
            start = time.thread_time()
            ",".join(written)
            return (time.thread_time() - start) * 1e3

        ours, joining = await best(SUBSCRIPTIONS, subscribe, join)
    what, against = f"subscribe with {FEWER:,} entities, warm, CPU time of the loop", "joining their JSON"
    return Figure(what, ours, against, joining, "ms", "≤ 2 ms")


async def main() -> list[Figure]:
    """Measure, and return milliseconds."""
    figures = await _stalls("memory store", MemoryStore(new_schemas()))
    with tempfile.TemporaryDirectory() as directory:
        async with SQLiteStore.open(Path(directory) / "store.db", new_schemas()) as store:
            figures += await _stalls("SQLite", store)
    return [*figures, await _warm_subscription()]


if __name__ == "__main__":
    report(asyncio.run(main()))
