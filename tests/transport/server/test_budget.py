"""What a client may send and watch: it is told, it can be kept to, and whoever leaves is always let go."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.transport.ws.server.limits import BESIDE_SUBSCRIBES
from sessionstream.transport.ws.server.rate_limit import TokenBucket
from sessionstream.transport.ws.wire.budget import WINDOW

from ..asgi import ManualClock, peers
from ..source import Source
from ..world import Wire

STRICT = Limits(frames_per_second=0.001, frames_burst=4)


# -- Limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("subscriptions", "burst"), [(1, 200), (100, 200), (101, 201), (1_000, 1_100)])
def test_the_burst_follows_the_subscriptions_unless_it_is_given(subscriptions: int, burst: int) -> None:
    limits = Limits(subscriptions_per_connection=subscriptions)
    assert limits.frames_burst == burst
    assert dataclasses.replace(Limits(), subscriptions_per_connection=subscriptions) == limits
    assert dataclasses.replace(limits, frame_bytes=5).frames_burst == burst
    assert str(burst) in repr(limits)


def test_what_is_given_stays() -> None:
    assert Limits(frames_burst=7).frames_burst == 7
    limits = Limits(frames_burst=50, subscriptions_per_connection=50)
    assert (limits.frames_burst, limits.subscriptions_per_connection) == (50, 50)


def test_two_given_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"1000 subscriptions .* 200 frames at once .* at least 1000"):
        Limits(subscriptions_per_connection=1_000, frames_burst=200)
    with pytest.raises(ValueError, match="could not come back"):
        dataclasses.replace(Limits(frames_burst=200), subscriptions_per_connection=201)


# -- what clients are told -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "budget"),
    [
        (Limits(), {"framesBurst": 200, "framesPerSecond": 50.0, "subscriptions": 100}),
        (
            Limits(subscriptions_per_connection=1_000, frames_per_second=7),
            {"framesBurst": 1_000 + BESIDE_SUBSCRIBES, "framesPerSecond": 7.0, "subscriptions": 1_000},
        ),
        (
            Limits(frames_burst=2**40, frames_per_second=math.inf, subscriptions_per_connection=2**40),
            {"framesBurst": 2**32 - 1, "framesPerSecond": 2.0**32 - 1, "subscriptions": 2**32 - 1},
        ),
    ],
)
async def test_who_asks_for_deltas_is_told_with_every_answer(limits: Limits, budget: dict[str, Any]) -> None:
    async with peers(WebSocketServer(Source(), limits=limits), 1) as (peer,):
        for _ in range(2):
            assert (await peer.subscribed("s", delta=True))[-1] == {"subscribed": {"sessionId": "s", "budget": budget}}
        assert (await peer.subscribed("s"))[-1] == {"subscribed": {"sessionId": "s"}}


async def test_of_several_subscribes_at_once_the_last_says_whether_it_is_told() -> None:
    source = Source()
    async with peers(WebSocketServer(source), 1) as (peer,):
        source.stop()
        peer.subscribe("s", delta=True)
        await source.calls(1)
        peer.subscribe("s")
        source.go()
        assert (await peer.hear_until("subscribed"))[-1] == {"subscribed": {"sessionId": "s"}}


# -- what it is good for ---------------------------------------------------------------------------------------


async def test_an_unsubscribe_is_accepted_at_any_rate() -> None:
    server = WebSocketServer(Source(), limits=STRICT, clock=ManualClock())
    async with peers(server, 1) as (peer,):
        for session_id in "abcd":
            await peer.subscribed(session_id)
        peer.say({"ping": {}})
        assert (await peer.hear())["error"]["code"] == "rate_limited"
        for session_id in "abcd":
            peer.say({"unsubscribe": {"sessionId": session_id}})
            assert await peer.hear() == {"unsubscribed": {"sessionId": session_id}}
        assert server.connections()[0].subscriptions == ()
        peer.say({"unsubscribe": {"sessionId": "a"}})  # of what is not watched it is a frame as any other
        assert (await peer.hear())["error"]["code"] == "rate_limited"


async def test_an_unsubscribe_before_the_snapshot_is_accepted_too() -> None:
    source = Source()
    async with peers(WebSocketServer(source, limits=STRICT, clock=ManualClock()), 1) as (peer,):
        source.stop()
        for session_id in "abcd":
            peer.subscribe(session_id)
        await source.calls(4)
        for session_id in "abcd":
            peer.say({"unsubscribe": {"sessionId": session_id}})
            assert await peer.hear() == {"unsubscribed": {"sessionId": session_id}}
        source.go()


async def test_leaving_does_not_bring_a_client_closer_to_being_sent_away() -> None:
    async with peers(WebSocketServer(Source(), limits=STRICT, clock=ManualClock()), 1) as (peer,):
        for session_id in "abcd":
            await peer.subscribed(session_id)
        for session_id in "abcd":
            peer.say({"unsubscribe": {"sessionId": session_id}})
            await peer.hear()
        for _ in range(max(STRICT.frames_burst, WINDOW)):
            peer.say({"ping": {}})
            assert (await peer.hear())["error"]["code"] == "rate_limited"
        peer.say({"ping": {}})
        assert await peer.ended() == 1008


frames = st.sampled_from(["subscribe", "subscribe", "unsubscribe", "unsubscribe", "unsubscribe again", "ping"])


@given(
    wanted=st.lists(st.tuples(frames, st.integers(0, 3), st.sampled_from([0.0, 0.0, 0.1, 1.0])), max_size=60),
    burst=st.integers(4, 12),
    rate=st.sampled_from([0.5, 3.0]),
)
def test_who_keeps_to_the_budget_is_never_refused(
    wanted: list[tuple[str, int, float]], burst: int, rate: float
) -> None:
    """Whatever it sends, as long as there is a frame's share left in its own bucket."""
    wire = Wire({}, Limits(frames_burst=burst, frames_per_second=rate, subscriptions_per_connection=4))
    now, own = 0.0, TokenBucket(rate, burst, 0.0)
    watched: set[str] = set()
    for what, number, pause in wanted:
        now += pause
        session_id = f"s{number}"
        if not own.take(now):
            continue
        match what:
            case "subscribe":
                watched.add(session_id)
                frame: dict[str, Any] = {"subscribe": {"sessionId": session_id, "delta": True}}
            case "ping":
                frame = {"ping": {"nonce": "n"}}
            case _:
                watched.discard(session_id)
                frame = {"unsubscribe": {"sessionId": session_id}}
        wire.perform(wire.conversation.text(json.dumps(frame), now))
        assert not wire.closed
        assert not [sent for sent in wire.queue if '"error"' in sent.text]
        assert set(wire.conversation.subscriptions) == watched
