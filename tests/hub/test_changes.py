"""``entity_changes``: clients get each changed entity, and who folds them has the timeline."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import (
    DuplicateSchemaError,
    Event,
    Hub,
    InvalidIdError,
    ProjectionError,
    ProjectionPolicies,
    SchemaRegistry,
    Session,
    SessionHeld,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    UIEvent,
    UnknownSchemaError,
    entity_changes,
)
from sessionstream.changes import EntityChanges
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity
from sessionstream.transport.ws import Limits, LiveEvent, WebSocketServer, connect
from sessionstream.v1.transport_pb2 import EntityChanged, EntityDeleted, UnreadablePayload

from ..hydration import following
from ..transport import notes
from ..transport.running import PATIENCE, served
from .support import App, Recorder, registry, said


@pytest.mark.parametrize("kind", [3, Event, True])
def test_a_kind_that_is_none(kind: Any) -> None:
    with pytest.raises(TypeError, match="kind must be a kind of entity, a collection of kinds, or None for all, not "):
        entity_changes(kind=kind)


def read(event: UIEvent | LiveEvent) -> Any:
    """What a UI event says: kind, id, ordinals and text of an entity; kind and id of a deleted one; or its name."""
    payload = event.payload
    if isinstance(payload, EntityChanged):
        assert event.name == "EntityChanged"
        inner = ChatMessageEntity() if payload.payload.Is(ChatMessageEntity.DESCRIPTOR) else StringValue()
        assert payload.payload.Unpack(inner)
        text = inner.text if isinstance(inner, ChatMessageEntity) else inner.value
        return (payload.kind, payload.id, payload.created_ordinal, payload.last_event_ordinal, text)
    if isinstance(payload, EntityDeleted):
        assert event.name == "EntityDeleted"
        return (payload.kind, payload.id)
    return event.name


def told(recorder: Recorder) -> list[tuple[int, list[Any]]]:
    return [(ordinal, [read(event) for event in events]) for _, ordinal, events in recorder.sent]


def app(**options: Any) -> App:
    made = App(**options)
    made.hub.register_ui_projection(entity_changes("Text"))
    return made


async def test_each_change_comes_with_its_ordinals_after_the_other_ui_events() -> None:
    here = app()
    await here.publish("a", "b")
    await here.hub.publish(said("c", entity="2"))
    await here.hub.publish(said(status="delete"))
    await here.publish("d")
    assert told(here.recorder) == [
        (1, ["Told", ("Text", "1", 1, 1, "a")]),
        (2, ["Told", ("Text", "1", 1, 2, "ab")]),
        (3, ["Told", ("Text", "2", 3, 3, "c")]),
        (4, ["Told", ("Text", "1")]),
        (5, ["Told", ("Text", "1", 5, 5, "d")]),
    ]
    assert [len(record.ui_events) for record in here.recorder.records] == [2] * 5


def several(event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
    text = ChatMessageEntity(text="x")
    yield TimelineEntity("Other", "b", text)
    yield TimelineEntity("Text", "a", text)
    yield TimelineEntity("Text", "brief", text)
    yield TimelineEntity("Text", "brief", None, tombstone=True)
    yield TimelineEntity("Text", "never there", None, tombstone=True)


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("Text", ["a"]),
        ("Other", ["b"]),
        (("Other", "Text"), ["b", "a"]),
        (None, ["b", "a"]),
    ],
)
async def test_the_kinds_that_are_sent(kind: Any, sent: list[str]) -> None:
    schemas, recorder = registry(), Recorder()
    schemas.register_timeline_entity("Other", ChatMessageEntity)
    hub = Hub(schemas, fanout=recorder)
    hub.register_ui_projection(entity_changes(kind))
    hub.register_timeline_projection(several)
    await hub.publish(said())
    ((_, found),) = told(recorder)
    assert [each[1] for each in found] == sent


async def test_an_event_that_changes_no_entity_of_the_kind_sends_nothing() -> None:
    schemas, recorder = registry(), Recorder()
    schemas.register_timeline_entity("Other", ChatMessageEntity)
    hub = Hub(schemas, fanout=recorder)
    hub.register_ui_projection(entity_changes(kind="Other"))
    await hub.publish(said())
    assert recorder.sent == []


async def test_held_events_send_their_changes_when_they_are_resumed_and_a_rebuild_sends_none() -> None:
    here = app()
    here.broken["timeline"].add("b")
    await here.publish("a")
    with pytest.raises(ProjectionError):
        await here.publish("b")
    with pytest.raises(SessionHeld):
        await here.publish("c")
    assert told(here.recorder) == [(1, ["Told", ("Text", "1", 1, 1, "a")])]
    here.broken["timeline"].clear()
    await here.hub.retry_timeline("s")
    assert told(here.recorder)[1:] == [
        (2, ["Told", ("Text", "1", 1, 2, "ab")]),
        (3, ["Told", ("Text", "1", 1, 3, "abc")]),
    ]
    await here.hub.rebuild_timeline("s")
    assert len(here.recorder.sent) == 3


async def test_a_projection_that_fails_and_is_passed_over_takes_no_change_of_an_entity_with_it() -> None:
    here = app(policies=ProjectionPolicies(ui="advance", timeline="advance"))
    here.broken["ui"].add("a")
    here.broken["timeline"].add("b")
    await here.publish("a", "b", "c")
    assert told(here.recorder) == [
        (1, [("Text", "1", 1, 1, "a")]),
        (2, ["Told"]),
        (3, ["Told", ("Text", "1", 1, 3, "ac")]),
    ]


class Folded:
    """What a client holds that folds entity changes over a snapshot."""

    def __init__(self) -> None:
        self.entities: dict[tuple[str, str], TimelineEntity] = {}
        self.ordinal = 0

    def publish_ui(self, session_id: str, ordinal: int, events: Iterable[UIEvent], /) -> None:
        assert ordinal > self.ordinal
        self.ordinal = ordinal
        for event in events:
            found = read(event)
            if len(found) == 2:
                del self.entities[found]
            else:
                kind, id_, created, last, text = found
                self.entities[kind, id_] = TimelineEntity(kind, id_, StringValue(value=text), created, last)

    def timeline(self) -> list[TimelineEntity]:
        return sorted(self.entities.values(), key=lambda each: (each.created_ordinal, each.last_event_ordinal, each.id))


@pytest.mark.parametrize("seed", range(5))
async def test_who_folds_the_changes_has_the_timeline(seed: int) -> None:
    chance, client = random.Random(seed), Folded()
    hub = notes.application()
    hub.register_ui_projection(entity_changes("Note"))
    hub.set_fanout(client)

    def step() -> dict[str, Any]:
        ids = "abcd"
        puts = {each: f"{each}{chance.random()}" for each in ids if chance.random() < 0.4}
        return {"put": puts, "drop": [each for each in ids if chance.random() < 0.3]}

    for _ in range(20):
        if chance.random() < 0.5:
            await notes.publish(hub, "s", **step())
        else:
            payloads = [StringValue(value=json.dumps(step())) for _ in range(5)]
            await hub.publish_many("s", [Event("Step", each, "s") for each in payloads])
        assert client.timeline() == list((await hub.snapshot("s")).entities)
    assert client.ordinal > 20


async def test_clients_of_another_process_get_them_too(tmp_path: Path) -> None:
    got: list[Any] = []

    class Watching:
        def publish_ui(self, session_id: str, ordinal: int, events: Iterable[UIEvent], /) -> None:
            got.extend((ordinal, read(event)) for event in events)

        def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
            got.append((ordinal, "resync"))

    async with AsyncExitStack() as stack:
        hubs = []
        for _ in range(2):
            store = await stack.enter_async_context(SQLiteStore.open(tmp_path / "x.db", notes.registry()))
            hub = await stack.enter_async_context(notes.application(store))
            hub.register_ui_projection(entity_changes())
            hubs.append((hub, store))
        (here, watching), (there, _) = hubs
        here.set_fanout(Watching())
        here.joined("s")
        await here.states("s")
        await following.until(lambda: watching._node._position is not None)
        await following.until(lambda: hubs[1][1]._node.others_until > 0)
        await notes.publish(there, "s", put={"n": "1"})
        await notes.publish(there, "s", drop=["n"])
        await following.until(lambda: len(got) >= 2)
        assert got == [(1, ("Note", "n", 1, 1, "1")), (2, ("Note", "n"))]


# -- on the wire -------------------------------------------------------------------------------------------


async def test_clients_get_the_messages_and_the_json_with_exact_ordinals() -> None:
    hub = notes.application()
    hub.register_ui_projection(entity_changes())
    server = WebSocketServer(hub, limits=Limits(heartbeat_seconds=None))
    hub.set_fanout(server)
    highest = TimelineEntity("Note", "n", StringValue(value="1"), 2**64 - 2, 2**64 - 1)
    async with served(server) as address, connect(address, schemas=hub.schemas) as typed, connect(address) as plain:
        async with asyncio.timeout(PATIENCE):
            feeds = [client.subscribe("s") for client in (typed, plain)]
            for feed in feeds:
                await anext(feed)
            server.publish_ui("s", 2**64 - 1, EntityChanges(None).ui_events([highest]))
            decoded, raw = [await anext(feed) for feed in feeds]
    assert isinstance(decoded, LiveEvent)
    assert isinstance(raw, LiveEvent)
    assert read(decoded) == ("Note", "n", 2**64 - 2, 2**64 - 1, "1")
    assert raw.payload == {
        "@type": "type.googleapis.com/sessionstream.v1.EntityChanged",
        "kind": "Note",
        "id": "n",
        "createdOrdinal": str(2**64 - 2),
        "lastEventOrdinal": str(2**64 - 1),
        "payload": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "1"},
    }


async def test_an_entity_that_cannot_be_shown_is_named_with_the_reason() -> None:
    hub, recorder = notes.application(), Recorder()
    hub.register_ui_projection(entity_changes())
    server = WebSocketServer(hub)
    hub.set_fanout(server)
    async with served(server) as address, connect(address, schemas=hub.schemas) as client:
        async with asyncio.timeout(PATIENCE):
            feed = client.subscribe("s")
            await anext(feed)
            await notes.publish(hub, "s", put={"n": None})
            update = await anext(feed)
    assert isinstance(update, LiveEvent)
    changed = update.payload
    assert isinstance(changed, EntityChanged)
    unreadable = UnreadablePayload()
    assert changed.payload.Unpack(unreadable)
    assert (changed.kind, changed.id, changed.last_event_ordinal) == ("Opaque", "n", 1)
    assert unreadable.type == AnyMessage.DESCRIPTOR.full_name
    assert "test.Unknown" in unreadable.reason
    assert recorder.errors == []


# -- what is refused ---------------------------------------------------------------------------------------


def test_kinds_that_cannot_be() -> None:
    for kind in ("", " ", 1, ["Text", None]):
        with pytest.raises((InvalidIdError, TypeError)):
            entity_changes(kind)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave it out"):
        entity_changes([])


def with_another_message(schemas: SchemaRegistry) -> None:
    schemas.register_ui_event("EntityDeleted", ChatMessageEntity)


def with_both(schemas: SchemaRegistry) -> None:
    schemas.register_ui_event("EntityChanged", EntityChanged)
    schemas.register_ui_event("EntityDeleted", EntityDeleted)


@pytest.mark.parametrize(
    ("before", "kind", "error"),
    [
        (with_both, "Text", None),
        (with_another_message, "Text", DuplicateSchemaError),
        (lambda schemas: None, ("Text", "Txet"), UnknownSchemaError),
    ],
)
def test_what_the_registry_has_to_know(
    before: Callable[[SchemaRegistry], None], kind: Any, error: type[Exception] | None
) -> None:
    schemas = registry()
    before(schemas)
    hub = Hub(schemas)
    if error is None:
        hub.register_ui_projection(entity_changes(kind))
        hub.register_ui_projection(entity_changes())
        assert schemas.ui_event_schema("EntityChanged") is EntityChanged
    else:
        with pytest.raises(error):
            hub.register_ui_projection(entity_changes(kind))


async def test_a_projection_that_calls_it_is_told_where_it_belongs() -> None:
    hub = Hub(registry())
    changes = entity_changes()
    hub.register_ui_projection(lambda event, session, view: changes.project(event, session, view))
    with pytest.raises(ProjectionError, match="register_ui_projection"):
        await hub.publish(said())
