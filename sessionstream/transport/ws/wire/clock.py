"""Time as the server uses it, so that a test can bring its own."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Return seconds that only go forward."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many of them."""
        ...


class MonotonicClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep in the event loop."""
        await asyncio.sleep(seconds)
