"""Buses that break a guarantee of buses, or a guarantee of the framework about events from a bus.

Each wraps a correct bus, and acknowledges each message at once, like a bus that acknowledges too early.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from sessionstream import BusMessage, EventBus, MessageHandler, Subscription
from sessionstream.bus import EVENT_ID, PUBLISHED_ORDINAL, SESSION_ID, STREAM_ID

EVERY: Final = 3
"""Of every so many messages, the last is affected."""


class BusThatWorks:
    """Forwards to another bus; each subclass changes one behaviour."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    async def publish(self, message: BusMessage, /) -> None:
        """Publish a message."""
        await self._bus.publish(message)

    async def subscribe(self, handler: MessageHandler, /) -> Subscription:
        """Deliver messages to ``handler`` from now on."""
        return await self._bus.subscribe(partial(self.deliver, handler))

    async def deliver(self, handler: MessageHandler, message: BusMessage) -> None:
        """Deliver one message."""
        await handler(message)


class BusThatNumbers(BusThatWorks):
    """Publishes events with ordinals, as if these were already assigned."""

    def __init__(self, bus: EventBus) -> None:
        super().__init__(bus)
        self._number = 0

    async def publish(self, message: BusMessage, /) -> None:
        """Publish a message with an invented ordinal."""
        self._number += 1
        await super().publish(_with(message, PUBLISHED_ORDINAL, str(self._number)))


class BusThatDropsStreamIds(BusThatWorks):
    """Delivers messages without their stream ids."""

    async def deliver(self, handler: MessageHandler, message: BusMessage) -> None:
        """Deliver a message without its stream id."""
        await handler(_with(message, STREAM_ID, ""))


class BusThatLoses(BusThatWorks):
    """Acknowledges every third message without delivering it."""

    def __init__(self, bus: EventBus) -> None:
        super().__init__(bus)
        self._seen = 0

    async def deliver(self, handler: MessageHandler, message: BusMessage) -> None:
        """Deliver a message, except every third."""
        self._seen += 1
        if self._seen % EVERY:
            await handler(message)


class BusThatForgets(BusThatWorks):
    """Drops messages that are published without a subscriber."""

    def __init__(self, bus: EventBus) -> None:
        super().__init__(bus)
        self._subscribers = 0
        self._forgotten: set[str] = set()

    async def publish(self, message: BusMessage, /) -> None:
        """Accept a message, and drop it if there is no subscriber."""
        if not self._subscribers:
            self._forgotten.add(message.message_id)
        await super().publish(message)

    async def subscribe(self, handler: MessageHandler, /) -> Subscription:
        """Deliver messages to ``handler`` from now on, without those that waited."""
        self._subscribers += 1
        return _Left(await super().subscribe(handler), self._leave)

    async def deliver(self, handler: MessageHandler, message: BusMessage) -> None:
        """Deliver a message that was published with a subscriber."""
        if message.message_id not in self._forgotten:
            await handler(message)

    def _leave(self) -> None:
        self._subscribers -= 1


class BusThatRenames(BusThatWorks):
    """Gives a message a new event id when it delivers it again, so that it is not recognised as a repeat."""

    def __init__(self, bus: EventBus) -> None:
        super().__init__(bus)
        self._seen: set[str] = set()

    async def deliver(self, handler: MessageHandler, message: BusMessage) -> None:
        """Deliver a message, with another event id if it was delivered before."""
        again = message.message_id in self._seen
        self._seen.add(message.message_id)
        await handler(_with(message, EVENT_ID, f"{message.metadata[EVENT_ID]}-again") if again else message)


class BusThatSwaps(BusThatWorks):
    """Delivers pairs of messages of a session in the wrong order, repeatedly."""

    def __init__(self, bus: EventBus) -> None:
        super().__init__(bus)
        self._kept: dict[str, BusMessage] = {}

    async def deliver(self, handler: MessageHandler, message: BusMessage) -> None:
        """Hold a message until the next one of its session was delivered."""
        earlier = self._kept.pop(message.key, None)
        if earlier is None:
            self._kept[message.key] = message
        else:
            await handler(message)
            await handler(earlier)


class BusThatMisdelivers(BusThatWorks):
    """Puts every third message into another session, the first that it saw."""

    def __init__(self, bus: EventBus) -> None:
        super().__init__(bus)
        self._seen = 0
        self._first = ""

    async def deliver(self, handler: MessageHandler, message: BusMessage) -> None:
        """Deliver a message, every third as one of another session."""
        self._seen += 1
        self._first = self._first or message.key
        await handler(message if self._seen % EVERY else _moved(message, self._first))


class _Left:
    """A subscription that calls a function when it is closed."""

    def __init__(self, inner: Subscription, left: Callable[[], None]) -> None:
        self._inner = inner
        self._left = left
        self._open = True

    async def wait(self) -> None:
        await self._inner.wait()

    async def close(self) -> None:
        await self._inner.close()
        if self._open:
            self._open = False
            self._left()


def _with(message: BusMessage, key: str, value: str) -> BusMessage:
    return replace(message, metadata={**message.metadata, key: value})


def _moved(message: BusMessage, session_id: str) -> BusMessage:
    body = json.loads(message.body) | {"sessionId": session_id}
    return replace(_with(message, SESSION_ID, session_id), body=json.dumps(body).encode())
