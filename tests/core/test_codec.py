"""The facts that a codec derives from a descriptor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from sessionstream.codec import Codec
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.json_form import JsonForms
from sessionstream.schema import SchemaRegistry

if TYPE_CHECKING:
    from google.protobuf.message import Message


def codec(message: type[Message]) -> Codec:
    return Codec(message, JsonForms())


def chain(levels: int, fields: int = 1) -> type[Message]:
    """Return a message whose fields all hold the next of ``levels`` messages, the last a text."""
    file = descriptor_pb2.FileDescriptorProto(name=f"chain{levels}_{fields}.proto", package="chain", syntax="proto3")
    for level in range(levels):
        message = file.message_type.add(name=f"Level{level}")
        if level == levels - 1:
            message.field.add(name="text", number=1, type=FieldDescriptorProto.TYPE_STRING)
            continue
        for number in range(1, fields + 1):
            inner = f".chain.Level{level + 1}"
            kind = FieldDescriptorProto.TYPE_MESSAGE
            message.field.add(name=f"inner{number}", number=number, type=kind, type_name=inner)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: Any = pool.FindMessageTypeByName("chain.Level0")
    return message_factory.GetMessageClass(found)


@pytest.mark.parametrize(
    ("message", "shallow"),
    [
        (TokensDeltaEvent, True),
        (timestamp_pb2.Timestamp, True),
        (any_pb2.Any, True),
        (struct_pb2.Struct, False),
        (struct_pb2.ListValue, False),
        (descriptor_pb2.MessageOptions, False),  # has extensions
        (descriptor_pb2.DescriptorProto, False),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_messages_that_cannot_be_too_deep(message: type[Message], shallow: bool) -> None:
    assert codec(message).is_shallow is shallow


@pytest.mark.parametrize(("levels", "shallow"), [(1, True), (50, True), (51, False), (200, False)])
def test_a_chain_of_messages_is_shallow_up_to_half_of_what_can_be_read(levels: int, shallow: bool) -> None:
    assert codec(chain(levels)).is_shallow is shallow


def test_each_message_is_looked_at_once_however_many_fields_hold_it() -> None:
    assert codec(chain(40, fields=8)).is_shallow  # 8 ** 40 ways lead to the last one


@pytest.mark.parametrize(
    ("message", "may_lack"),
    [
        (TokensDeltaEvent, False),
        (struct_pb2.Struct, False),
        (descriptor_pb2.UninterpretedOption, True),  # holds a message with required fields
        (descriptor_pb2.UninterpretedOption.NamePart, True),
        (descriptor_pb2.MessageOptions, True),  # an extension may have some
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_required_fields(message: type[Message], may_lack: bool) -> None:
    assert codec(message).may_lack_fields is may_lack


def test_equal_messages_give_equal_bytes() -> None:
    names = [f"key{number}" for number in range(50)]
    one, other = struct_pb2.Struct(), struct_pb2.Struct()
    one.update(dict.fromkeys(names, 1.0))
    other.update(dict.fromkeys(reversed(names), 1.0))
    encode = codec(struct_pb2.Struct).encode
    assert encode(one) == encode(other)
    assert struct_pb2.Struct.FromString(encode(one)) == one


def test_a_registry_makes_one_codec_of_a_class() -> None:
    registry = SchemaRegistry()
    registry.register_event("Delta", TokensDeltaEvent)
    registry.register_ui_event("Delta", TokensDeltaEvent)
    assert registry.codec_of(TokensDeltaEvent) is registry.codec_of(TokensDeltaEvent)
    foreign = chain(2)
    assert registry.codec_of(foreign).message is foreign
    assert registry.codec_of(foreign) is registry.codec_of(foreign)
