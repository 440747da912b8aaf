"""Clocks that a test advances."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that only a test advances, for ``WebSocketServer(…, clock=…)`` and ``connect(…, clock=…)``.

    The test then decides when heartbeats, timeouts and pauses between connection attempts end, and they take no real
    time. A clock is used in one event loop.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._came = asyncio.Event()

    def now(self) -> float:
        """Return the seconds by which the test has advanced the clock."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced the clock by so many seconds; zero or less only yields to the event loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = (self._now + seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._came.set()
        try:
            await sleeper[1]
        finally:
            self._sleepers.remove(sleeper)

    async def asleep(self, sleepers: int = 1) -> None:
        """Wait until so many tasks are in ``sleep``, not counting those that ``advance`` has woken."""
        while sum(not woken.done() for _, woken in self._sleepers) < sleepers:
            self._came.clear()
            await self._came.wait()

    def advance(self, seconds: float) -> None:
        """Advance the clock. Sleepers that are due wake when the test next awaits, in the order of their times."""
        self._now += seconds
        for until, woken in sorted(self._sleepers, key=lambda sleeper: sleeper[0]):
            if until <= self._now and not woken.done():
                woken.set_result(None)


class WallClock:
    """A time of day that a test sets, for ``MemoryStore(…, clock=…)`` and ``SQLiteStore.open(…, clock=…)``.

    Attributes:
        now: the current time.
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now: datetime = now

    def __call__(self) -> datetime:
        """Return the current time."""
        return self.now

    def advance(self, time: timedelta) -> datetime:
        """Advance the clock, or set it back if ``time`` is negative; return the new time."""
        self.now += time
        return self.now
