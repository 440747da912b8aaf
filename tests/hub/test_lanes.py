"""Lanes: the events of a session pass one at a time, in the order of arrival; sessions do not wait for each other."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import pytest

from sessionstream import (
    Command,
    Event,
    EventPublisher,
    Hub,
    LaneReentryError,
    ProjectionError,
    Session,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity

from .support import App, Gate, chunk, registry, said, say, settle, soon


class Stopping:
    """A UI projection that stops at every event until a test lets it go on."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.order: list[str] = []
        self.gates: dict[str, Gate] = {}

    def gate(self, chunk: str) -> Gate:
        return self.gates.setdefault(chunk, Gate())

    async def project(self, event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        self.order.append(chunk(event))
        self.running.append(event.session_id)
        assert self.running.count(event.session_id) == 1, "two events of one session overlap"
        try:
            await self.gate(chunk(event)).stop()
        finally:
            self.running.remove(event.session_id)
        return []


@pytest.fixture
def stopping() -> Stopping:
    return Stopping()


@pytest.fixture
def app(stopping: Stopping) -> App:
    app = App()
    app.hub.register_ui_projection(stopping)
    return app


async def test_handlers_of_one_session_overlap() -> None:
    app = App()
    inside: set[str] = set()
    together = asyncio.Event()

    @app.hub.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        inside.add(str(command.payload))
        if len(inside) == 3:
            together.set()
        await together.wait()

    await soon(asyncio.gather(*(app.hub.submit("s", "Say", say(prompt)) for prompt in "abc")))
    assert len(inside) == 3


async def test_publishes_of_one_session_are_served_one_by_one_in_order(app: App, stopping: Stopping) -> None:
    chunks = list("abcdefgh")
    tasks = []
    for each in chunks:
        tasks.append(asyncio.create_task(app.hub.publish(said(each))))
        await settle(3)
    for position, each in enumerate(chunks, 1):
        await stopping.gate(each).reached()
        await settle()
        assert stopping.order == chunks[:position]
        assert await app.log() == chunks[: position - 1]
        stopping.gate(each).open()
    assert [(await soon(task)).ordinal for task in tasks] == list(range(1, 9))
    assert app.recorder.ordinals() == list(range(1, 9))


async def test_handlers_share_the_lane_with_everybody(app: App, stopping: Stopping) -> None:
    @app.hub.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(said("from the handler"))

    first = asyncio.create_task(app.hub.publish(said("first")))
    await stopping.gate("first").reached()
    handling = asyncio.create_task(app.hub.submit("s", "Say", say()))
    await settle()
    assert stopping.order == ["first"]
    stopping.gate("first").open()
    stopping.gate("from the handler").open()
    await soon(asyncio.gather(first, handling))
    assert await app.log() == ["first", "from the handler"]


async def test_a_stopped_session_does_not_stop_another(app: App, stopping: Stopping) -> None:
    stuck = asyncio.create_task(app.hub.publish(said("stuck", "one")))
    await stopping.gate("stuck").reached()
    stopping.gate("free").open()
    assert (await soon(app.hub.publish(said("free", "two")))).ordinal == 1
    assert await app.texts("two") == {"1": "free"}
    assert (await soon(app.hub.snapshot("one"))).snapshot_ordinal == 0
    stopping.gate("stuck").open()
    await soon(stuck)


async def test_the_lane_includes_the_fan_out() -> None:
    app = App()
    seen: list[tuple[int, str]] = []

    def fan_out(session_id: str, ordinal: int, events: object) -> None:
        seen.append((ordinal, "sent"))

    @app.hub.timeline_projection
    def note(event: Event, session: Session, view: TimelineView) -> None:
        seen.append((event.ordinal, "projected"))

    app.hub.set_fanout(fan_out)
    await asyncio.gather(*(app.hub.publish(said(each)) for each in "abc"))
    assert seen == [(ordinal, what) for ordinal in (1, 2, 3) for what in ("projected", "sent")]


async def test_order_of_arrival_holds_while_metadata_loads() -> None:
    gate = Gate()

    async def metadata(session_id: str) -> None:
        await gate.stop()

    app = App(session_metadata=metadata)
    first = asyncio.create_task(app.hub.publish(said("a")))
    await gate.reached()
    second = asyncio.create_task(app.hub.publish(said("b")))
    await settle()
    gate.open()
    third = asyncio.create_task(app.hub.publish(said("c")))
    await soon(asyncio.gather(first, second, third))
    assert await app.log() == ["a", "b", "c"]


Act = Callable[[Hub, str], Awaitable[object]]

ACTS: dict[str, Act] = {
    "publish": lambda hub, session_id: hub.publish(said("inner", session_id)),
    "submit": lambda hub, session_id: hub.submit(session_id, "Say", say()),
    "submit once": lambda hub, session_id: hub.submit(session_id, "Say", say(), idempotency_key="key"),
    "retry_timeline": lambda hub, session_id: hub.retry_timeline(session_id),
    "rebuild_timeline": lambda hub, session_id: hub.rebuild_timeline(session_id),
    "session": lambda hub, session_id: hub.session(session_id),
    "shutdown": lambda hub, session_id: hub.shutdown(),
}

every_act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
every_target = pytest.mark.parametrize("target", ["s", "another"])


def hub_that_handles() -> App:
    app = App()

    @app.hub.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(said("inner", session.id))

    return app


@every_act
@every_target
@pytest.mark.parametrize("family", ["ui", "timeline"])
async def test_an_async_projection_cannot_enter_a_lane(act: Act, target: str, family: str) -> None:
    app = hub_that_handles()
    caught: list[LaneReentryError] = []

    async def project(event: Event, session: Session, view: TimelineView) -> None:
        await asyncio.sleep(0)
        with pytest.raises(LaneReentryError) as refused:
            await soon(act(app.hub, target))
        caught.append(refused.value)
        await act(app.hub, target)

    if family == "ui":
        app.hub.register_ui_projection(project)
    else:
        app.hub.register_timeline_projection(project)
    with pytest.raises(ProjectionError) as failed:
        await soon(app.publish("outer"))
    assert isinstance(failed.value.__cause__, LaneReentryError)
    assert [error.session_id for error in caught] == ["s"]
    assert await app.log() == ["outer"]
    assert await app.store.sessions() == ["s"]


@every_act
async def test_a_task_of_a_projection_cannot_while_the_projection_runs(act: Act) -> None:
    app = hub_that_handles()

    @app.hub.ui_projection
    async def project(event: Event, session: Session, view: TimelineView) -> None:
        with pytest.raises(LaneReentryError, match="'s'"):
            await asyncio.create_task(act_as_coroutine(act, app.hub))

    await soon(app.publish("outer"))
    assert await app.log() == ["outer"]


async def act_as_coroutine(act: Act, hub: Hub) -> None:
    await act(hub, "another")


async def test_the_task_of_a_sync_projection_may_publish_when_the_projection_is_done() -> None:
    app = App()
    tasks: list[asyncio.Task[Event]] = []

    @app.hub.ui_projection
    def project(event: Event, session: Session, view: TimelineView) -> None:
        if chunk(event) == "outer":
            tasks.append(asyncio.create_task(app.hub.publish(said("inner"))))

    await app.publish("outer")
    assert (await soon(tasks[0])).ordinal == 2
    assert await app.log() == ["outer", "inner"]


async def test_the_task_of_a_sync_projection_is_refused_while_another_projection_runs() -> None:
    app = App()
    tasks: list[asyncio.Task[Event]] = []

    @app.hub.ui_projection
    def start(event: Event, session: Session, view: TimelineView) -> None:
        tasks.append(asyncio.create_task(app.hub.publish(said("inner"))))

    @app.hub.timeline_projection
    async def wait(event: Event, session: Session, view: TimelineView) -> None:
        await asyncio.wait(tasks)

    await soon(app.publish("outer"))
    with pytest.raises(LaneReentryError):
        await tasks[0]
    assert await app.log() == ["outer"]


async def test_a_task_that_outlives_its_projection_may_publish_for_ever_after() -> None:
    app = App()
    gate = Gate()
    tasks: list[asyncio.Task[None]] = []

    async def live_on() -> None:
        with pytest.raises(LaneReentryError):
            await app.hub.publish(said("too early"))
        await gate.stop()
        await app.hub.publish(said("in time", status="quiet"))
        await app.hub.publish(said("again", "another", status="quiet"))

    @app.hub.ui_projection
    async def project(event: Event, session: Session, view: TimelineView) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(live_on()))
            await gate.reached()

    await soon(app.publish("outer"))
    gate.open()
    await soon(tasks[0])
    assert await app.log() == ["outer", "in time"]
    assert await app.log("another") == ["again"]


