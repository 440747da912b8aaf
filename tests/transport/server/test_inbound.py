"""Whatever a client sends, the server answers by the rules of the connection, and goes on."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.transport.ws.server.conversation import Conversation
from sessionstream.transport.ws.server.effects import Authorize, Close, Hydration, Load, Send

from ...fuzz.conversation import one_input
from ..asgi import peers
from ..snapshots import snapshot_frame
from ..source import Source

LIMITS = Limits(frame_bytes=400, frames_burst=1_000_000, subscriptions_per_connection=3)

fields = st.sampled_from(["sessionId", "session_id", "sinceSnapshotOrdinal", "delta", "epoch", "nonce", "x", "[a.b]"])
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["s", "t", "7"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=3),
    max_leaves=5,
)
members = st.sampled_from(["subscribe", "unsubscribe", "ping", "pong", "hello"])
nearly = st.dictionaries(members, st.dictionaries(fields, values, max_size=4) | values, max_size=2).map(json.dumps)
good = st.builds(
    lambda member, session: json.dumps({member: {"sessionId": session}}),
    st.sampled_from(["subscribe", "unsubscribe"]),
    st.sampled_from(["s", "t", "u", "v"]),
)
messages = st.one_of(st.text(max_size=500), nearly, good, st.binary(max_size=500), st.text("[{", min_size=300))

ERRORS = {"bad_client_frame", "protocol_error", "too_many_subscriptions"}


def answers(effects: Any) -> list[dict[str, Any]]:
    found = []
    for effect in effects:
        for frame in effect.frames if isinstance(effect, Send) else ():
            frame.text.encode()
            found.append(json.loads(frame.text))
    return found


@given(st.lists(messages, max_size=30))
def test_the_protocol_takes_everything(said: list[str | bytes]) -> None:
    conversation = Conversation("c", LIMITS, 0.0)
    for message in said:
        if isinstance(message, str):
            size, said_now = len(message.encode(errors="replace")), conversation.text(message, 0.0)
        else:
            size, said_now = len(message), conversation.binary(len(message), 0.0)
        effects = list(said_now)
        if size > LIMITS.frame_bytes:
            (close,) = effects
            assert isinstance(close, Close)
            assert close.code.code == 1009
            return
        for effect in effects:
            if isinstance(effect, Authorize):
                effects += conversation.authorized(effect.session_id, effect.token, True)
            elif isinstance(effect, Load):
                hydration = Hydration(snapshot_frame(effect.session_id, 0), 0, 0, 0)
                effects += conversation.loaded(effect.session_id, effect.token, hydration)
        for answer in answers(effects):
            assert set(answer) <= {"error", "pong", "snapshot", "subscribed", "unsubscribed"}
            assert answer.get("error", {"code": "protocol_error"})["code"] in ERRORS
        assert len(conversation.subscriptions) <= 3


@given(st.lists(messages.filter(lambda message: len(message) < 90), max_size=30))
def test_the_server_goes_on(said: list[str | bytes]) -> None:
    async def run() -> None:
        server = WebSocketServer(Source(), limits=LIMITS)
        async with peers(server, 1) as (peer,):
            for message in said:
                peer.say(message) if isinstance(message, str) else peer.say_bytes(message)
            peer.say({"ping": {"nonce": "the end"}})
            while await peer.hear() != {"pong": {"nonce": "the end"}}:
                pass
            assert peer.close is None

    asyncio.run(run())


@given(st.binary(max_size=600))
def test_the_rules_hold_for_every_outcome_of_requests(data: bytes) -> None:
    one_input(data)


def test_the_stories_of_random_bytes_go_everywhere() -> None:
    """So that a fuzzer has something to begin with: every step, every frame, every reason to refuse or to close."""
    random = Random(1)
    happened: Counter[str] = Counter()
    for _ in range(400):
        happened += one_input(random.randbytes(600))
    frames = {"hello", "snapshot", "subscribed", "unsubscribed", "uiEvent", "error", "ping", "pong"}
    errors = {"bad_client_frame", "protocol_error", "unauthorized", "too_many_subscriptions", "snapshot_failed"}
    closes = {"closed 1009", "closed 1013"}
    steps = {"say", "allowed", "refused", "began", "loaded", "failed", "events", "binary", "resync", "tick"}
    assert frames | errors | closes | steps <= set(happened)
