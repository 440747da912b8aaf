"""Reading a timeline of 5,000 entities, compared with only parsing their payloads.

    python -m benchmarks.snapshots

Snapshots are read from the hub's cache, where the copies are the cost, and from the file with a newly opened store.
Both are full snapshots: entities in order, each with its own payload.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, best, report
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection
from sessionstream import Event, Hub, SQLiteStore
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent

ENTITIES = 5_000
ROUNDS = 25


async def _snapshot(source: Hub | SQLiteStore) -> float:
    start = time.perf_counter()
    snapshot = await source.snapshot("s")
    seconds = time.perf_counter() - start
    assert len(snapshot.entities) == ENTITIES
    return seconds * 1e3


async def _parse(payloads: list[bytes]) -> float:
    start = time.perf_counter()
    parsed = [ChatMessageEntity.FromString(payload) for payload in payloads]
    seconds = time.perf_counter() - start
    assert len(parsed) == ENTITIES
    return seconds * 1e3


async def main() -> list[Figure]:
    """Measure, and return milliseconds per snapshot."""
    schemas = new_schemas()
    with tempfile.TemporaryDirectory() as directory:
        async with SQLiteStore.open(Path(directory) / "store.db", schemas) as store:
            hub = Hub(schemas, store=store)
            hub.register_timeline_projection(timeline_projection)
            for number in range(ENTITIES):
                delta = TokensDeltaEvent(message_id=f"m{number}", chunk=CHUNK)
                await hub.publish(Event("Delta", delta, "s"))
            payloads = [
                entity.payload.SerializeToString()
                for entity in (await store.snapshot("s")).entities
                if entity.payload is not None
            ]
            cache, disk, parsing = await best(
                ROUNDS, partial(_snapshot, hub), partial(_snapshot, store), partial(_parse, payloads)
            )
    what, against = f"snapshot of {ENTITIES:,} entities", "parsing those payloads alone"
    return [
        Figure(f"{what}, from the cache", cache, against, parsing, "ms"),
        Figure(f"{what}, from the file", disk, against, parsing, "ms"),
    ]


if __name__ == "__main__":
    report(asyncio.run(main()))
