"""The EventBus port as a test suite."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Any, ClassVar, Final, TypeVar

import pytest

from sessionstream.bus import BusMessage, EventBus, Subscription
from sessionstream.errors import BusError
from sessionstream.testing.contract.base import named_as

Self = TypeVar("Self", bound="BusContract")

_numbers: Final = count()


def message(body: str = "body", *, key: str = "session", **metadata: str) -> BusMessage:
    """Return a message with a new id."""
    return BusMessage(body.encode(), metadata, key, f"message-{next(_numbers)}")


class Receiver:
    """A handler that records its messages, and blocks or fails at chosen ones."""

    def __init__(self) -> None:
        self.begun: list[BusMessage] = []
        self.done: list[BusMessage] = []
        self.failing: set[bytes] = set()
        self._changed = asyncio.Event()
        self._held: dict[bytes, asyncio.Event] = {}

    def hold(self, body: str) -> asyncio.Event:
        """Block at messages with this body until the returned event is set."""
        self._held[body.encode()] = event = asyncio.Event()
        return event

    async def __call__(self, given: BusMessage) -> None:
        self.begun.append(given)
        self._changed.set()
        if given.body in self._held:
            await self._held[given.body].wait()
        if given.body in self.failing:
            raise ValueError(f"failed on {given.body.decode()}")
        self.done.append(given)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the received messages holds."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def bodies(self, key: str | None = None) -> list[str]:
        """Return the bodies of the handled messages, as strings."""
        return [each.body.decode() for each in self.done if key in (None, each.key)]


def on_fresh_bus(test: Callable[[Self, Any], Coroutine[Any, Any, None]]) -> Callable[[Self], None]:
    """Turn ``async def test_…(self, bus)`` into a plain test that opens a bus and runs the coroutine."""

    def run(self: Self) -> None:
        async def with_bus() -> None:
            async with asyncio.timeout(self.patience), self.open() as bus:
                await test(self, bus)

        asyncio.run(with_bus())

    return named_as(test, run)


class BusContract:
    """Tests of everything that ``sessionstream.bus.EventBus`` promises; pytest collects them from a subclass.

    Override ``open``: it returns an async context manager that enters a fresh, empty bus and closes it at the end.
    """

    patience: ClassVar[float] = 30.0
    """Timeout of each test, in seconds."""

    def open(self) -> AbstractAsyncContextManager[EventBus]:
        """Return an async context manager that enters a fresh, empty bus and closes it at the end."""
        raise NotImplementedError(f"{type(self).__name__} does not override open, which returns its bus")

    @on_fresh_bus
    async def test_a_message_arrives_as_it_was(self, bus: EventBus) -> None:
        receiver = Receiver()
        sent = message('{"name": "Ünïcode\\u0000"}', color="blue", empty="")
        subscription = await bus.subscribe(receiver)
        await bus.publish(sent)
        await receiver.until(lambda: bool(receiver.done))
        (given,) = receiver.done
        assert (given.body, given.key, given.message_id) == (sent.body, sent.key, sent.message_id)
        assert {**given.metadata, **sent.metadata} == dict(given.metadata)
        await subscription.close()

    @on_fresh_bus
    async def test_what_is_published_before_anybody_subscribes_is_kept(self, bus: EventBus) -> None:
        for body in "abc":
            await bus.publish(message(body))
        receiver = Receiver()
        subscription = await bus.subscribe(receiver)
        await receiver.until(lambda: len(receiver.done) == 3)
        assert receiver.bodies() == ["a", "b", "c"]
        await subscription.close()

    @on_fresh_bus
    async def test_a_key_stays_in_order_and_never_overlaps(self, bus: EventBus) -> None:
        receiver = Receiver()
        subscription = await bus.subscribe(receiver)
        expected = [str(number) for number in range(100)]
        for body in expected:
            for key in "xyz":
                await bus.publish(message(body, key=key))
        await receiver.until(lambda: len(receiver.done) == 300)
        for key in "xyz":
            assert receiver.bodies(key) == expected
        await subscription.close()

    @on_fresh_bus
    async def test_the_next_of_a_key_waits_and_other_keys_do_not(self, bus: EventBus) -> None:
        receiver = Receiver()
        held = receiver.hold("slow")
        subscription = await bus.subscribe(receiver)
        await bus.publish(message("slow"))
        await bus.publish(message("after"))
        for number in range(20):
            await bus.publish(message("other", key=f"key {number}"))
        await receiver.until(lambda: len(receiver.done) == 20)
        assert [each.body for each in receiver.begun].count(b"after") == 0
        held.set()
        await receiver.until(lambda: len(receiver.done) == 22)
        assert receiver.bodies("session") == ["slow", "after"]
        await subscription.close()

    @on_fresh_bus
    async def test_closing_finishes_what_was_begun_and_leaves_the_rest(self, bus: EventBus) -> None:
        first, second = Receiver(), Receiver()
        held = first.hold("a")
        subscription = await bus.subscribe(first)
        for body in "abc":
            await bus.publish(message(body))
        await first.until(lambda: bool(first.begun))
        closing = asyncio.create_task(subscription.close())
        await asyncio.sleep(0)
        assert not closing.done()
        held.set()
        await closing
        await subscription.close()
        await subscription.wait()
        assert first.bodies() == ["a"]
        again = await bus.subscribe(second)
        await second.until(lambda: len(second.done) == 2)
        assert second.bodies() == ["b", "c"]
        await again.close()

    @on_fresh_bus
    async def test_a_handler_that_raises_ends_its_subscription_and_loses_nothing(self, bus: EventBus) -> None:
        broken, sound = Receiver(), Receiver()
        broken.failing.add(b"b")
        subscription = await bus.subscribe(broken)
        for body in "abc":
            await bus.publish(message(body))
        with pytest.raises(BusError, match="failed on b"):
            await subscription.wait()
        assert broken.bodies() == ["a"]
        again = await bus.subscribe(sound)
        await sound.until(lambda: len(sound.done) == 2)
        assert sound.bodies() == ["b", "c"]
        assert sound.done[0].message_id == broken.begun[-1].message_id
        await subscription.close()
        await again.close()

    @on_fresh_bus
    async def test_subscribers_share_the_messages(self, bus: EventBus) -> None:
        receiver = Receiver()
        subscriptions: list[Subscription] = [await bus.subscribe(receiver), await bus.subscribe(receiver)]
        for number in range(40):
            for key in ("one", "two", "three", "four"):
                await bus.publish(message(str(number), key=key))
        await receiver.until(lambda: len(receiver.done) == 160)
        assert len({each.message_id for each in receiver.begun}) == len(receiver.begun) == 160
        for key in ("one", "two", "three", "four"):
            assert receiver.bodies(key) == [str(number) for number in range(40)]
        for subscription in subscriptions:
            await subscription.close()

    @on_fresh_bus
    async def test_closing_one_of_two_leaves_its_keys_to_the_other(self, bus: EventBus) -> None:
        receivers = [Receiver(), Receiver()]
        subscriptions = [await bus.subscribe(each) for each in receivers]
        await subscriptions[0].close()
        for key in ("one", "two", "three", "four"):
            await bus.publish(message(key, key=key))
        await receivers[1].until(lambda: len(receivers[1].done) == 4)
        assert receivers[0].begun == []
        await subscriptions[1].close()
