"""The clock of the testing kit: who sleeps, who wakes, in which order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sessionstream import MemoryStore, SQLiteStore
from sessionstream.testing import ManualClock, WallClock, sample_registry


async def test_time_stands_still_until_the_test_moves_it() -> None:
    clock, woken = ManualClock(), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sleeper(*who)) for who in (("late", 20.0), ("never", 60.0), ("early", 10.0))]
        await clock.asleep(3)
        assert (clock.now(), woken) == (0.0, [])
        clock.advance(9.5)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(15.5)
        await asyncio.wait([tasks[0], tasks[2]])
        assert woken == [("early", 25.0), ("late", 25.0)]
        tasks[1].cancel()
    assert clock.now() == 25.0


async def test_who_was_woken_or_cancelled_does_not_count_as_asleep() -> None:
    clock = ManualClock()
    first, second = asyncio.create_task(clock.sleep(1)), asyncio.create_task(clock.sleep(1))
    await clock.asleep(2)
    clock.advance(1)
    asleep = asyncio.create_task(clock.asleep())
    await asyncio.wait([first, second])
    assert not asleep.done()
    third = asyncio.create_task(clock.sleep(1))
    await asleep
    third.cancel()
    await asyncio.wait([third])
    asleep = asyncio.create_task(clock.asleep())
    await asyncio.sleep(0)
    assert not asleep.done()
    asleep.cancel()


async def test_no_time_passes_at_once() -> None:
    clock = ManualClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.now() == 0.0


def test_a_wall_clock_goes_where_the_test_puts_it() -> None:
    clock = WallClock(datetime(2026, 1, 1, tzinfo=UTC))
    assert clock.advance(timedelta(days=2)) == clock() == datetime(2026, 1, 3, tzinfo=UTC)
    assert clock.advance(timedelta(days=-3)) == clock.now == datetime(2025, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize("wrong", [None, 5, datetime(2026, 1, 1, tzinfo=UTC)], ids=repr)
def test_what_is_no_clock_of_a_store(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^clock is a function"):
        MemoryStore(sample_registry(), clock=wrong)
    with pytest.raises(TypeError, match=r"^clock is a function"):
        SQLiteStore.open(tmp_path / "x.db", sample_registry(), clock=wrong)
