"""The client's side of the conversation: its table, its waits, and whatever a server may say."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import Snapshot
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.transport.ws.client.backoff import LONGEST_TOLD, Backoff, after_close, after_refusal, told_in
from sessionstream.transport.ws.client.conversation import Conversation
from sessionstream.transport.ws.client.effects import Connect, Deliver, Disconnect, Effects, End, Send, StateChanged
from sessionstream.transport.ws.client.errors import UnexpectedPayload
from sessionstream.transport.ws.client.states import TABLE, UNANSWERED, Action, Input, State
from sessionstream.transport.ws.client.subscriptions import Subscriptions
from sessionstream.transport.ws.client.updates import LiveEvent
from sessionstream.transport.ws.conformance import load
from sessionstream.transport.ws.server.requests import Pong, Subscribe, decode
from sessionstream.transport.ws.wire.codes import CLOSE_CODES

from ..scripts import scripts

# -- the table -------------------------------------------------------------------------------------------------


def test_every_state_can_be_reached_and_left_for_absent() -> None:
    reached = {State.ABSENT}
    while more := {after for state in reached for _, after in TABLE[state].values()} - reached:
        reached |= more
    assert reached == set(State) == set(TABLE)
    assert all(Input.LOST in row and row[Input.LOST][1] is State.ABSENT for row in TABLE.values())


def test_every_input_and_every_action_occurs_and_can_be_done() -> None:
    assert {what for row in TABLE.values() for what in row} == set(Input)
    assert {action for row in TABLE.values() for action, _ in row.values()} == set(Action)
    assert set(Subscriptions._ACTIONS) == set(Action)


def test_only_a_snapshot_makes_a_subscription_live() -> None:
    ways = {(state, what) for state, row in TABLE.items() for what, (_, after) in row.items() if after is State.LIVE}
    snapshots = {(state, Input.SNAPSHOT) for state in (State.ASKED, State.RENEWING, State.LIVE)}
    assert ways == snapshots | {(State.LIVE, Input.EVENT)}


def test_requests_can_be_repeated_until_the_server_answers() -> None:
    for state in UNANSWERED:
        (what,) = {what for what, (_, after) in TABLE[state].items() if after is state} - {Input.EVENT}
        assert what in (Input.ASK, Input.LEAVE)
    for state, row in TABLE.items():
        assert (Input.LEAVE in row) == (state is not State.ABSENT)


# -- waits -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1e9))
def test_a_wait_is_between_floor_and_ceiling_plus_the_seconds_of_the_server(
    attempt: int, draw: float, told: float
) -> None:
    backoff = Backoff(0.5, 2.0, 30.0)
    assert 0.5 <= backoff.wait(attempt, draw) <= 30.0001
    assert 0.4999 <= backoff.wait(attempt, draw, told) - min(told, LONGEST_TOLD) <= 30.0001  # floats
    assert backoff.wait(attempt + 1, draw) >= backoff.wait(attempt, draw)


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [
        ("retry-after=5", 5.0),
        ("retry-after=0.25", 0.25),
        ("", 0.0),
        ("retry-after=", 0.0),
        ("retry-after=-1", 0.0),
        ("retry-after=nan", 0.0),
        ("retry-after=inf", 0.0),
        ("see you, retry-after=5", 0.0),
    ],
)
def test_what_a_reason_tells(reason: str, seconds: float) -> None:
    assert told_in(reason) == seconds


def test_close_codes_are_those_of_the_table() -> None:
    assert {code.code: after_close(code.code) for code in CLOSE_CODES} == {
        code.code: code.reconnect for code in CLOSE_CODES
    }
    assert {after_close(code) for code in (1002, 1006, 4000)} == {"with back-off"}


def test_statuses_that_pass() -> None:
    statuses = (301, 400, 401, 403, 404, 408, 410, 425, 429, 500, 502, 503)
    assert {status for status in statuses if not after_refusal(status)} == {401, 403}
    assert all(after_refusal(status, asks_anew=True) for status in statuses)


# -- whatever a server says ------------------------------------------------------------------------------------


def session() -> Conversation:
    """One that is connected and watches ``s``."""
    made = Conversation(draw=lambda: 0.5)
    made.start(0.0)
    made.subscribe("s", 1, 0.0)
    made.opened(0.0)
    return made


def check(effects: Effects) -> None:
    """What a client says is a client frame; nobody comes back who has ended."""
    for effect in effects:
        if isinstance(effect, Send):
            decode(effect.text)
    kinds = [type(effect) for effect in effects]
    assert kinds.count(Disconnect) <= 1


FRAMES: list[dict[str, Any]] = [
    step["server"] for script in scripts("client") for step in script["steps"] if "server" in step
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A frame of a server, with a value somewhere in it replaced by another."""
    frame = json.loads(json.dumps(draw(st.sampled_from(FRAMES))))
    node: Any = frame
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return json.dumps(frame)
        key = draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or draw(st.booleans()):
            node[key] = draw(JSON)
            return json.dumps(frame)
        node = node[key]


@given(
    st.lists(
        spoiled() | st.text(max_size=20) | JSON.map(json.dumps) | st.sampled_from(FRAMES).map(json.dumps), max_size=6
    )
)
def test_no_text_makes_it_raise(texts: list[str]) -> None:
    client = session()
    client.text('{"hello":{"connectionId":"c"}}', 0.0)
    for text in texts:
        effects = client.text(text, 0.0)
        check(effects)
        if any(isinstance(effect, Disconnect) for effect in effects):
            assert Connect() in client.hurry(0.0)
            client.opened(0.0)
        check(client.text('{"hello":{"connectionId":"c"}}', 0.0))


