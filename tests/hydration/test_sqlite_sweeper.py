"""What is discarded goes away in small steps, and nobody sees the difference, wherever that stops."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionstream.errors import OrdinalConflict, StoreError
from sessionstream.hub import Hub
from sessionstream.hydration.sqlite import SQLiteStore, discarded, writes
from sessionstream.store import Cursors, TimelineReplacement
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.testing.contract.retention import check_above_floor
from sessionstream.testing.contract.timelines import eventful
from sessionstream.types import Event, TimelineEntity, UIEvent

from .sweeping import Time, standing_clock

REGISTRY = sample_registry()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
async def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SQLiteStore]:
    monkeypatch.setattr(discarded, "PIECE", 3)
    async with SQLiteStore.open(path, REGISTRY) as opened:
        yield opened


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


def left(path: Path) -> int:
    """Return how many rows there are of what belongs to sessions."""
    tables = ("events", "entities", "entity_versions", "timelines", "discarded")
    return sum(rows(path, f"SELECT count(*) FROM {table}")[0][0] for table in tables)


async def stepping(store: SQLiteStore, steps: int) -> None:
    for _ in range(steps):
        await store._write(first_piece)


def first_piece(writing: writes.Writing) -> None:
    for job in discarded.jobs(writing.db)[:1]:
        discarded.step(writing.db, job)


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
    assert rows(path, "SELECT hex(what), number FROM discarded") == []


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
    monkeypatch.setattr(discarded, "ABANDONED", -(10**9))
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


REMOVING: dict[str, Callable[[SQLiteStore], Awaitable[object]]] = {
    "prune": lambda store: store.prune("session", before=9),
    "delete": lambda store: store.delete_session("session"),
    "rebuild": lambda store: rebuilt(store),
}


async def rebuilt(store: SQLiteStore) -> Cursors:
    return await store.replace_timeline(
        TimelineReplacement("session", versions(12), 12, await store.cursors("session"))
    )


async def done(store: SQLiteStore) -> tuple[int, int]:
    cursors = await store.cursors("session")
    return cursors.epoch, cursors.floor


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    return standing_clock(monkeypatch)


DAMAGED = {
    "what is nobody's": "INSERT INTO discarded (what, number) VALUES ('a rag', 1)",
    "a blob": "INSERT INTO discarded (what, number) VALUES (x'ff', 1)",
    "a text that is none": "INSERT INTO discarded (what, number) VALUES (CAST(x'ff' AS TEXT), 1)",
    "no number": "INSERT INTO discarded (what, number) VALUES ('events', 'many')",
    "an event without payload": "INSERT INTO discarded (what, number, below) "
    "SELECT 'events', sid, 3 FROM sessions WHERE session_id = 'damaged'",
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("removing", REMOVING)
async def test_what_cannot_be_swept_hinders_nobody_and_is_recorded_once(
    store: SQLiteStore, path: Path, clock: Time, caplog: pytest.LogCaptureFixture, removing: str, damage: str
) -> None:
    await changing(store)
    await changing(store, "damaged")
    other = await changing(store, "other")
    execute(path, "UPDATE events SET payload = 5 WHERE sid = (SELECT sid FROM sessions WHERE session_id = 'damaged')")
    execute(path, DAMAGED[damage])
    damaged = rows(path, "SELECT hex(what), number FROM discarded")
    before = await done(store)
    await REMOVING[removing](store)
    assert await done(store) != before
    assert rows(path, "SELECT hex(what), number FROM discarded") == damaged  # all the rest was removed
    (failure,) = await store.error_records("")
    assert (failure.kind, failure.ordinal, list(failure.metadata)) == ("store", 0, ["discarded"])
    assert "x.db" in failure.error
    (warning,) = [each for each in caplog.records if each.name == "sessionstream"]
    assert warning.levelname == "WARNING"
    assert "will be tried again" in warning.getMessage()
    tried = 1
    for rest in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        clock.now += rest - 0.1
        await store.prune("other", before=1)
        assert len([each for each in caplog.records if each.name == "sessionstream"]) == tried
        clock.now += 0.2
        await store.prune("other", before=1)
        tried += 1
        assert len([each for each in caplog.records if each.name == "sessionstream"]) == tried
    assert await store.error_records("") == [failure]
    await check_above_floor(other, 1)


@pytest.mark.parametrize("removing", REMOVING)
async def test_a_disk_that_is_full_behind_the_deed_leaves_it_done(
    store: SQLiteStore, path: Path, clock: Time, removing: str
) -> None:
    """As much room as it takes, and less and less of it: what is done is not refused, and what is refused not done."""
    await changing(store)
    refused = swept_later = 0
    for room in range(0, 10**6, 3 * 4096):
        copy = path.with_name(f"{room}.db")
        await asyncio.to_thread(copied, path, copy)
        async with SQLiteStore.open(copy, REGISTRY) as filling:
            before = await done(filling)
            try:
                with room_for(copy, room):
                    await REMOVING[removing](filling)
            except StoreError:
                refused += 1
                assert await done(filling) == before
                continue
            assert await done(filling) != before
            if not rows(copy, "SELECT hex(what), number FROM discarded"):
                break
            swept_later += 1
            await filling.prune("nobody", before=1)
            assert rows(copy, "SELECT hex(what), number FROM discarded") != []  # a full disk is left alone for a while
            clock.now += 1.0
            await filling.prune("nobody", before=1)
            assert rows(copy, "SELECT hex(what), number FROM discarded") == []
    assert refused
    assert swept_later


def copied(path: Path, copy: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


@contextmanager
def room_for(path: Path, room: int) -> Iterator[None]:
    """Let no file grow beyond the size of the log and so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_clients_are_told_of_a_rebuild_whose_sweep_fails(store: SQLiteStore, path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    class Fanout:
        def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None: ...

        def resync(self, session_id: str, ordinal: int, epoch: int) -> None:
            told.append((session_id, ordinal, epoch))

    async with Hub(REGISTRY, store=store, fanout=Fanout()) as hub:
        event = SessionWriter(store).step(put("a")).event
        assert event is not None
        await hub.publish(Event(event.name, event.payload, "session"))
        execute(path, DAMAGED["no number"])
        told.clear()
        report = await hub.rebuild_timeline("session")
        assert told == [("session", 1, report.epoch)]
        assert (await hub.snapshot("session")).epoch == report.epoch


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


async def test_digests_of_pruned_events_are_made_for_no_longer_than_a_moment_at_a_time(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SessionWriter(store)
    for number in range(5):
        await writer.log(put("a", str(number)))
    monkeypatch.setattr(discarded, "DIGESTING", 0)
    await store._write(lambda writing: writes.prune(writing, "session", 5))
    for done in (1, 2, 3, 4, 4):
        await stepping(store, 1)
        assert rows(path, "SELECT count(*) FROM events WHERE length(digest) = 33 AND payload IS NULL") == [(done,)]
    assert rows(path, "SELECT count(*) FROM discarded WHERE what = 'events'") == [(0,)]
