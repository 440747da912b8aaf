"""Decides when publishers yield to the event loop."""

from __future__ import annotations

import asyncio
from typing import Final

MAX_EVENTS: Final = 32
"""How many events may be published without suspending before publishers yield: publishing to a memory store never
suspends, so a handler that publishes in a loop would block the event loop."""

MAX_BYTES: Final = 131_072
"""How many bytes may be fanned out before publishers yield, so that the event loop can write them to the clients."""


class YieldBudget:
    """Counts the events and bytes published since the last yield to the event loop, over all sessions of a hub.

    It belongs to one event loop.

    Attributes:
        events: how many events were published without suspending.
        bytes: how many bytes of UI events were fanned out.
    """

    __slots__ = ("_yielding", "bytes", "events")

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self._yielding = asyncio.Lock()

    def is_spent(self) -> bool:
        """Whether the next event has to wait for ``renew``."""
        return self.events >= MAX_EVENTS or self.bytes >= MAX_BYTES

    async def renew(self) -> None:
        """Yield to the event loop once for each ``MAX_EVENTS`` or ``MAX_BYTES`` that were published.

        Publishers that come meanwhile wait too, and continue in the order of arrival; otherwise they would publish
        more while the first of them yields.
        """
        async with self._yielding:
            rounds = max(self.events // MAX_EVENTS, self.bytes // MAX_BYTES)
            if rounds:
                self.events, self.bytes = 0, MAX_BYTES  # spent until it has yielded
                try:
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                finally:
                    self.bytes -= MAX_BYTES
