"""The application in real servers and frameworks: the same conversation wherever it is mounted."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sessionstream.examples.chatdemo import Chat
from sessionstream.transport.ws import Limits, WebSocketServer

from .running import PATIENCE, client, served


@asynccontextmanager
async def under_hypercorn(app: Any) -> AsyncIterator[str]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.graceful_timeout = 1.0
    stop, started = asyncio.Event(), asyncio.Event()

    async def starting(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: dict[str, Any]) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                started.set()

        await app(scope, receive, sent)

    running = asyncio.create_task(serve(starting, config, shutdown_trigger=stop.wait))
    try:
        await asyncio.wait_for(started.wait(), PATIENCE)
        yield f"ws://127.0.0.1:{port}"
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE)
        listening.detach()


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


Serve = Callable[[Any], AbstractAsyncContextManager[str]]


@pytest.mark.parametrize("serve_app", [served, under_hypercorn])
@pytest.mark.parametrize(
    ("mount", "path"),
    [
        (by_itself, "/"),
        (in_starlette, "/ws"),
        (mounted_in_starlette, "/ws/"),
        (in_fastapi, "/ws"),
        (mounted_in_fastapi, "/ws/"),
    ],
)
async def test_a_chat_is_watched(mount: Callable[[WebSocketServer], Any], path: str, serve_app: Serve) -> None:
    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub, limits=Limits(frame_bytes=2_000))
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
        assert server.connections() == []


@pytest.mark.parametrize("serve_app", [served, under_hypercorn])
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


@pytest.mark.parametrize("serve_app", [served, under_hypercorn])
async def test_a_shutdown_says_when_to_return(serve_app: Serve) -> None:
    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub)
        async with serve_app(server) as address, client(address) as connected:
            await connected.subscribe("s")
            closing = asyncio.create_task(connected.closed())
            await server.shutdown(retry_after=3)
            assert await closing == (1012, "retry-after=3")


@pytest.mark.parametrize("serve_app", [served, under_hypercorn])
async def test_a_browser_that_asks_over_http(serve_app: Serve) -> None:
    async with Chat(delay=0) as chat, serve_app(WebSocketServer(chat.hub)) as address:
        host, port = address.removeprefix("ws://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        await writer.wait_closed()
        assert b" 426 " in status


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
