"""The lab's broker: a bus that records its messages, assigns stream ids, and may deliver a message twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from sessionstream import BusMessage, MemoryBus, MessageHandler, Subscription
from sessionstream.bus import EVENT_ID, EVENT_NAME, PUBLISHED_ORDINAL, SESSION_ID, STREAM_ID

PATIENCE: Final = 20.0
"""Seconds to wait at most until everything is delivered."""

StreamIds: TypeAlias = Callable[[str], str]
"""Returns the stream id of the next message of a session; empty if it has none."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A message and its deliveries.

    Attributes:
        number: its number in the order of publishing, from 1.
        published_ordinal: the ordinal that the publisher set.
        deliveries: how often it was delivered.
        done: whether a subscriber has handled it.
    """

    number: int
    session_id: str
    name: str
    event_id: str
    stream_id: str
    published_ordinal: str
    deliveries: int = 0
    done: bool = False


class Broker:
    """An EventBus around a ``MemoryBus`` that keeps a history of its messages.

    Attributes:
        stream_ids: returns the stream ids of further messages.
        copies: how many times further messages are delivered; a real broker may deliver any message more than once.
    """

    def __init__(self) -> None:
        self._bus = MemoryBus()
        self._history: dict[str, Carried] = {}
        self._accepted = 0
        self._finished = 0
        self._subscribers = 0
        self._changed = asyncio.Event()
        self.stream_ids: StreamIds = _none
        self.copies = 1

    @property
    def history(self) -> tuple[Carried, ...]:
        """All messages, in the order of publishing."""
        return tuple(self._history.values())

    @property
    def waiting(self) -> int:
        """How many deliveries have not been made or finished."""
        return self._accepted - self._finished

    async def publish(self, message: BusMessage, /) -> None:
        """Publish a message with a stream id from ``stream_ids``.

        Raises:
            BusError: as that of a MemoryBus.
        """
        given, stream_id = message.metadata, self.stream_ids(message.key)
        if stream_id:
            message = replace(message, metadata={**given, STREAM_ID: stream_id})
        self._history[message.message_id] = Carried(
            number=len(self._history) + 1,
            session_id=given.get(SESSION_ID, ""),
            name=given.get(EVENT_NAME, ""),
            event_id=given.get(EVENT_ID, ""),
            stream_id=stream_id,
            published_ordinal=given.get(PUBLISHED_ORDINAL, ""),
        )
        for _ in range(self.copies):
            self._accepted += 1
            await self._bus.publish(message)

    async def subscribe(self, handler: MessageHandler, /) -> Subscription:
        """Deliver messages to ``handler`` from now on, waiting ones first.

        Raises:
            BusError: as that of a MemoryBus.
        """

        async def deliver(message: BusMessage) -> None:
            self._note(message, lambda known: replace(known, deliveries=known.deliveries + 1))
            await handler(message)
            self._finished += 1
            self._note(message, lambda known: replace(known, done=True))

        subscription = _Watched(await self._bus.subscribe(deliver), self._left)
        self._subscribers += 1
        return subscription

    async def settled(self) -> bool:
        """Wait, at most PATIENCE, until all is delivered or no subscriber is left; return whether all is delivered."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self.waiting and self._subscribers:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return not self.waiting

    async def close(self) -> None:
        """End the subscriptions and accept no more messages."""
        await self._bus.close()

    def _note(self, message: BusMessage, change: Callable[[Carried], Carried]) -> None:
        self._history[message.message_id] = change(self._history[message.message_id])
        self._changed.set()

    def _left(self) -> None:
        self._subscribers -= 1
        self._changed.set()


class _Watched:
    """A subscription that tells the broker when it ends."""

    def __init__(self, inner: Subscription, left: Callable[[], None]) -> None:
        self._inner = inner
        self._left = left
        self._open = True

    async def wait(self) -> None:
        """Return when it is closed; raise BusError when it ended by itself."""
        try:
            await self._inner.wait()
        finally:
            self._leave()

    async def close(self) -> None:
        """Deliver no more messages, and wait for those in progress."""
        await self._inner.close()
        self._leave()

    def _leave(self) -> None:
        if self._open:
            self._open = False
            self._left()


def _none(_session_id: str) -> str:
    return ""