async def test_a_projection_of_one_hub_cannot_publish_to_another() -> None:
    app, other = App(), App()

    @app.hub.ui_projection
    async def project(event: Event, session: Session, view: TimelineView) -> None:
        await other.hub.publish(said("elsewhere"))

    with pytest.raises(ProjectionError) as failed:
        await soon(app.publish("outer"))
    assert isinstance(failed.value.__cause__, LaneReentryError)


async def test_a_projection_may_read_from_the_hub() -> None:
    app = App()
    seen: list[int] = []

    @app.hub.ui_projection
    async def project(event: Event, session: Session, view: TimelineView) -> None:
        seen.append((await app.hub.snapshot("s")).snapshot_ordinal)
        seen.append(await app.hub.cursor("s"))
        seen.append(await app.hub.event_cursor("s"))

    await soon(app.publish("a"))
    await soon(app.publish("b"))
    assert seen == [0, 0, 0, 1, 1, 1]


async def test_a_fan_out_may_start_a_task_that_publishes() -> None:
    app = App()
    tasks: list[asyncio.Task[Event]] = []

    def fan_out(session_id: str, ordinal: int, events: object) -> None:
        if ordinal < 4:
            tasks.append(asyncio.create_task(app.hub.publish(said(str(ordinal)))))

    app.hub.set_fanout(fan_out)
    await app.publish("first")
    for position in range(3):
        await soon(tasks[position])
    assert await app.log() == ["first", "1", "2", "3"]


