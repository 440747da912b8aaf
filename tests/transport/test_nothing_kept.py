"""A connection that is idle keeps nothing of the last message, frame, result of a send, or exception."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeAlias

import pytest
from websockets.asyncio.client import ClientConnection

from sessionstream import Snapshot
from sessionstream.transport.http import SSEEndpoint, sse_endpoint
from sessionstream.transport.ws import Limits, LiveEvent, WebSocketServer, connect
from sessionstream.transport.ws.server.connection import Connection
from sessionstream.transport.ws.server.effects import Hydration
from sessionstream.transport.ws.server.frames import Batch, Frame

from ..heap import alive
from ..pairs import pairs
from . import notes
from .asgi import ManualClock
from .running import served
from .source import Source, told

WHO: ContextVar[object] = ContextVar("WHO")
PASSING = (Frame, Batch, Hydration)


pytestmark = pytest.mark.usefixtures("only_new_objects")


async def settle(rounds: int = 30) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


class Traces:
    """Weak references to what was handed over, by what it was."""

    def __init__(self) -> None:
        self._references: list[tuple[str, weakref.ref[Any]]] = []

    def note(self, what: str, thing: Any) -> Any:
        self._references.append((what, weakref.ref(thing)))
        return thing

    def left(self) -> list[str]:
        return [what for what, reference in self._references if reference() is not None]


class Message(dict[str, Any]):
    """An ASGI message that can be looked after."""


class Text(str):
    """A text that can be looked after."""

    __slots__ = ("__weakref__",)


class Gone(OSError):
    """The client is gone, as a server library says it."""


class Sending:
    """What a send returns that is no coroutine, as granian's."""

    def __init__(self, waits: Callable[[], Any]) -> None:
        self._waits = waits

    def __await__(self) -> Iterator[Any]:
        return self._waits().__await__()  # type: ignore[no-any-return]


Send: TypeAlias = Callable[[Any], Any]


class Socket:
    """A server library's side of a connection; its ``send`` takes frames in one of several ways, or fails, or hangs."""

    def __init__(self, way: str) -> None:
        self.traces = Traces()
        self.way = way
        self.fails = self.hangs = False
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.say_type("websocket.connect")

    def say_type(self, kind: str, **fields: Any) -> None:
        self._incoming.put_nowait(self.traces.note(kind, Message(type=kind, **fields)))

    def say(self, frame: dict[str, Any] | str) -> None:
        text = Text(frame if isinstance(frame, str) else json.dumps(frame))
        self.say_type("websocket.receive", text=self.traces.note("text", text))

    async def receive(self) -> Message:
        return await self._incoming.get()

    def send(self, message: dict[str, Any]) -> Any:
        match self.way:
            case "coroutine":
                return self._taken()
            case "future":
                return self.traces.note("future", asyncio.ensure_future(self._taken()))
            case _:
                return self.traces.note("awaitable", Sending(self._taken))

    async def _taken(self) -> None:
        if self.way != "coroutine" or self.hangs:
            await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise self.traces.note("exception", Gone())


@asynccontextmanager
async def visiting(server: WebSocketServer, socket: Socket) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(server({"type": "websocket", "headers": []}, socket.receive, socket.send))
    await settle()
    try:
        yield task
    finally:
        await settle()
        if not task.done():
            socket.say_type("websocket.disconnect", code=1000)
            await asyncio.wait({task})


WAYS = ["coroutine", "future", "awaitable"]
SAID: list[dict[str, Any] | str] = [
    {"subscribe": {"sessionId": "s", "delta": True}},
    {"ping": {"nonce": "n" * 1_000}},
    {"unsubscribe": {"sessionId": "other"}},
    "no frame at all",
]


@pytest.mark.parametrize(("way", "last"), pairs(WAYS, ["event", *SAID], ids=lambda each: str(each)[:20]))
async def test_an_idle_connection(way: str, last: Any) -> None:
    source = Source()
    source.entities["s"] = source.ordinals["s"] = 3
    server, socket = WebSocketServer(source), Socket(way)
    async with visiting(server, socket):
        for frame in SAID:
            socket.say(frame)
            await settle()
        if last == "event":
            server.publish_ui("s", 4, told("x"))
        else:
            socket.say(last)
        await settle()
        assert alive(*PASSING) == []
        assert socket.traces.left() == []


