"""MemoryBus: an event bus within one process, for tests, for the lab, and for applications without a broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import replace
from typing import Final

from sessionstream.bus import STREAM_ID, BusMessage, MessageHandler
from sessionstream.errors import BusError, error_text

CAPACITY: Final = 10_000
"""Messages that the bus holds at most."""

AT_ONCE: Final = 256
"""Messages, each of another key, that a subscriber handles at the same time."""


class MemoryBus:
    """An EventBus of one event loop. Messages that are not handled are lost with the process.

    Several subscribers share the messages. While the bus is full, publishers wait; without a subscriber they are
    refused.
    """

    def __init__(
        self, *, capacity: int = CAPACITY, at_once: int = AT_ONCE, stream_ids: Callable[[], str] | None = None
    ) -> None:
        """Make an empty bus.

        Args:
            capacity: how many messages it holds.
            at_once: how many messages a subscriber handles at the same time.
            stream_ids: returns the stream id of each message that is published without one; without this function
                messages have none.

        Raises:
            ValueError: a number is not positive.
            TypeError: a number is not an int, or ``stream_ids`` is not a function.
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
        """Return how many messages are not finished."""
        return self._size

    async def publish(self, message: BusMessage, /) -> None:
        """Take a message; wait while the bus is full.

        Raises:
            BusError: the bus is closed, or full without a subscriber. It does not have the message.
            TypeError: it is not a BusMessage.
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
        self._wake_publishers()

    async def _wait_for_room(self) -> None:
        """Return when the bus is not full; raise BusError if it has no subscriber."""
        while self._size >= self._capacity:
            if not self._subscriptions:
                raise BusError(
                    f"the memory bus is full ({self._size} messages) and nobody subscribes: "
                    f"run a hub on it (async with hub), or give it a larger capacity"
                )
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._publishers.append(room)
            await room
            self._check_open()

    def _check_open(self) -> None:
        """Raise BusError if the bus is closed."""
        if self._closed:
            raise BusError("the memory bus is closed")

    def _work(self, key: str) -> None:
        """Start a task for the messages of a key, unless one runs or there is no subscriber."""
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
        """Give a subscriber the messages of a key until there are none, or its subscription ends."""
        waiting = self._waiting[key]
        cancelled = False
        try:
            async with subscription.slots:
                while waiting and subscription.open:
                    await subscription.handler(waiting[0])
                    waiting.popleft()
                    self._size -= 1
                    self._wake_publishers()
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
            elif not cancelled:  # only the end of the event loop cancels the task: start nothing new then
                self._work(key)

    def _wake_publishers(self) -> None:
        """Let waiting publishers check again whether there is room."""
        for room in self._publishers:
            if not room.done():
                room.set_result(None)
        self._publishers.clear()

    def forget(self, subscription: _Subscription) -> None:
        """Give a subscription no further messages."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._wake_publishers()  # without a subscriber there will be no room


class _Subscription:
    """One subscriber of a memory bus; see ``sessionstream.bus.Subscription``."""

    def __init__(self, bus: MemoryBus, handler: MessageHandler, at_once: int) -> None:
        self._bus = bus
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.handler = handler
        self.slots: asyncio.Semaphore = asyncio.Semaphore(at_once)
        self.tasks: set[asyncio.Task[None]] = set()
        # Of the subscriber: handlers do not see the publishers' context variables.
        self.context: Context = copy_context()

    @property
    def open(self) -> bool:
        """Whether it takes messages."""
        return not self._ended.done()

    def end(self, error: BaseException | None) -> None:
        """Take no further messages; an error is raised from ``wait``."""
        self._bus.forget(self)
        if self.open:
            self._ended.set_result(None) if error is None else self._ended.set_exception(_ended(error))
            self._ended.exception()  # marks the error as retrieved, in case no task waits

    async def wait(self) -> None:
        """Return when it is closed; raise BusError when the handler raised."""
        await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Take no further messages, and finish those that were started."""
        self.end(None)
        if self.tasks:
            await asyncio.wait(self.tasks)


def _ended(error: BaseException) -> BusError:
    """Return the error that ``wait`` raises."""
    if isinstance(error, BusError):
        return error
    ended = BusError(f"the subscriber failed: {error_text(error)}")
    ended.__cause__ = error
    return ended
