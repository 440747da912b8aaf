"""Cancellation at every point at which a call on a bus suspends: no event is lost or applied twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import pytest

from sessionstream import BusError, BusMessage, HubClosed, MemoryBus, MemoryStore, MessageHandler, Subscription

from .support import App, Recorder, Store, registry, said, soon, until

TURNS = 400
"""More than any call here takes; a test asserts that it ended before."""


class SlowSubscription:
    """A subscription whose every method waits before and after its work."""

    def __init__(self, inner: Subscription) -> None:
        self.inner = inner

    async def wait(self) -> None:
        await asyncio.sleep(0)
        await self.inner.wait()

    async def close(self) -> None:
        await asyncio.sleep(0)
        await self.inner.close()
        await asyncio.sleep(0)


class SlowBus:
    """A bus whose every method waits before and after its work, and so can be cancelled in all of it."""

    def __init__(self) -> None:
        self.inner = MemoryBus()
        self.taken: list[str] = []

    async def publish(self, message: BusMessage, /) -> None:
        await asyncio.sleep(0)
        await self.inner.publish(message)
        self.taken.append(message.message_id)
        await asyncio.sleep(0)

    async def subscribe(self, handler: MessageHandler, /) -> SlowSubscription:
        await asyncio.sleep(0)
        subscription = SlowSubscription(await self.inner.subscribe(handler))
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:  # nobody would ever close it
            await subscription.inner.close()
            raise
        return subscription

    async def idle(self) -> None:
        await until(lambda: len(self.inner) == 0)


class Scene:
    """A hub that publishes, another that runs, and what its fan-out was told."""

    def __init__(self) -> None:
        schemas = registry()
        self.bus = SlowBus()
        self.store = Store(MemoryStore(schemas), futures=True)
        self.recorder = Recorder()
        self.front = App(self.store, schemas=schemas, bus=self.bus, recorder=Recorder())
        self.app = self.another()

    def another(self) -> App:
        return App(self.store, schemas=self.front.schemas, bus=self.bus, recorder=self.recorder)

    async def whole(self) -> None:
        """Check that the hub can be shut down, and that another finishes what there is: all applied, and told once."""
        await soon(self.app.hub.shutdown())
        another = self.another()
        async with another.hub:
            await self.front.publish("last")
            await soon(self.bus.idle())
            log = await another.log()
            assert log[-1] == "last"
            assert await another.texts() == {"1": "".join(log)}
        assert [event.event_id for event in await self.store.events("s")] == self.bus.taken
        assert self.recorder.ordinals() == list(range(1, len(log) + 1))
        assert self.recorder.errors == []
        assert len(asyncio.all_tasks()) == 1


Call: TypeAlias = Callable[[Scene], Coroutine[None, None, None]]


async def publishing(scene: Scene) -> None:
    await scene.front.hub.publish(said("x"))


async def publishing_behind_another(scene: Scene) -> None:
    other = asyncio.create_task(scene.front.hub.publish(said("before")))
    try:
        await asyncio.sleep(0)
        await scene.front.hub.publish(said("x"))
    finally:
        await asyncio.shield(other)


async def publishing_to_a_running_hub(scene: Scene) -> None:
    await scene.app.hub.run()
    await scene.app.hub.publish(said("x"))
    await scene.bus.idle()


async def running(scene: Scene) -> None:
    """Starting, working, and ending, of which each may be cancelled."""
    await scene.front.publish("a", "b")
    async with scene.app.hub:
        await scene.bus.idle()
        await scene.front.publish("c")
        await scene.bus.idle()


async def shutting_down(scene: Scene) -> None:
    await scene.app.hub.run()
    await scene.front.publish("a", "b")
    await scene.app.hub.shutdown()


@pytest.mark.parametrize(
    "call",
    [publishing, publishing_behind_another, publishing_to_a_running_hub, running, shutting_down],
    ids=lambda call: call.__name__,
)
async def test_cancelled_after_any_number_of_turns(call: Call) -> None:
    lengths, ended = set(), False
    for turns in range(TURNS):
        scene = Scene()
        task = asyncio.ensure_future(call(scene))
        for _ in range(turns):
            await asyncio.sleep(0)
        ended = task.done()
        task.cancel()
        await soon(asyncio.wait([task]))
        if ended:
            await task
        else:
            assert task.cancelled(), "the cancellation was lost"
        await scene.whole()
        lengths.add(len(scene.bus.taken))
        if ended:
            assert turns > 2
            break
    assert ended
    assert len(lengths) > 1


async def test_a_hub_whose_shutdown_was_cancelled_publishes_or_says_that_it_is_closed() -> None:
    ended = False
    for turns in range(TURNS):
        scene = Scene()
        await scene.app.hub.run()
        await scene.front.publish("a")
        stopping = asyncio.ensure_future(scene.app.hub.shutdown())
        for _ in range(turns):
            await asyncio.sleep(0)
        ended = stopping.done()
        stopping.cancel()
        await soon(asyncio.wait([stopping]))
        try:
            await soon(scene.app.hub.publish(said("b")))
        except HubClosed:
            pass
        else:
            assert not ended
        await scene.whole()
        if ended:
            break
    assert ended


async def test_waiting_for_room_can_be_cancelled() -> None:
    bus = MemoryBus(capacity=1)
    release = asyncio.Event()
    got: list[bytes] = []

    async def slow(message: BusMessage) -> None:
        await release.wait()
        got.append(message.body)

    subscription = await bus.subscribe(slow)
    await bus.publish(BusMessage(b"1", key="s"))
    waiting = [asyncio.ensure_future(bus.publish(BusMessage(b"%d" % n, key="s"))) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[2].cancel()
    release.set()
    await soon(asyncio.wait(waiting))
    await until(lambda: len(bus) == 0)
    assert got == [b"1", b"3"]
    await subscription.close()


async def test_closing_a_bus_can_be_cancelled_and_begun_again() -> None:
    bus = MemoryBus()
    release = asyncio.Event()
    finished: list[bytes] = []

    async def slow(message: BusMessage) -> None:
        await release.wait()
        finished.append(message.body)

    subscription = await bus.subscribe(slow)
    await bus.publish(BusMessage(b"1", key="s"))
    closing = asyncio.ensure_future(bus.close())
    for _ in range(5):
        await asyncio.sleep(0)
    closing.cancel()
    await soon(asyncio.wait([closing]))
    with pytest.raises(BusError, match="was closed"):
        await subscription.wait()
    again = asyncio.ensure_future(bus.close())
    release.set()
    await soon(again)
    await soon(subscription.close())
    assert finished == [b"1"]
