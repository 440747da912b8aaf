"""A message that has changed since something was written with it: what may change, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import EDITION_2023, FeatureSet, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st

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
from sessionstream.descriptors import descriptor_set
from sessionstream.hydration.shapes import clash

from .evolving import FieldSpec, Spec, fill, pairs, reads
from .shapes import shaped

if TYPE_CHECKING:
    from google.protobuf.message import Message

FINE = [
    (("1 int32 x",), ("1 int32 x", "2 string y")),
    (("1 int32 x", "2 string y"), ("1 int32 x",)),
    (("1 int32 x",), ("1 int64 renamed",)),
    (("1 uint32 x",), ("1 int64 x",)),
    (("1 uint32 x",), ("1 uint64 x",)),
    (("1 bool x",), ("1 uint32 x",)),
    (("1 bool x",), ("1 enum x",)),
    (("1 enum x",), ("1 int32 x",)),
    (("1 int32 x",), ("1 enum x",)),
    (("1 sint32 x",), ("1 sint64 x",)),
    (("1 string x",), ("1 bytes x",)),
    (("1 message x",), ("1 bytes x",)),
    (("1 int32 x",), ("1 repeated int32 x",)),
    (("1 message x",), ("1 repeated message x",)),
]
CLASHES = [
    (("1 string x",), ("1 int32 x",), "field 1 of test.Shape was string 'x' and is int32 'x': they are written diff"),
    (("2 int32 x",), ("2 sint32 x",), "field 2 of test.Shape was int32 'x' and is sint32 'x': they are written diff"),
    (("1 fixed32 x",), ("1 float x",), "was fixed32 'x' and is float 'x': they are written differently"),
    (("1 double x",), ("1 fixed64 x",), "was double 'x' and is fixed64 'x': they are written differently"),
    (("1 string x",), ("1 message x",), "was string 'x' and is message 'x': they are written differently"),
    (("1 repeated int32 x",), ("1 int32 x",), "was repeated int32 'x' and is int32 'x': of several values one would"),
    (("1 repeated string x",), ("1 string x",), "of several values one would be read"),
    (("1 repeated message x",), ("1 message x",), "of several values one would be read"),
    (("1 string old", "2 string kept"), ("1 string old", "2 double new"), "was string 'kept' and is double 'new'"),
    (
        ("3 int64 n",),
        ("3 int32 n",),
        "field 3 of test.Shape was int64 'n' and is int32 'n': not every value of int64 is",
    ),
    (("1 uint64 x",), ("1 uint32 x",), "not every value of uint64 is one of uint32"),
    (("1 int32 x",), ("1 uint32 x",), "not every value of int32 is one of uint32"),
    (("1 int64 x",), ("1 bool x",), "not every value of int64 is one of bool"),
    (("1 int64 x",), ("1 enum x",), "not every value of int64 is one of enum"),
    (("1 sint64 x",), ("1 sint32 x",), "not every value of sint64 is one of sint32"),
    (("1 fixed32 x",), ("1 sfixed32 x",), "half of the values of fixed32 would be read as others"),
    (("1 bytes x",), ("1 string x",), "not all bytes are a text"),
    (("1 bytes x",), ("1 message x",), "not all bytes are such a message"),
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
    assert found == "field 1 of test.Shape.Inner was message 'y' and is bool 'y': they are written differently"


def spec(*fields: FieldSpec, inner: tuple[FieldSpec, ...] = (), closed: tuple[int, ...] = (0, 1)) -> Spec:
    return Spec(dict(enumerate(fields, 1)), dict(enumerate(inner, 1)), closed)


ALIKE = [
    ("closed enum with one more value", spec(FieldSpec("closed")), spec(FieldSpec("closed"), closed=(0, 1, 2))),
    ("closed enum that opens", spec(FieldSpec("closed")), spec(FieldSpec("open"))),
    ("bool that gets names", spec(FieldSpec("bool")), spec(FieldSpec("closed"))),
    ("packed", spec(FieldSpec("int32", "expanded")), spec(FieldSpec("int32", "repeated"))),
    ("presence", spec(FieldSpec("int32", "implicit")), spec(FieldSpec("int32", "explicit"))),
    ("no presence", spec(FieldSpec("int32", "explicit")), spec(FieldSpec("int32", "implicit"))),
    ("not required any more", spec(FieldSpec("int32", "required")), spec(FieldSpec("int32"))),
    (
        "one field of a new oneof",
        spec(FieldSpec("int32")),
        spec(FieldSpec("int32", "oneof"), FieldSpec("bool", "oneof")),
    ),
    ("out of a oneof", spec(FieldSpec("int32", "oneof"), FieldSpec("bool", "oneof")), spec(FieldSpec("int32"))),
    ("keys of a map", spec(FieldSpec("map", "string", "int32")), spec(FieldSpec("map", "bytes", "int64"))),
]
UNLIKE = [
    (
        "closed enum with one value less",
        spec(FieldSpec("closed"), closed=(0, 1, 2)),
        spec(FieldSpec("closed")),
        "field 1 of t.M was enum 'f1' and is enum 'f1': t.Closed does not name 2, and would read that as not set",
    ),
    (
        "open enum that closes",
        spec(FieldSpec("open")),
        spec(FieldSpec("closed")),
        "t.Closed is closed, and would read values that it does not name as not set",
    ),
    (
        "message that is delimited",
        spec(FieldSpec("message")),
        spec(FieldSpec("delimited")),
        "field 1 of t.M was message 'f1' and is group 'f1': they are written differently",
    ),
    (
        "message that is delimited no more",
        spec(FieldSpec("delimited")),
        spec(FieldSpec("message")),
        "field 1 of t.M was group 'f1' and is message 'f1': they are written differently",
    ),
    (
        "two fields in a oneof",
        spec(FieldSpec("int32"), FieldSpec("string")),
        spec(FieldSpec("int32", "oneof"), FieldSpec("string", "oneof")),
        "fields 1 'f1' and 2 'f2' of t.M could both be set and are in oneof 'one': one would be read",
    ),
    (
        "one field in a oneof that was there",
        spec(FieldSpec("int32"), FieldSpec("string", "oneof")),
        spec(FieldSpec("int32", "oneof"), FieldSpec("string", "oneof")),
        "fields 1 'f1' and 2 'f2' of t.M could both be set",
    ),
    (
        "required",
        spec(FieldSpec("int32")),
        spec(FieldSpec("int32", "required")),
        "field 1 of t.M is required as 'f1' and was not: it may be missing",
    ),
    (
        "a new field that is required",
        spec(FieldSpec("int32")),
        spec(FieldSpec("int32"), FieldSpec("int32", "required")),
        "field 2 of t.M is required as 'f2' and was not: it may be missing",
    ),
    (
        "keys of a map",
        spec(FieldSpec("map", "string", "int64")),
        spec(FieldSpec("map", "string", "int32")),
        "field 1 of t.M.F1Entry was int64 'key' and is int32 'key': not every value of int64 is one of int32",
    ),
    (
        "values of a map",
        spec(FieldSpec("map", "string", "int64")),
        spec(FieldSpec("map", "int32", "int64")),
        "field 2 of t.M.F1Entry was string 'value' and is int32 'value': they are written differently",
    ),
    (
        "messages that become a map",
        spec(FieldSpec("message", "repeated"), inner=(FieldSpec("int32"), FieldSpec("string"))),
        spec(FieldSpec("map", "string", "int32")),
        "of several messages with one key one would be read",
    ),
]


@pytest.mark.parametrize(("then", "now"), [each[1:] for each in ALIKE], ids=[each[0] for each in ALIKE])
def test_what_of_editions_may_change(then: Spec, now: Spec) -> None:
    assert clash("t.M", descriptor_set(then.message()), descriptor_set(now.message())) == ""


@pytest.mark.parametrize(("then", "now", "words"), [each[1:] for each in UNLIKE], ids=[each[0] for each in UNLIKE])
def test_what_of_editions_clashes(then: Spec, now: Spec, words: str) -> None:
    assert words in clash("t.M", descriptor_set(then.message()), descriptor_set(now.message()))


def file_of(syntax: str) -> FileDescriptorProto:
    """A file with a message that holds itself, in two ways of saying that it is delimited, and a closed enum."""
    file = FileDescriptorProto(name="g.proto", package="g", syntax=syntax)
    enum = file.enum_type.add(name="Closed")
    enum.value.add(name="ZERO", number=0)
    message = file.message_type.add(name="M")
    message.extension_range.add(start=10, end=20)
    field = message.field.add(name="m", number=1, label=FieldDescriptorProto.LABEL_OPTIONAL, type_name=".g.M")
    field.type = FieldDescriptorProto.TYPE_GROUP if syntax == "proto2" else FieldDescriptorProto.TYPE_MESSAGE
    kept = message.field.add(name="e", number=2, label=FieldDescriptorProto.LABEL_REPEATED, type_name=".g.Closed")
    kept.type = FieldDescriptorProto.TYPE_ENUM
    extension = file.extension.add(name="x", number=10, label=FieldDescriptorProto.LABEL_OPTIONAL, extendee=".g.M")
    extension.type = FieldDescriptorProto.TYPE_INT64
    if syntax == "editions":
        file.edition = EDITION_2023
        file.options.features.message_encoding = FeatureSet.DELIMITED
        file.options.features.enum_type = FeatureSet.CLOSED
        file.options.features.repeated_field_encoding = FeatureSet.EXPANDED
    return file


def in_pool(file: FileDescriptorProto) -> type[Message]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("g.M"))


def test_a_file_of_proto2_that_became_one_of_editions_reads_what_it_wrote() -> None:
    then, now = in_pool(file_of("proto2")), in_pool(file_of("editions"))
    assert clash("g.M", descriptor_set(then), descriptor_set(now)) == ""
    assert clash("g.M", descriptor_set(now), descriptor_set(then)) == ""
    written: Any = then(e=[0, 0])
    written.m.m.e.append(0)
    read: Any = now.FromString(written.SerializeToString())
    assert (list(read.e), list(read.m.m.e)) == ([0, 0], [0])
    assert read.SerializeToString() == written.SerializeToString()


def test_an_extension_that_clashes() -> None:
    file = file_of("proto2")
    then = descriptor_set(in_pool(file))
    file.extension[0].type = FieldDescriptorProto.TYPE_INT32
    found = clash("g.M", then, descriptor_set(in_pool(file)))
    assert found.startswith("field 10 of g.M was int64 'x' and is int32 'x': ")


@given(pairs(), st.data())
def test_what_does_not_clash_reads_the_same(pair: tuple[Spec, Spec], data: st.DataObject) -> None:
    was, now = (spec.message() for spec in pair)
    if clash("t.M", descriptor_set(was), descriptor_set(now)):
        return
    written = was()
    fill(data.draw, written, pair[0].fields, pair[0])
    assert reads(written, now.FromString(written.SerializeToString()))


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
    async with SQLiteStore.open(tmp_path / "x.db", schemas(new)) as store:
        payloads = [event.payload for event in await store.events("s")]
        assert payloads == [new(x=5), new(x=2**40, y="more")]
        places = {entity.id: entity.payload for entity in (await store.snapshot("s")).entities}
        assert places == {"1": payloads[0], "2": payloads[1]}


async def test_an_older_process_reads_what_a_newer_one_wrote_unless_it_would_misread_it(tmp_path: Path) -> None:
    old, more, wider = shaped("1 int32 x"), shaped("1 int32 x", "2 string y"), shaped("1 int64 x")
    for payload in (old(x=5), more(x=6, y="more"), wider(x=2**40)):
        await write(tmp_path / "x.db", payload)
    async with SQLiteStore.open(tmp_path / "x.db", schemas(old)) as store:
        first, second = await store.events("s", limit=2)
        assert (first.payload, second.payload.SerializeToString()) == (
            old(x=5),
            more(x=6, y="more").SerializeToString(),
        )
        with pytest.raises(UnknownSchemaError, match="not every value of int64 is one of int32") as raised:
            await store.events("s")
        assert raised.value.ordinal == 3


async def test_a_message_that_cannot_read_it_is_an_error_only_for_whoever_touches_it(tmp_path: Path) -> None:
    old, new = shaped("1 string x", "2 string y"), shaped("1 int32 x", "2 string y")
    await write(tmp_path / "x.db", old(x="text"))
    registry = schemas(new)
    async with SQLiteStore.open(tmp_path / "x.db", registry) as store:
        words = "field 1 of test.Shape was string 'x' and is int32 'x': they are written differently"
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
