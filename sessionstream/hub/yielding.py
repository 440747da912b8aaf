"""Decides when publishers yield to the event loop."""

from __future__ import annotations

import asyncio
from typing import Final

MAX_EVENTS: Final = 32
"""How many events may be published without suspending before publishers yield: publishing to a memory store never
suspends, so a handler that publishes in a loop would block the event loop."""

MAX_BYTES: Final = 131_072
"""How many bytes may be fanned out before publishers yield, so that the event loop can write them to the clients."""

EVENT_COST: Final = MAX_BYTES // MAX_EVENTS
"""How many bytes an event counts for in addition to those of its UI events."""


class YieldBudget:
    """Counts what was published since the last yield to the event loop, over all sessions of a hub.

    It belongs to one event loop. If ``spent`` has reached ``MAX_BYTES``, the next event has to wait for ``renew``.

    Attributes:
        spent: bytes of UI events that were fanned out, and ``EVENT_COST`` for each event that was published without
            suspending.
    """

    __slots__ = ("_yielding", "spent")

    def __init__(self) -> None:
        self.spent: int = 0
        self._yielding = asyncio.Lock()

    async def renew(self) -> None:
        """Yield to the event loop once for each ``MAX_BYTES`` that were spent.

        Publishers that come meanwhile wait too, and continue in the order of arrival; otherwise they would publish
        more while the first of them yields.
        """
        async with self._yielding:
            rounds = self.spent // MAX_BYTES
            if rounds:
                self.spent = MAX_BYTES  # until it has yielded
                try:
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                finally:
                    self.spent -= MAX_BYTES
