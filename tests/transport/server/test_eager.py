"""Under an eager task factory, which runs the first step of a task while it is made, nothing comes out of order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sessionstream import Snapshot
from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.transport.ws.server.effects import Hydration
from sessionstream.transport.ws.server.loading import SnapshotLoader, SnapshotRequest

from ..asgi import Peer
from ..source import Source

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")


@pytest.fixture(autouse=True)
async def eager() -> AsyncIterator[list[Any]]:
    """Make tasks eager; yield what the loop was told of that nobody caught."""
    loop, lost = asyncio.get_running_loop(), list[Any]()
    before = loop.get_task_factory()
    loop.set_exception_handler(lambda _, context: lost.append(context))
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    yield lost
    loop.set_task_factory(before)
    assert lost == []


class Hasty(Peer):
    """A client whose first messages are there before the server has said anything."""

    def __init__(self, server: WebSocketServer, *texts: str) -> None:
        self.first = texts
        super().__init__(server)

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            for text in self.first:
                self._incoming.put_nowait({"type": "websocket.receive", "text": text})
        await super()._send(message)


async def test_the_hello_comes_first_whatever_the_client_has_said_already() -> None:
    peer = Hasty(WebSocketServer(Source()), '{"ping": {"nonce": "1"}}')
    assert "hello" in await peer.hear()
    assert await peer.hear() == {"pong": {"nonce": "1"}}
    peer.lose()
    await peer.ended()


async def test_a_first_message_that_closes_the_connection_closes_it() -> None:
    server = WebSocketServer(Source(), limits=Limits(frame_bytes=10))
    peer = Hasty(server, "x" * 11)
    assert await peer.ended() == 1009
    await server.shutdown()


class AtOnce:
    """A source that never waits."""

    async def snapshot(self, session_id: str, /, *, since: int | None = None) -> Snapshot:
        return Snapshot(session_id, 1, ())


async def test_a_request_during_the_delivery_of_a_snapshot_gets_the_next_one(eager: list[Any]) -> None:
    loader = SnapshotLoader(AtOnce(), concurrency=1, timeout_seconds=5, cache_bytes=1_000_000)
    told: list[str] = []
    done = asyncio.Event()

    def again(result: Hydration | Exception) -> None:
        loader.request(SnapshotRequest("s", None, False, last))
        told.append("first")

    def last(result: Hydration | Exception) -> None:
        told.append("second")
        done.set()

    loader.request(SnapshotRequest("s", None, False, again))
    async with asyncio.timeout(5):
        await done.wait()
        await loader.close()
    assert told == ["first", "second"]
    assert eager == []
