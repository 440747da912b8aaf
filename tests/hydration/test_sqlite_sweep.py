"""What is discarded goes away in small steps, and nobody sees the difference, wherever that stops."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionstream.errors import OrdinalConflict, StoreError
from sessionstream.hydration.sqlite import SQLiteStore, sweep, writes
from sessionstream.store import TimelineReplacement
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.testing.contract.retention import check_above_floor
from sessionstream.testing.contract.timelines import eventful
from sessionstream.types import TimelineEntity

REGISTRY = sample_registry()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
async def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SQLiteStore]:
    monkeypatch.setattr(sweep, "PIECE", 3)
    async with SQLiteStore.open(path, REGISTRY) as opened:
        yield opened


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def left(path: Path) -> int:
    """Return how many rows there are of what belongs to sessions."""
    tables = ("events", "entities", "entity_versions", "timelines", "discarded")
    return sum(rows(path, f"SELECT count(*) FROM {table}")[0][0] for table in tables)


async def stepping(store: SQLiteStore, steps: int) -> None:
    for _ in range(steps):
        await store._write(lambda writing: sweep.step(writing.db))


async def changing(store: SQLiteStore, session_id: str = "session") -> SessionWriter:
    writer = SessionWriter(store, session_id)
    for number in range(12):
        entities = [put(name, str(number)) for name in "abcdefgh"[number % 4 :]]
        await writer.log(*entities, drop("z") if number % 3 else put("z"))
    return writer


@pytest.mark.parametrize("steps", range(14))
async def test_pruning_may_stop_anywhere_and_be_repeated_further(store: SQLiteStore, path: Path, steps: int) -> None:
    writer = await changing(store)
    reference = await changing(store, "pruned at once")
    for floor in (5, 8, 11):
        await store._write(lambda writing, floor=floor: writes.prune(writing, "session", floor))
        await check_above_floor(writer, floor)
        await stepping(store, steps)
        await check_above_floor(writer, floor)
        await writer.log(put("z", "again"), put("a", "again"))
        await reference.log(put("z", "again"), put("a", "again"))
        await check_above_floor(writer, floor)
    await store.prune("pruned at once", before=11)
    numbers = {row[1]: row[0] for row in rows(path, "SELECT timeline, session_id FROM sessions")}
    kept = [
        rows(path, f"SELECT kind, id, changed FROM {table} WHERE timeline = {numbers[name]} ORDER BY 1, 2, 3")
        for name in ("session", "pruned at once")
        for table in ("entities", "entity_versions")
    ]
    assert kept[:2] == kept[2:]
    assert rows(path, "SELECT count(*) FROM events WHERE ordinal < 11 AND payload NOTNULL") == [(0,)]
    assert rows(path, "SELECT * FROM discarded") == []


@pytest.mark.parametrize("steps", range(10))
async def test_a_deletion_may_stop_anywhere(store: SQLiteStore, path: Path, steps: int) -> None:
    other = await changing(store, "other")
    before = left(path)
    await changing(store)
    await store._write(lambda writing: writes.delete_session(writing, "session", None))
    await stepping(store, steps)
    assert await store.events("session") == []
    assert await store.find_event("session", "event-1") is None
    assert await store.sessions() == ["other"]
    cursors = await store.cursors("session")
    again = SessionWriter(store)
    again.event = again.timeline = cursors.event
    again.states[cursors.event] = {}
    await again.commit(again.step(put("a", "new"), event_id="event-1"))
    await store.prune("other", before=1)  # which removes what anybody left
    await check_above_floor(again, 0)
    await check_above_floor(other, 1)
    await store.delete_session("session")
    assert left(path) == before + 1  # the number of its empty timeline


async def test_many_sessions_deleted_at_once_keep_apart(store: SQLiteStore) -> None:
    writers = [await changing(store, name) for name in "abcd"]
    await asyncio.gather(*[store.delete_session(name) for name in "abc"])
    await check_above_floor(writers[3], 0)
    assert await store.sessions() == ["d"]


def versions(count: int) -> list[TimelineEntity]:
    return [TimelineEntity("Message", f"{at % 5}", put("a", str(at)).payload, 1, at) for at in range(1, count + 1)]


async def test_a_rebuild_that_was_abandoned_goes_away_and_cannot_be_swapped_in(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await eventful(store)
    before = left(path)
    timeline = await store._write(writes.begin_timeline)
    await store.prune("nobody", before=1)
    assert left(path) == before + 2  # it may be under way
    monkeypatch.setattr(sweep, "ABANDONED", -(10**9))
    await store.prune("nobody", before=1)
    assert left(path) == before
    replacement = TimelineReplacement("session", versions(3), 3, await writer.cursors())
    with pytest.raises(StoreError, match="rebuild again"):
        await store._write(lambda writing: writes.replace_timeline(writing, replacement, timeline))
    await check_above_floor(writer, 0)


async def test_a_rebuild_that_comes_too_late_leaves_nothing(store: SQLiteStore, path: Path) -> None:
    writer = await eventful(store)
    before, seen = left(path), await writer.cursors()
    with pytest.raises(OrdinalConflict):
        await store.replace_timeline(
            TimelineReplacement("session", versions(11), 11, type(seen)(seen.event, seen.timeline, 1))
        )
    assert left(path) == before
    await check_above_floor(writer, 0)


async def test_commits_of_others_pass_between_the_steps(store: SQLiteStore) -> None:
    await changing(store)
    done: list[str] = []

    async def told(name: str, work: Any) -> None:
        await work
        done.append(name)

    writer = SessionWriter(store, "other")
    deleting = asyncio.create_task(told("delete", store.delete_session("session")))
    for number in range(5):
        await told(f"commit {number}", writer.log(put("a")))
    await deleting
    assert done == [*(f"commit {number}" for number in range(5)), "delete"]
