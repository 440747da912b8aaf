"""Cancellation at every point at which a call suspends: the state stays consistent, and the session can be used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TypeAlias, TypeVar

import pytest

from sessionstream import (
    Command,
    Event,
    EventPublisher,
    HubError,
    MemoryStore,
    ProjectionError,
    Session,
    SessionHeld,
    TimelineView,
    UIEvent,
)

from .support import App, Recorder, Store, registry, said, say, soon

T = TypeVar("T")
Call: TypeAlias = "Callable[[Scene], Coroutine[None, None, None]]"


class Slow(Store):
    """A store that waits before and after everything it does, and so can be cancelled in all of it."""

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        await asyncio.sleep(0)
        result = await super().around(method, call)
        await asyncio.sleep(0)
        return result


class Scene:
    """An app on a slow store, and what its session holds before somebody is cancelled."""

    def __init__(self, *, futures: bool) -> None:
        schemas = registry()
        self.store = Slow(MemoryStore(schemas), futures=futures)
        self.recorder = Failing()
        self.app = App(self.store, schemas=schemas, session_metadata=self._metadata, fanout=self.recorder)
        self.app.hub.register_command("Say", self._say)

    async def _metadata(self, session_id: str) -> str:
        await asyncio.sleep(0)
        return "metadata"

    async def _say(self, command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(said("x"))
        await publisher.publish(said("y"))

    async def prepare(self, call: Call) -> None:
        """Bring the session to where a call begins."""
        if call in (resuming, still_held, retrying):
            self.app.broken["timeline"] = {"a"}
            with pytest.raises(ProjectionError):
                await self.app.publish("a")
            with pytest.raises(SessionHeld):
                await self.app.publish("b")
        if call in (resuming, retrying):
            self.app.broken["timeline"].clear()
        if call is rebuilding:
            await self.app.publish("a", "b", "c")
        if call in (losing_races, losing_races_by_many):
            self._race()

    def _race(self) -> None:
        """Let another hub be faster, twice."""
        other = App(self.store.inner, schemas=self.app.schemas, recorder=self.recorder)
        for name in ("o", "p"):
            self.store.first("commit", lambda name=name: other.publish(name))  # type: ignore[misc]


class Failing(Recorder):
    """A fan-out that fails where it is told to, after it has noted what it was told."""

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        super().publish_ui(session_id, ordinal, events)
        if any(getattr(event.payload, "chunk", "") == "unsendable" for event in events):
            raise HubError("cannot be sent")


async def plain(scene: Scene) -> None:
    await scene.app.hub.publish(said("x"))


async def first_of_many(scene: Scene) -> None:
    for _ in range(32):  # the last of them lets others run
        await scene.app.hub.publish(said("x"))


async def known_id(scene: Scene) -> None:
    await scene.app.hub.publish(said("x", event_id="id"))
    await scene.app.hub.publish(said("x", event_id="id"))


async def behind_another(scene: Scene) -> None:
    other = asyncio.create_task(scene.app.hub.publish(said("before")))
    try:
        await asyncio.sleep(0)
        await scene.app.hub.publish(said("x"))
    finally:
        await asyncio.shield(other)


async def while_another_loads_the_metadata(scene: Scene) -> None:
    other = asyncio.create_task(scene.app.hub.session("s"))
    try:
        await asyncio.sleep(0)
        await scene.app.hub.publish(said("x"))
    finally:
        await asyncio.shield(other)


async def failing_in_the_timeline(scene: Scene) -> None:
    scene.app.broken["timeline"] = {"x"}
    with pytest.raises(ProjectionError):
        await scene.app.hub.publish(said("x"))


async def failing_in_the_fan_out(scene: Scene) -> None:
    await scene.app.hub.publish(said("unsendable"))


async def resuming(scene: Scene) -> None:
    await scene.app.hub.publish(said("x"))


async def still_held(scene: Scene) -> None:
    with pytest.raises(SessionHeld):
        await scene.app.hub.publish(said("x"))


async def losing_races(scene: Scene) -> None:
    await scene.app.hub.publish(said("x"))


async def many(scene: Scene) -> None:
    await scene.app.hub.publish_many("s", [said("x"), said("y"), said("z", event_id="id"), said("z", event_id="id")])


async def losing_races_by_many(scene: Scene) -> None:
    await scene.app.hub.publish_many("s", [said("x"), said("y")])


async def many_of_which_one_fails(scene: Scene) -> None:
    scene.app.broken["timeline"] = {"y"}
    with pytest.raises(ProjectionError):
        await scene.app.hub.publish_many("s", [said("x"), said("y"), said("z")])


async def retrying(scene: Scene) -> None:
    await scene.app.hub.retry_timeline("s")


async def rebuilding(scene: Scene) -> None:
    await scene.app.hub.rebuild_timeline("s")


async def commanding(scene: Scene) -> None:
    await scene.app.hub.submit("s", "Say", say(), idempotency_key="key")


async def in_a_projection_that_waits(scene: Scene) -> None:
    async def wait(event: Event, session: Session, view: TimelineView) -> None:
        await asyncio.sleep(0)

    scene.app.hub.register_ui_projection(wait)
    scene.app.hub.register_timeline_projection(wait)
    await scene.app.hub.publish(said("x"))


CALLS = [
    plain,
    first_of_many,
    known_id,
    behind_another,
    while_another_loads_the_metadata,
    failing_in_the_timeline,
    failing_in_the_fan_out,
    resuming,
    still_held,
    losing_races,
    many,
    losing_races_by_many,
    many_of_which_one_fails,
    retrying,
    rebuilding,
    commanding,
    in_a_projection_that_waits,
]


async def whole(scene: Scene) -> None:
    """Check that the session goes on, and that every event in its log is applied and was fanned out once."""
    app = scene.app
    scene.store.calm()
    app.broken["timeline"].clear()
    await soon(app.hub.retry_timeline("s"))
    await app.usable()
    log = await app.log()
    assert await app.texts() == {"1": "".join(log)}
    assert scene.recorder.ordinals() == list(range(1, len(log) + 1))
    assert [chunk for _, _, events in scene.recorder.sent for chunk in map(_told, events)] == log


def _told(event: UIEvent) -> str:
    return str(getattr(event.payload, "chunk", ""))


@pytest.mark.parametrize("futures", [False, True], ids=["async def", "future"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_cancelled_after_any_number_of_turns(call: Call, futures: bool) -> None:
    lengths, ended = set(), False
    for turns in range(500):
        scene = Scene(futures=futures)
        await scene.prepare(call)
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
        await whole(scene)
        lengths.add(len(await scene.app.log()))
        if ended:
            assert turns > 5
            break
    assert ended
    assert len(lengths) > 1 or call in (retrying, rebuilding)