@pytest.mark.parametrize(
    "text", ['"' * 2, "[" * 100_000, '{"a":' * 100_000, '{"\\ud800":1}', '{"hello":{"connectionId":"\\ud800"}}']
)
def test_texts_that_break_parsers(text: str) -> None:
    check(session().text(text, 0.0))


def test_a_payload_of_the_registered_type_that_cannot_be_read() -> None:
    client = Conversation(schemas=chat_schemas(), draw=lambda: 0.5)
    client.start(0.0)
    client.subscribe("s", 1, 0.0)
    client.opened(0.0)
    client.text('{"hello":{"connectionId":"c"}}', 0.0)
    client.text('{"snapshot":{"sessionId":"s"}}', 0.0)
    update = "type.googleapis.com/sessionstream.examples.chatdemo.v1.ChatMessageUpdate"
    new = {"@type": update, "text": "hi", "mood": "a field of tomorrow"}
    event = {"sessionId": "s", "eventOrdinal": "1", "name": "ChatMessageAppended", "payload": new}
    (given,) = client.text(json.dumps({"uiEvent": event}), 0.0)
    assert isinstance(given, Deliver)
    assert isinstance(given.update, LiveEvent)
    assert given.update.payload.text == "hi"
    event["payload"] = {"@type": update, "text": 5}
    ended, left = client.text(json.dumps({"uiEvent": event}), 0.0)
    assert isinstance(ended, End)
    assert isinstance(ended.error, UnexpectedPayload)
    assert (ended.error.family, ended.error.name) == ("ui event", "ChatMessageAppended")
    assert isinstance(left, Send)


# -- recorded servers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["live", "reconnect_since"])
def test_a_recorded_server_is_understood(name: str) -> None:
    """It is of before there were deltas, and its payloads are those of the chat."""
    client = Conversation(schemas=chat_schemas(), draw=lambda: 0.5)
    client.start(0.0)
    client.subscribe("s-1", 1, 0.0)
    client.opened(0.0)
    said = [step["raw"] for step in load("transcripts")[name] if step["dir"] == "server"]
    given = [effect.update for text in said for effect in client.text(text, 0.0) if isinstance(effect, Deliver)]
    frames = [json.loads(text) for text in said]
    snapshots = [frame["snapshot"] for frame in frames if "snapshot" in frame]
    events = [frame["uiEvent"] for frame in frames if "uiEvent" in frame]
    assert isinstance(given[0], Snapshot)
    assert given[0].snapshot_ordinal == int(snapshots[0].get("snapshotOrdinal", 0))
    assert [entity.id for entity in given[0].entities] == [entity["id"] for entity in snapshots[0].get("entities", [])]
    heard = [update for update in given[1:] if isinstance(update, LiveEvent)]
    assert [(str(event.ordinal), event.name, event.payload.text) for event in heard] == [
        (event["eventOrdinal"], event["name"], event["payload"].get("text", "")) for event in events
    ]


def test_an_end_is_told_once() -> None:
    client = session()
    ended = [effect for effect in (*client.close(), *client.close(), *client.fail("twice")) if isinstance(effect, End)]
    assert [(end.watcher, end.error) for end in ended] == [(1, None)]


def test_without_a_connection_nothing_is_heard_and_no_time_passes() -> None:
    client = session()
    (lost,) = client.closed(1006, "", 0.0)
    assert isinstance(lost, StateChanged)
    assert lost.state.name == "reconnecting"
    assert not client.text('{"ping":{}}', 0.1)
    assert not client.binary(0.1)
    assert client.deadline == lost.state.retry_in
    assert not client.tick(client.deadline - 0.1)
    assert client.tick(client.deadline) == [Connect()]
    assert client.deadline == math.inf


def test_one_pause_however_often_the_rate_is_too_high() -> None:
    client = session()
    client.text('{"hello":{}}', 0.0)
    deadlines = set()
    for _ in range(3):
        assert not client.text('{"error":{"code":"rate_limited"}}', 1.0)
        deadlines.add(client.deadline)
    (deadline,) = deadlines
    assert deadline >= 2.0
    assert not client.text('{"ping":{"nonce":"n"}}', 1.5)  # whatever is said, it would be refused
    said = [decode(effect.text) for effect in client.tick(deadline) if isinstance(effect, Send)]
    assert said == [Pong("n"), Subscribe("s", delta=True)]


def test_a_connection_that_was_given_up_before_it_was_made_is_hung_up() -> None:
    client = Conversation(draw=lambda: 0.5)
    client.start(0.0)
    client.hurry(0.0)
    assert any(isinstance(effect, Disconnect) for effect in client.tick(client.deadline))
    assert [type(effect) for effect in client.opened(6.0)] == [Disconnect]
    assert not client.unreachable("it is late", 6.0)
    assert not client.refused(401, 6.0)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ('{"snapshot":{"sessionId":"s","entities":{}}}', "'entities' has to be a list"),
        ('{"ping":{},"pong":{}}', "one member, not ping and pong"),
    ],
)
def test_what_is_no_frame_says_why(frame: str, why: str) -> None:
    (hang_up,) = [effect for effect in session().text(frame, 1.0) if isinstance(effect, Disconnect)]
    assert why in hang_up.why
