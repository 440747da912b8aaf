"""Entities that cannot be read: states returns them as UnreadablePayload, and each is recorded once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import (
    Event,
    HistoryPruned,
    Hub,
    HydrationStore,
    MemoryStore,
    OrdinalConflict,
    SchemaRegistry,
    Session,
    Snapshot,
    SQLiteStore,
    StoreError,
    TimelineEntity,
    TimelineView,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent
from sessionstream.hub import unreadable
from sessionstream.v1.transport_pb2 import UnreadablePayload
from tests.hydration.shapes import shaped

from .support import App, Recorder, Store, registry, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VANISHED = UnreadablePayload(
    type="sessionstream.examples.chatdemo.v1.ChatMessageEntity", reason="its message is not registered"
)


def both() -> SchemaRegistry:
    schemas = registry()
    schemas.register_timeline_entity("Kept", StringValue)
    return schemas


def without() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_event("Said", TokensDeltaEvent)
    schemas.register_timeline_entity("Kept", StringValue)
    return schemas


def keep(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
    assert isinstance(event.payload, TokensDeltaEvent)
    return [TimelineEntity("Kept", event.payload.message_id, StringValue(value=event.payload.chunk))]


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HydrationStore]:
    """A store whose session ``s`` was written with a message that its registry does not have any more.

    Events 1 and 2 wrote Text 1 and 2, and Kept 1 and 2; event 3 wrote Text 1 and Kept 1 anew, event 4 deleted Text 2.
    """

    async def write(at: HydrationStore) -> None:
        app = App(at, schemas=both())
        app.hub.register_timeline_projection(keep)
        for chunk, entity, status in (("a", "1", ""), ("b", "2", ""), ("c", "1", ""), ("", "2", "delete")):
            await app.hub.publish(said(chunk, entity=entity, status=status))

    if request.param == "memory":
        kept = MemoryStore(both())
        await write(kept)
        kept._registry = without()
        kept._readable.clear()
        yield kept
    else:
        async with SQLiteStore.open(tmp_path / "x.db", both()) as first:
            await write(first)
        async with SQLiteStore.open(tmp_path / "x.db", without()) as second:
            yield second


def shown(snapshot: Snapshot) -> list[tuple[str, str, int, int, Any]]:
    return [
        (entity.kind, entity.id, entity.created_ordinal, entity.last_event_ordinal, entity.payload)
        for entity in snapshot.entities
    ]


async def test_the_rest_of_a_timeline_is_there_and_what_vanished_says_so(store: HydrationStore) -> None:
    hub = Hub(without(), store=store)
    with pytest.raises(UnknownSchemaError):
        await hub.snapshot("s")
    snapshot = await hub.states("s")
    assert (snapshot.session_id, snapshot.snapshot_ordinal) == ("s", 4)
    assert snapshot.epoch == (await store.cursors("s")).epoch
    assert shown(snapshot) == [
        ("Kept", "1", 1, 3, StringValue(value="c")),
        ("Text", "1", 1, 3, VANISHED),
        ("Kept", "2", 2, 4, StringValue(value="")),
    ]


async def test_changes_show_unreadable_entities_too(store: HydrationStore) -> None:
    hub = Hub(without(), store=store)
    changes = await hub.states("s", since=2)
    assert shown(changes) == [
        ("Kept", "1", 1, 3, StringValue(value="c")),
        ("Text", "1", 1, 3, VANISHED),
        ("Kept", "2", 2, 4, StringValue(value="")),
        ("Text", "2", 2, 4, None),
    ]
    assert [entity.tombstone for entity in changes.entities] == [False, False, False, True]
    assert await hub.states("s", since=3) == await hub.snapshot("s", since=3)  # nothing unreadable in there


async def test_a_hub_whose_cache_knows_what_vanished_shows_it_too(store: HydrationStore) -> None:
    hub = Hub(without(), store=store)
    hub.register_timeline_projection(keep)
    await hub.publish(said("d", entity="3"))
    snapshot = await hub.states("s")
    assert [entity.payload for entity in snapshot.entities if entity.kind == "Text"] == [VANISHED]
    assert snapshot.snapshot_ordinal == 5


async def test_the_store_is_read_once_whatever_is_unreadable(store: HydrationStore) -> None:
    counted = Store(store)
    hub = Hub(without(), store=counted)
    await hub.states("s")
    assert counted.calls == ["timeline"]
    await hub.states("s", since=2)
    assert counted.calls == ["timeline", "cursors", "timeline"]


async def test_where_all_can_be_read_it_is_the_snapshot() -> None:
    app = App()
    await app.publish("a", "b")
    for since in (None, 1):
        assert await app.hub.states("s", since=since) == await app.hub.snapshot("s", since=since)
    assert (await app.hub.states("s", since=9)).snapshot_ordinal == 2
    await app.store.prune("s", before=2)
    with pytest.raises(HistoryPruned):
        await app.hub.states("s", since=1)


async def test_what_changed_its_shape_says_how(tmp_path: Path) -> None:
    def schemas(message: Any) -> SchemaRegistry:
        registered = SchemaRegistry()
        registered.register_event("Said", TokensDeltaEvent)
        registered.register_timeline_entity("Place", message)
        return registered

    old, new = shaped("1 string x"), shaped("1 int32 x")
    payload = old(x="text")
    async with SQLiteStore.open(tmp_path / "x.db", schemas(old)) as store, Hub(schemas(old), store=store) as hub:
        hub.register_timeline_projection(lambda event, session, view: [TimelineEntity("Place", "1", payload)])
        await hub.publish(said())
    async with SQLiteStore.open(tmp_path / "x.db", schemas(new)) as store, Hub(schemas(new), store=store) as hub:
        (place,) = (await hub.states("s")).entities
    shape = "field 1 of test.Shape was string 'x' and is int32 'x'"
    clash = f"its message has changed: {shape}: they are written differently"
    assert place.payload == UnreadablePayload(type="test.Shape", reason=clash)


async def test_bytes_that_are_no_such_message_are_an_error_only_for_whoever_touches_them(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    def move(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        return [TimelineEntity("Place", str(event.ordinal), event.payload)]

    async def write(text: str) -> Snapshot:
        schemas = SchemaRegistry()
        schemas.register_event("Moved", StringValue)
        schemas.register_timeline_entity("Place", StringValue)
        async with SQLiteStore.open(path, schemas) as store, Hub(schemas, store=store) as hub:
            hub.register_timeline_projection(move)
            await hub.publish(Event("Moved", StringValue(value=text), "s"))
            return await hub.states("s")

    await write("first")
    with sqlite3.connect(path) as file:
        assert file.execute("UPDATE entities SET payload = x'ff'").rowcount == 1
    file.close()
    hidden, shown = (entity.payload for entity in (await write("second")).entities)
    assert shown == StringValue(value="second")
    assert isinstance(hidden, UnreadablePayload)
    assert hidden.type == "google.protobuf.StringValue"
    assert "its bytes are no such message (" in hidden.reason


async def test_a_rebuild_meanwhile_is_a_conflict_and_no_half_truth() -> None:
    inner = MemoryStore(both())
    app = App(inner, schemas=both())
    await app.publish("a", "b")
    inner._registry = without()
    inner._readable.clear()
    store = Store(inner)
    hub = Hub(without(), store=store)

    async def rebuild() -> None:
        inner._by_id["s"].epoch += 1

    store.first("timeline", rebuild)
    with pytest.raises(OrdinalConflict):
        await hub.states("s", since=1)
    (entity,) = (await hub.states("s", since=1)).entities
    assert entity.payload == VANISHED


def entity(number: int, ordinal: int = 1, *, kind: str = "Text", reason: str = "it is gone") -> TimelineEntity:
    return TimelineEntity(kind, str(number), UnreadablePayload(type="a.B", reason=reason), ordinal, ordinal)


async def test_an_entity_is_recorded_once_until_an_event_changes_it() -> None:
    app = App()
    for _ in range(3):
        await app.hub.report_unreadable("s", [entity(1, 7)])
    (record,) = await app.store.error_records("s")
    assert app.recorder.errors == [record]
    assert (record.kind, record.session_id, record.ordinal, record.event_name) == ("fanout", "s", 7, "")
    words = "timeline entity 'Text' '1' cannot be shown to clients, stored as a.B: it is gone"
    assert record.error == f"TransportError: {words}"
    assert record.metadata == {"entityKind": "Text", "entityId": "1", "entities": "1", "payloadType": "a.B"}
    await app.hub.report_unreadable("other", [entity(1, 7)])
    await app.hub.report_unreadable("s", [entity(1, 8)])
    assert [(each.session_id, each.ordinal) for each in app.recorder.errors] == [("s", 7), ("other", 7), ("s", 8)]


async def test_those_of_one_kind_and_reason_are_one_record() -> None:
    app = App()
    many = [entity(number) for number in range(500)]
    await app.hub.report_unreadable("s", [*many, entity(1, kind="Other"), entity(501, reason="it is large")])
    told = {
        record.error.split(" cannot")[0].split(": ", 1)[1]: record.metadata["entities"]
        for record in app.recorder.errors
    }
    assert told == {
        "timeline entity 'Text' '0' and 499 more": "500",
        "timeline entity 'Other' '1'": "1",
        "timeline entity 'Text' '501'": "1",
    }
    await app.hub.report_unreadable("s", [*many, entity(502)])
    assert app.recorder.errors[-1].error.startswith("TransportError: timeline entity 'Text' '502' cannot")


async def test_what_was_recorded_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreadable, "REMEMBERED", 3)
    app = App()
    for number in (1, 2, 3, 3, 4, 1):
        await app.hub.report_unreadable("s", [entity(number)])
    assert [record.metadata["entityId"] for record in app.recorder.errors] == ["1", "2", "3", "4", "1"]
    assert len(app.hub._unreadable._recorded) == 3


async def test_a_record_that_cannot_be_stored_reaches_the_observer() -> None:
    recorder = Recorder()
    store = Store(MemoryStore(both()))
    store.fail("record_error", StoreError("the disk is full"))
    hub = Hub(both(), store=store, error_observer=recorder.error)
    await hub.report_unreadable("s", [entity(1)])
    assert recorder.kinds() == ["store", "fanout"]


async def test_the_payload_of_an_entity_in_process_is_as_ever() -> None:
    """Only those who ask for what is readable are given what is in the place of a payload."""
    app = App()
    await app.publish("a")
    (known,) = (await app.hub.snapshot("s")).entities
    assert isinstance(known.payload, ChatMessageEntity)
