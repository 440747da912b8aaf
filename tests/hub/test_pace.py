"""Publishing gives way: to every 32nd event, and to what is fanned out by its size, whoever publishes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sessionstream import Event, Hub, SchemaRegistry, Session, TimelineView, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate, TokensDeltaEvent
from sessionstream.hub.pace import BYTES_A_TURN, EVENTS_A_TURN, Pace


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self.count += 1
        asyncio.get_running_loop().call_soon(self._turn)


class Telling:
    """A hub whose UI events are ``size`` bytes long, and how many turns there were before each was fanned out."""

    def __init__(self, size: int) -> None:
        schemas = SchemaRegistry()
        schemas.register_event("E", TokensDeltaEvent)
        schemas.register_ui_event("U", ChatMessageUpdate)
        self.size = size
        self.hub = Hub(schemas)
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
    telling = Telling(4 * BYTES_A_TURN)
    await way(telling, 5)
    assert all(after - before >= 4 for before, after in zip(telling.at, telling.at[1:], strict=False))


async def test_small_events_give_way_now_and_then() -> None:
    telling = Telling(1)
    await one_after_the_other(telling, 10 * EVENTS_A_TURN)
    assert telling.turns.count in (9, 10, 11)


async def test_a_known_event_that_is_published_again_and_again_gives_way_too() -> None:
    telling = Telling(1)
    for _ in range(10 * EVENTS_A_TURN):
        await telling.publish(event_id="the same")
    assert telling.turns.count in (9, 10, 11)


async def test_a_publisher_that_is_cancelled_while_it_gives_way_stops_nobody() -> None:
    telling = Telling(8 * BYTES_A_TURN)
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
        telling.append(Telling(8 * BYTES_A_TURN))
        await telling[0].publish()
        abandoned = asyncio.create_task(telling[0].publish())
        await asyncio.sleep(0)
        assert not abandoned.done()

    async def second() -> None:
        await asyncio.gather(*(telling[0].publish(f"s{number}") for number in range(3)))

    asyncio.run(first())
    asyncio.run(second())
    assert len(telling[0].at) == 4


async def test_without_a_debt_nothing_waits() -> None:
    turns, pace = Turns(), Pace()
    for _ in range(EVENTS_A_TURN - 1):
        await pace.give_way()
    assert turns.count == 0
