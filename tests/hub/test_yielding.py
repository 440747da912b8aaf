"""Publishers yield to the event loop after 32 events, and after a number of bytes that were fanned out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sessionstream import (
    Commit,
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    SchemaRegistry,
    Session,
    TimelineView,
    UIEvent,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate, TokensDeltaEvent
from sessionstream.hub.yielding import MAX_BYTES, MAX_EVENTS


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self.count += 1
        asyncio.get_running_loop().call_soon(self._turn)


class PatientStore(MemoryStore):
    """Answers each commit one turn of the event loop later."""

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        super().commit(commit).result()
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(outcome.set_result, None)
        return outcome


class Telling:
    """A hub whose UI events are ``size`` bytes long, and how many turns there were before each was fanned out."""

    def __init__(self, size: int, new_store: Callable[[SchemaRegistry], HydrationStore] = MemoryStore) -> None:
        schemas = SchemaRegistry()
        schemas.register_event("E", TokensDeltaEvent)
        schemas.register_ui_event("U", ChatMessageUpdate)
        self.size = size
        self.hub = Hub(schemas, store=new_store(schemas))
        self.hub.register_ui_projection(self._tell)
        self.hub.set_fanout(self._fan_out)
        self.turns = Turns()
        self.at: list[int] = []

    def _tell(self, event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        return [UIEvent("U", ChatMessageUpdate(text="x" * self.size))]

    def _fan_out(self, *_: object) -> None:
        self.at.append(self.turns.count)

    async def publish(self, session_id: str = "s", event_id: str = "") -> None:
        await self.hub.publish(Event("E", TokensDeltaEvent(), session_id, event_id=event_id))


async def one_after_the_other(telling: Telling, count: int) -> None:
    for _ in range(count):
        await telling.publish()


async def to_a_session_each(telling: Telling, count: int) -> None:
    for number in range(count):
        await telling.publish(f"s{number}")


async def all_at_once(telling: Telling, count: int) -> None:
    await asyncio.gather(*(telling.publish(f"s{number}") for number in range(count)))


@pytest.mark.parametrize("way", [one_after_the_other, to_a_session_each, all_at_once])
async def test_large_events_wait_until_those_before_could_be_written(
    way: Callable[[Telling, int], Awaitable[None]],
) -> None:
    telling = Telling(4 * MAX_BYTES)
    await way(telling, 5)
    assert all(after - before >= 4 for before, after in zip(telling.at, telling.at[1:], strict=False))


async def test_small_events_give_way_now_and_then() -> None:
    telling = Telling(1)
    await one_after_the_other(telling, 10 * MAX_EVENTS)
    assert telling.turns.count in (9, 10, 11)


async def test_a_known_event_that_is_published_again_and_again_gives_way_too() -> None:
    telling = Telling(1)
    for _ in range(10 * MAX_EVENTS):
        await telling.publish(event_id="the same")
    assert telling.turns.count in (9, 10, 11)


async def test_a_publisher_that_is_cancelled_while_it_gives_way_stops_nobody() -> None:
    telling = Telling(8 * MAX_BYTES)
    await telling.publish()
    waiting = [asyncio.create_task(telling.publish(f"s{number}")) for number in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert [task.cancelled() for task in waiting] == [True, True, False]
    assert [len(telling.at), (await telling.hub.snapshot("s0")).snapshot_ordinal] == [2, 0]


def test_a_hub_that_goes_on_in_another_event_loop_gives_way_there() -> None:
    telling: list[Telling] = []

    async def first() -> None:
        telling.append(Telling(8 * MAX_BYTES))
        await telling[0].publish()
        abandoned = asyncio.create_task(telling[0].publish())
        await asyncio.sleep(0)
        assert not abandoned.done()

    async def second() -> None:
        await asyncio.gather(*(telling[0].publish(f"s{number}") for number in range(3)))

    asyncio.run(first())
    asyncio.run(second())
    assert len(telling[0].at) == 4


async def test_publishers_that_wait_for_their_store_anyway_are_not_held_up() -> None:
    telling = Telling(1, PatientStore)
    await one_after_the_other(telling, 10 * MAX_EVENTS)
    assert telling.turns.count in range(20 * MAX_EVENTS - 1, 20 * MAX_EVENTS + 2)  # two turns each, and no more
