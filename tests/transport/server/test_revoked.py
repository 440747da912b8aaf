"""A right is taken away: those subscriptions end, whatever they were at, and nothing else does. Admissions expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sessionstream import InvalidIdError
from sessionstream.transport.ws import Admitted, Limits, WebSocketServer
from sessionstream.transport.ws.server.connection import LONGEST_SLEEP

from ..asgi import ManualClock, Peer, peers
from ..running import client, served
from ..source import Source, Watched
from .test_taken_away import named, user

GONE = {"code": "unauthorized", "message": "this session is not yours to watch"}


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def of(frame: dict[str, Any]) -> str:
    ((member, body),) = frame.items()
    return f"{member} {body.get('sessionId', '')}"


# -- revoke ----------------------------------------------------------------------------------------------------


async def test_one_session_of_one_principal_ends_and_nothing_else() -> None:
    source = Source()
    server = WebSocketServer(source, authenticate=user)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 2, **named("ada")) as (one, two), peers(server, 1, **named("bob")) as (other,):
        for peer in (one, two, other):
            await peer.subscribed("secret")
            await peer.subscribed("s")
        watched.publish("secret")  # waits still, and is dropped
        watched.publish("s")
        assert await server.revoke("ada", "secret", reason="you left the team") == 2
        for peer in (one, two):
            assert of(await peer.hear()) == "uiEvent s"
            error = (await peer.hear())["error"]
            assert error == {"code": "unauthorized", "message": "you left the team", "sessionId": "secret"}
        assert [of(await other.hear()) for _ in range(2)] == ["uiEvent secret", "uiEvent s"]
        watched.publish("secret")
        watched.publish("s")
        for peer in (one, two):
            assert of(await peer.hear()) == "uiEvent s"
        assert [info.subscriptions for info in server.connections()] == [("s",), ("s",), ("s", "secret")]
        assert await server.revoke("ada", "secret") == 0


async def test_every_session_of_a_principal() -> None:
    server = WebSocketServer(Source(), authenticate=user)
    async with peers(server, 2, **named("ada")) as (one, two), peers(server, 1, **named("bob")) as (other,):
        await one.subscribed("a")
        await one.subscribed("b")
        await two.subscribed("a")
        await other.subscribed("a")
        assert await server.revoke("ada") == 3
        assert [(await one.hear())["error"] for _ in range(2)] == [{**GONE, "sessionId": each} for each in "ab"]
        assert (await two.hear())["error"] == {**GONE, "sessionId": "a"}
        await one.subscribed("a")  # the socket stays, and the application is asked again
        assert other.heard() == []
        assert await server.revoke("nobody") == 0


async def test_without_authenticate_none_means_all_connections() -> None:
    server = WebSocketServer(Source())
    async with peers(server, 2) as both:
        for peer in both:
            await peer.subscribed("s")
        assert await server.revoke(None, "s") == 2


async def test_a_question_under_way_counts_for_nothing_any_more() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def authorize(principal: object, session_id: str) -> bool:
        asked.set()
        await gate.wait()
        return True

    source = Source()
    server = WebSocketServer(source, authorize=authorize)
    async with peers(server, 1) as (peer,):
        peer.subscribe("s")
        await asked.wait()
        assert await server.revoke(None, "s") == 1
        gate.set()
        assert (await peer.hear())["error"]["code"] == "unauthorized"
        await settle()
        assert (peer.heard(), source.asked) == ([], [])


async def test_a_load_under_way_shows_nothing() -> None:
    source = Source()
    server = WebSocketServer(source)
    async with peers(server, 1) as (peer,):
        source.stop()
        peer.subscribe("s")
        await source.calls(1)
        assert await server.revoke(None, "s") == 1
        source.go()
        assert (await peer.hear())["error"]["code"] == "unauthorized"
        await settle()
        assert peer.heard() == []


async def test_revoking_ends_a_subscription_and_its_repeated_subscribe() -> None:
    gate, server = asyncio.Event(), WebSocketServer(Source(), authorize=lambda *_: gate.wait())
    async with peers(server, 1) as (peer,):
        gate.set()
        await peer.subscribed("s")
        gate.clear()
        peer.subscribe("s")
        await settle()
        assert await server.revoke(None, "s") == 1
        assert (await peer.hear())["error"]["code"] == "unauthorized"
        server.publish_ui("s", 1, [])
        gate.set()
        await settle()
        assert peer.heard() == []


async def test_a_snapshot_that_waits_is_not_shown_and_its_end_neither() -> None:
    source = Source()
    source.entities["s"] = source.ordinals["s"] = 5
    server = WebSocketServer(source, limits=Limits(outbox_bytes=2_000))
    async with peers(server, 1) as (peer,):
        peer.stall()
        peer.say({"ping": {}})  # under way
        await settle()
        for session_id in ("s", "other"):
            peer.subscribe(session_id)
        await settle()
        assert await server.revoke(None, "s") == 1
        (info,) = server.connections()
        assert (info.subscriptions, info.queue_depth) == (("other",), 3)
        peer.resume()
        assert [of(await peer.hear()) for _ in range(4)] == [
            "pong ",
            "snapshot other",
            "subscribed other",
            "error s",
        ]
        for number in range(30):  # what was dropped is counted as dropped
            await peer.subscribed(f"s{number % 3}")


async def test_a_closing_connection_has_no_subscriptions_to_revoke() -> None:
    server = WebSocketServer(Source(), limits=Limits(frame_bytes=10))
    async with peers(server, 1) as (peer,):
        peer.stall()
        peer.say("x" * 20)
        await settle()
        assert await server.revoke(None) == 0
        peer.resume()


async def test_invalid_arguments_of_revoke_are_refused() -> None:
    server = WebSocketServer(Source())
    with pytest.raises(TypeError, match="unhashable"):
        await server.revoke(["ada"])
    with pytest.raises(InvalidIdError, match="session id"):
        await server.revoke("ada", "")


# -- Admitted --------------------------------------------------------------------------------------------------


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def admitting(until: Callable[[], datetime | None]) -> Callable[[dict[str, Any]], Admitted]:
    return lambda scope: Admitted(user(scope), until=until())


async def test_a_connection_ends_when_what_it_came_with_expires() -> None:
    clock, source = ManualClock(), Source()
    limits = Limits(heartbeat_seconds=None)
    server = WebSocketServer(source, authenticate=admitting(lambda: in_seconds(100)), clock=clock, limits=limits)
    async with peers(server, 1, **named("ada")) as (peer,):
        (info,) = server.connections()
        assert info.principal == "ada"
        await peer.subscribed("s")
        await clock.advance(99.0)
        assert not peer.task.done()
        await clock.advance(2.0)
        assert await peer.ended() == 1012
        assert (peer.close or {})["reason"] == "retry-after=0"
        assert server.connections() == []


@pytest.mark.parametrize("until", [datetime.max.replace(tzinfo=UTC), None])
async def test_an_expiry_far_away_and_no_expiry(until: datetime | None) -> None:
    clock = ManualClock()
    limits = Limits(heartbeat_seconds=None, pong_timeout_seconds=1e9, send_timeout_seconds=1e9)
    server = WebSocketServer(Source(), authenticate=admitting(lambda: until), clock=clock, limits=limits)
    async with peers(server, 1, **named("ada")) as (peer,):
        for _ in range(3):
            await clock.advance(LONGEST_SLEEP)
        await peer.subscribed("s")


async def test_a_far_end_under_a_real_loop_and_clock() -> None:
    server = WebSocketServer(Source(), authenticate=admitting(lambda: datetime.max.replace(tzinfo=UTC)))
    async with peers(server, 1, **named("ada")) as (peer,):
        await peer.subscribed("s")


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=9))])
async def test_an_end_that_is_past_is_a_refusal(zone: timezone) -> None:
    server = WebSocketServer(Source(), authenticate=admitting(lambda: in_seconds(-1).astimezone(zone)))
    peer = Peer(server, **named("ada"))
    assert await peer.ended() == 401
    assert b"retry-after" not in peer.headers
    assert await Peer(server, **named("ada"), extensions={}).ended() == 403
    later = WebSocketServer(Source(), authenticate=admitting(lambda: in_seconds(60).astimezone(zone)))
    async with peers(later, 1, **named("ada")):
        pass


@pytest.mark.parametrize("principal", [None, False])
async def test_admitted_without_a_principal_is_refused(principal: object) -> None:
    server = WebSocketServer(Source(), authenticate=lambda scope: Admitted(principal, until=in_seconds(60)))
    assert await Peer(server).ended() == 403


async def test_a_principal_that_tells_nobody_from_another() -> None:
    server = WebSocketServer(Source(), authenticate=lambda scope: Admitted(["ada"]))
    peer = Peer(server)
    await asyncio.wait([peer.task])
    with pytest.raises(TypeError, match="return a hashable value"):
        peer.task.result()


def test_a_moment_without_a_time_zone_is_no_moment() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Admitted("ada", until=datetime(2030, 1, 1))
    with pytest.raises(TypeError, match="until must be a datetime"):
        Admitted("ada", until=1_900_000_000)  # type: ignore[arg-type]


async def test_who_leaves_before_its_end_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    server = WebSocketServer(Source(), authenticate=admitting(lambda: in_seconds(1_000)))
    async with peers(server, 2, **named("ada")):
        pass
    assert asyncio.all_tasks() == before


async def test_a_goodbye_that_is_under_way_stays_as_it_is_when_the_end_comes() -> None:
    clock = ManualClock()
    server = WebSocketServer(
        Source(),
        authenticate=admitting(lambda: in_seconds(5)),
        clock=clock,
        limits=Limits(heartbeat_seconds=None, send_timeout_seconds=100.0),
    )
    async with peers(server, 1, **named("ada")) as (peer,):
        peer.stall()
        closing = asyncio.create_task(server.close_connections("ada", reason="logged out"))
        await clock.advance(10.0)
        peer.resume()
        assert await closing == 1
        assert await peer.ended() == 1008


async def test_a_client_of_before_sees_a_restart_and_comes_back() -> None:
    """Over a real socket, with a client that knows nothing of any of this."""
    given = iter([0.3, 1_000.0])
    server = WebSocketServer(Source(), authenticate=lambda scope: Admitted("ada", until=in_seconds(next(given))))
    async with served(server) as address:
        async with client(address) as first:
            await first.subscribe("s")
            assert await first.closed() == (1012, "retry-after=0")
        async with client(address) as again:
            assert [next(iter(frame)) for frame in await again.subscribe("s")] == ["snapshot", "subscribed"]
            assert await server.revoke("ada", "s") == 1
            error = (await again.hear())["error"]
            assert (error["code"], error["sessionId"]) == ("unauthorized", "s")
            await again.subscribe("other")
