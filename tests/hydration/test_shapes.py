"""A message that has changed since something was written with it: what may change, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import (
    Commit,
    Event,
    Hub,
    ProjectionError,
    SchemaRegistry,
    Session,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    UnknownSchemaError,
    UnreadableEntity,
)
from sessionstream.hydration.shapes import clash
from sessionstream.hydration.sqlite.types import descriptor_set

from .shapes import shaped

if TYPE_CHECKING:
    from google.protobuf.message import Message

FINE = [
    (("1 int32 x",), ("1 int32 x", "2 string y")),
    (("1 int32 x", "2 string y"), ("1 int32 x",)),
    (("1 int32 x",), ("1 int64 renamed",)),
    (("1 int32 x",), ("1 bool x",)),
    (("1 enum x",), ("1 uint32 x",)),
    (("1 sint32 x",), ("1 sint64 x",)),
    (("1 fixed32 x",), ("1 sfixed32 x",)),
    (("1 string x",), ("1 bytes x",)),
    (("1 message x",), ("1 bytes x",)),
    (("1 int32 x",), ("1 repeated int32 x",)),
    (("1 repeated string x",), ("1 string x",)),
    (("1 repeated message x",), ("1 message x",)),
]
CLASHES = [
    (("1 string x",), ("1 int32 x",), "field 1 of test.Shape was string 'x' and is int32 'x'"),
    (("2 int32 x",), ("2 sint32 x",), "field 2 of test.Shape was int32 'x' and is sint32 'x'"),
    (("1 fixed32 x",), ("1 float x",), "was fixed32 'x' and is float 'x'"),
    (("1 double x",), ("1 fixed64 x",), "was double 'x' and is fixed64 'x'"),
    (("1 string x",), ("1 message x",), "was string 'x' and is message 'x'"),
    (("1 repeated int32 x",), ("1 int32 x",), "was repeated int32 'x' and is int32 'x'"),
    (("1 string old", "2 string kept"), ("1 string old", "2 double new"), "was string 'kept' and is double 'new'"),
]


@pytest.mark.parametrize(("then", "now"), FINE)
def test_what_may_change(then: tuple[str, ...], now: tuple[str, ...]) -> None:
    assert clash("test.Shape", descriptor_set(shaped(*then)), descriptor_set(shaped(*now))) == ""


@pytest.mark.parametrize(("then", "now", "words"), CLASHES)
def test_what_clashes(then: tuple[str, ...], now: tuple[str, ...], words: str) -> None:
    assert words in clash("test.Shape", descriptor_set(shaped(*then)), descriptor_set(shaped(*now)))


def test_what_clashes_in_a_message_within() -> None:
    then, now = shaped("1 message x", inner=("1 message y",)), shaped("1 message x", inner=("1 message y", "2 int32 z"))
    assert clash("test.Shape", descriptor_set(then), descriptor_set(now)) == ""
    now = shaped("1 message x", inner=("1 bool y",))
    found = clash("test.Shape", descriptor_set(then), descriptor_set(now))
    assert found == "field 1 of test.Shape.Inner was message 'y' and is bool 'y'"


def schemas(message: type[Message]) -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_event("Moved", message)
    registry.register_timeline_entity("Place", message)
    return registry


async def write(path: Path, payload: Any) -> None:
    async with SQLiteStore.open(path, schemas(type(payload))) as store:
        cursor = (await store.cursors("s")).event + 1
        entity = TimelineEntity("Place", str(cursor), payload, cursor, cursor)
        event = Event("Moved", payload, "s", cursor, f"e-{cursor}")
        await store.commit(Commit("s", event, (entity,), cursor - 1, timeline_cursor=cursor))


def moving(registry: SchemaRegistry, store: SQLiteStore) -> Hub:
    hub = Hub(registry, store=store)

    @hub.timeline_projection
    def move(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        view.get("Place", getattr(event.payload, "y", ""))
        return [TimelineEntity("Place", "new", event.payload)]

    return hub


async def test_a_message_that_got_fields_reads_what_it_wrote_before(tmp_path: Path) -> None:
    old, new = shaped("1 int32 x"), shaped("1 int64 x", "2 string y")
    await write(tmp_path / "x.db", old(x=5))
    await write(tmp_path / "x.db", new(x=2**40, y="more"))
    for message, first, second in ((new, new(x=5), new(x=2**40, y="more")), (old, old(x=5), None)):
        async with SQLiteStore.open(tmp_path / "x.db", schemas(message)) as store:
            payloads = [event.payload for event in await store.events("s")]
            assert payloads[0] == first
            if second is not None:
                assert payloads[1] == second
            places = {entity.id: entity.payload for entity in (await store.snapshot("s")).entities}
            assert places == {"1": payloads[0], "2": payloads[1]}


async def test_a_message_that_cannot_read_it_is_an_error_only_for_whoever_touches_it(tmp_path: Path) -> None:
    old, new = shaped("1 string x", "2 string y"), shaped("1 int32 x", "2 string y")
    await write(tmp_path / "x.db", old(x="text"))
    registry = schemas(new)
    async with SQLiteStore.open(tmp_path / "x.db", registry) as store:
        words = "field 1 of test.Shape was string 'x' and is int32 'x'"
        with pytest.raises(UnknownSchemaError, match=words) as raised:
            await store.events("s")
        assert (raised.value.ordinal, raised.value.payload_type, raised.value.clash) == (1, "test.Shape", words)
        with pytest.raises(UnknownSchemaError, match=words):
            await store.snapshot("s")
        assert (await store.timeline("s")).unreadable == [UnreadableEntity("Place", "1", 1, 1, "test.Shape", words)]
        assert await store.find_event("s", "e-1") is not None
        hub = moving(registry, store)
        published = await hub.publish(Event("Moved", new(x=1, y="none"), "s"))
        assert published.ordinal == 2
        with pytest.raises(ProjectionError, match=words):
            await hub.publish(Event("Moved", new(x=1, y="1"), "s"))
        await hub.shutdown()
    async with SQLiteStore.open(tmp_path / "x.db", schemas(old)) as store:
        assert (await store.events("s", limit=1))[0].payload == old(x="text")


async def test_a_type_that_is_registered_later_is_compared_then(tmp_path: Path) -> None:
    await write(tmp_path / "x.db", shaped("1 string x")(x="text"))
    registry = SchemaRegistry()
    async with SQLiteStore.open(tmp_path / "x.db", registry) as store:
        with pytest.raises(UnknownSchemaError, match="does not know"):
            await store.events("s")
        registry.register_event("Moved", shaped("1 double x"))
        with pytest.raises(UnknownSchemaError, match="is double"):
            await store.events("s")


async def test_a_hub_refuses_a_store_that_would_not_read_its_events(tmp_path: Path) -> None:
    mine, other = schemas(shaped("1 string x")), schemas(shaped("1 string x"))
    async with SQLiteStore.open(tmp_path / "x.db", other) as store:
        with pytest.raises(ValueError, match=r"another registry than schemas.* event 'Moved'"):
            Hub(mine, store=store)
        alike = SchemaRegistry()
        message = other.event_schema("Moved")
        assert message is not None
        alike.register_event("Moved", message)
        alike.register_command("Move", StringValue)
        await Hub(alike, store=store).shutdown()
