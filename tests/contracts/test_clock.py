"""The clock of the testing kit: who sleeps, who wakes, in which order."""

from __future__ import annotations

import asyncio

from sessionstream.testing import ManualClock


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
