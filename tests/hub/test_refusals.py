"""Calls that would wait for themselves, or forever, raise an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sessionstream import (
    Commit,
    ErrorRecord,
    Event,
    Hub,
    InvalidNameError,
    LaneReentryError,
    MemoryStore,
    PipelineRecord,
    ProjectionPolicies,
    SchemaRegistry,
    Session,
    SQLiteStore,
    TimelineView,
    UnknownCommandError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand, TokensDeltaEvent


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_event("Delta", TokensDeltaEvent)
    registry.register_command("Start", StartInferenceCommand)
    return registry


@pytest.mark.parametrize("own", [True, False])
async def test_metadata_that_asks_its_hub_is_refused(own: bool) -> None:
    async def metadata(session_id: str) -> object:
        return await hub.session(session_id if own else f"{session_id}'")

    hub = Hub(schemas(), session_metadata=metadata)
    with pytest.raises(LaneReentryError) as caught:
        await asyncio.wait_for(hub.publish(Event("Delta", TokensDeltaEvent(), "s")), 10)
    assert caught.value.session_id == "s"
    assert await hub.event_cursor("s") == 0
    await asyncio.wait_for(hub.shutdown(), 10)  # the lane is free


INSIDE: dict[str, tuple[Callable[[Hub], Awaitable[object]], str]] = {
    "publish": (lambda hub: hub.publish(Event("Delta", TokensDeltaEvent(), "s")), "from a command handler"),
    "submit": (lambda hub: hub.submit("s", "Start", StartInferenceCommand()), "a task that outlives"),
    "session": (lambda hub: hub.session("s"), "as an argument"),
    "retry_timeline": (lambda hub: hub.retry_timeline("s"), "a task that outlives"),
    "rebuild_timeline": (lambda hub: hub.rebuild_timeline("s"), "a task that outlives"),
    "shutdown": (lambda hub: hub.shutdown(), "a task that outlives"),
}


@pytest.mark.parametrize("call", INSIDE)
async def test_a_call_inside_a_projection_is_refused_with_a_hint(call: str) -> None:
    do, way_out = INSIDE[call]
    inside: list[LaneReentryError] = []
    later: list[asyncio.Task[object]] = []

    async def after(returned: asyncio.Event) -> object:
        await returned.wait()
        return await do(hub)

    async def project(event: Event, session: Session, view: TimelineView) -> None:
        if not inside:
            with pytest.raises(LaneReentryError) as caught:
                await do(hub)
            inside.append(caught.value)
            later.append(asyncio.create_task(after(returned)))

    returned = asyncio.Event()
    hub = Hub(schemas())
    hub.register_command("Start", lambda command, session, publisher: None)
    hub.register_timeline_projection(project)
    await hub.publish(Event("Delta", TokensDeltaEvent(), "s"))
    assert [(error.session_id, error.call) for error in inside] == [("s", call)]
    assert f"{call} was called inside a projection" in str(inside[0])
    assert way_out in str(inside[0])
    returned.set()
    await asyncio.wait_for(later[0], 10)


async def test_metadata_may_read_snapshots() -> None:
    async def metadata(session_id: str) -> object:
        return (await hub.snapshot(session_id)).snapshot_ordinal

    hub = Hub(schemas(), session_metadata=metadata)
    assert (await hub.session("s")).metadata == 0


def test_async_observers_are_refused() -> None:
    async def pipeline(record: PipelineRecord) -> None: ...

    async def errors(record: ErrorRecord) -> None: ...

    with pytest.raises(TypeError, match="pipeline_observer"):
        Hub(schemas(), pipeline_observer=pipeline)
    with pytest.raises(TypeError, match="error_observer"):
        Hub(schemas(), error_observer=errors)
    with pytest.raises(TypeError, match="error_observer"):
        Hub(schemas(), error_observer="nobody")  # type: ignore[arg-type]


async def test_a_command_name_that_is_no_name() -> None:
    hub = Hub(schemas())
    for name in (["list"], None, 7):
        with pytest.raises(UnknownCommandError):
            await hub.submit("s", name, StartInferenceCommand())  # type: ignore[arg-type]


class Half:
    """Some of a store."""

    async def commit(self, commit: Commit) -> None: ...

    snapshot = 5


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"schemas": {}}, TypeError, "schemas is a SchemaRegistry, not {}"),
        ({"schemas": SchemaRegistry}, TypeError, r"schemas is a SchemaRegistry, not the class: write SchemaRegistry\("),
        ({"store": "sessions.db"}, TypeError, "store is an open store, not 'sessions.db'.*SQLiteStore.open"),
        ({"store": SQLiteStore.open("x.db", schemas())}, TypeError, "store is an open store.*await SQLiteStore.open"),
        ({"store": MemoryStore}, TypeError, "store is an open store, not the class .*MemoryStore"),
        ({"store": Half()}, TypeError, "store.*Half.*lacks snapshot, events, find_event, timeline,"),
        ({"policies": "advance"}, TypeError, "policies is a ProjectionPolicies, not 'advance'"),
        (
            {"policies": ProjectionPolicies},
            TypeError,
            r"a ProjectionPolicies, not the class: write ProjectionPolicies\(",
        ),
        ({"session_metadata": {}}, TypeError, "session_metadata is a function"),
        ({"cache_entities": "many"}, TypeError, "cache_entities is a number of entities, not 'many'"),
        ({"cache_entities": 1.5}, TypeError, "cache_entities is a number"),
        ({"cache_entities": True}, TypeError, "cache_entities is a number"),
        ({"cache_entities": None}, TypeError, "cache_entities is a number"),
        ({"cache_entities": -1}, ValueError, "cache_entities.*negative: -1"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Hub(**{"schemas": schemas(), **arguments})  # type: ignore[arg-type]


async def test_publishing_what_is_no_event() -> None:
    hub = Hub(schemas())
    for what in ("x", None, TokensDeltaEvent(), Event):
        with pytest.raises(TypeError, match="publish takes an Event"):
            await hub.publish(what)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["\ud800", "a\0b"])
def test_names_that_not_every_store_can_keep(name: str) -> None:
    with pytest.raises(InvalidNameError):
        SchemaRegistry().register_event(name, TokensDeltaEvent)
