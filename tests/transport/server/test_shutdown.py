"""Going down: clients hear what waits for them and when to come back, and nothing is left running."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream.transport.ws import Limits, WebSocketServer

from ..asgi import ManualClock, Peer, peers
from ..source import Source, Watched


@pytest.mark.parametrize(
    ("retry_after", "code", "reason"), [(None, 1001, ""), (0, 1012, "retry-after=0"), (2.5, 1012, "retry-after=2.5")]
)
async def test_what_waits_is_sent_and_then_the_goodbye(retry_after: float | None, code: int, reason: str) -> None:
    source = Source()
    server = WebSocketServer(source)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 3) as all_peers:
        for peer in all_peers:
            await peer.subscribed("s")
        watched.publish("s")
        await server.shutdown(retry_after)
        for peer in all_peers:
            assert "uiEvent" in await peer.hear()
            assert await peer.ended() == code
            assert peer.close == {"type": "websocket.close", "code": code, "reason": reason}
    assert server.connections() == []
    late = Peer(server)
    assert await late.ended() == 503
    assert late.headers[b"retry-after"] == {None: b"5", 0: b"0", 2.5: b"3"}[retry_after]
    await server.shutdown()


async def test_loads_and_questions_under_way_are_stopped() -> None:
    source = Source()
    source.stop()
    asking = asyncio.Event()
    stopped: list[str] = []

    async def authorize(principal: object, session_id: str) -> bool:
        if session_id == "question":
            asking.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.append(session_id)
                raise
        return True

    before = asyncio.all_tasks()
    server = WebSocketServer(source, authorize=authorize)
    async with peers(server, 1) as (peer,):
        peer.subscribe("s")
        await source.calls(1)
        peer.subscribe("question")
        await asking.wait()
        await server.shutdown()
        assert await peer.ended() == 1001
    assert source.running == 0
    assert stopped == ["question"]
    assert asyncio.all_tasks() - before - {peer.task} == set()


async def test_a_client_that_does_not_take_its_goodbye_is_cut_off() -> None:
    source, clock = Source(), ManualClock()
    server = WebSocketServer(source, limits=Limits(send_timeout_seconds=8.0), clock=clock)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        peer.stall()
        going = asyncio.create_task(server.shutdown())
        await clock.advance(12.0)
        await asyncio.wait_for(going, 10)
        assert await peer.ended() == 0


async def test_a_handshake_under_way_is_refused() -> None:
    gate = asyncio.Event()

    async def authenticate(scope: object) -> object:
        await gate.wait()
        return "ada"

    server = WebSocketServer(Source(), authenticate=authenticate)
    peer = Peer(server)
    await asyncio.sleep(0)
    await server.shutdown()
    gate.set()
    assert await peer.ended() == 503


async def test_the_application_being_cancelled_leaves_nothing_behind() -> None:
    """As some servers do with connections that are still open when they stop."""
    source = Source()
    before = asyncio.all_tasks()
    server = WebSocketServer(source)
    peer = await Peer(server).accepted()
    await peer.subscribed("s")
    peer.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await peer.task
    assert server.connections() == []
    assert len(server._routes) == 0
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("retry_after", [-1, float("nan"), float("inf")])
async def test_an_invalid_retry_after_is_refused(retry_after: float) -> None:
    with pytest.raises(ValueError, match="retry_after"):
        await WebSocketServer(Source()).shutdown(retry_after)


async def test_a_server_that_sends_no_close_while_it_is_asked_for_a_message() -> None:
    """As granian: it is asked for nothing more."""
    asked, closed = asyncio.Lock(), asyncio.Event()
    messages: list[dict[str, object]] = [{"type": "websocket.connect"}]
    greeted = asyncio.Event()

    async def receive() -> dict[str, object]:
        async with asked:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop()

    async def send(message: dict[str, object]) -> None:
        greeted.set()
        if message["type"] == "websocket.close":
            async with asked:
                closed.set()

    server = WebSocketServer(Source())
    scope = {"type": "websocket", "scheme": "ws", "path": "/", "headers": []}
    serving = asyncio.create_task(server(scope, receive, send))
    await greeted.wait()
    async with asyncio.timeout(10):
        await server.shutdown()
        await serving
    assert closed.is_set()
