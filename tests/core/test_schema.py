"""The schema registry: registration, checks of payloads, and decoding."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.codec import copy_message
from sessionstream.errors import (
    DuplicateSchemaError,
    InvalidNameError,
    PayloadDecodeError,
    PayloadTypeError,
    SchemaError,
    StructPayloadError,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1 import chat_pb2
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand, StopInferenceCommand, TokensDeltaEvent
from sessionstream.schema import Family, SchemaRegistry, check_name, describe

Register = Callable[[SchemaRegistry, str, Any], None]
Look = Callable[[SchemaRegistry, str], type[Message] | None]

FAMILIES: list[tuple[Family, Register, Look]] = [
    ("command", SchemaRegistry.register_command, SchemaRegistry.command_schema),
    ("event", SchemaRegistry.register_event, SchemaRegistry.event_schema),
    ("ui event", SchemaRegistry.register_ui_event, SchemaRegistry.ui_event_schema),
    ("timeline entity", SchemaRegistry.register_timeline_entity, SchemaRegistry.timeline_entity_schema),
]
every_family = pytest.mark.parametrize(("family", "register", "look"), FAMILIES, ids=[name for name, *_ in FAMILIES])

DELTA = "sessionstream.examples.chatdemo.v1.TokensDeltaEvent"
START = "sessionstream.examples.chatdemo.v1.StartInferenceCommand"


@pytest.fixture
def registry() -> SchemaRegistry:
    return SchemaRegistry()


def foreign_class(name: str) -> type[Message]:
    """The class of a message of the same full name that another descriptor pool made."""
    pool = descriptor_pool.DescriptorPool()
    proto = descriptor_pb2.FileDescriptorProto()
    chat_pb2.DESCRIPTOR.CopyToProto(proto)
    pool.Add(proto)  # type: ignore[no-untyped-call, unused-ignore]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


@every_family
class TestRegistering:
    def test_a_class(self, registry: SchemaRegistry, family: Family, register: Register, look: Look) -> None:
        assert look(registry, "A") is None
        register(registry, "A", TokensDeltaEvent)
        assert look(registry, "A") is TokensDeltaEvent

    def test_an_instance_is_a_prototype(
        self, registry: SchemaRegistry, family: Family, register: Register, look: Look
    ) -> None:
        register(registry, "A", TokensDeltaEvent(chunk="does not matter"))
        assert look(registry, "A") is TokensDeltaEvent
        assert registry.checked_copy(family, "A", TokensDeltaEvent()) == TokensDeltaEvent()

    @pytest.mark.parametrize("name", ["", " ", "\n", None, 5, b"A", ["A"]])
    def test_an_unusable_name(
        self, registry: SchemaRegistry, family: Family, register: Register, look: Look, name: object
    ) -> None:
        with pytest.raises(InvalidNameError, match=f"{family} name") as caught:
            register(registry, cast("str", name), TokensDeltaEvent)
        assert (caught.value.family, caught.value.name) == (family, name)
        assert repr(name) in str(caught.value)
        assert registry.names(family) == []

    @pytest.mark.parametrize(
        ("message", "got"),
        [
            (None, "a builtins.NoneType"),
            (dict, "the class builtins.dict"),
            ({"chunk": "x"}, "a builtins.dict"),
            ("TokensDeltaEvent", "a builtins.str"),
            (Message, "the class google.protobuf.message.Message"),
            (TokensDeltaEvent.DESCRIPTOR, None),
        ],
    )
    def test_no_message(
        self,
        registry: SchemaRegistry,
        family: Family,
        register: Register,
        look: Look,
        message: object,
        got: str | None,
    ) -> None:
        with pytest.raises(PayloadTypeError, match="concrete protobuf message") as caught:
            register(registry, "A", message)
        error = caught.value
        assert (error.family, error.name, error.expected) == (family, "A", "")
        assert f"{family} 'A'" in str(error)
        assert error.got in str(error)
        assert got is None or error.got == got
        assert look(registry, "A") is None

    @pytest.mark.parametrize("message", [struct_pb2.Struct, struct_pb2.Struct()])
    def test_a_struct(
        self, registry: SchemaRegistry, family: Family, register: Register, look: Look, message: object
    ) -> None:
        with pytest.raises(StructPayloadError, match=r"google\.protobuf\.Struct") as caught:
            register(registry, "A", message)
        assert (caught.value.family, caught.value.name) == (family, "A")
        assert look(registry, "A") is None

    def test_relatives_of_struct_are_fine(
        self, registry: SchemaRegistry, family: Family, register: Register, look: Look
    ) -> None:
        nested = descriptor_pool.DescriptorPool()
        for proto in (struct_pb2.DESCRIPTOR, None):
            description = descriptor_pb2.FileDescriptorProto()
            if proto is not None:
                proto.CopyToProto(description)
            else:
                description.name, description.package, description.syntax = "n.proto", "n", "proto3"
                description.dependency.append("google/protobuf/struct.proto")
                message = description.message_type.add(name="Nested")
                message.field.add(name="inner", number=1, type=11, label=1, type_name=".google.protobuf.Struct")
                description.message_type.add(name="Struct")
            nested.Add(description)  # type: ignore[no-untyped-call, unused-ignore]
        for name in ("n.Nested", "n.Struct"):
            register(registry, name, message_factory.GetMessageClass(nested.FindMessageTypeByName(name)))
        register(registry, "value", struct_pb2.Value)
        assert registry.names(family) == ["n.Nested", "n.Struct", "value"]

    def test_a_struct_of_another_pool_is_a_struct(
        self, registry: SchemaRegistry, family: Family, register: Register, look: Look
    ) -> None:
        pool = descriptor_pool.DescriptorPool()
        description = descriptor_pb2.FileDescriptorProto()
        struct_pb2.DESCRIPTOR.CopyToProto(description)
        pool.Add(description)  # type: ignore[no-untyped-call, unused-ignore]
        with pytest.raises(StructPayloadError):
            register(
                registry, "A", message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.Struct"))
            )

    def test_a_name_twice(self, registry: SchemaRegistry, family: Family, register: Register, look: Look) -> None:
        register(registry, "A", TokensDeltaEvent)
        for again in (StartInferenceCommand, TokensDeltaEvent):
            with pytest.raises(DuplicateSchemaError) as caught:
                register(registry, "A", again)
            error = caught.value
            assert (error.family, error.name) == (family, "A")
            assert (error.existing, error.offender) == (DELTA, again.DESCRIPTOR.full_name)
            assert all(word in str(error) for word in (family, "'A'", error.existing, error.offender))
        assert look(registry, "A") is TokensDeltaEvent

    def test_one_message_under_two_names(
        self, registry: SchemaRegistry, family: Family, register: Register, look: Look
    ) -> None:
        register(registry, "B", TokensDeltaEvent)
        register(registry, "A", TokensDeltaEvent)
        assert registry.names(family) == ["B", "A"]

    def test_what_is_not_registered(
        self, registry: SchemaRegistry, family: Family, register: Register, look: Look
    ) -> None:
        register(registry, "A", TokensDeltaEvent)
        for name in ("B", "a", "A ", ""):
            way_out = "register_" if name else "give the name of one that is"
            with pytest.raises(UnknownSchemaError, match=way_out) as caught:
                registry.checked_copy(family, name, TokensDeltaEvent())
            assert (caught.value.family, caught.value.name, caught.value.payload_type) == (family, name, "")
            with pytest.raises(UnknownSchemaError):
                registry.check_known(family, name)
        registry.check_known(family, "A")


def test_families_do_not_share_names(registry: SchemaRegistry) -> None:
    messages: list[type[Message]] = [TokensDeltaEvent, StartInferenceCommand, StopInferenceCommand]
    messages.append(chat_pb2.ChatMessageUpdate)
    for (_, register, _), message in zip(FAMILIES, messages, strict=True):
        register(registry, "A", message)
    assert [look(registry, "A") for _, _, look in FAMILIES] == messages


def test_registries_do_not_share_names(registry: SchemaRegistry) -> None:
    registry.register_event("A", TokensDeltaEvent)
    assert SchemaRegistry().event_schema("A") is None


class TestCheckedCopies:
    @pytest.fixture(autouse=True)
    def _register(self, registry: SchemaRegistry) -> None:
        registry.register_event("Said", TokensDeltaEvent)

    def test_it_shares_nothing(self, registry: SchemaRegistry) -> None:
        payload = TokensDeltaEvent(chunk="x")
        copy = registry.checked_copy("event", "Said", payload)
        assert copy == payload
        payload.chunk = "y"
        assert copy == TokensDeltaEvent(chunk="x")

    @pytest.mark.parametrize(
        ("payload", "got"),
        [
            (StartInferenceCommand(), START),
            (StartInferenceCommand, f"the class {START}"),
            (dict, "the class builtins.dict"),
            (None, "a builtins.NoneType"),
            (b"", "a builtins.bytes"),
            ({"chunk": "x"}, "a builtins.dict"),
        ],
    )
    def test_another_payload(self, registry: SchemaRegistry, payload: object, got: str) -> None:
        with pytest.raises(PayloadTypeError) as caught:
            registry.checked_copy("event", "Said", payload)
        error = caught.value
        assert (error.family, error.name, error.expected, error.got) == ("event", "Said", DELTA, got)
        assert str(error) == f"event 'Said' payload type mismatch: got {got}, want {DELTA}"

    def test_the_class_where_an_instance_is_due(self, registry: SchemaRegistry) -> None:
        with pytest.raises(PayloadTypeError) as caught:
            registry.checked_copy("event", "Said", TokensDeltaEvent)
        assert (caught.value.expected, caught.value.got) == (DELTA, f"the class {DELTA}")
        assert str(caught.value).endswith("a payload is an instance: write TokensDeltaEvent(…)")

    def test_the_same_message_of_another_pool_is_converted(self, registry: SchemaRegistry) -> None:
        foreign: Any = foreign_class(DELTA)(chunk="x")
        assert not isinstance(foreign, TokensDeltaEvent)
        copy = registry.checked_copy("event", "Said", foreign)
        assert isinstance(copy, TokensDeltaEvent)
        assert copy == TokensDeltaEvent(chunk="x")

    def test_unknown_fields_survive(self, registry: SchemaRegistry) -> None:
        newer = TokensDeltaEvent.FromString(TokensDeltaEvent(chunk="x").SerializeToString() + b"\xfa\x07\x01z")
        data = newer.SerializeToString(deterministic=True)
        assert b"\xfa\x07\x01z" in data
        for copy in (registry.checked_copy("event", "Said", newer), copy_message(newer)):
            assert copy.SerializeToString(deterministic=True) == data
        assert registry.decode("event", "Said", DELTA, data).SerializeToString(deterministic=True) == data

    def test_missing_required_fields_are_refused_before_anything_is_stored(self, registry: SchemaRegistry) -> None:
        part = descriptor_pb2.UninterpretedOption.NamePart(name_part="x")
        registry.register_event("Part", descriptor_pb2.UninterpretedOption.NamePart)
        with pytest.raises(PayloadTypeError, match="required fields"):
            registry.checked_copy("event", "Part", part)
        part.is_extension = False
        assert registry.checked_copy("event", "Part", part) == part
        assert copy_message(part) == part


def commands() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_command("Say", StartInferenceCommand)
    registry.register_command("Wrapped", wrappers_pb2.Int32Value)
    registry.register_command("Value", struct_pb2.Value)
    registry.register_command("Event", TokensDeltaEvent)
    return registry


class TestDecodingCommands:
    @pytest.fixture
    def registry(self) -> SchemaRegistry:
        return commands()

    @pytest.mark.parametrize("data", [b'{"prompt":"hi"}', '{"prompt":"hi"}', b' {"prompt": "hi"}\n'])
    def test_json_becomes_the_message(self, registry: SchemaRegistry, data: str | bytes) -> None:
        assert registry.decode_command_json("Say", data) == StartInferenceCommand(prompt="hi")

    def test_both_spellings_of_a_field(self, registry: SchemaRegistry) -> None:
        for data in ('{"messageId":"1"}', '{"message_id":"1"}'):
            assert registry.decode_command_json("Event", data) == TokensDeltaEvent(message_id="1")

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b"[1]",
            b"null",
            b'"x"',
            b"1",
            b'{"prompt":1}',
            b'{"prompt":"\\ud800"}',
            b'{"nonsense":"hi"}',
            b'{"prompt":"a","prompt":"b"}',
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"prompt":' + b"9" * 5000 + b"}",
        ],
        ids=lambda data: repr(data[:20]),
    )
    def test_what_is_no_such_json(self, registry: SchemaRegistry, data: bytes) -> None:
        with pytest.raises(PayloadDecodeError) as caught:
            registry.decode_command_json("Say", data)
        error = caught.value
        assert (error.family, error.name, error.expected) == ("command", "Say", START)
        assert error.reason
        assert "'Say'" in str(error)

    @pytest.mark.parametrize("data", [None, 3, {"prompt": "hi"}, ["hi"], StartInferenceCommand()], ids=repr)
    def test_what_is_no_text(self, registry: SchemaRegistry, data: object) -> None:
        with pytest.raises(TypeError, match=r"'Say'.*as str or bytes, not [a-zA-Z0-9_. ]+$"):
            registry.decode_command_json("Say", cast("str", data))

    @pytest.mark.parametrize("make", [bytearray, memoryview])
    def test_other_kinds_of_bytes(self, registry: SchemaRegistry, make: Callable[[bytes], Any]) -> None:
        assert registry.decode_command_json("Say", make(b'{"prompt":"hi"}')) == StartInferenceCommand(prompt="hi")

    def test_an_unknown_command(self, registry: SchemaRegistry) -> None:
        with pytest.raises(UnknownSchemaError, match="register_command") as caught:
            registry.decode_command_json("Sing", b"{}")
        assert (caught.value.family, caught.value.name) == ("command", "Sing")

    @given(
        name=st.sampled_from(["Say", "Wrapped", "Value", "Event"]),
        data=st.one_of(
            st.binary(max_size=40),
            st.text(max_size=40),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["prompt", "value", "streaming", "x"]), inner, max_size=3)
                ),
            ).map(json.dumps),
        ),
    )
    def test_whatever_a_client_sends(self, name: str, data: str | bytes) -> None:
        registry = commands()
        try:
            assert registry.decode_command_json(name, data).IsInitialized()
        except SchemaError as error:
            assert error.name == name


class TestReadingBack:
    def test_by_the_name_of_the_message(self, registry: SchemaRegistry) -> None:
        registry.register_event("Said", TokensDeltaEvent)
        data = TokensDeltaEvent(chunk="x").SerializeToString()
        assert registry.decode("event", "Said", DELTA, data) == TokensDeltaEvent(chunk="x")

    def test_a_renamed_event_is_readable_while_its_message_is_known(self, registry: SchemaRegistry) -> None:
        registry.register_timeline_entity("Text", TokensDeltaEvent)
        assert registry.decode("event", "Gone", DELTA, b"") == TokensDeltaEvent()

    def test_a_message_that_vanished(self, registry: SchemaRegistry) -> None:
        registry.register_event("Said", StartInferenceCommand)
        with pytest.raises(UnknownSchemaError, match="register it again with register_event") as caught:
            registry.decode("event", "Said", DELTA, b"")
        error = caught.value
        assert (error.family, error.name, error.payload_type) == ("event", "Said", DELTA)
        assert DELTA in str(error)

    def test_bytes_that_are_no_such_message(self, registry: SchemaRegistry) -> None:
        registry.register_event("Said", TokensDeltaEvent)
        with pytest.raises(PayloadDecodeError) as caught:
            registry.decode("event", "Said", DELTA, b"\xff\xff\xff")
        assert (caught.value.family, caught.value.name, caught.value.expected) == ("event", "Said", DELTA)

    @pytest.mark.parametrize("data", [None, 3, "x", {}, TokensDeltaEvent()], ids=repr)
    def test_what_is_no_bytes(self, registry: SchemaRegistry, data: object) -> None:
        registry.register_event("Said", TokensDeltaEvent)
        with pytest.raises(TypeError, match=r"'Said' is decoded from bytes, not [a-zA-Z_.]+"):
            registry.decode("event", "Said", DELTA, cast("bytes", data))

    @pytest.mark.parametrize("payload_type", [None, 3, ["x"]], ids=repr)
    def test_what_is_no_name_of_a_message(self, registry: SchemaRegistry, payload_type: object) -> None:
        with pytest.raises(TypeError, match="payload_type"):
            registry.decode("event", "Said", cast("str", payload_type), b"")


@pytest.mark.parametrize("name", [None, 3, ["x"], {}], ids=repr)
def test_what_is_no_name_is_not_registered(name: Any) -> None:
    registry = commands()
    assert [look(registry, name) for _, _, look in FAMILIES] == [None] * 4
    with pytest.raises(UnknownSchemaError):
        registry.decode_command_json(name, b"{}")


@pytest.mark.parametrize("family", ["entity", "", None, ["event"]], ids=repr)
def test_a_family_that_is_none(family: Any) -> None:
    registry = commands()
    calls: list[Callable[[], object]] = [
        lambda: registry.names(family),
        lambda: registry.check_known(family, "Say"),
        lambda: registry.checked_copy(family, "Say", StartInferenceCommand()),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="'command', 'event', 'ui event' or 'timeline entity'"):
            call()


def test_names_may_be_anything_visible() -> None:
    assert check_name("event", "Überraschung 1/2") == "Überraschung 1/2"


def test_describing() -> None:
    assert describe(TokensDeltaEvent()) == DELTA
    assert describe(TokensDeltaEvent) == f"the class {DELTA}"
    assert describe(SchemaRegistry()) == "a sessionstream.schema.SchemaRegistry"
    assert describe(SchemaRegistry) == "the class sessionstream.schema.SchemaRegistry"


Nesting = Literal["extension", "group", "delimited", "map"]


def nesting(how: Nesting) -> tuple[type[Message], Any]:
    """A message that holds itself, in a field or an extension named ``kid``; and that extension."""
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="deep.proto", package="deep", syntax="proto2")
    message = file.message_type.add(name="Deep")
    message.field.add(name="text", number=1, type=FieldDescriptorProto.TYPE_STRING, label=1)
    kind = FieldDescriptorProto.TYPE_GROUP if how == "group" else FieldDescriptorProto.TYPE_MESSAGE
    kid = FieldDescriptorProto(
        name="kid", number=100, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL, type_name=".deep.Deep"
    )
    if how == "extension":
        message.extension_range.add(start=100, end=200)
        kid.extendee = ".deep.Deep"
        file.extension.append(kid)
    else:
        message.field.append(kid)
    if how == "delimited":
        file.syntax, file.edition = "editions", descriptor_pb2.EDITION_2023
        message.field[1].options.features.message_encoding = descriptor_pb2.FeatureSet.DELIMITED
    if how == "map":
        message.field[1].label, message.field[1].type_name = FieldDescriptorProto.LABEL_REPEATED, ".deep.Deep.KidEntry"
        entry = message.nested_type.add(name="KidEntry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=FieldDescriptorProto.TYPE_INT32, label=1)
        entry.field.add(name="value", number=2, type=kind, label=1, type_name=".deep.Deep")
    pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    extension = pool.FindExtensionByName("deep.kid") if how == "extension" else None
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("deep.Deep")), extension


def nested_extensions(levels: int) -> Message:
    cls, kid = nesting("extension")
    payload: Any = cls()
    node = payload
    for _ in range(levels):
        node = node.Extensions[kid]
    node.text = "x"
    return payload  # type: ignore[no-any-return]


def nested_groups(levels: int, how: Nesting = "group") -> Message:
    payload: Any = nesting(how)[0]()
    node = payload
    for _ in range(levels):
        node = node.kid
    node.text = "x"
    return payload  # type: ignore[no-any-return]


def nested_delimited(levels: int) -> Message:
    return nested_groups(levels, "delimited")


def nested_maps(levels: int) -> Message:
    payload: Any = nesting("map")[0]()
    node = payload
    for _ in range(levels // 2):
        node = node.kid[1]
    node.text = "x"
    return payload  # type: ignore[no-any-return]


def nested_unknown_groups(levels: int) -> Message:
    """Groups that a newer process has written, in a message in a message: two parts that can be read by themselves."""
    cls, _ = nesting("group")
    start, end = b"\xab\x06", b"\xac\x06"
    inner: Any = cls.FromString(start * (levels // 2) + end * (levels // 2))
    payload: Any = cls()
    node = payload
    for _ in range(levels - levels // 2):
        node = node.kid
    node.CopyFrom(inner)
    return payload  # type: ignore[no-any-return]


def unknown_groups_in_a_flat_message(levels: int) -> Message:
    """The same where no message holds itself: it is 90 levels deep by itself, and 91 to 140 in others."""
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="flat.proto", package="flat", syntax="proto3")
    count = max(levels - 90, 2)
    for number in range(count):
        message = file.message_type.add(name=f"M{number}")
        if number + 1 < count:
            kid = message.field.add(name="kid", number=1, type=FieldDescriptorProto.TYPE_MESSAGE, label=1)
            kid.type_name = f".flat.M{number + 1}"
    pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    payload: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("flat.M0"))()
    node = payload
    for _ in range(count - 1):
        node = node.kid
    depth = min(levels, 90)
    node.CopyFrom(type(node).FromString(b"\xab\x06" * depth + b"\xac\x06" * depth))
    return payload  # type: ignore[no-any-return]


NESTED = [
    nested_extensions,
    nested_groups,
    nested_delimited,
    nested_maps,
    nested_unknown_groups,
    unknown_groups_in_a_flat_message,
]


class TestDepth:
    """What protobuf writes and cannot read is refused on the way in."""

    @pytest.mark.parametrize(("levels", "fits"), [(10, True), (40, True), (60, False), (200, False)])
    def test_messages_in_messages(self, levels: int, fits: bool) -> None:
        registry = SchemaRegistry()
        registry.register_event("Nested", struct_pb2.ListValue)
        payload = struct_pb2.ListValue()
        inner = payload
        for _ in range(levels):
            inner = inner.values.add().list_value
        inner.values.add().number_value = 1
        if fits:
            copy = registry.checked_copy("event", "Nested", payload)
            assert struct_pb2.ListValue.FromString(copy.SerializeToString()) == payload
        else:
            with pytest.raises(PayloadTypeError, match=r"cannot be read again.*levels deep"):
                registry.checked_copy("event", "Nested", payload)

    @pytest.mark.parametrize("levels", [5, 150])
    @pytest.mark.parametrize("nested", NESTED, ids=lambda nested: nested.__name__)
    def test_what_is_accepted_can_be_read_again(self, nested: Callable[[int], Message], levels: int) -> None:
        registry, payload = SchemaRegistry(), nested(levels)
        registry.register_event("Nested", type(payload))
        if levels < 50:
            copy = registry.checked_copy("event", "Nested", payload)
            assert copy == payload
            assert registry.decode("event", "Nested", copy.DESCRIPTOR.full_name, copy.SerializeToString()) == payload
        else:
            with pytest.raises(PayloadTypeError, match=r"cannot be read again.*levels deep"):
                registry.checked_copy("event", "Nested", payload)

    @pytest.mark.parametrize("value", [{"\ud800": 1}, {"@type": "type.googleapis.com/google.protobuf.Any"}])
    def test_json_that_breaks_the_parser(self, value: dict[str, object]) -> None:
        registry = SchemaRegistry()
        registry.register_command("Say", TokensDeltaEvent)
        registry.register_command("Any", any_pb2.Any)
        for name in registry.names("command"):
            with pytest.raises(PayloadDecodeError):
                registry.decode_command_json(name, json.dumps(value))


def test_a_message_is_one_class_within_a_registry(registry: SchemaRegistry) -> None:
    registry.register_event("Delta", TokensDeltaEvent)
    other = foreign_class(TokensDeltaEvent.DESCRIPTOR.full_name)
    with pytest.raises(PayloadTypeError, match="another class of that name"):
        registry.register_timeline_entity("Delta", other)
    assert registry.timeline_entity_schema("Delta") is None
    registry.register_timeline_entity("Delta", TokensDeltaEvent)
