"""What a client is told of a body that is not its command: the field, and what is right there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2, wrappers_pb2

from sessionstream import PayloadDecodeError, SchemaRegistry
from sessionstream.transport.http.payloads import flaw_of

Field = descriptor_pb2.FieldDescriptorProto


def wide_message() -> Any:
    """A message with fields of every sort."""
    file = descriptor_pb2.FileDescriptorProto(
        name="wide.proto", package="wide", syntax="proto3", dependency=[timestamp_pb2.DESCRIPTOR.name]
    )
    file.enum_type.add(name="Color").value.extend(
        [descriptor_pb2.EnumValueDescriptorProto(name=name, number=at) for at, name in enumerate(("RED", "BLUE"))]
    )
    message = file.message_type.add(name="Wide")
    entry = message.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=Field.TYPE_STRING, label=1)
    entry.field.add(name="value", number=2, type=Field.TYPE_INT32, label=1)
    for number, (name, kind, label, type_name) in enumerate(
        [
            ("color", Field.TYPE_ENUM, 1, ".wide.Color"),
            ("counts", Field.TYPE_MESSAGE, 3, ".wide.Wide.CountsEntry"),
            ("inner", Field.TYPE_MESSAGE, 1, ".wide.Wide"),
            ("at", Field.TYPE_MESSAGE, 1, ".google.protobuf.Timestamp"),
            ("raw_bytes", Field.TYPE_BYTES, 1, ""),
            ("tags", Field.TYPE_STRING, 3, ""),
            ("small", Field.TYPE_UINT32, 1, ""),
            ("large", Field.TYPE_SINT64, 1, ""),
            ("share", Field.TYPE_DOUBLE, 1, ""),
            ("done", Field.TYPE_BOOL, 1, ""),
        ],
        1,
    ):
        message.field.add(name=name, number=number, type=kind, label=label, type_name=type_name or None)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("wide.Wide"))


WIDE = wide_message()
SCHEMAS = SchemaRegistry()
SCHEMAS.register_command("Wide", WIDE)

FLAWS: list[tuple[Any, str]] = [
    ({"color": "GREEN"}, "color is a string: send one of RED, BLUE"),
    ({"counts": []}, "counts is a list: send a JSON object"),
    ({"counts": {"a": "x"}}, "counts.a is a string: send a whole number in its range, also as a string"),
    ({"tags": "a"}, "tags is a string: send a list"),
    ({"tags": ["a", 1]}, "tags[1] is a number: send a string"),
    ({"inner": {"inner": {"done": "yes"}}}, "inner.inner.done is a string: send true or false"),
    ({"inner": {"nope": 1}}, "inner has a field 'nope': it may have "),
    ({"inner": 3}, "inner is a number: send a JSON object with the fields color, counts, "),
    ({"at": "yesterday"}, "at is not the JSON of a google.protobuf.Timestamp"),
    ({"at": "2026-01-01T00:00:00Z", "small": -1}, "small is -1: send a whole number in its range, also as a string"),
    ({"small": 4294967296}, "small is 4294967296: send a whole number in its range"),
    ({"small": 1.5}, "small is 1.5: send a whole number in its range"),
    ({"large": "9223372036854775808"}, "large is a string: send a whole number in its range"),
    ({"share": "half"}, "share is a string: send a number"),
    ({"rawBytes": 3}, "rawBytes is a number: send a string in base64"),
    ({"raw_bytes": "a"}, "the body is not the JSON of a wide.Wide"),
]


@pytest.mark.parametrize(("value", "words"), FLAWS)
def test_the_first_flaw_is_named(value: Any, words: str) -> None:
    body = json.dumps({"large": "-1", "share": "1e3", "color": 1, "done": None} | value).encode()
    with pytest.raises(PayloadDecodeError) as raised:
        SCHEMAS.decode_command_json("Wide", body)
    assert flaw_of(raised.value, body, WIDE).startswith(words)


def test_a_value_that_has_no_json_form() -> None:
    schemas = SchemaRegistry()
    schemas.register_command("At", timestamp_pb2.Timestamp)
    error = PayloadDecodeError("command", "At", expected="x.Y", reason="it has no JSON form (inf)", path="a.b")
    assert flaw_of(error, b"{}", timestamp_pb2.Timestamp) == "a.b: it has no JSON form (inf)"
    with pytest.raises(PayloadDecodeError) as raised:
        schemas.decode_command_json("At", b'"yesterday"')
    words = flaw_of(raised.value, b'"yesterday"', timestamp_pb2.Timestamp)
    assert words == "the body is not the JSON of a google.protobuf.Timestamp"


@pytest.mark.parametrize(
    ("wrapper", "value", "words"),
    [
        (wrappers_pb2.StringValue, {"value": "tea"}, "the body is an object: send a string"),
        (wrappers_pb2.StringValue, 5, "the body is a number: send a string"),
        (wrappers_pb2.StringValue, None, "the body is null: send a string"),
        (wrappers_pb2.BoolValue, "yes", "the body is a string: send true or false"),
        (wrappers_pb2.UInt32Value, -1, "the body is -1: send a whole number in its range, also as a string"),
    ],
)
def test_a_wrapper_is_sent_as_its_value(wrapper: Any, value: Any, words: str) -> None:
    schemas = SchemaRegistry()
    schemas.register_command("Wrapped", wrapper)
    body = json.dumps(value).encode()
    with pytest.raises(PayloadDecodeError) as raised:
        schemas.decode_command_json("Wrapped", body)
    assert flaw_of(raised.value, body, wrapper) == words
