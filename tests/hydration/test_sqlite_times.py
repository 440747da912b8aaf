"""Files in which times fall, because the clock was turned back under an earlier version: nothing young is forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream import RetentionPolicy, RetentionStep, SQLiteStore
from sessionstream.hydration.sqlite.times import microseconds
from sessionstream.testing import SessionWriter, WallClock, put, sample_registry
from sessionstream.testing.contract.records import record

REGISTRY = sample_registry()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_AGO = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)

AGES = st.lists(st.integers(0, 9), min_size=1, max_size=12)
"""How many days ago each event was logged, or error recorded."""


def retime(path: Path, table: str, key: str, times: Sequence[datetime]) -> None:
    with closing(sqlite3.connect(path)) as db:
        changes = [(microseconds(time), number) for number, time in enumerate(times, 1)]
        db.executemany(f"UPDATE {table} SET recorded_at = ? WHERE {key} = ?", changes)
        db.commit()


def older(times: Sequence[datetime], moment: datetime) -> int:
    """Return how many from the first on are older than a moment."""
    return next((number for number, time in enumerate(times) if time >= moment), len(times))


@given(ages=AGES, pruned=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_an_event_is_as_young_as_any_before_it(ages: list[int], pruned: int) -> None:
    times = [NOW - age * DAY for age in ages]

    async def check(path: Path) -> None:
        async with SQLiteStore.open(path, REGISTRY) as store:
            writer = SessionWriter(store)
            for _ in times:
                await writer.log(put("a"))
            await store.prune("session", before=pruned)
            floor = (await store.cursors("session")).floor
            retime(path, "events", "ordinal", times)
            left = times[max(floor - 1, 0) :]
            for age in range(11):
                moment = NOW - age * DAY + timedelta(seconds=1)
                before = older(left, moment)
                expected = before + len(times) - len(left) if before else 0
                assert await store.ordinal_before("session", moment) == expected

    with TemporaryDirectory() as place:
        asyncio.run(check(Path(place) / "x.db"))


@given(ages=AGES, age=st.integers(0, 10))
@settings(max_examples=25, deadline=None)
def test_an_error_record_is_as_young_as_any_before_it(ages: list[int], age: int) -> None:
    times, moment = [NOW - age * DAY for age in ages], NOW - age * DAY

    async def check(path: Path) -> None:
        async with SQLiteStore.open(path, REGISTRY) as store:
            for number in range(len(times)):
                await store.record_error(record("session", number))
            retime(path, "errors", "seq", times)
            old = older(times, moment)
            assert await store.forget_errors("session", moment) == old
            assert await store.error_records() == [record("session", number) for number in range(old, len(times))]

    with TemporaryDirectory() as place:
        asyncio.run(check(Path(place) / "x.db"))


async def test_one_event_stamped_1970_among_a_hundred_takes_nothing_with_it(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with SQLiteStore.open(path, REGISTRY) as store:
        for session_id in ("session", "only errors"):
            await store.record_error(record(session_id, 1))
            await store.record_error(record(session_id, 2))
        writer = SessionWriter(store)
        for _ in range(100):
            await writer.log(put("a"))
    for wrong in (50, 51, 100):
        retime(path, "events", "ordinal", [LONG_AGO if number == wrong else NOW for number in range(1, 101)])
        retime(path, "errors", "seq", [NOW, LONG_AGO, NOW, LONG_AGO])
        async with SQLiteStore.open(path, REGISTRY, clock=lambda: NOW) as store:
            policy = RetentionPolicy(keep_for=30 * DAY, delete_idle=30 * DAY, keep_errors=30 * DAY)
            assert [step async for step in policy.apply(store, now=NOW + DAY)] == []
            assert (await store.cursors("session")).floor == 0


async def test_a_damaged_time_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    clock = WallClock(NOW)
    async with SQLiteStore.open(path, REGISTRY, clock=clock) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        await writer.log(put("a"))
        for wrong in (2**62, "'tomorrow'", "x'00'", 1.5):
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute(f"UPDATE events SET recorded_at = {wrong} WHERE ordinal = (SELECT max(ordinal) FROM events)")
            clock.now = LONG_AGO
            await writer.log(put("a"))
            found = SQLiteStore.look(path, lambda file: file.events("session", after=writer.event - 1))
            assert [event.recorded_at for event in found] == [NOW]


async def test_a_clock_that_was_turned_back_before_the_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "x.db", WallClock(NOW)
    async with SQLiteStore.open(path, REGISTRY, clock=clock) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        await store.record_error(record("", 1))
    clock.now = LONG_AGO
    async with SQLiteStore.open(path, REGISTRY, clock=clock) as store:
        writer.store = store
        await writer.log(put("a"))
        await store.claim_command("session", "key", b"digest")
        await store.record_error(record("", 2))
        policy = RetentionPolicy(keep_for=DAY, delete_idle=DAY, keep_errors=DAY, keep_keys=DAY)
        assert [step async for step in policy.apply(store, now=NOW)] == []
        steps = [step async for step in policy.apply(store, now=NOW + 2 * DAY)]
        assert steps == [RetentionStep("", None), RetentionStep("session", None)]
