"""Rebuilt timelines that lose races: what is written is not written again, and what nobody wants goes away."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream.errors import OrdinalConflict
from sessionstream.hydration.sqlite import SQLiteStore, rebuilding
from sessionstream.store import TimelineReplacement
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.testing.contract.retention import check_above_floor
from sessionstream.types import TimelineEntity

REGISTRY = sample_registry()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as opened:
        yield opened


async def log(writer: SessionWriter, count: int) -> None:
    for number in range(writer.event, writer.event + count):
        name, text = "abc"[number % 3], "and so on, " * (number % 40)
        await writer.log(drop(name) if number % 7 == 6 else put(name, text))


def states(writer: SessionWriter) -> list[TimelineEntity]:
    """Every state of every entity, as a rebuild makes them."""
    found: list[TimelineEntity] = []
    for event, (before, now) in enumerate(zip(writer_states(writer), writer_states(writer)[1:], strict=False), start=1):
        found += [entity for key, entity in now.items() if before.get(key) is not entity]
        found += [
            TimelineEntity(*key, None, entity.created_ordinal, event, tombstone=True)
            for key, entity in before.items()
            if key not in now
        ]
    return found


def writer_states(writer: SessionWriter) -> list[dict[tuple[str, str], TimelineEntity]]:
    return [writer.states[ordinal] for ordinal in sorted(writer.states)]


async def changes(store: SQLiteStore) -> int:
    """Rows that the writer has changed so far."""
    count: int = await store._writer.submit(lambda writing: writing.db.total_changes)
    return count


def rebuilt_timelines(path: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT number FROM discarded WHERE what = 'building'").fetchall()


@pytest.mark.parametrize("more", [1, 30, 3 * rebuilding.LAST_STATES])
async def test_the_loser_of_a_race_writes_only_what_is_new(store: SQLiteStore, tmp_path: Path, more: int) -> None:
    writer = SessionWriter(store)
    await log(writer, 200)
    built = states(writer)
    seen = await writer.cursors()
    await log(writer, more)
    with pytest.raises(OrdinalConflict):
        await store.replace_timeline(TimelineReplacement("session", built, 200, seen))
    assert len(rebuilt_timelines(tmp_path / "x.db")) == 1
    built += states(writer)[len(built) :]
    before = await changes(store)
    cursors = await store.replace_timeline(
        TimelineReplacement("session", built, writer.timeline, await writer.cursors())
    )
    written = await changes(store) - before
    assert cursors.epoch != seen.epoch
    assert rebuilt_timelines(tmp_path / "x.db") == []
    await check_above_floor(writer, 0)
    removed = len(built)  # of the former timeline
    assert written < removed + 4 * more + 30


async def test_another_rebuild_does_not_go_on_with_the_first(store: SQLiteStore, tmp_path: Path) -> None:
    writer = SessionWriter(store)
    await log(writer, 20)
    seen, built = await writer.cursors(), states(writer)
    await log(writer, 1)
    with pytest.raises(OrdinalConflict):
        await store.replace_timeline(TimelineReplacement("session", built, 20, seen))
    other = [TimelineEntity("Message", "other", put("x", str(at)).payload, 1, at) for at in range(1, 22)]
    await store.replace_timeline(TimelineReplacement("session", other, 21, await writer.cursors()))
    (entity,) = (await store.snapshot("session")).entities
    assert entity == other[-1]
    assert rebuilt_timelines(tmp_path / "x.db") == []


async def test_a_session_that_has_another_timeline_keeps_nothing_of_the_rebuild(
    store: SQLiteStore, tmp_path: Path
) -> None:
    writer = SessionWriter(store)
    await log(writer, 20)
    seen, built = await writer.cursors(), states(writer)
    await store.replace_timeline(TimelineReplacement("session", built, 20, seen))
    with pytest.raises(OrdinalConflict):
        await store.replace_timeline(TimelineReplacement("session", built, 20, seen))
    assert rebuilt_timelines(tmp_path / "x.db") == []
    await check_above_floor(writer, 0)


async def test_a_session_that_nobody_has_used_can_be_rebuilt(store: SQLiteStore) -> None:
    seen = await store.cursors("nobody")
    cursors = await store.replace_timeline(TimelineReplacement("nobody", (), 0, seen))
    assert (cursors.event, cursors.timeline) == (0, 0)
    assert cursors.epoch != seen.epoch
    assert await store.cursors("nobody") == cursors
