"""Giving way: whoever publishes lets the rest of the event loop run now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sessionstream.types import UIEvent

EVENTS_A_TURN: Final = 32
"""After so many events others get to run: publishing to memory never waits for anything, so a handler that publishes
in a loop would keep the event loop to itself."""

BYTES_A_TURN: Final = 131_072
"""For so many bytes that are fanned out the event loop gets a turn to write them, and clients in it to read them."""


class Pace:
    """Counts what is published, over all sessions of a hub, since the event loop last had a turn.

    It belongs to one event loop.
    """

    __slots__ = ("_bytes", "_events", "_giving")

    def __init__(self) -> None:
        self._events = 0
        self._bytes = 0
        self._giving = asyncio.Lock()

    def fanned_out(self, events: Sequence[UIEvent]) -> None:
        """Take note of UI events that went to the fan-out."""
        self._bytes += sum([event.payload.ByteSize() for event in events])

    async def give_way(self) -> None:
        """To be called before every event: let the loop have the turns that are due.

        Whoever comes meanwhile waits as well, and goes on in the order of arrival: else several publishers would do at
        once what each of them waits for.
        """
        self._events += 1
        if self._events < EVENTS_A_TURN and self._bytes < BYTES_A_TURN and not self._giving.locked():
            return
        async with self._giving:
            turns = max(self._events // EVENTS_A_TURN, self._bytes // BYTES_A_TURN)
            if turns:
                self._events = self._bytes = 0
            for _ in range(turns):
                await asyncio.sleep(0)
