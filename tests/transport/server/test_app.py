"""The server around the protocol: connections, their hooks and limits, in memory and without waiting for time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from sessionstream import Hub, SchemaRegistry, TransportError, UIEvent
from sessionstream.transport.ws import ConnectionInfo, Limits, WebSocketServer

from ..asgi import Peer, peers
from ..source import Source, Watched, told


async def test_a_snapshot_then_what_was_kept_then_subscribed_then_live() -> None:
    source = Source()
    server = WebSocketServer(source)
    watched = Watched(source, server.publish_ui)
    source.ordinals["s"] = 3
    async with peers(server, 1) as (peer,):
        source.stop()
        peer.subscribe("s", sinceSnapshotOrdinal="2")
        await source.calls(1)  # it has read ordinal 3
        watched.publish("s", "a", "b")
        watched.publish("s", "c")
        source.go()
        snapshot, *events, subscribed = await peer.hear_until("subscribed")
        assert snapshot == {"snapshot": {"sessionId": "s", "snapshotOrdinal": "3"}}
        assert [event["uiEvent"]["payload"]["value"] for event in events] == ["a", "b", "c"]
        assert [event["uiEvent"]["eventOrdinal"] for event in events] == ["4", "4", "5"]
        assert subscribed == {"subscribed": {"sessionId": "s", "sinceSnapshotOrdinal": "2"}}
        watched.publish("s", "d")
        assert (await peer.hear())["uiEvent"]["payload"]["value"] == "d"


async def test_each_event_is_written_once_however_many_watch() -> None:
    source = Source()
    server = WebSocketServer(source)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 5) as all_peers:
        for peer in all_peers:
            await peer.subscribed("s")
        watched.publish("s", "x")
        for peer in all_peers:
            await peer.hear()
        assert len({id(peer.texts[-1]) for peer in all_peers}) == 1


async def test_unsubscribing_and_sessions_nobody_watches_leave_no_trace() -> None:
    source = Source()
    server = WebSocketServer(source)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 2) as (one, two):
        await one.subscribed("s")
        await two.subscribed("s")
        one.say({"unsubscribe": {"sessionId": "s"}})
        assert await one.hear() == {"unsubscribed": {"sessionId": "s"}}
        watched.publish("s", "x")
        assert (await two.hear())["uiEvent"]["name"] == "Told"
        assert one.heard() == []
        assert [info.subscriptions for info in server.connections()] == [(), ("s",)]
    watched.publish("s", "y")
    assert server.connections() == []
    assert len(server._routes) == 0


async def test_what_connections_shows() -> None:
    source = Source()
    server = WebSocketServer(source, authenticate=lambda scope: "ada")
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("b")
        await peer.subscribed("a")
        peer.stall()
        for _ in range(3):
            watched.publish("a")
        (info,) = server.connections()
        assert isinstance(info, ConnectionInfo)
        assert info.connection_id == peer.hello["connectionId"]
        assert (info.principal, info.subscriptions, info.queue_depth) == ("ada", ("a", "b"), 3)
        assert info.queue_bytes > 100
        peer.resume()
        await peer.hear_until("uiEvent")


async def test_subscribing_again_sends_the_snapshot_again() -> None:
    source = Source()
    server = WebSocketServer(source)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        watched.publish("s")
        await peer.hear()
        snapshot, _ = await peer.subscribed("s")
        assert snapshot["snapshot"]["snapshotOrdinal"] == "1"
        watched.publish("s")
        assert (await peer.hear())["uiEvent"]["eventOrdinal"] == "2"


async def test_a_resync_is_for_those_who_hold_less_or_another_epoch() -> None:
    source = Source()
    server = WebSocketServer(source)
    watched = Watched(source, server.publish_ui)
    source.ordinals["s"] = 3
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        watched.publish("s")
        await peer.hear()
        for ordinal, epoch, snapshots in ((3, 7, 0), (4, 7, 0), (5, 7, 1), (4, 8, 1), (None, None, 1)):
            source.ordinals["s"], source.epochs["s"] = max(ordinal or 0, source.ordinals["s"]), epoch or 8
            server.resync("s", ordinal, epoch)
            peer.say({"ping": {}})
            for _ in range(snapshots):
                peer_heard = await peer.hear_until("snapshot")
                assert peer_heard[-1]["snapshot"]["snapshotOrdinal"] == str(source.ordinals["s"])
        await peer.hear_until("pong")


async def test_binary_and_bad_frames_leave_the_connection_open() -> None:
    async with peers(WebSocketServer(Source()), 1) as (peer,):
        peer.say_bytes(b"\0")
        assert (await peer.hear())["error"]["code"] == "bad_client_frame"
        peer.say("{")
        assert (await peer.hear())["error"]["code"] == "bad_client_frame"
        peer.say({"subscribe": {"sessionId": " "}})
        error = (await peer.hear())["error"]
        assert (error["code"], error["sessionId"]) == ("protocol_error", " ")
        peer.say({"ping": {"nonce": "n"}})
        assert await peer.hear() == {"pong": {"nonce": "n"}}


# -- what goes wrong -------------------------------------------------------------------------------------------


async def test_a_snapshot_that_fails_ends_the_subscription_and_the_client_may_ask_again() -> None:
    source = Source()
    server = WebSocketServer(source)
    async with peers(server, 1) as (peer,):
        source.failure = lambda since: RuntimeError("secret words")
        peer.subscribe("s")
        error = (await peer.hear())["error"]
        assert (error["code"], error["sessionId"]) == ("snapshot_failed", "s")
        assert "secret" not in str(error)
        assert server.connections()[0].subscriptions == ()
        source.failure = lambda since: None
        await peer.subscribed("s")


async def test_a_resync_that_fails_sends_the_client_away_to_come_back() -> None:
    source = Source()
    server = WebSocketServer(source)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        source.failure = lambda since: RuntimeError("no")
        server.resync("s")
        assert await peer.ended() == 1013


async def test_a_source_that_stays_behind_its_own_events() -> None:
    source = Source()
    server = WebSocketServer(source)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        server.publish_ui("s", 5, told("x"))
        await peer.hear()
        server.resync("s")  # the source says ordinal 0, again and again
        assert await peer.ended() == 1013
        assert len(source.asked) == 1 + 5


async def test_an_event_that_cannot_be_shown_is_reported_and_clients_are_told_that_it_is_there() -> None:
    source = Source()
    server = WebSocketServer(source)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        bad = UIEvent("Bad", AnyMessage(type_url="type.googleapis.com/nobody.Knows", value=b"x"))
        with pytest.raises(TransportError, match="'Bad'"):
            server.publish_ui("s", 1, [*told("a"), bad, *told("b")])
        heard = [(await peer.hear())["uiEvent"] for _ in range(3)]
        assert [event["name"] for event in heard] == ["Told", "Bad", "Told"]
        assert [event["payload"].get("value") for event in heard] == ["a", None, "b"]
        assert heard[1]["payload"] == {
            "@type": "type.googleapis.com/sessionstream.v1.UnreadablePayload",
            "type": "google.protobuf.Any",
            "reason": "no message is known of the type 'type.googleapis.com/nobody.Knows'",
        }


async def test_a_fault_of_ours_closes_the_connection_and_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sessionstream.transport.ws.server import conversation

    def fault(text: str) -> Any:
        raise ZeroDivisionError

    async with peers(WebSocketServer(Source()), 2) as (one, two):
        with monkeypatch.context() as patch:
            patch.setattr(conversation, "decode", fault)
            one.say({"ping": {}})
            assert await one.ended() == 1011
        assert "could not be handled" in caplog.text
        two.say({"ping": {}})
        assert await two.hear() == {"pong": {}}


async def test_a_client_that_vanishes_while_it_is_written_to() -> None:
    source = Source()
    server = WebSocketServer(source)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 2) as (one, two):
        await one.subscribed("s")
        await two.subscribed("s")
        one.stall()
        watched.publish("s")
        one.lose()
        await one.ended()
        watched.publish("s")
        assert [(await two.hear())["uiEvent"]["eventOrdinal"] for _ in range(2)] == ["1", "2"]
        assert len(server.connections()) == 1


async def test_what_the_server_library_raises_comes_out() -> None:
    server = WebSocketServer(Source())
    incoming = iter([{"type": "websocket.connect"}])

    async def receive() -> dict[str, Any]:
        message = next(incoming, None)
        if message is None:
            raise ConnectionError("the library is broken")
        return message

    async def send(message: dict[str, Any]) -> None: ...

    with pytest.raises(ConnectionError, match="broken"):
        await server({"type": "websocket", "headers": []}, receive, send)
    assert server.connections() == []


# -- threads, loops, scopes ------------------------------------------------------------------------------------


async def test_publishing_from_another_thread_keeps_the_order() -> None:
    source = Source()
    server = WebSocketServer(source)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")

        def publish() -> None:
            for ordinal in range(1, 51):
                server.publish_ui("s", ordinal, told(str(ordinal)))
                if ordinal == 25:
                    source.ordinals["s"] = 25
                    server.resync("s")

        thread = threading.Thread(target=publish)
        thread.start()
        heard: list[int] = []
        while not heard or heard[-1] < 50:
            frame = await peer.hear()
            if "uiEvent" in frame:
                heard.append(int(frame["uiEvent"]["eventOrdinal"]))
        thread.join()
        assert heard == list(range(1, 51))


def test_publishing_when_nobody_ever_connected_and_after_the_loop_is_closed() -> None:
    source = Source()
    server = WebSocketServer(source)
    server.publish_ui("s", 1, told("x"))
    server.resync("s")

    async def connect() -> None:
        async with peers(server, 1) as (peer,):
            await peer.subscribed("s")

    asyncio.run(connect())
    for call in (lambda: server.publish_ui("s", 2, told("x")), lambda: server.resync("s")):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    asyncio.run(connect())  # another loop, as when a server is started again


async def test_one_server_serves_one_loop_at_a_time() -> None:
    server = WebSocketServer(Source())
    async with peers(server, 1):

        async def elsewhere() -> None:
            await Peer(server).ended()

        with pytest.raises(TransportError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, elsewhere())


async def test_a_handshake_that_its_client_gave_up() -> None:
    server = WebSocketServer(Source())
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await server({"type": "websocket", "headers": []}, receive, send)
    assert sent == []


async def scope_of(server: WebSocketServer, type_: str, *messages: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    waiting = [{"type": message} for message in messages]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await server({"type": type_, "headers": []}, receive, send)
    return sent


async def test_plain_http_is_told_to_upgrade() -> None:
    start, body = await scope_of(WebSocketServer(Source()), "http", "http.request")
    assert start["status"] == 426
    assert (b"upgrade", b"websocket") in start["headers"]
    assert b"WebSocket" in body["body"]


async def test_the_end_of_a_lifespan_is_a_shutdown() -> None:
    server = WebSocketServer(Source())
    async with peers(server, 1) as (peer,):
        told = ("lifespan.startup", "lifespan.something.new", "lifespan.shutdown")
        sent = await scope_of(server, "lifespan", *told)
        assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert await peer.ended() == 1001


async def test_a_shutdown_that_fails_is_said_to_the_server_library(monkeypatch: pytest.MonkeyPatch) -> None:
    server = WebSocketServer(Source())

    async def fail() -> None:
        raise OSError("no")

    monkeypatch.setattr(server._loader, "close", fail)
    with pytest.raises(OSError, match="no"):
        await scope_of(server, "lifespan", "lifespan.startup", "lifespan.shutdown")


async def test_other_scopes_are_refused() -> None:
    with pytest.raises(ValueError, match="smtp"):
        await scope_of(WebSocketServer(Source()), "smtp")


async def waits(overflow: object) -> set[str]:
    return set()


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": object()},
        {"authenticate": "x"},
        {"authorize": "x"},
        {"limits": 5},
        {"slow_consumers": None},
        {"slow_consumers": waits},
        {"observer": "x"},
        {"allowed_origins": "https://app.example"},
        {"allowed_origins": [1]},
    ],
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        WebSocketServer(arguments.pop("source", Source()), **arguments)


def test_a_hub_is_a_source_and_the_server_a_fan_out() -> None:
    hub = Hub(SchemaRegistry())
    hub.set_fanout(WebSocketServer(hub))


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"frame_bytes": 0}, ValueError),
        ({"frames_per_second": -1.0}, ValueError),
        ({"send_timeout_seconds": float("nan")}, ValueError),
        ({"connections": 1.5}, TypeError),
        ({"connections": True}, TypeError),
        ({"pong_timeout_seconds": None}, TypeError),
        ({"heartbeat_seconds": "1"}, TypeError),
    ],
)
def test_limits_are_checked(values: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(values))):
        Limits(**values)


def test_a_heartbeat_can_be_left_out() -> None:
    assert Limits(heartbeat_seconds=None).heartbeat_seconds is None
