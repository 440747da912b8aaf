"""Time that a test moves, for clients: short sleeps to look around, long ones until they come back."""

from __future__ import annotations

import asyncio

from sessionstream.testing import ManualClock

SHORT = 600.0
"""Seconds; whoever sleeps less is woken at once, and the time has passed."""


class MovedClock(ManualClock):
    """A clock on which short sleeps take no time, and long ones last until the test ends them."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self._slept = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds >= SHORT:
            await super().sleep(seconds)
            return
        self.slept.append(seconds)
        self._slept.set()
        self.advance(seconds)
        await asyncio.sleep(0)

    async def slept_times(self, times: int) -> None:
        """Return when there have been so many short sleeps."""
        while len(self.slept) < times:
            self._slept.clear()
            await self._slept.wait()
