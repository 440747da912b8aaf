"""Values without a JSON form are refused with the path of the field; all other messages can be written as JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.errors import PayloadDecodeError, PayloadTypeError, PayloadValueError
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.json_form import Flaw, JsonForms, why_unwritable
from sessionstream.schema import Family, SchemaRegistry

from .wild import PLAIN, Tame, Wild, packed, wild

if TYPE_CHECKING:
    from google.protobuf.message import Message

UNKNOWN = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"\x08\x01")
NAN, INFINITY = struct_pb2.Value(number_value=math.nan), struct_pb2.Value(number_value=math.inf)
BAD: dict[str, tuple[Any, str]] = {
    "args": (struct_pb2.Struct(fields={"k": NAN}), '.fields["k"].number_value'),
    "value": (
        struct_pb2.Value(list_value=struct_pb2.ListValue(values=[INFINITY])),
        ".list_value.values[0].number_value",
    ),
    "list": (struct_pb2.ListValue(values=[struct_pb2.Value(), NAN]), ".values[1].number_value"),
    "at": (timestamp_pb2.Timestamp(seconds=253402300800), ""),
    "took": (duration_pb2.Duration(seconds=1, nanos=-1), ""),
    "mask": (field_mask_pb2.FieldMask(paths=["a", "notSnake"]), ""),
    "any": (packed(NAN), ".[google.protobuf.Value].number_value"),
    "inner": (Wild(at=timestamp_pb2.Timestamp(nanos=-1)), ".at"),
}
"""A value without a JSON form for each plain field of Wild that may hold one, and where it is, seen from the field."""

every_bad = pytest.mark.parametrize("name", sorted(BAD))
every_family = pytest.mark.parametrize("family", ["command", "event", "ui event", "timeline entity"])


def registry(message: Any = Wild) -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_command("N", message)
    schemas.register_event("N", message)
    schemas.register_ui_event("N", message)
    schemas.register_timeline_entity("N", message)
    return schemas


WILD = registry()


def has_json_form(message: Message) -> bool:
    try:
        return bool(json.dumps(json_format.MessageToDict(message), allow_nan=False))
    except (json_format.Error, DecodeError, ValueError, TypeError):
        return False


def refused(schemas: SchemaRegistry, family: Family, payload: Message) -> PayloadValueError:
    with pytest.raises(PayloadValueError) as caught:
        schemas.checked_copy(family, "N", payload)
    return caught.value


@every_family
@every_bad
def test_a_payload_that_json_cannot_say_is_refused_with_the_path_of_the_field(family: Family, name: str) -> None:
    bad, rest = BAD[name]
    for payload, path in (
        (Wild(**{name: bad}), name),
        (Wild(**{f"one_{name}": bad}), f"one_{name}"),
        (Wild(**{f"many_{name}": [type(bad)(), bad]}), f"many_{name}[1]"),
        (Wild(**{f"by_{name}": {"x": bad}}), f'by_{name}["x"]'),
        (Wild(inner=Wild(by_inner={'"': Wild(**{name: bad})})), f'inner.by_inner["\\""].{name}'),
        (Wild(any=packed(packed(Wild(**{name: bad})))), f"any.[google.protobuf.Any].[test.wild.Wild].{name}"),
    ):
        assert not has_json_form(payload)
        error = refused(WILD, family, payload)
        assert error.path == path + rest
        assert (error.family, error.name, error.expected, error.got) == (
            family,
            "N",
            "test.wild.Wild",
            "test.wild.Wild",
        )
        assert f"{family} 'N'" in str(error)
        assert f"{error.path}: {error.reason}" in str(error)


@pytest.mark.parametrize("name", sorted(set(BAD) - {"inner", "args"}))  # args is a Struct: nobody can register it
def test_a_payload_that_is_itself_what_json_cannot_say(name: str) -> None:
    bad, rest = BAD[name]
    error = refused(registry(type(bad)), "event", bad)  # noqa: SST001 - the one Struct is left out above
    assert error.path == rest.removeprefix(".")
    assert error.reason in str(error)


def test_numbers_of_fields_have_a_json_form() -> None:
    for number in (math.nan, math.inf, -math.inf):
        payload = Wild(double=number, floats=[number], number=wrappers_pb2.DoubleValue(value=number))
        WILD.checked_copy("event", "N", payload)
        assert has_json_form(payload)
        registry(wrappers_pb2.FloatValue).checked_copy("event", "N", wrappers_pb2.FloatValue(value=number))


def test_an_any_of_an_unknown_type_is_accepted_and_kept() -> None:
    for payload in (Wild(any=UNKNOWN), Wild(by_any={"x": packed(Wild(one_any=UNKNOWN))})):
        copy = WILD.checked_copy("event", "N", payload)
        assert copy.SerializeToString() == payload.SerializeToString()  # the pure Python runtime cannot compare them
        assert "no message is known of the type 'type.googleapis.com/no.Such'" in str(
            why_unwritable(payload, TypeError())
        )
    error = refused(WILD, "event", Wild(many_any=[UNKNOWN], many_value=[NAN]))
    assert error.path == "many_value[0].number_value"


def test_an_any_whose_bytes_are_not_its_message_is_refused() -> None:
    broken = any_pb2.Any(type_url="type.googleapis.com/test.wild.Wild", value=b"\xff")
    error = refused(WILD, "event", Wild(any=broken))
    assert error.path == "any.value"
    assert "it is no test.wild.Wild" in error.reason


def test_an_any_without_its_required_fields_is_refused() -> None:
    """JSON can say it; nobody could read it."""
    option = descriptor_pb2.UninterpretedOption(name=[descriptor_pb2.UninterpretedOption.NamePart(name_part="x")])
    holder = any_pb2.Any(
        type_url="type.googleapis.com/google.protobuf.UninterpretedOption", value=option.SerializePartialToString()
    )
    with pytest.raises(Exception, match="required"):
        json_format.ParseDict(json_format.MessageToDict(holder), any_pb2.Any())
    assert "without all of its required fields" in refused(WILD, "event", Wild(any=holder)).reason


def test_an_extension_is_looked_into() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="test/extended.proto", package="test.extended", syntax="proto2")
    file.dependency.append(struct_pb2.DESCRIPTOR.name)
    file.message_type.add(name="Open").extension_range.add(start=100, end=200)
    file.extension.add(
        name="value", number=100, label=1, type=11, type_name=".google.protobuf.Value", extendee=".test.extended.Open"
    )
    pool: Any = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    opened = message_factory.GetMessageClass(pool.FindMessageTypeByName("test.extended.Open"))
    payload: Any = opened()
    payload.Extensions[pool.FindExtensionByName("test.extended.value")].CopyFrom(NAN)
    assert refused(registry(opened), "event", payload).path == "[test.extended.value].number_value"


@pytest.mark.parametrize("levels", [99, 100, 5_000])
def test_an_any_in_an_any_without_end_is_refused(levels: int) -> None:
    holder = any_pb2.Any()
    for _ in range(levels):
        holder = packed(holder)
    assert "levels deep" in refused(WILD, "event", Wild(any=holder)).reason


def test_messages_in_messages_that_are_deeper_than_json_is_read() -> None:
    payload = inner = Wild()
    for _ in range(99):
        inner = inner.inner
    inner.SetInParent()
    assert JsonForms().flaw(payload) is None
    inner.at.SetInParent()
    assert JsonForms().flaw(payload) == Flaw("inner." * 99 + "at", "messages in messages may be 100 levels deep")


def test_an_any_in_an_any_as_deep_as_clients_read() -> None:
    holder = packed(empty_pb2.Empty())
    for _ in range(96):
        holder = packed(holder)
    copy = WILD.checked_copy("event", "N", Wild(any=holder))
    json_format.ParseDict(json_format.MessageToDict(packed(copy)), any_pb2.Any())


@given(wild())
def test_whatever_is_accepted_can_be_written_and_read_and_whatever_is_refused_cannot(payload: Any) -> None:
    try:
        copy = WILD.checked_copy("event", "N", payload)
    except PayloadValueError as error:
        assert not has_json_form(payload)
        assert error.path
        return
    if has_json_form(payload):
        json_format.ParseDict(json_format.MessageToDict(packed(copy)), any_pb2.Any())
    else:
        assert "no message is known" in str(why_unwritable(copy, TypeError()))


@given(st.floats(), st.binary(max_size=20))
def test_the_look_at_the_bytes_misses_no_number(number: float, around: bytes) -> None:
    """Where only numbers can be wrong, the bytes are searched first, whatever stands around the number."""
    text = struct_pb2.Value(string_value=around.decode("latin-1"))
    args = struct_pb2.Struct(fields={"a": text, "b": struct_pb2.Value(number_value=number), "c": text})
    listed = struct_pb2.ListValue(values=[text, struct_pb2.Value(struct_value=args), text])
    assert (JsonForms().flaw(listed) is None) == math.isfinite(number)


def test_only_messages_that_may_lack_a_json_form_are_looked_into() -> None:
    forms = JsonForms()
    for tame in (Tame, TokensDeltaEvent, wrappers_pb2.DoubleValue):
        assert forms.finder(tame.DESCRIPTOR) is None
        assert forms.flaw(tame()) is None
    assert forms.finder(Wild.DESCRIPTOR) is not None
    assert forms.finder(descriptor_pb2.FileDescriptorProto.DESCRIPTOR) is not None  # its options may be extended
    schemas = registry(Tame)
    assert schemas.checked_copy("event", "N", Tame(x=math.nan)).DESCRIPTOR is Tame.DESCRIPTOR
    assert schemas.decode_command_json("N", '{"x": "NaN"}').DESCRIPTOR is Tame.DESCRIPTOR


class TestJson:
    """Commands as JSON: what is no JSON, and what JSON cannot say again."""

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ('{"args": {"x": 1e400}}', 'args.fields["x"].number_value'),
            ('{"value": [{"y": -1e400}]}', 'value.list_value.values[0].struct_value.fields["y"].number_value'),
            ('{"manyValue": [1, 1e999]}', "many_value[1].number_value"),
            ('{"any": {"@type": "type.googleapis.com/google.protobuf.Value", "value": 1e400}}',
             "any.[google.protobuf.Value].number_value"),
        ],
    )  # fmt: skip
    def test_a_number_beyond_all_bounds(self, text: str, path: str) -> None:
        with pytest.raises(PayloadDecodeError) as caught:
            WILD.decode_command_json("N", text)
        error = caught.value
        assert (error.family, error.name, error.expected, error.path) == ("command", "N", "test.wild.Wild", path)
        assert path in str(error)
        assert "is no JSON number" in error.reason

    @pytest.mark.parametrize("text", ['{"args": {"x": NaN}}', '{"value": Infinity}', '{"double": -Infinity}', "NaN"])
    def test_what_python_reads_and_json_is_not(self, text: str) -> None:
        with pytest.raises(PayloadDecodeError, match=r"(NaN|Infinity) is no JSON") as caught:
            WILD.decode_command_json("N", text)
        assert caught.value.path == ""

    def test_a_field_of_a_number_may_say_so_in_words(self) -> None:
        payload: Any = WILD.decode_command_json("N", '{"double": "NaN", "floats": ["Infinity"], "number": "-Infinity"}')
        assert math.isnan(payload.double)
        assert list(payload.floats) == [math.inf]
        assert payload.number.value == -math.inf

    @pytest.mark.parametrize(
        "text", ['{"at": "9999-12-31T23:59:60Z"}', '{"took": "315576000001s"}', '{"args": {"x": 1, "x": 2}}']
    )
    def test_what_protobuf_json_refuses_by_itself(self, text: str) -> None:
        with pytest.raises(PayloadDecodeError):
            WILD.decode_command_json("N", text)

    @given(wild())
    def test_what_can_be_written_can_be_read_as_a_command(self, payload: Any) -> None:
        if has_json_form(payload):
            WILD.decode_command_json("N", json_format.MessageToJson(payload))


def test_the_error_is_one_of_the_payload() -> None:
    assert issubclass(PayloadValueError, PayloadTypeError)
    assert set(PLAIN) == {*BAD, "number"}
