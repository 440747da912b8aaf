"""The memory of a cached session and a cached entity, compared with the parsed payloads alone.

    python -m benchmarks.cached_memory

It measures the resident memory of a separate process, on Linux only, because ``tracemalloc`` does not count memory that
protobuf allocates. Another process fills the file; this one first reads all of it, so that SQLite's caches are full,
and then loads the sessions into a hub. Payloads have 200 bytes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.figures import Figure, report
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection
from sessionstream import Commit, Event, Hub, SQLiteStore, TimelineEntity
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent

SESSIONS = 2_000
FEW, MANY = 1, 21


def _resident() -> int:
    """Return the resident memory of this process, in bytes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _fill(file: Path) -> None:
    async with SQLiteStore.open(file, new_schemas()) as store:

        async def session(name: str, entities: int) -> None:
            event = Event("Delta", TokensDeltaEvent(), name, 1, "id")
            made = [
                TimelineEntity("Message", f"m{number}", ChatMessageEntity(text=CHUNK), 1, 1)
                for number in range(entities)
            ]
            await store.commit(Commit(name, event, tuple(made), 0, 1))

        for entities in (FEW, MANY):
            await asyncio.gather(*(session(f"{entities}-{number}", entities) for number in range(SESSIONS)))


async def _growth(file: Path, hold: Callable[[Hub, SQLiteStore, str], Awaitable[object]], entities: int) -> float:
    """Return the bytes that a cached session with so many entities takes."""
    schemas = new_schemas()
    names = [f"{entities}-{number}" for number in range(SESSIONS)]
    async with SQLiteStore.open(file, schemas) as store:
        hub = Hub(schemas, store=store, cache_entities=10**9)
        hub.register_timeline_projection(timeline_projection)
        for name in names:
            await store.snapshot(name)
        before = _resident()
        held = [await hold(hub, store, name) for name in names]
        after = _resident()
        del held
        return (after - before) / SESSIONS


async def _cache(hub: Hub, store: SQLiteStore, name: str) -> object:
    await hub.retry_timeline(name)  # nothing waits there: it loads the timeline, and no more
    return None


async def _parsed(hub: Hub, store: SQLiteStore, name: str) -> object:
    return [entity.payload for entity in (await store.snapshot(name)).entities]


HOLDING = {"cache": _cache, "parsed": _parsed}


def _measure(file: Path, holding: str, entities: int) -> float:
    """Measure in a separate process."""
    command = [sys.executable, "-m", "benchmarks.cached_memory", str(file), holding, str(entities)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


async def main() -> list[Figure]:
    """Measure, and return bytes."""
    with tempfile.TemporaryDirectory() as directory:
        await _fill(file := Path(directory) / "store.db")
        few, many = (_measure(file, "cache", entities) for entities in (FEW, MANY))
        bare_few, bare_many = (_measure(file, "parsed", entities) for entities in (FEW, MANY))
    entity, bare = (many - few) / (MANY - FEW), (bare_many - bare_few) / (MANY - FEW)
    return [
        Figure("memory of a cached entity", entity, "its parsed payload in a list", bare, "bytes"),
        Figure(f"memory of a cached session with {FEW} entity", few, "its parsed payload in a list", bare_few, "bytes"),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(asyncio.run(_growth(Path(sys.argv[1]), HOLDING[sys.argv[2]], int(sys.argv[3]))))
    else:
        report(asyncio.run(main()))
