"""The application in real servers and frameworks: the same conversation wherever it is mounted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sessionstream.examples.chatdemo import Chat
from sessionstream.transport.ws import ConnectionRecord, Limits, WebSocketServer

from ..running import PATIENCE, client, served
from .servers import SERVERS, Serve


def by_itself(server: WebSocketServer) -> Any:
    return server


def in_starlette(server: WebSocketServer) -> Any:
    return Starlette(routes=[WebSocketRoute("/ws", server)])


def mounted_in_starlette(server: WebSocketServer) -> Any:
    return Starlette(routes=[Mount("/ws", server)])


def in_fastapi(server: WebSocketServer) -> Any:
    app = FastAPI()
    app.router.routes.append(WebSocketRoute("/ws", server))
    return app


def mounted_in_fastapi(server: WebSocketServer) -> Any:
    app = FastAPI()
    app.mount("/ws", server)
    return app


def in_litestar(server: WebSocketServer) -> Any:
    pytest.importorskip("litestar", reason="litestar is not installed: pip install litestar")
    from litestar import Litestar, asgi

    return Litestar([asgi("/ws", is_mount=True, copy_scope=True)(server.__call__)])


def beside_django(server: WebSocketServer) -> Any:
    """As in Django's asgi.py: HTTP is Django's, WebSockets are routed by Channels, the lifespan is ours."""
    pytest.importorskip("channels", reason="Django and Channels are not installed: pip install channels")
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.urls import path

    if not settings.configured:
        settings.configure(ROOT_URLCONF=(), ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="s")
    return ProtocolTypeRouter(
        {"http": get_asgi_application(), "websocket": URLRouter([path("ws", server)]), "lifespan": server}
    )


@pytest.mark.parametrize("serve_app", SERVERS)
@pytest.mark.parametrize(
    ("mount", "path"),
    [
        (by_itself, "/"),
        (in_starlette, "/ws"),
        (mounted_in_starlette, "/ws/"),
        (in_fastapi, "/ws"),
        (mounted_in_fastapi, "/ws/"),
        (in_litestar, "/ws"),
        (beside_django, "/ws"),
    ],
)
async def test_a_chat_is_watched(mount: Callable[[WebSocketServer], Any], path: str, serve_app: Serve) -> None:
    gone: asyncio.Queue[ConnectionRecord] = asyncio.Queue()

    def note(record: ConnectionRecord) -> None:
        if record.stage == "disconnected":
            gone.put_nowait(record)

    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub, limits=Limits(frame_bytes=2_000), observer=note)
        chat.hub.set_fanout(server)
        async with serve_app(mount(server)) as address, client(address + path) as watching:
            assert [next(iter(frame)) for frame in await watching.subscribe("s")] == ["snapshot", "subscribed"]
            await chat.start("s", "Explain ordinals")
            events = [(await watching.hear())["uiEvent"] for _ in range(6)]
            assert [event["eventOrdinal"] for event in events] == list("123456")
            assert events[-1]["name"] == "ChatMessageFinished"
            async with client(address + path) as late:
                snapshot, _ = await late.subscribe("s", sinceSnapshotOrdinal=3)
                assert snapshot["snapshot"]["entities"][1]["payload"]["text"] == events[-1]["payload"]["text"]
            await watching.socket.send(b"\0")
            assert (await watching.hear())["error"]["code"] == "bad_client_frame"
            await watching.say("x" * 2_001)
            code, reason = await watching.closed()
            assert (code, "2001" in reason) == (1009, True)
            for _ in range(2):
                await asyncio.wait_for(gone.get(), PATIENCE)
        assert server.connections() == []


async def test_django_answers_what_is_not_ours() -> None:
    async with Chat(delay=0) as chat, served(beside_django(WebSocketServer(chat.hub))) as address:
        assert b" 404 " in await http_status(address)


@pytest.mark.parametrize("serve_app", SERVERS)
async def test_a_refused_handshake(serve_app: Serve) -> None:
    def authenticate(scope: dict[str, Any]) -> object:
        return "ada" if b"token=good" in scope["query_string"] else None

    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub, authenticate=authenticate, limits=Limits(connections=1))
        async with serve_app(server) as address:
            with pytest.raises(InvalidStatus) as caught:
                await connect(f"{address}/?token=bad")
            assert caught.value.response.status_code == 403
            with pytest.raises(InvalidStatus) as caught:
                await connect(f"{address}/?token=good", origin="https://evil.example")  # type: ignore[arg-type]
            assert caught.value.response.status_code == 403
            own = address.replace("ws:", "http:")
            async with client(f"{address}/?token=good", origin=own):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(f"{address}/?token=good")
                assert caught.value.response.status_code == 503
                assert caught.value.response.headers["retry-after"] == "5"


@pytest.mark.parametrize("serve_app", SERVERS)
async def test_a_shutdown_says_when_to_return(serve_app: Serve) -> None:
    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub)
        async with serve_app(server) as address, client(address) as connected:
            await connected.subscribe("s")
            closing = asyncio.create_task(connected.closed())
            await server.shutdown(retry_after=3)
            assert await closing == (1012, "retry-after=3")


@pytest.mark.parametrize("serve_app", SERVERS)
async def test_a_browser_that_asks_over_http(serve_app: Serve) -> None:
    async with Chat(delay=0) as chat, serve_app(WebSocketServer(chat.hub)) as address:
        assert b" 426 " in await http_status(address)


async def http_status(address: str) -> bytes:
    """The first line of what is said to a browser that asks for the address."""
    host, port = address.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    status = await asyncio.wait_for(reader.readline(), PATIENCE)
    writer.close()
    await writer.wait_closed()
    return status


async def test_a_client_that_does_not_read_is_sent_away_and_the_others_hear_everything() -> None:
    """Under a real server, whose own buffers have to be full first."""
    from google.protobuf.wrappers_pb2 import StringValue

    from sessionstream import UIEvent

    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub, limits=Limits(outbox_frames=50))
        async with served(server) as address, client(address) as reading:
            await reading.subscribe("s")
            host, port = address.removeprefix("ws://").split(":")
            stuck = await asyncio.open_connection(host, int(port), limit=1_024)
            stuck[1].write(HANDSHAKE)
            await stuck[0].readuntil(b"\r\n\r\n")
            stuck[1].write(masked(json.dumps({"subscribe": {"sessionId": "s"}})))
            await stuck[0].readuntil(b'"subscribed"')
            transport = stuck[1].transport
            assert isinstance(transport, asyncio.ReadTransport)
            transport.pause_reading()
            payload = StringValue(value="x" * 50_000)
            for ordinal in range(1, 401):
                server.publish_ui("s", ordinal, [UIEvent("Told", payload)])
                assert (await reading.hear())["uiEvent"]["eventOrdinal"] == str(ordinal)
            (sent_away,) = [info for info in server.connections() if not info.subscriptions]
            assert sent_away.queue_bytes == 0
            stuck[1].transport.abort()


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def masked(text: str) -> bytes:
    """A client's text frame of less than 126 bytes, masked with zeros."""
    data = text.encode()
    assert len(data) < 126
    return bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data
