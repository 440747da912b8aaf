"""Each bus breaks the promise that it is named for, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sessionstream import BusMessage, EventBus, MemoryBus
from sessionstream.bus import EVENT_ID, PUBLISHED_ORDINAL, SESSION_ID, STREAM_ID
from sessionstream.systemlab.broker import Broker
from sessionstream.systemlab.sabotage import buses

EIGHT = ("a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4")


def message(name: str) -> BusMessage:
    session = name[0]
    metadata = {EVENT_ID: name, SESSION_ID: session, PUBLISHED_ORDINAL: "0", STREAM_ID: f"1-{name[1]}"}
    return BusMessage(json.dumps({"sessionId": session}).encode(), metadata, session, name)


async def carried(
    wrap: Callable[[EventBus], EventBus], *, before: tuple[str, ...] = (), names: tuple[str, ...] = EIGHT
) -> list[BusMessage]:
    """What arrives over a bus: what is published before anybody subscribes, and what is published then."""
    broker, got = Broker(), list[BusMessage]()

    async def take(given: BusMessage) -> None:
        got.append(given)

    bus = wrap(broker)
    for name in before:
        await bus.publish(message(name))
    subscription = await bus.subscribe(take)
    for name in names:
        await bus.publish(message(name))
        assert await broker.settled()
    await subscription.close()
    await broker.close()
    return got


def names(messages: list[BusMessage]) -> list[str]:
    return [each.metadata[EVENT_ID] for each in messages]


async def test_one_that_works_changes_nothing() -> None:
    got = await carried(buses.BusThatWorks, before=("a0",))
    assert names(got) == ["a0", *EIGHT]
    assert got[1:] == [message(name) for name in EIGHT]


async def test_one_numbers_what_is_published() -> None:
    got = await carried(buses.BusThatNumbers)
    assert [each.metadata[PUBLISHED_ORDINAL] for each in got] == [str(n) for n in range(1, 9)]


async def test_one_drops_stream_ids() -> None:
    got = await carried(buses.BusThatDropsStreamIds)
    assert (names(got), {each.metadata[STREAM_ID] for each in got}) == (list(EIGHT), {""})


async def test_one_loses_every_third() -> None:
    assert names(await carried(buses.BusThatLoses)) == ["a1", "b1", "b2", "a3", "a4", "b4"]


async def test_one_drops_messages_without_a_subscriber() -> None:
    assert names(await carried(buses.BusThatForgets, before=("a0", "b0"))) == list(EIGHT)


async def test_one_that_forgets_does_so_again_after_a_subscriber_has_left() -> None:
    bus, got = buses.BusThatForgets(MemoryBus()), list[str]()

    async def take(given: BusMessage) -> None:
        got.append(given.metadata[EVENT_ID])

    subscription = await bus.subscribe(take)
    await subscription.close()
    await subscription.close()
    await bus.publish(message("a1"))
    again = await bus.subscribe(take)
    await again.close()
    assert got == []


async def test_one_renames_what_it_delivers_again() -> None:
    broker, got = Broker(), list[str]()

    async def take(given: BusMessage) -> None:
        got.append(given.metadata[EVENT_ID])

    broker.copies = 2
    bus = buses.BusThatRenames(broker)
    subscription = await bus.subscribe(take)
    await bus.publish(message("a1"))
    assert await broker.settled()
    await subscription.close()
    assert got == ["a1", "a1-again"]
    assert [each.deliveries for each in broker.history] == [2]


async def test_one_swaps_two_of_a_session() -> None:
    got = names(await carried(buses.BusThatSwaps))
    assert [name for name in got if name[0] == "a"] == ["a2", "a1", "a4", "a3"]
    assert [name for name in got if name[0] == "b"] == ["b2", "b1", "b4", "b3"]


async def test_one_misdelivers() -> None:
    got = await carried(buses.BusThatMisdelivers)
    assert names(got) == list(EIGHT)
    moved = [each for each in got if each.metadata[EVENT_ID][0] != each.metadata[SESSION_ID]]
    assert names(moved) == ["b3"]
    assert json.loads(moved[0].body)["sessionId"] == "a"


async def test_the_broker_keeps_what_nobody_takes() -> None:
    broker = Broker()
    await broker.publish(message("a1"))
    assert await broker.settled() is False
    assert (broker.waiting, [each.done for each in broker.history]) == (1, [False])


async def test_the_broker_does_not_wait_for_a_subscriber_that_failed() -> None:
    broker = Broker()

    async def fail(_given: BusMessage) -> None:
        raise ValueError("no")

    subscription = await broker.subscribe(fail)
    await broker.publish(message("a1"))
    with pytest.raises(Exception, match="no"):
        await subscription.wait()
    assert await broker.settled() is False
    await broker.close()
