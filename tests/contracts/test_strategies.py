"""The strategies reach what they promise, and nothing that cannot be used."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from sessionstream.examples.chatdemo.v1 import chat_pb2
from sessionstream.ids import check_id
from sessionstream.ordinals import MAX_ORDINAL, derive_ordinal
from sessionstream.schema import SchemaRegistry
from sessionstream.testing import (
    OrdinalMachine,
    ordinals,
    payloads,
    registered_payloads,
    sample_registry,
    session_ids,
    stream_ids,
)

QUICK = settings(phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)

TestOrdinals = OrdinalMachine.TestCase
TestOrdinals.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)

MESSAGES: list[type[Message]] = [
    chat_pb2.ChatMessageEntity,
    any_pb2.Any,
    api_pb2.Api,
    duration_pb2.Duration,
    field_mask_pb2.FieldMask,
    struct_pb2.Struct,
    struct_pb2.ListValue,
    timestamp_pb2.Timestamp,
    type_pb2.Type,
    wrappers_pb2.DoubleValue,
    wrappers_pb2.UInt64Value,
    wrappers_pb2.BytesValue,
    descriptor_pb2.UninterpretedOption,
    descriptor_pb2.FileDescriptorProto,
]


@given(session_ids())
def test_session_ids_are_ids_that_stores_keep(session_id: str) -> None:
    assert check_id("session id", session_id) == session_id


@given(ordinals(min_value=3, max_value=2**63))
def test_ordinals_are_in_their_range(ordinal: int) -> None:
    assert 3 <= ordinal <= 2**63


@pytest.mark.parametrize("extreme", [0, 2**63 - 1, 2**63, MAX_ORDINAL])
def test_ordinals_reach_the_corners(extreme: int) -> None:
    assert find(ordinals(), lambda ordinal: ordinal == extreme) == extreme


def test_stream_ids_are_valid_extreme_and_malformed() -> None:
    quick = settings(QUICK, max_examples=2000)
    find(stream_ids(), lambda text: derive_ordinal(text) is None, settings=quick)
    find(stream_ids(), lambda text: (derive_ordinal(text) or 0) > 2**60, settings=quick)
    find(stream_ids(), lambda text: derive_ordinal(text) == 0, settings=quick)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.DESCRIPTOR.full_name)
def test_payloads_survive_encoding(message: type[Message]) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(payloads(message))
    def check(payload: Message) -> None:
        assert isinstance(payload, message)
        assert message.FromString(payload.SerializeToString()) == payload

    check()


@settings(max_examples=50, deadline=None)
@given(st.one_of(payloads(struct_pb2.Struct), payloads(any_pb2.Any), payloads(timestamp_pb2.Timestamp)))
def test_well_known_payloads_are_valid_json(payload: Message) -> None:
    assert json_format.Parse(json_format.MessageToJson(payload), type(payload)()) == payload


def test_payloads_reach_fields_of_every_kind() -> None:
    options = settings(QUICK, max_examples=3000)
    find(payloads(struct_pb2.Struct), lambda m: len(m.fields) > 1, settings=options)
    find(
        payloads(struct_pb2.Struct),
        lambda m: any(v.HasField("struct_value") for v in m.fields.values()),
        settings=options,
    )
    find(payloads(type_pb2.Type), lambda m: bool(m.fields) and m.fields[0].kind != 0, settings=options)
    find(payloads(wrappers_pb2.DoubleValue), lambda m: m.value not in (0.0, math.floor(m.value)), settings=options)
    nested = payloads(struct_pb2.ListValue)
    find(nested, lambda m: any(value.HasField("list_value") for value in m.values), settings=options)


@settings(deadline=None)
@given(registered_payloads(sample_registry(), "timeline entity"))
def test_registered_payloads_fit_their_names(pair: tuple[str, Message]) -> None:
    name, payload = pair
    assert type(payload) is sample_registry().timeline_entity_schema(name)


def test_where_nothing_is_registered_there_is_nothing_to_draw() -> None:
    @given(registered_payloads(SchemaRegistry(), "command"))
    def draw(pair: object) -> None:
        raise AssertionError(pair)

    with pytest.raises(ValueError, match="no command is registered"):
        draw()


@given(payload=payloads(descriptor_pb2.UninterpretedOption, max_depth=0))
def test_required_fields_are_set_at_any_depth(payload: Message) -> None:
    assert payload.IsInitialized()


@pytest.mark.parametrize("message", [None, dict, chat_pb2.TokensDeltaEvent(), Message], ids=repr)
def test_payloads_of_what_is_no_message(message: Any) -> None:
    with pytest.raises(TypeError, match="a generated message class, not "):
        payloads(message)


def test_registered_payloads_of_what_is_none() -> None:
    nobody: Any = None
    with pytest.raises(TypeError, match="registry is a SchemaRegistry, not None"):
        registered_payloads(nobody, "event")
    with pytest.raises(ValueError, match="a family is 'command'"):
        registered_payloads(SchemaRegistry(), nobody)
