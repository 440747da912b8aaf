"""Time that a test moves."""

from __future__ import annotations

import asyncio

SHORT = 600.0
"""Seconds; whoever sleeps less is woken at once, and the time has passed."""


class MovedClock:
    """A clock on which short sleeps take no time, and long ones last until the test says so."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self._sleeping: list[tuple[float, asyncio.Future[None]]] = []
        self._asleep = asyncio.Event()
        self._slept = asyncio.Event()

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if seconds < SHORT:
            self.slept.append(seconds)
            self._slept.set()
            self.time += seconds
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping.append((self.time + seconds, woken))
        self._asleep.set()
        await woken

    async def asleep(self) -> None:
        """Return when somebody sleeps long."""
        self._sleeping = [(until, woken) for until, woken in self._sleeping if not woken.done()]
        if not self._sleeping:
            self._asleep.clear()
            await self._asleep.wait()

    async def slept_times(self, times: int) -> None:
        """Return when there have been so many short sleeps."""
        while len(self.slept) < times:
            self._slept.clear()
            await self._slept.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        for until, woken in self._sleeping:
            if until <= self.time and not woken.done():
                woken.set_result(None)
        self._sleeping = [(until, woken) for until, woken in self._sleeping if not woken.done()]
