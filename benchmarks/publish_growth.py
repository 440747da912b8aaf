"""Publishing to a timeline of 10,000 entities, compared with one of a single entity.

    python -m benchmarks.publish_growth

The projection reads and writes one entity by key. The cost must not depend on the number of other entities.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, best, report
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection, ui_projection
from sessionstream import Event, Hub, HydrationStore, MemoryStore, SQLiteStore
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent

FEW, MANY = 1, 10_000
EVENTS = 1_000
ROUNDS = 10


def _deltas(session_id: str, ids: Iterable[int]) -> list[Event]:
    return [Event("Delta", TokensDeltaEvent(message_id=f"m{i}", chunk=CHUNK), session_id) for i in ids]


async def _grown(store: HydrationStore, entities: int) -> Hub:
    hub = Hub(new_schemas(), store=store)
    hub.register_ui_projection(ui_projection)
    hub.register_timeline_projection(timeline_projection)
    for event in _deltas(f"with-{entities}", range(entities)):
        await hub.publish(event)
    return hub


async def _time(hub: Hub, entities: int) -> float:
    events = _deltas(f"with-{entities}", (i * 7919 % entities for i in range(EVENTS)))
    start = time.perf_counter()
    for event in events:
        await hub.publish(event)
    return (time.perf_counter() - start) / EVENTS * 1e6


async def _measure(name: str, store: HydrationStore) -> Figure:
    few, many = await _grown(store, FEW), await _grown(store, MANY)
    less, more = await best(ROUNDS, partial(_time, few, FEW), partial(_time, many, MANY))
    return Figure(f"publish, {name}, {MANY:,} entities", more, f"the same with {FEW} entity", less, "µs", "≤ 1.15")


async def main() -> list[Figure]:
    """Measure, and return microseconds per event."""
    figures = [await _measure("memory store", MemoryStore(new_schemas()))]
    with tempfile.TemporaryDirectory() as directory:
        async with SQLiteStore.open(Path(directory) / "store.db", new_schemas()) as store:
            figures.append(await _measure("SQLite", store))
    return figures


if __name__ == "__main__":
    report(asyncio.run(main()))
