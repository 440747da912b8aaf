"""A bus within one process: for tests, for the lab, and to have a consumer before there is a broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from typing import Final

from sessionstream.bus import STREAM_ID, BusMessage, MessageHandler
from sessionstream.errors import BusError, words

CAPACITY: Final = 10_000
"""How many messages wait at most."""

AT_ONCE: Final = 256
"""How many messages, each of another key, a subscriber is given at the same time."""


class MemoryBus:
    """An EventBus of one event loop. Messages that nobody has taken are gone with the process.

    Several subscribers share the messages. A full bus lets publishers wait for the subscribers, and refuses them if
    there are none.
    """

    def __init__(
        self, *, capacity: int = CAPACITY, at_once: int = AT_ONCE, stream_ids: Callable[[], str] | None = None
    ) -> None:
        """Make an empty bus.

        Args:
            capacity: how many messages it holds.
            at_once: how many messages a subscriber is given at the same time.
            stream_ids: returns the stream id of each message that is published without one; without this function
                messages have none.

        Raises:
            ValueError: a number is not positive.
            TypeError: a number is none, or ``stream_ids`` no function.
        """
        for name, number in (("capacity", capacity), ("at_once", at_once)):
            if type(number) is bool or not isinstance(number, int):
                raise TypeError(f"{name} is a number of messages, not {number!r}")
        if capacity < 1 or at_once < 1:
            raise ValueError(f"capacity and at_once are at least 1, not {capacity} and {at_once}")
        if stream_ids is not None and not callable(stream_ids):
            raise TypeError(f"stream_ids is a function that returns a str, or None, not {stream_ids!r}")
        self._capacity = capacity
        self._at_once = at_once
        self._stream_ids = stream_ids
        self._waiting: dict[str, deque[BusMessage]] = {}
        self._working: dict[str, asyncio.Task[None]] = {}
        self._subscriptions: list[_Subscription] = []
        self._size = 0
        self._turn = 0
        self._closed = False
        self._publishers: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        """How many messages are not finished."""
        return self._size

    async def publish(self, message: BusMessage, /) -> None:
        """Take a message; wait while the bus is full.

        Raises:
            BusError: the bus is closed, or full while nobody subscribes. It does not have the message.
            TypeError: it is no BusMessage.
        """
        if not isinstance(message, BusMessage):
            raise TypeError(f"publish takes a BusMessage, not {message!r}")
        self._check_open()
        if self._size >= self._capacity:
            await self._wait_for_room()
        if self._stream_ids is not None and not message.metadata.get(STREAM_ID):
            message = replace(message, metadata={**message.metadata, STREAM_ID: self._stream_ids()})
        self._size += 1
        self._waiting.setdefault(message.key, deque()).append(message)
        self._work(message.key)

    async def subscribe(self, handler: MessageHandler, /) -> _Subscription:
        """Give messages to ``handler`` from now on, those that wait first.

        Raises:
            BusError: the bus is closed.
            TypeError: ``handler`` cannot be called.
        """
        if not callable(handler):
            raise TypeError(f"subscribe takes a function of a message, not {handler!r}")
        self._check_open()
        subscription = _Subscription(self, handler, self._at_once)
        self._subscriptions.append(subscription)
        for key in list(self._waiting):
            self._work(key)
        return subscription

    async def close(self) -> None:
        """End the subscriptions, with BusError, and take nothing more. Closing twice is allowed."""
        self._closed = True
        ended = list(self._subscriptions)
        for subscription in ended:
            subscription.end(BusError("the memory bus was closed"))
        for subscription in ended:
            await subscription.close()
        self._tell_publishers()

    async def _wait_for_room(self) -> None:
        while self._size >= self._capacity:
            if not self._subscriptions:
                raise BusError(
                    f"the memory bus is full ({self._size} messages) and nobody subscribes: "
                    f"run a hub on it (async with hub), or give it a larger capacity"
                )
            told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._publishers.append(told)
            await told
            self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("the memory bus is closed")

    def _work(self, key: str) -> None:
        """See to it that somebody works on the messages of a key."""
        if key in self._working or not self._subscriptions:
            return
        self._turn += 1
        subscription = self._subscriptions[self._turn % len(self._subscriptions)]
        task = asyncio.get_running_loop().create_task(
            self._drain(key, subscription), context=subscription.context.copy()
        )
        self._working[key] = task
        subscription.tasks.add(task)

    async def _drain(self, key: str, subscription: _Subscription) -> None:
        """Give a subscriber the messages of a key, as long as it takes them."""
        waiting = self._waiting[key]
        cancelled = False
        try:
            async with subscription.slots:
                while waiting and subscription.open:
                    await subscription.handler(waiting[0])
                    waiting.popleft()
                    self._size -= 1
                    self._tell_publishers()
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            cancelled = task is not None and task.cancelling() > 0
            subscription.end(error)
            if cancelled:
                raise
        finally:
            subscription.tasks.discard(self._working.pop(key))
            if not waiting:
                del self._waiting[key]
            elif not cancelled:  # cancelled it is only by the end of the event loop: begin nothing more in that
                self._work(key)

    def _tell_publishers(self) -> None:
        for told in self._publishers:
            if not told.done():
                told.set_result(None)
        self._publishers.clear()

    def forget(self, subscription: _Subscription) -> None:
        """Give it no more messages."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._tell_publishers()  # whoever waits for room may wait in vain now


class _Subscription:
    """One subscriber of a memory bus; see ``sessionstream.bus.Subscription``."""

    def __init__(self, bus: MemoryBus, handler: MessageHandler, at_once: int) -> None:
        self._bus = bus
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.handler = handler
        self.slots = asyncio.Semaphore(at_once)
        self.tasks: set[asyncio.Task[None]] = set()
        self.context = copy_context()  # of the subscriber: what publishers have in theirs is not its business

    @property
    def open(self) -> bool:
        """Whether it takes messages."""
        return not self._ended.done()

    def end(self, error: BaseException | None) -> None:
        """Take no more messages; an error is raised from ``wait``."""
        self._bus.forget(self)
        if self.open:
            self._ended.set_result(None) if error is None else self._ended.set_exception(_ended(error))
            self._ended.exception()  # it need not be waited for

    async def wait(self) -> None:
        """Return when it is closed; raise BusError when the handler raised."""
        await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Take no more messages, and finish those that were begun."""
        self.end(None)
        if self.tasks:
            await asyncio.wait(self.tasks)


def _ended(error: BaseException) -> BusError:
    if isinstance(error, BusError):
        return error
    ended = BusError(f"the subscriber failed: {words(error)}")
    ended.__cause__ = error
    return ended
