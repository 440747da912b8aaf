"""A burst from the hub, whoever makes it and however it is stored, sends no client away that reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import (
    Command,
    Event,
    EventPublisher,
    Hub,
    HydrationStore,
    MemoryBus,
    MemoryStore,
    ProjectionError,
    SchemaRegistry,
    Session,
    SessionHeld,
    SQLiteStore,
    UIEvent,
)
from sessionstream.transport.http import sse_endpoint
from sessionstream.transport.ws import WebSocketServer

from ...pairs import pairs
from ..http.events import watching
from ..http.support import client as http_client
from ..running import PATIENCE, Client, client, served

SESSIONS = ("a", "b", "c")


class App:
    """A hub whose UI events are as long as its events say; projections fail as long as ``failing``."""

    def __init__(self, store: HydrationStore, bus: MemoryBus | None = None) -> None:
        self.failing = False
        self.hub = Hub(schemas(), store=store, bus=bus, error_observer=lambda record: None)
        self.hub.register_ui_projection(self._tell)
        self.hub.register_command("Burst", self._burst)

    def _tell(self, event: Event, session: Session, view: object) -> list[UIEvent]:
        if self.failing:
            raise RuntimeError("not now")
        assert isinstance(event.payload, StringValue)
        return [UIEvent("U", StringValue(value="x" * int(event.payload.value)))]

    async def _burst(self, command: Command, session: Session, publisher: EventPublisher) -> None:
        assert isinstance(command.payload, StringValue)
        for size in command.payload.value.split():
            await publisher.publish(event(int(size)))


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_command("Burst", StringValue)
    registry.register_event("E", StringValue)
    registry.register_ui_event("U", StringValue)
    return registry


def event(size: int, session_id: str = "a") -> Event:
    return Event("E", StringValue(value=str(size)), session_id)


async def published(app: App, sizes: list[int]) -> None:
    for size in sizes:
        await app.hub.publish(event(size))


async def at_once(app: App, sizes: list[int]) -> None:
    await asyncio.gather(*(app.hub.publish(event(size)) for size in sizes))


async def by_a_handler(app: App, sizes: list[int]) -> None:
    await app.hub.submit("a", "Burst", StringValue(value=" ".join(map(str, sizes))))


async def to_several_sessions(app: App, sizes: list[int]) -> None:
    for number, size in enumerate(sizes):
        await app.hub.publish(event(size, SESSIONS[number % 3]))


async def retried(app: App, sizes: list[int]) -> None:
    app.failing = True
    for size in sizes:
        with pytest.raises((ProjectionError, SessionHeld)):
            await app.hub.publish(event(size))
    app.failing = False
    await app.hub.retry_timeline("a")


async def over_a_bus(app: App, sizes: list[int]) -> None:
    await published(app, sizes)


WAYS = [published, at_once, by_a_handler, to_several_sessions, retried, over_a_bus]
STORED = [*((way, "memory") for way in WAYS), (published, "sqlite"), (retried, "sqlite")]
BURSTS = {
    "large": [1_000_000] * 8,
    "middling": [300_000] * 30,
    "beyond the outbox": [6_000_000, 10, 6_000_000, 10, 6_000_000],
    "small": [5_000] * 1_200,
}


def _named(each: Any) -> str:
    return each if isinstance(each, str) else f"{each[0].__name__}-{each[1]}"


@asynccontextmanager
async def stored(kind: str, path: Path) -> AsyncIterator[HydrationStore]:
    if kind == "memory":
        yield MemoryStore(schemas())
        return
    store = await SQLiteStore.open(path / "burst.db", schemas())
    try:
        yield store
    finally:
        await store.close()


async def heard(watching: Client, count: int) -> dict[str, list[str]]:
    """The ordinals of so many UI events, by session."""
    ordinals: dict[str, list[str]] = {}
    async with asyncio.timeout(PATIENCE * 3):
        for _ in range(count):
            body = json.loads(await watching.socket.recv())["uiEvent"]
            ordinals.setdefault(body["sessionId"], []).append(body["eventOrdinal"])
    return ordinals


@pytest.mark.parametrize(("stored_by", "burst"), pairs(STORED, [*BURSTS], ids=_named))
async def test_everybody_who_reads_hears_a_burst_to_its_end(
    stored_by: tuple[Callable[[App, list[int]], Awaitable[None]], str], burst: str, tmp_path: Path
) -> None:
    (way, store), sizes = stored_by, BURSTS[burst]
    async with AsyncExitStack() as stack:
        bus = MemoryBus() if way is over_a_bus else None
        app = App(await stack.enter_async_context(stored(store, tmp_path)), bus)
        await stack.enter_async_context(app.hub)
        server = WebSocketServer(app.hub)
        app.hub.set_fanout(server)
        address = await stack.enter_async_context(served(server))
        clients = [await stack.enter_async_context(client(address, max_size=None)) for _ in range(2)]
        for each in clients:
            for session_id in SESSIONS:
                await each.subscribe(session_id)
        hearing = asyncio.gather(*(heard(each, len(sizes)) for each in clients))
        await way(app, sizes)
        for ordinals in await hearing:
            assert ordinals == {
                session_id: [str(number) for number in range(1, len(each) + 1)] for session_id, each in ordinals.items()
            }


@pytest.mark.parametrize("burst", ["middling", "small"])
async def test_server_sent_events_that_are_read_are_those_of_a_burst_to_its_end(burst: str) -> None:
    sizes = BURSTS[burst]
    async with AsyncExitStack() as stack:
        app = App(MemoryStore(schemas()))
        await stack.enter_async_context(app.hub)
        http = await stack.enter_async_context(http_client(sse_endpoint(app.hub)))
        source = await stack.enter_async_context(watching(http, "a"))
        await source.snapshot()
        bursting = asyncio.create_task(published(app, sizes))
        heard = [await source.hear() for _ in sizes]
        await bursting
    assert [frame and (frame[0], frame[1]["eventOrdinal"]) for frame in heard] == [
        ("uiEvent", str(number)) for number in range(1, len(sizes) + 1)
    ]
