"""Time that a test moves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that stands still until a test moves it, for ``WebSocketServer(…, clock=…)`` and ``connect(…, clock=…)``.

    Heartbeats, patience and the waits between two attempts to connect are then up to the test, and take no time. It
    belongs to one event loop.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._came = asyncio.Event()

    def now(self) -> float:
        """Return the seconds that the test has let pass."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when the test has let so many seconds pass; at once if there are none."""
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
        """Return when so many are asleep, not counting whoever ``advance`` has woken."""
        while sum(not woken.done() for _, woken in self._sleepers) < sleepers:
            self._came.clear()
            await self._came.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass. Who has slept long enough wakes when the test next waits, in the order of their moments."""
        self._now += seconds
        for until, woken in sorted(self._sleepers, key=lambda sleeper: sleeper[0]):
            if until <= self._now and not woken.done():
                woken.set_result(None)


class WallClock:
    """The time of day that a test moves, also back: ``MemoryStore(…, clock=…)``, ``SQLiteStore.open(…, clock=…)``.

    Attributes:
        now: what it shows.
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return what it shows."""
        return self.now

    def advance(self, time: timedelta) -> datetime:
        """Let time pass, or turn the clock back by a negative one; return what it shows then."""
        self.now += time
        return self.now
