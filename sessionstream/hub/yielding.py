"""Decides when publishers yield to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sessionstream.types import UIEvent

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
    """

    __slots__ = ("_bytes", "_yielding", "events")

    def __init__(self) -> None:
        self.events = 0
        self._bytes = 0
        self._yielding = asyncio.Lock()

    def fanned_out(self, events: Sequence[UIEvent]) -> None:
        """Count the bytes of UI events that were fanned out."""
        for event in events:
            self._bytes += event.payload.ByteSize()

    def waited(self) -> None:
        """Uncount an event whose publisher waited for the store, as the event loop ran meanwhile."""
        if self.events:
            self.events -= 1

    def is_spent(self) -> bool:
        """Whether the next event has to wait for ``renew``."""
        return self.events >= MAX_EVENTS or self._bytes >= MAX_BYTES

    async def renew(self) -> None:
        """Yield to the event loop once for each ``MAX_EVENTS`` or ``MAX_BYTES`` that were published.

        Publishers that come meanwhile wait too, and continue in the order of arrival; otherwise they would publish
        more while the first of them yields.
        """
        async with self._yielding:
            rounds = max(self.events // MAX_EVENTS, self._bytes // MAX_BYTES)
            if rounds:
                self.events, self._bytes = 0, MAX_BYTES  # spent until it has yielded
                try:
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                finally:
                    self._bytes -= MAX_BYTES
