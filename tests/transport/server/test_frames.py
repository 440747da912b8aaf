"""What servers send: as JSON equal to what protobuf itself prints, payload by payload."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import TimelineEntity, TransportError, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate, InferenceTraceEvent
from sessionstream.testing import payloads
from sessionstream.transport import frame_json
from sessionstream.transport.ws.server import frames
from sessionstream.transport.ws.wire.codes import UNAUTHORIZED
from sessionstream.transport.ws.wire.fields import read_fields
from sessionstream.v1 import transport_pb2 as wire

from ..snapshots import snapshot_frame

if TYPE_CHECKING:
    from google.protobuf.message import Message


def packed(message: Message) -> any_pb2.Any:
    holder = any_pb2.Any()
    holder.Pack(message)
    return holder


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.one_of(
    payloads(ChatMessageUpdate),
    payloads(ChatMessageEntity),
    payloads(InferenceTraceEvent),
    st.builds(wrappers_pb2.StringValue, value=names),
    st.builds(wrappers_pb2.BytesValue, value=st.binary()),
    st.builds(wrappers_pb2.BoolValue, value=st.booleans()),
    st.builds(wrappers_pb2.DoubleValue, value=st.floats()),
    st.builds(wrappers_pb2.FloatValue, value=st.floats(width=32)),
    st.builds(wrappers_pb2.Int64Value, value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(wrappers_pb2.UInt64Value, value=st.integers(0, 2**64 - 1)),
    st.builds(wrappers_pb2.Int32Value, value=st.integers(-(2**31), 2**31 - 1)),
    st.builds(wrappers_pb2.UInt32Value, value=st.integers(0, 2**32 - 1)),
    st.builds(timestamp_pb2.Timestamp, seconds=st.integers(0, 2**33), nanos=st.integers(0, 999_999_999)),
    st.builds(duration_pb2.Duration, seconds=st.integers(0, 2**33), nanos=st.integers(0, 999_999_999)),
    st.builds(field_mask_pb2.FieldMask, paths=st.lists(st.sampled_from(["a", "b.c_d"]))),
    st.builds(empty_pb2.Empty),
    st.dictionaries(names, st.one_of(st.none(), st.booleans(), finite, names)).map(struct),
    st.builds(struct_pb2.Value, number_value=finite),
    st.builds(struct_pb2.Value),
    st.lists(names).map(lambda values: struct_pb2.ListValue(values=[struct_pb2.Value(string_value=v) for v in values])),
    st.builds(type_pb2.Enum, name=names, syntax=st.sampled_from([0, 1])),
)
messages = st.one_of(plain, plain.map(packed), plain.map(packed).map(packed), st.just(any_pb2.Any()))
ordinals = st.one_of(st.sampled_from([0, 1, 2**53 + 1, 2**64 - 1]), st.integers(0, 2**64 - 1))


def printed(frame: wire.ServerFrame) -> Any:
    return json.loads(json_format.MessageToJson(frame))


def sent(frame: frames.Frame) -> Any:
    assert frame.size == len(frame.text.encode())
    assert "\n" not in frame.text
    return json.loads(frame.text)


def same(left: Any, right: Any) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@given(names, ordinals, names, messages)
def test_ui_events(session_id: str, ordinal: int, name: str, payload: Message) -> None:
    frame, failure = frames.ui_event(session_id, ordinal, UIEvent(name, payload))
    assert failure is None
    expected = wire.UiEventFrame(session_id=session_id, event_ordinal=ordinal, name=name, payload=packed(payload))
    assert same(sent(frame), printed(wire.ServerFrame(ui_event=expected)))
    assert (frame.kind, frame.session_id) == ("ui", session_id)
    assert next(iter(sent(frame)["uiEvent"]["payload"])) == "@type"


@given(
    names,
    ordinals,
    st.lists(st.tuples(names, names, ordinals, ordinals, st.none() | messages), max_size=4),
    ordinals,
    ordinals,
)
def test_snapshots(
    session_id: str,
    ordinal: int,
    entities: list[tuple[str, str, int, int, Message | None]],
    epoch: int,
    since: int,
) -> None:
    written = [
        frame_json.entity(TimelineEntity(kind, id_, payload, created, last, tombstone=payload is None))
        for kind, id_, created, last, payload in entities
    ]
    expected = wire.SnapshotFrame(session_id=session_id, snapshot_ordinal=ordinal, epoch=epoch, since=since)
    for kind, id_, created, last, payload in entities:
        expected.entities.add(
            kind=kind,
            id=id_,
            created_ordinal=created,
            last_event_ordinal=last,
            tombstone=payload is None,
            payload=None if payload is None else packed(payload),
        )
    frame = snapshot_frame(session_id, ordinal, written, epoch=epoch, since=since)
    assert same(sent(frame), printed(wire.ServerFrame(snapshot=expected)))


@given(names, ordinals)
def test_control_frames(text: str, ordinal: int) -> None:
    for frame, expected in (
        (frames.hello(text), wire.ServerFrame(hello=wire.HelloFrame(connection_id=text))),
        (frames.ping(text), wire.ServerFrame(ping=wire.PingFrame(nonce=text))),
        (frames.pong(text), wire.ServerFrame(pong=wire.PongFrame(nonce=text))),
        (frames.unsubscribed(text), wire.ServerFrame(unsubscribed=wire.UnsubscribedFrame(session_id=text))),
        (
            frames.subscribed(text, ordinal),
            wire.ServerFrame(subscribed=wire.SubscribedFrame(session_id=text, since_snapshot_ordinal=ordinal)),
        ),
        (
            frames.error(UNAUTHORIZED, text, text, text),
            wire.ServerFrame(error=wire.ErrorFrame(code="unauthorized", message=text, session_id=text, detail=text)),
        ),
    ):
        assert same(sent(frame), printed(expected))


@pytest.mark.parametrize(
    "payload",
    [
        any_pb2.Any(type_url="type.googleapis.com/nobody.knows.This", value=b"x"),
        struct_pb2.Value(number_value=float("nan")),
        timestamp_pb2.Timestamp(seconds=2**60),
    ],
)
def test_what_has_no_json_form(payload: Message) -> None:
    frame, failure = frames.ui_event("s", 1, UIEvent("Told", payload))
    assert re.match(r"UI event 'Told' has a google\.protobuf\.\w+ that cannot", str(failure))
    assert sent(frame)["uiEvent"]["payload"]["type"] == payload.DESCRIPTOR.full_name
    with pytest.raises(TransportError, match="timeline entity 'K' 'i'"):
        frame_json.entity(TimelineEntity("K", "i", payload))


# -- numbers that only a server says ---------------------------------------------------------------------------


def _budget(burst: str, rate: str) -> str:
    return f'{{"subscribed":{{"sessionId":"s","budget":{{"framesBurst":{burst},"framesPerSecond":{rate}}}}}}}'


def test_the_numbers_of_a_budget_are_read_in_every_form_of_protobuf_json() -> None:
    for burst, rate in [("20", "2.5"), ('"20"', '"2.5"'), ("20.0", "25e-1")]:
        fields = read_fields(_budget(burst, rate), wire.ServerFrame.DESCRIPTOR, "the frame")
        assert fields["subscribed"]["budget"] == {"frames_burst": 20, "frames_per_second": 2.5}


@pytest.mark.parametrize(
    ("burst", "rate"),
    [
        ("4294967296", "1"), ("-1", "1"), ("true", "1"), ("1.5", "1"),
        ("1", "true"), ("1", '"NaN"'), ("1", '"Infinity"'), ("1", "1e999"), ("1", '"fast"'), ("1", "[]"),
        ("1", "1" * 400),
    ],
)  # fmt: skip
def test_numbers_that_no_budget_has_are_refused(burst: str, rate: str) -> None:
    with pytest.raises(ValueError, match=r"has to be a (whole|finite) number"):
        read_fields(_budget(burst, rate), wire.ServerFrame.DESCRIPTOR, "the frame")
