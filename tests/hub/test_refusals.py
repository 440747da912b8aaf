"""What would wait for itself, or for nobody, says so."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import (
    ErrorRecord,
    Event,
    Hub,
    InvalidNameError,
    LaneReentryError,
    PipelineRecord,
    SchemaRegistry,
    UnknownCommandError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand, TokensDeltaEvent


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_event("Delta", TokensDeltaEvent)
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"schemas": {}}, "schemas is a SchemaRegistry"),
        ({"store": "sessions.db"}, "store is an open store"),
        ({"policies": "advance"}, "policies is a ProjectionPolicies"),
        ({"session_metadata": {}}, "session_metadata is a function"),
        ({"cache_entities": "many"}, "cache_entities is a number"),
        ({"cache_entities": -1}, "cache_entities is a number"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Hub(**{"schemas": schemas(), **arguments})  # type: ignore[arg-type]


async def test_publishing_what_is_no_event() -> None:
    hub = Hub(schemas())
    for what in ("x", None, TokensDeltaEvent()):
        with pytest.raises(TypeError, match="publish takes an Event"):
            await hub.publish(what)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["\ud800", "a\0b"])
def test_names_that_not_every_store_can_keep(name: str) -> None:
    with pytest.raises(InvalidNameError):
        SchemaRegistry().register_event(name, TokensDeltaEvent)
