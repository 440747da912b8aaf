"""Publishing into a timeline of 10,000 entities, against publishing into one of a single entity.

    python -m benchmarks.publish_growth

The projection reads and writes one entity by key. The cost must not depend on how many others there are.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection, ui_projection
from sessionstream import Event, Hub, HydrationStore, MemoryStore, SQLiteStore
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent

FEW, MANY = 1, 10_000
EVENTS = 1_000
ROUNDS = 5


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


async def _measure(name: str, store: HydrationStore) -> dict[str, float]:
    few, many = await _grown(store, FEW), await _grown(store, MANY)
    pairs = [(await _time(few, FEW), await _time(many, MANY)) for _ in range(ROUNDS)]
    result = {
        f"{name}_few_us": median(a for a, _ in pairs),
        f"{name}_many_us": median(b for _, b in pairs),
        f"{name}_ratio": median(b / a for a, b in pairs),
    }
    print(
        f"publish, {name}: {result[f'{name}_few_us']:.1f} µs with {FEW} entity, "
        f"{result[f'{name}_many_us']:.1f} µs with {MANY}; ratio {result[f'{name}_ratio']:.2f}"
    )
    return result


async def main() -> dict[str, float]:
    """Measure, print, and return microseconds per event and their ratios."""
    result = await _measure("memory", MemoryStore(new_schemas()))
    with tempfile.TemporaryDirectory() as directory:
        async with SQLiteStore.open(Path(directory) / "store.db", new_schemas()) as store:
            result |= await _measure("sqlite", store)
    return result


if __name__ == "__main__":
    asyncio.run(main())
