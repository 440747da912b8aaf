"""Processes that watch one session of a store that they share: each store here stands for a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import Hub, HydrationStore, UIEvent

from ..transport import notes

PATIENCE = 30.0

Store = TypeVar("Store", bound=HydrationStore)


class Fanout:
    """Notes what a hub says of the sessions that it watches, as a transport would.

    Attributes:
        told: (ordinal, text) for a UI event, ("resync", ordinal) for a snapshot that clients need.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Any, Any]] = []
        self._changed = asyncio.Condition()

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        for event in events:
            assert isinstance(event.payload, StringValue)
            self.told.append((ordinal, event.payload.value))

    def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
        self.told.append(("resync", ordinal))

    async def hears(self, *expected: tuple[Any, Any]) -> None:
        """Wait until exactly this was told since the last time."""
        await until(lambda: len(self.told) >= len(expected))
        told, self.told = self.told, []
        assert told == list(expected)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - others make it true
            await asyncio.sleep(0.01)


class Process(Generic[Store]):
    """A hub on a store of its own, with a fan-out that watches a session."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self.store = store
        self.hub = hub
        self.fanout = Fanout()
        hub.set_fanout(self.fanout)

    async def watch(self) -> None:
        self.hub.joined("s")
        await self.hub.states("s")

    async def tell(self, text: str, **step: Any) -> int:
        return await notes.publish(self.hub, "s", tell=[text], **step)
