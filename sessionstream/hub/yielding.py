"""When publishers let the rest of the event loop run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sessionstream.types import UIEvent

MAX_EVENTS: Final = 32
"""Events whose publisher never waited, after which others run: publishing to memory never waits for anything, so a
handler that publishes in a loop would keep the event loop to itself."""

MAX_BYTES: Final = 131_072
"""Bytes that were fanned out, after which the event loop runs to write them, and the clients in it to read them."""


class YieldBudget:
    """Counts what was published, over all sessions of a hub, since the event loop last ran.

    It belongs to one event loop.

    Attributes:
        events: published without waiting for anything.
    """

    __slots__ = ("_bytes", "_yielding", "events")

    def __init__(self) -> None:
        self.events = 0
        self._bytes = 0
        self._yielding = asyncio.Lock()

    def fanned_out(self, events: Sequence[UIEvent]) -> None:
        """Count UI events that went to the fan-out."""
        for event in events:
            self._bytes += event.payload.ByteSize()

    def waited(self) -> None:
        """Take back an event whose publisher has waited for its store: others ran meanwhile."""
        if self.events:
            self.events -= 1

    def is_spent(self) -> bool:
        """Whether the next event has to wait for ``renew``."""
        return self.events >= MAX_EVENTS or self._bytes >= MAX_BYTES or self._yielding.locked()

    async def renew(self) -> None:
        """Let the event loop run as often as is due.

        Whoever comes meanwhile waits as well, and goes on in the order of arrival: otherwise several publishers would
        do at once what each of them waits for.
        """
        async with self._yielding:
            rounds = max(self.events // MAX_EVENTS, self._bytes // MAX_BYTES)
            if rounds:
                self.events = self._bytes = 0
            for _ in range(rounds):
                await asyncio.sleep(0)
