"""The cost of history in a SQLite file: deltas compared with full copies, `as_of`, and waits during a clean-up.

    python -m benchmarks.stored_versions

An answer of 16,000 characters is streamed in pieces of 10, each in its own commit. The other side of every ratio is
measured in the same run: the same store with every version in full; the current snapshot; a commit without other work.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.publish_memory import new_schemas
from sessionstream import Commit, Event, SQLiteStore, TimelineEntity, TimelineReplacement
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent
from sessionstream.hydration import versions

CHUNKS, CHUNK = 1_600, "ten bytes "
ROUNDS = 3
MANY = 10_000


def _commit(session_id: str, ordinal: int, *texts: tuple[str, str]) -> Commit:
    event = Event("Delta", TokensDeltaEvent(chunk=CHUNK), session_id, ordinal, f"{ordinal:032x}")
    entities = tuple(
        TimelineEntity("Message", name, ChatMessageEntity(text=text, status="streaming"), 1, ordinal)
        for name, text in texts
    )
    return Commit(session_id, event, entities, ordinal - 1, ordinal)


@contextmanager
def _in_full() -> Iterator[None]:
    keyframe, versions.KEYFRAME = versions.KEYFRAME, 0  # type: ignore[misc]
    yield
    versions.KEYFRAME = keyframe  # type: ignore[misc]


async def _streamed(path: Path) -> tuple[float, float]:
    """Return bytes per event and microseconds per commit."""
    steps = [_commit("s", at, ("answer", CHUNK * at)) for at in range(1, CHUNKS + 1)]
    async with SQLiteStore.open(path, new_schemas()) as store:
        start = time.perf_counter()
        for step in steps:
            await store.commit(step)
        took = time.perf_counter() - start
    return _bytes(path) / CHUNKS, took / CHUNKS * 1e6


def _bytes(path: Path) -> int:
    return path.stat().st_size


async def _size(directory: Path) -> dict[str, float]:
    full, deltas = [], []
    for at in range(ROUNDS):
        with _in_full():
            full.append(await _streamed(directory / f"full{at}.db"))
        deltas.append(await _streamed(directory / f"deltas{at}.db"))
    result = {
        "full_bytes": full[0][0],
        "delta_bytes": deltas[0][0],
        "bytes_ratio": deltas[0][0] / full[0][0],
        "full_commit_us": median(took for _, took in full),
        "delta_commit_us": median(took for _, took in deltas),
        "commit_ratio": median(b / a for (_, a), (_, b) in zip(full, deltas, strict=True)),
    }
    print(
        f"streaming {CHUNKS} pieces: {result['delta_bytes']:.0f} bytes per event, in full {result['full_bytes']:.0f}, "
        f"ratio {result['bytes_ratio']:.3f}; {result['delta_commit_us']:.0f} µs per commit, in full "
        f"{result['full_commit_us']:.0f}, ratio {result['commit_ratio']:.2f}"
    )
    return result


async def _milliseconds(work: Awaitable[object]) -> float:
    start = time.perf_counter()
    await work
    return (time.perf_counter() - start) * 1e3


async def _filled(store: SQLiteStore, session_id: str, *, entities: int) -> None:
    text = "a text of some length, as in a chat; " * 10
    steps = [_commit(session_id, at, (f"m{at % entities}", f"{text} {at}")) for at in range(1, MANY + 1)]
    await asyncio.gather(*[store.commit(step) for step in steps])


async def _questions(store: SQLiteStore) -> dict[str, float]:
    result: dict[str, float] = {}
    for session_id, entities in (("one", 1), ("many", MANY)):
        await _filled(store, session_id, entities=entities)
        now = median([await _milliseconds(store.snapshot(session_id)) for _ in range(ROUNDS)])
        then = median([await _milliseconds(store.snapshot(session_id, as_of=MANY - 5)) for _ in range(ROUNDS)])
        middle = median([await _milliseconds(store.snapshot(session_id, as_of=MANY // 2)) for _ in range(ROUNDS)])
        result |= {f"{session_id}_now_ms": now, f"{session_id}_as_of_ms": then, f"{session_id}_middle_ms": middle}
        print(
            f"{MANY} versions of {entities} entities in all: now {now:.2f} ms, as of the end {then:.2f} ms, "
            f"as of the middle {middle:.2f} ms"
        )
    return result


async def _longest_wait(store: SQLiteStore, session_id: str, work: Awaitable[object]) -> tuple[float, float]:
    """Return the longest wait of another session's commits during the work, and its duration, in milliseconds."""
    running = asyncio.ensure_future(_milliseconds(work))
    waits: list[float] = []
    ordinal = 0
    while not running.done() or not waits:
        ordinal += 1
        waits.append(await _milliseconds(store.commit(_commit(session_id, ordinal, ("m", "text")))))
    return max(waits), await running


async def _stalls(store: SQLiteStore) -> dict[str, float]:
    alone = [await _milliseconds(store.commit(_commit("alone", at, ("m", "text")))) for at in range(1, 500)]
    result = {"alone_longest_ms": max(alone), "alone_median_ms": median(alone)}
    states = [
        TimelineEntity("Message", f"m{at % 50}", ChatMessageEntity(text=CHUNK * 40 + str(at)), 1, at)
        for at in range(1, MANY + 1)
    ]
    rebuilt = TimelineReplacement("one", states, MANY, await store.cursors("one"))
    works = {
        "rebuild": store.replace_timeline(rebuilt),
        "prune": store.prune("many", before=MANY - 1),
        "delete": store.delete_session("many"),
    }
    for name, work in works.items():
        result[f"{name}_longest_ms"], result[f"{name}_took_ms"] = await _longest_wait(store, f"during {name}", work)
        print(
            f"{name} of {MANY} events: took {result[f'{name}_took_ms']:.0f} ms, a commit of another session waited at "
            f"most {result[f'{name}_longest_ms']:.1f} ms; alone at most {result['alone_longest_ms']:.1f}, median "
            f"{result['alone_median_ms']:.2f} ms"
        )
    return result


async def main() -> dict[str, float]:
    """Measure, print, and return the figures."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        result = await _size(directory)
        async with SQLiteStore.open(directory / "store.db", new_schemas()) as store:
            return result | await _questions(store) | await _stalls(store)


if __name__ == "__main__":
    asyncio.run(main())
