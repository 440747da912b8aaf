"""Every bus of this distribution keeps the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from sessionstream.bus import STREAM_ID, BusMessage, EventBus
from sessionstream.buses.memory import MemoryBus
from sessionstream.errors import BusError
from sessionstream.testing.bus_contract import BusContract, Receiver, message


@asynccontextmanager
async def memory() -> AsyncIterator[EventBus]:
    bus = MemoryBus()
    yield bus
    await bus.close()
    assert len(bus) == 0


class TestMemoryBus(BusContract):
    def open(self) -> AbstractAsyncContextManager[EventBus]:
        return memory()


@pytest.mark.parametrize("wrong", [{"capacity": 0}, {"at_once": 0}, {"capacity": -3}])
def test_numbers_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MemoryBus(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"capacity": "a"}, {"capacity": 1.5}, {"at_once": True}])
def test_numbers_that_are_none(wrong: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="is a number of messages"):
        MemoryBus(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [3, "id", b"x"])
def test_stream_ids_come_from_a_function(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^stream_ids is a function"):
        MemoryBus(stream_ids=wrong)


async def test_what_is_no_message_and_no_handler() -> None:
    with pytest.raises(TypeError, match="takes a BusMessage"):
        await MemoryBus().publish(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a function"):
        await MemoryBus().subscribe(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"body": "text"}, {"body": None}, {"metadata": None}, {"metadata": {"a": 1}}, {"key": 7}]
)
def test_a_message_of_other_types(wrong: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="of a message"):
        BusMessage(**{"body": b"", **wrong})  # type: ignore[arg-type]


async def test_a_full_bus_that_nobody_consumes_refuses() -> None:
    bus = MemoryBus(capacity=2)
    await bus.publish(message("a"))
    await bus.publish(message("b", key="other"))
    with pytest.raises(BusError, match=r"full.*nobody subscribes"):
        await bus.publish(message("c"))
    assert len(bus) == 2


async def test_a_full_bus_lets_publishers_wait() -> None:
    bus, receiver = MemoryBus(capacity=2), Receiver()
    held = receiver.hold("a")
    subscription = await bus.subscribe(receiver)
    await bus.publish(message("a"))
    await bus.publish(message("b"))
    waiting = [asyncio.create_task(bus.publish(message(body))) for body in "cd"]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    held.set()
    await asyncio.gather(*waiting)
    await receiver.until(lambda: len(receiver.done) == 4)
    assert receiver.bodies() == ["a", "b", "c", "d"]
    await subscription.close()


async def test_publishers_that_wait_in_vain_are_told() -> None:
    bus, receiver = MemoryBus(capacity=1), Receiver()
    held = receiver.hold("a")
    subscription = await bus.subscribe(receiver)
    await bus.publish(message("a"))
    waiting = asyncio.create_task(bus.publish(message("b")))
    await receiver.until(lambda: bool(receiver.begun))
    closing = asyncio.create_task(subscription.close())
    with pytest.raises(BusError, match="nobody subscribes"):
        await waiting
    held.set()
    await closing
    assert receiver.bodies() == ["a"]


async def test_a_closed_bus() -> None:
    bus, receiver = MemoryBus(capacity=1), Receiver()
    held = receiver.hold("a")
    subscription = await bus.subscribe(receiver)
    await bus.publish(message("a"))
    other = await bus.subscribe(Receiver())
    waiting = asyncio.create_task(bus.publish(message("b")))
    closing = asyncio.create_task(bus.close())
    await asyncio.sleep(0)
    held.set()
    await closing
    await bus.close()
    with pytest.raises(BusError, match=r"closed|nobody"):
        await waiting
    for refused in (bus.publish(message()), bus.subscribe(receiver)):
        with pytest.raises(BusError, match="is closed"):
            await refused
    for ended in (subscription, other):
        with pytest.raises(BusError, match="was closed"):
            await ended.wait()


async def test_only_so_many_at_once() -> None:
    bus, receiver = MemoryBus(at_once=3), Receiver()
    held = receiver.hold("x")
    subscription = await bus.subscribe(receiver)
    for number in range(10):
        await bus.publish(message("x", key=str(number)))
    await receiver.until(lambda: len(receiver.begun) == 3)
    await asyncio.sleep(0)
    assert len(receiver.begun) == 3
    held.set()
    await receiver.until(lambda: len(receiver.done) == 10)
    await subscription.close()


async def test_stream_ids() -> None:
    numbers = iter(range(10))
    bus, receiver = MemoryBus(stream_ids=lambda: f"7-{next(numbers)}"), Receiver()
    subscription = await bus.subscribe(receiver)
    await bus.publish(message("a", color="blue"))
    await bus.publish(message("b", **{STREAM_ID: "9-9"}))
    await bus.publish(message("c"))
    await receiver.until(lambda: len(receiver.done) == 3)
    assert [each.metadata[STREAM_ID] for each in receiver.done] == ["7-0", "9-9", "7-1"]
    assert receiver.done[0].metadata["color"] == "blue"
    await subscription.close()


async def test_a_handler_that_waited_for_something_cancelled_has_failed() -> None:
    bus, again = MemoryBus(), Receiver()

    async def wait_in_vain(_: BusMessage) -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    subscription = await bus.subscribe(wait_in_vain)
    await bus.publish(message("a"))
    with pytest.raises(BusError, match="CancelledError"):
        await subscription.wait()
    other = await bus.subscribe(again)
    await again.until(lambda: bool(again.done))
    await other.close()


def test_the_end_of_the_event_loop_leaves_the_message_in_the_bus() -> None:
    bus = MemoryBus()

    async def stuck() -> None:
        receiver = Receiver()
        receiver.hold("a")
        await bus.subscribe(receiver)
        await bus.subscribe(receiver)
        await bus.publish(message("a"))
        await receiver.until(lambda: bool(receiver.begun))

    asyncio.run(stuck())
    assert len(bus) == 1
