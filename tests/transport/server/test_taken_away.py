"""Somebody's rights are taken away: what is open is closed, what is about to open does not, and nobody else notices."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sessionstream.transport.ws import Limits, WebSocketServer

from ..asgi import ManualClock, Peer, peers
from ..source import Source, Watched


def user(scope: dict[str, Any]) -> str:
    return str(dict(scope["headers"])[b"user"].decode())


def named(name: str) -> dict[str, Any]:
    return {"headers": [(b"user", name.encode())]}


class Greeted(Peer):
    """A client whose handshake is accepted slowly."""

    def __init__(self, server: WebSocketServer, **scope: Any) -> None:
        self.accepting = asyncio.Event()
        self.gate = asyncio.Event()
        super().__init__(server, **scope)

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            self.accepting.set()
            await self.gate.wait()
        await super()._send(message)


async def test_the_connections_of_one_principal_are_closed_and_no_others() -> None:
    source = Source()
    server = WebSocketServer(source, authenticate=user)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 2, **named("ada")) as (one, two), peers(server, 1, **named("bob")) as (other,):
        for peer in (one, two, other):
            await peer.subscribed("s")
        watched.publish("s")  # waits still, and is dropped
        assert await server.close_connections("ada", reason="logged out") == 2
        for peer in (one, two):
            assert await peer.ended() == 1008
            assert peer.close == {"type": "websocket.close", "code": 1008, "reason": "logged out"}
            assert peer.heard() == [{}]
        assert [info.principal for info in server.connections()] == ["bob"]
        assert "uiEvent" in await other.hear()
        async with peers(server, 1, **named("ada")):  # who comes again is asked again
            assert len(server.connections()) == 2
        assert await server.close_connections("ada") == 0


async def test_without_authenticate_none_means_all_connections() -> None:
    server = WebSocketServer(Source())
    async with peers(server, 2) as both:
        assert await server.close_connections("ada") == 0
        assert await server.close_connections(None) == 2
        assert [await peer.ended() for peer in both] == [1008, 1008]


async def test_a_handshake_whose_principal_is_asked_for_is_refused_if_it_is_that() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def authenticate(scope: dict[str, Any]) -> str:
        if user(scope) == "ada":
            asked.set()
            await gate.wait()
        return user(scope)

    server = WebSocketServer(Source(), authenticate=authenticate)
    ada = Peer(server, **named("ada"))
    await asked.wait()
    assert await server.close_connections("bob") == 0
    assert await server.close_connections("ada") == 0
    gate.set()
    assert await ada.ended() == 403
    async with peers(server, 1, **named("ada")), peers(server, 1, **named("bob")):
        pass


async def test_a_handshake_that_is_being_accepted_is_closed_then() -> None:
    server = WebSocketServer(Source(), authenticate=user)
    ada, bob = Greeted(server, **named("ada")), Greeted(server, **named("bob"))
    for peer in (ada, bob):
        await peer.accepting.wait()
    await server.close_connections("ada", reason="gone")
    for peer in (ada, bob):
        peer.gate.set()
    assert await ada.ended() == 1008
    assert ada.close == {"type": "websocket.close", "code": 1008, "reason": "gone"}
    await bob.accepted()
    bob.lose()
    await bob.ended()


async def test_a_handshake_that_is_being_accepted_when_the_server_shuts_down() -> None:
    server = WebSocketServer(Source())
    late = Greeted(server)
    await late.accepting.wait()
    await server.shutdown(2.0)
    late.gate.set()
    assert await late.ended() == 1012
    assert server.connections() == []


async def test_who_takes_nothing_is_cut_off() -> None:
    clock = ManualClock()
    server = WebSocketServer(Source(), limits=Limits(send_timeout_seconds=8.0), clock=clock)
    peer = await Peer(server).accepted()
    peer.stall()
    closing = asyncio.create_task(server.close_connections(None))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not closing.done()
    await clock.advance(20.0)
    assert await closing == 1
    assert await peer.ended() == 0


async def test_a_reason_that_no_close_frame_holds() -> None:
    server = WebSocketServer(Source())
    async with peers(server, 1):
        with pytest.raises(ValueError, match="reason must be at most 123 bytes long in a close frame, not 124"):
            await server.close_connections(None, reason="é" * 62)
        assert len(server.connections()) == 1


async def test_an_unhashable_principal_is_refused_even_without_connections() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        await WebSocketServer(Source()).close_connections(["ada"])