async def test_so_may_an_observer() -> None:
    app = App(pipeline_observer=lambda record: start(record.event))
    tasks: list[asyncio.Task[Event]] = []

    def start(event: Event) -> None:
        if chunk(event) == "first":
            tasks.append(asyncio.create_task(app.hub.publish(said("second"))))

    await app.publish("first")
    await soon(tasks[0])
    assert await app.log() == ["first", "second"]


async def test_refusal_ends_with_the_projection_even_if_that_fails() -> None:
    app = App()
    app.broken["ui"].add("a")
    with pytest.raises(ProjectionError):
        await app.publish("a")
    assert (await soon(app.hub.publish(said("b", "another")))).ordinal == 1


async def test_a_projection_left_behind_in_another_context_lets_go_of_its_lane() -> None:
    """What happens to a task that its event loop never finishes: it is closed, from wherever that is."""
    app = App()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @app.hub.ui_projection
    async def project(event: Event, session: Session, view: TimelineView) -> None:
        if chunk(event) == "left":
            await never

    left = app.hub.publish(said("left"))
    contextvars.copy_context().run(left.send, None)
    left.close()
    assert (await soon(app.hub.publish(said("next")))).ordinal == 1
    await app.usable()


async def test_a_view_is_of_the_moment_before_the_event() -> None:
    hub = Hub(registry())
    seen: list[tuple[int, int, list[int]]] = []

    async def look(event: Event, session: Session, view: TimelineView) -> None:
        await asyncio.sleep(0)
        seen.append((event.ordinal, view.ordinal, [entity.last_event_ordinal for entity in view.list()]))

    @hub.timeline_projection
    def write(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:

        return [TimelineEntity("Text", chunk(event), ChatMessageEntity())]

    hub.register_ui_projection(look)
    hub.register_timeline_projection(look)
    for each in "ab":
        await hub.publish(said(each))
    assert seen == [(1, 0, []), (1, 0, []), (2, 1, [1]), (2, 1, [1])]
