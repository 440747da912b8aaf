"""Who may connect and who may watch: origins, authenticate, authorize, and how many."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.transport.ws.wire.budget import WINDOW

from ..asgi import ManualClock, Peer, peers
from ..running import served
from ..source import Source, Watched


def scope_from(origin: str | None, host: str = "app.example", scheme: str = "wss") -> dict[str, Any]:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"Origin", origin.encode()))
    return {"scheme": scheme, "headers": headers}


async def admitted(server: WebSocketServer, **scope: Any) -> bool:
    peer = Peer(server, **scope)
    heard = asyncio.create_task(peer.accepted())
    await asyncio.wait({heard, peer.task}, return_when=asyncio.FIRST_COMPLETED)
    if peer.task.done():
        heard.cancel()
        assert await peer.ended() == 403
        return False
    peer.lose()
    await peer.ended()
    return True


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "allowed"),
    [
        (None, "app.example", "wss", True),
        ("https://app.example", "app.example", "wss", True),
        ("https://APP.example", "app.EXAMPLE", "wss", True),
        ("https://app.example", "app.example:443", "wss", True),
        ("https://app.example:443", "app.example", "wss", True),
        ("http://localhost:8091", "localhost:8091", "ws", True),
        ("http://[::1]:8091", "[::1]:8091", "ws", True),
        ("http://app.example", "app.example", "wss", False),
        ("https://app.example", "app.example", "ws", False),
        ("https://app.example:8443", "app.example", "wss", False),
        ("https://evil.example", "app.example", "wss", False),
        ("https://app.example.evil.example", "app.example", "wss", False),
        ("https://evil.example/app.example", "app.example", "wss", False),
        ("https://app.example@evil.example", "app.example", "wss", False),
        ("null", "app.example", "wss", False),
        ("", "app.example", "wss", False),
        ("file://", "app.example", "wss", False),
        ("https://app.example:port", "app.example", "wss", False),
        ("https://[app.example", "app.example", "wss", False),
        ("https://", "", "wss", False),
        ("https://app.example", "[app.example", "wss", False),
        ("https://app.example", "app.example:port", "wss", False),
    ],
)
async def test_same_origin_by_default(origin: str | None, host: str, scheme: str, allowed: bool) -> None:
    server = WebSocketServer(Source())
    assert await admitted(server, **scope_from(origin, host, scheme)) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", True),
        ("https://app.example:443", True),
        ("http://127.0.0.1:5173", True),
        ("https://other.example", False),
        ("https://here.example", False),
        (None, True),
    ],
)
async def test_allowed_origins_are_exactly_those(origin: str | None, allowed: bool) -> None:
    server = WebSocketServer(Source(), allowed_origins=["https://app.example", "http://127.0.0.1:5173"])
    assert await admitted(server, **scope_from(origin, "here.example")) is allowed


async def test_any_origin_and_none_at_all() -> None:
    assert await admitted(WebSocketServer(Source(), allowed_origins=["*"]), **scope_from("https://evil.example"))
    nobody = WebSocketServer(Source(), allowed_origins=[])
    assert not await admitted(nobody, **scope_from("https://app.example"))


async def test_two_origins_or_two_hosts_are_refused() -> None:
    two = [(b"host", b"a.example"), (b"origin", b"https://a.example")]
    server = WebSocketServer(Source())
    assert not await admitted(server, scheme="wss", headers=[*two, (b"origin", b"https://a.example")])
    assert not await admitted(server, scheme="wss", headers=[*two, (b"host", b"b.example")])


@pytest.mark.parametrize(
    "origin",
    ["app.example", "https://app.example/", "ftp://app.example", "https://", "https://a:b", "https://*.app.example"],
)
def test_an_invalid_allowed_origin(origin: str) -> None:
    with pytest.raises(ValueError, match=r"origin|host|Port"):
        WebSocketServer(Source(), allowed_origins=[origin])


# -- authenticate ----------------------------------------------------------------------------------------------


async def test_authenticate_gets_the_scope_and_gives_the_principal() -> None:
    seen: list[Any] = []

    async def authenticate(scope: dict[str, Any]) -> object:
        seen.append(scope["path"])
        await asyncio.sleep(0)
        return "ada"

    server = WebSocketServer(Source(), authenticate=authenticate)
    async with peers(server, 1):
        assert [info.principal for info in server.connections()] == ["ada"]
    assert seen == ["/ws"]


def refusing(scope: dict[str, Any]) -> object:
    raise PermissionError("no")


@pytest.mark.parametrize("hook", [lambda scope: None, lambda scope: False, refusing])
@pytest.mark.parametrize("extensions", [{"websocket.http.response": {}}, None])
async def test_a_refused_handshake_is_a_403(hook: Any, extensions: Any) -> None:
    """By a close, which every server turns into its own 403."""
    peer = Peer(WebSocketServer(Source(), authenticate=hook), extensions=extensions)
    assert await peer.ended() == 403
    assert (peer.close or {}).get("type") == "websocket.close"
    assert not peer.texts


async def test_a_real_server_logs_no_error_when_a_handshake_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with served(WebSocketServer(Source(), authenticate=lambda scope: None)) as url:
        logging.getLogger("uvicorn").addHandler(caplog.handler)  # which passes nothing on
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url}/ws")
        logging.getLogger("uvicorn").removeHandler(caplog.handler)
    assert refused.value.response.status_code == 403
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_authenticate_that_hangs_is_refused() -> None:
    async def hang(scope: dict[str, Any]) -> object:
        return await asyncio.Event().wait()

    peer = Peer(WebSocketServer(Source(), authenticate=hang, limits=Limits(handshake_timeout_seconds=0.01)))
    assert await peer.ended() == 503
    assert peer.headers[b"retry-after"] == b"5"


async def waited_for_what_was_cancelled(*_: object) -> Any:
    waited = asyncio.get_running_loop().create_future()
    waited.cancel()
    return await waited


async def test_authenticate_that_ends_in_a_cancellation_nobody_asked_for_refuses() -> None:
    peer = Peer(WebSocketServer(Source(), authenticate=waited_for_what_was_cancelled))
    assert await peer.ended() == 403


async def test_a_principal_may_be_false_in_a_condition() -> None:
    server = WebSocketServer(Source(), authenticate=lambda scope: 0)
    async with peers(server, 1):
        assert [info.principal for info in server.connections()] == [0]


async def test_a_principal_has_to_be_hashable() -> None:
    peer = Peer(WebSocketServer(Source(), authenticate=lambda scope: {"name": "ada"}))
    with pytest.raises(TypeError, match="a dict as principal: return a hashable value"):
        await peer.ended()


# -- authorize -------------------------------------------------------------------------------------------------


async def test_authorize_is_asked_on_every_subscribe() -> None:
    asked: list[tuple[object, str]] = []
    allowed = {"mine"}

    def authorize(principal: object, session_id: str) -> bool:
        asked.append((principal, session_id))
        return session_id in allowed

    source = Source()
    server = WebSocketServer(source, authenticate=lambda scope: "ada", authorize=authorize)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("mine")
        peer.subscribe("yours")
        error = (await peer.hear())["error"]
        assert (error["code"], error["sessionId"]) == ("unauthorized", "yours")
        assert source.asked == [("mine", None)]
        allowed.clear()  # revoked: the next subscribe ends what there was
        peer.subscribe("mine")
        assert (await peer.hear())["error"]["code"] == "unauthorized"
        watched.publish("mine")
        assert server.connections()[0].subscriptions == ()
        assert peer.heard() == []
    assert asked == [("ada", "mine"), ("ada", "yours"), ("ada", "mine")]


@pytest.mark.parametrize("answer", [False, None, 1, "yes"])
async def test_only_true_allows(answer: Any) -> None:
    async def authorize(principal: object, session_id: str) -> bool:
        return answer  # type: ignore[no-any-return]

    async with peers(WebSocketServer(Source(), authorize=authorize), 1) as (peer,):
        peer.subscribe("s")
        assert (await peer.hear())["error"]["code"] == "unauthorized"


async def test_authorize_that_raises_refuses_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def authorize(principal: object, session_id: str) -> bool:
        raise RuntimeError("the directory is down")

    async with peers(WebSocketServer(Source(), authorize=authorize), 1) as (peer,):
        peer.subscribe("s")
        assert (await peer.hear())["error"]["code"] == "unauthorized"
    assert "the directory is down" in caplog.text


async def test_authorize_that_ends_in_a_cancellation_nobody_asked_for_refuses_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with peers(WebSocketServer(Source(), authorize=waited_for_what_was_cancelled), 1) as (peer,):
        peer.subscribe("s")
        assert (await peer.hear())["error"]["code"] == "unauthorized"
    assert "authorize waited for something that was cancelled" in caplog.text


async def test_authorize_that_hangs_lets_the_client_try_again(caplog: pytest.LogCaptureFixture) -> None:
    hangs = asyncio.Event()
    hangs.set()

    async def authorize(principal: object, session_id: str) -> bool:
        return not hangs.is_set() or await asyncio.Event().wait()

    source = Source()
    server = WebSocketServer(source, authorize=authorize, limits=Limits(handshake_timeout_seconds=0.01))
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        peer.subscribe("s")
        error = (await peer.hear())["error"]
        assert (error["code"], error["sessionId"]) == ("snapshot_failed", "s")
        assert "authorize took too long for session 's'" in caplog.text
        hangs.clear()
        await peer.subscribed("s")
        hangs.set()
        peer.subscribe("s")  # again, and what there was ends
        assert (await peer.hear())["error"]["code"] == "snapshot_failed"
        watched.publish("s")
        assert server.connections()[0].subscriptions == ()
        assert peer.heard() == []


async def test_a_slow_authorize_holds_up_no_other_session_and_its_answer_may_come_too_late() -> None:
    gates = {"slow": asyncio.Event()}
    cancelled: list[str] = []

    async def authorize(principal: object, session_id: str) -> bool:
        if session_id in gates:
            try:
                await gates[session_id].wait()
            except asyncio.CancelledError:
                cancelled.append(session_id)
                raise
        return True

    server = WebSocketServer(Source(), authorize=authorize)
    async with peers(server, 1) as (peer,):
        peer.subscribe("slow")
        await peer.subscribed("quick")
        peer.subscribe("slow")  # asks again; the first question is void
        peer.say({"unsubscribe": {"sessionId": "slow"}})
        assert await peer.hear() == {"unsubscribed": {"sessionId": "slow"}}
        gates["slow"].set()
        await peer.subscribed("slow")
        gates["slow"].clear()
        peer.subscribe("slow")
        peer.say({"ping": {}})
        await peer.hear_until("pong")
    assert cancelled == ["slow", "slow"]  # replaced or unsubscribed before it began counts as never asked


# -- how many --------------------------------------------------------------------------------------------------


async def test_connections_in_all() -> None:
    server = WebSocketServer(Source(), limits=Limits(connections=2))
    async with peers(server, 2) as (one, _):
        third = Peer(server)
        assert await third.ended() == 503
        assert third.headers[b"retry-after"] == b"5"
        one.lose()
        await one.ended()
        again = await Peer(server).accepted()
        again.lose()
        await again.ended()


async def test_connections_of_one_principal() -> None:
    def authenticate(scope: dict[str, Any]) -> object:
        return dict(scope["headers"])[b"user"]

    def named(name: bytes) -> dict[str, Any]:
        return {"headers": [(b"user", name)]}

    server = WebSocketServer(Source(), authenticate=authenticate, limits=Limits(connections_per_principal=1))
    async with peers(server, 1, **named(b"ada")), peers(server, 1, **named(b"bob")):
        assert await Peer(server, **named(b"ada")).ended() == 503
    async with peers(server, 1, **named(b"ada")):
        pass
    assert not server._admission._principals


async def test_without_authenticate_nobody_is_counted_by_name() -> None:
    server = WebSocketServer(Source(), limits=Limits(connections_per_principal=1))
    async with peers(server, 3):
        assert len(server.connections()) == 3


async def test_subscriptions_of_one_connection() -> None:
    server = WebSocketServer(Source(), limits=Limits(subscriptions_per_connection=2))
    async with peers(server, 1) as (peer,):
        await peer.subscribed("a")
        await peer.subscribed("b")
        peer.subscribe("c")
        error = (await peer.hear())["error"]
        assert (error["code"], error["sessionId"]) == ("too_many_subscriptions", "c")
        await peer.subscribed("a")  # not another one
        peer.say({"unsubscribe": {"sessionId": "a"}})
        await peer.hear()
        await peer.subscribed("c")


async def test_a_frame_that_is_too_long() -> None:
    async with peers(WebSocketServer(Source(), limits=Limits(frame_bytes=100)), 3) as (text, data, fits):
        text.say('{"ping":{"nonce":"' + "é" * 50 + '"}}')
        assert await text.ended() == 1009
        data.say_bytes(b"x" * 101)
        assert await data.ended() == 1009
        fits.say('{"ping":{"nonce":"' + "x" * 79 + '"}}')
        assert "pong" in await fits.hear()


async def test_the_rate_and_what_comes_of_going_on() -> None:
    clock = ManualClock()
    limits = Limits(frames_per_second=2.0, frames_burst=3)
    async with peers(WebSocketServer(Source(), limits=limits, clock=clock), 1) as (peer,):

        async def said(count: int) -> list[str]:
            for _ in range(count):
                peer.say({"ping": {}})
            return [next(iter(await peer.hear())) for _ in range(count)]

        assert await said(4) == ["pong"] * 3 + ["error"]
        await clock.advance(1.0)
        assert await said(3) == ["pong", "pong", "error"]
        peer.subscribe("s")
        error = (await peer.hear())["error"]
        assert (error["code"], error["sessionId"]) == ("rate_limited", "s")
        peer.say("{")
        assert (await peer.hear())["error"]["code"] == "rate_limited"
        assert await said(WINDOW - 3) == ["error"] * (WINDOW - 3)  # a client may open with so many
        peer.say({"ping": {}})
        assert await peer.ended() == 1008
