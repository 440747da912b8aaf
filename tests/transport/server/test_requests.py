"""What clients send: everything that is a ClientFrame is read, everything else is one error, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import example, given
from hypothesis import strategies as st

from sessionstream.transport.ws.server.requests import FrameError, Ping, Pong, Request, Subscribe, Unsubscribe, decode
from sessionstream.v1.transport_pb2 import ClientFrame, PingFrame, PongFrame, SubscribeRequest, UnsubscribeRequest

MAX = 2**64 - 1

texts = st.text(st.characters(exclude_categories=["Cs"]))
session_ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: not text.isspace()
)
numbers = st.integers(0, MAX)
frames = st.one_of(
    st.builds(
        lambda session_id, since, delta, epoch: ClientFrame(
            subscribe=SubscribeRequest(session_id=session_id, since_snapshot_ordinal=since, delta=delta, epoch=epoch)
        ),
        session_ids,
        numbers,
        st.booleans(),
        numbers,
    ),
    st.builds(lambda id_: ClientFrame(unsubscribe=UnsubscribeRequest(session_id=id_)), session_ids),
    st.builds(lambda nonce: ClientFrame(ping=PingFrame(nonce=nonce)), texts),
    st.builds(lambda nonce: ClientFrame(pong=PongFrame(nonce=nonce)), texts),
)


def expected(frame: ClientFrame) -> Request:
    match frame.WhichOneof("frame"):
        case "subscribe":
            asked = frame.subscribe
            return Subscribe(asked.session_id, asked.since_snapshot_ordinal, asked.delta, asked.epoch)
        case "unsubscribe":
            return Unsubscribe(frame.unsubscribe.session_id)
        case "ping":
            return Ping(frame.ping.nonce)
        case _:
            return Pong(frame.pong.nonce)


@given(frames, st.booleans(), st.booleans())
def test_whatever_protobuf_prints_is_read(frame: ClientFrame, snake: bool, defaults: bool) -> None:
    text = json_format.MessageToJson(
        frame, preserving_proto_field_name=snake, always_print_fields_with_no_presence=defaults
    )
    assert decode(text) == expected(frame)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
members = st.sampled_from(["subscribe", "unsubscribe", "ping", "pong", "session_id", "sessionId", "nonce", "x"])
fields = st.sampled_from(
    ["sessionId", "session_id", "sinceSnapshotOrdinal", "since_snapshot_ordinal", "delta", "epoch", "nonce", "[a.b]"]
)
nearly = st.dictionaries(members, st.dictionaries(fields, json_values) | json_values, max_size=3)


def outcome(text: str) -> Request | FrameError:
    try:
        return decode(text)
    except FrameError as error:
        return error


@given(st.text() | json_values.map(json.dumps) | nearly.map(json.dumps))
@example('{"ping":{}}')
def test_no_text_raises_anything_else(text: str) -> None:
    found = outcome(text)
    if isinstance(found, FrameError):
        assert found.code.code in ("bad_client_frame", "protocol_error")
        assert found.message
        assert len(found.message.encode()) <= 200 * 4


@given(nearly)
def test_what_protobuf_refuses_is_refused(value: dict[str, Any]) -> None:
    """json_format takes more than it should, and nothing that this decoder takes is beyond it."""
    text = json.dumps(value)
    found = outcome(text)
    if not isinstance(found, FrameError):
        assert found == expected(json_format.Parse(text, ClientFrame()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "null",
        "[]",
        '"ping"',
        "\ufeff{}",
        '{"ping":{}} x',
        '{"command":{}}',
        '{"ping":{},"pong":{}}',
        '{"ping":{},"ping":{}}',
        '{"ping":{"nonce":"a","nonce":"b"}}',
        '{"subscribe":{"sessionId":"a","session_id":"b"}}',
        '{"ping":{"nonce":1}}',
        '{"ping":[]}',
        '{"ping":""}',
        '{"ping":0}',
        '{"ping":{"nonce":"\\ud800"}}',
        '{"subscribe":{"sessionId":1}}',
        '{"subscribe":{"sessionId":"a","delta":"true"}}',
        '{"subscribe":{"sessionId":"a","delta":1}}',
        *(
            f'{{"subscribe":{{"sessionId":"a","sinceSnapshotOrdinal":{number}}}}}'
            for number in (
                "-1", "1.5", "true", '""', '" 1"', '"1_0"', '"\\u0661"', '"0x1"', "NaN", "Infinity", "1e400",
                f"{MAX + 1}", f'"{MAX + 1}"', "9" * 5_000, '"' + "9" * 5_000 + '"', "{}", "[1]",
            )
        ),
        "[" * 100_000,
        '{"ping":' * 50_000,
        '{"subscribe":{"sessionId":' + "[" * 900 + "]" * 900 + "}}",
    ],
)  # fmt: skip
def test_bad_frames(text: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode(text)
    assert caught.value.code.code == "bad_client_frame"
    assert caught.value.session_id == ""


@pytest.mark.parametrize(
    ("text", "session_id"),
    [
        ("{}", ""),
        ('{"subscribe":null}', ""),
        ('{"subscribe":{}}', ""),
        ('{"unsubscribe":{"sessionId":""}}', ""),
        ('{"subscribe":{"sessionId":null}}', ""),
        ('{"subscribe":{"sessionId":" \\t"}}', " \t"),
        ('{"subscribe":{"sessionId":"a\\u0000"}}', "a\0"),
    ],
)
def test_impossible_requests(text: str, session_id: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode(text)
    assert (caught.value.code.code, caught.value.session_id) == ("protocol_error", session_id)


@pytest.mark.parametrize("number", ["7", "7.0", "70e-1", '"7"', '"007"'])
def test_ordinals_as_numbers_and_as_text(number: str) -> None:
    assert decode(f'{{"subscribe":{{"sessionId":"a","since_snapshot_ordinal":{number}}}}}') == Subscribe("a", 7)


@pytest.mark.parametrize("number", [str(MAX), f'"{MAX}"'])
def test_the_highest_ordinal_is_exact(number: str) -> None:
    text = f'{{"subscribe":{{"sessionId":"a","sinceSnapshotOrdinal":{number}}}}}'
    assert decode(text) == Subscribe("a", MAX)


def test_null_is_not_set() -> None:
    assert decode('{"subscribe":null,"ping":{"nonce":null}}') == Ping("")
    assert decode('{"subscribe":{"sessionId":"a","sinceSnapshotOrdinal":null,"delta":null}}') == Subscribe("a")


def test_words_that_no_utf_8_can_carry_are_made_printable() -> None:
    with pytest.raises(FrameError) as caught:
        decode('{"\\ud800":1}')
    caught.value.message.encode()