@pytest.mark.parametrize(
    ("way", "fault"), pairs(WAYS, ["fails", "hangs and is cut off", "hangs and is cancelled", "hangs and leaves"])
)
async def test_a_connection_that_ended_while_it_was_sent_something(way: str, fault: str) -> None:
    """What a send returned is freed without the garbage collector, which does not see into a server in Rust."""
    source, clock = Source(), ManualClock()
    server = WebSocketServer(source, clock=clock, limits=Limits(heartbeat_seconds=None))
    socket = Socket(way)
    gc.collect()
    gc.disable()
    try:
        async with visiting(server, socket) as task:
            socket.say(SAID[0])
            await settle()
            socket.fails, socket.hangs = fault == "fails", fault != "fails"
            server.publish_ui("s", 1, told("x"))
            server.publish_ui("s", 2, told("x"))
            await settle()
            if fault == "hangs and is cut off":
                await clock.advance(60.0)
            elif fault == "hangs and is cancelled":
                task.cancel()
        await settle()
        left = [what for what in socket.traces.left() if what in ("awaitable", "future")]
    finally:
        gc.enable()
    assert left == []
    with suppress(asyncio.CancelledError):
        task.result()
    del task
    assert alive(Connection, *PASSING) == []
    assert socket.traces.left() == []


async def test_a_load_and_a_hook_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("sessionstream"), "disabled", True)  # pytest keeps what is logged
    traces, source = Traces(), Source()

    def fail(*_: object) -> Any:
        raise traces.note("exception", Gone())

    source.failure = lambda since: traces.note("exception", Gone())
    for server in (WebSocketServer(source), WebSocketServer(source, authorize=fail)):
        socket = Socket("coroutine")
        async with visiting(server, socket):
            socket.say(SAID[0])
            await settle()
            gc.collect()
            assert traces.left() == []
            assert alive(*PASSING) == []


async def test_the_heartbeat_holds_nobody_and_nothing_of_the_request_it_began_in() -> None:
    """It goes on as long as anybody is there."""
    clock, traces = ManualClock(), Traces()
    server = WebSocketServer(Source(), clock=clock)
    first, staying, last = Socket("coroutine"), Socket("coroutine"), Socket("coroutine")

    class Request:
        """What frameworks have in a context variable while they serve."""

    begun, over = AsyncExitStack(), AsyncExitStack()
    token = WHO.set(traces.note("request", Request()))
    await begun.enter_async_context(visiting(server, first))
    WHO.reset(token)
    del token
    async with visiting(server, staying):
        await over.enter_async_context(visiting(server, last))
        await begun.aclose()
        await clock.advance(6.0)
        await over.aclose()
        del begun, over
        assert len(server.connections()) == 1
        assert len(alive(Connection)) == 1
        assert traces.left() == []


# -- server-sent events ----------------------------------------------------------------------------------------


STREAM = {"type": "http", "method": "GET", "path": "/sessions/s/events", "headers": [], "query_string": b""}


@asynccontextmanager
async def streaming(endpoint: SSEEndpoint, socket: Socket) -> AsyncIterator[None]:
    task = asyncio.create_task(endpoint(STREAM, socket.receive, socket.send))
    await settle()
    yield
    await settle()
    socket.say_type("http.disconnect")
    await asyncio.wait({task})
    task.result()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", ["", "fails", "hangs"])
async def test_an_idle_stream_and_one_whose_client_has_left(way: str, fault: str) -> None:
    async with notes.application() as hub:
        endpoint, socket = sse_endpoint(hub), Socket(way)
        gc.collect()
        gc.disable()
        try:
            async with streaming(endpoint, socket):
                await notes.publish(hub, "s", tell=["x", "y"])
                await settle()
                if not fault:
                    assert left(socket, "awaitable", "future") == []
                socket.fails, socket.hangs = fault == "fails", fault == "hangs"
                await notes.publish(hub, "s", tell=["z"])
            await settle()
            assert left(socket, "awaitable", "future") == []
        finally:
            gc.enable()
        gc.collect()
        assert left(socket, "awaitable", "future", "exception") == []


def left(socket: Socket, *kinds: str) -> list[str]:
    return [what for what in socket.traces.left() if what in kinds]


# -- clients ---------------------------------------------------------------------------------------------------


async def test_an_idle_client_keeps_nothing_of_what_it_heard_last(monkeypatch: pytest.MonkeyPatch) -> None:
    traces, recv = Traces(), ClientConnection.recv

    async def noted(socket: ClientConnection) -> Any:
        return traces.note("text", Text(await recv(socket)))

    monkeypatch.setattr(ClientConnection, "recv", noted)
    async with notes.application() as hub:
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        async with served(server) as address, connect(address) as client, client.subscribe("s") as updates:
            await anext(updates)
            await notes.publish(hub, "s", tell=["x" * 1_000])
            assert isinstance(await anext(updates), LiveEvent)  # kept, as text, for those who begin to watch later
            await hub.rebuild_timeline("s")
            assert isinstance(await anext(updates), Snapshot)  # which holds what was before
            await settle()
            assert traces.left() == []
