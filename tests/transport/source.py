"""A source of snapshots that a test can stop, fail, and move on; and its UI events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import Snapshot, TimelineEntity, UIEvent


def told(*texts: str) -> list[UIEvent]:
    return [UIEvent("Told", StringValue(value=text)) for text in texts]


class Source:
    """Timelines of entities that never change. Every call is recorded; ``gate`` stops the calls after it is set.

    Attributes:
        asked: ``(session_id, since)`` of every call, in order.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, int | None]] = []
        self.ordinals: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.entities: dict[str, int] = {}
        self.failure: Callable[[int | None], Exception | None] = lambda since: None
        self.running = 0
        self.most = 0
        self._gate: asyncio.Event | None = None
        self._entered = asyncio.Condition()

    def stop(self) -> None:
        self._gate = asyncio.Event()

    def go(self) -> None:
        assert self._gate is not None
        self._gate.set()
        self._gate = None

    async def calls(self, count: int) -> None:
        """Return when so many calls have come."""
        async with asyncio.timeout(10), self._entered:
            await self._entered.wait_for(lambda: len(self.asked) >= count)

    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        self.asked.append((session_id, since))
        async with self._entered:
            self._entered.notify_all()
        ordinal, epoch = self.ordinals.get(session_id, 0), self.epochs.get(session_id, 7)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self._gate is not None:
                await self._gate.wait()
        finally:
            self.running -= 1
        if error := self.failure(since):
            raise error
        count = self.entities.get(session_id, 0)
        entities = [
            TimelineEntity("Text", str(number), StringValue(value="x"), number, number)
            for number in range(1, count + 1)
            if number > (since or 0)
        ]
        return Snapshot(session_id, ordinal, tuple(entities), epoch)


class Watched:
    """Publishes to several sessions with rising ordinals for each."""

    def __init__(self, source: Source, publish: Callable[[str, int, Sequence[UIEvent]], None]) -> None:
        self._source = source
        self._publish = publish

    def publish(self, session_id: str = "s", *texts: str) -> int:
        ordinal = self._source.ordinals[session_id] = self._source.ordinals.get(session_id, 0) + 1
        self._publish(session_id, ordinal, told(*(texts or ("x",))))
        return ordinal
