"""The proxy does to connections what it says it does."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from .proxy import proxied
from .running import PATIENCE


async def _echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


async def _echoed(address: str) -> bool:
    async with connect(address) as socket:
        await socket.send("hi")
        return await socket.recv() == "hi"


@pytest.mark.parametrize("status", [401, 403, 404, 410, 502, 503])
async def test_it_answers_with_a_status_as_often_as_it_is_told(status: int) -> None:
    async with serve(_echo, "127.0.0.1", 0) as server:
        target = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with proxied(target) as (proxy, through):
            proxy.answer(status, times=2, retry_after=7)
            for path in ("/a", "/b"):
                with pytest.raises(InvalidStatus) as raised:
                    await _echoed(through + path)
                assert raised.value.response.status_code == status
                assert raised.value.response.headers["Retry-After"] == "7"
            assert await _echoed(through)
            assert [head.split()[1] for head in proxy.heads] == ["/a", "/b"]
            proxy.answer(status)
            with pytest.raises(InvalidStatus):
                await _echoed(through)
            async with asyncio.timeout(PATIENCE):
                await proxy.answered(3)
            proxy.heal()
            assert await _echoed(through)


async def test_a_connection_that_vanished_says_nothing_and_new_ones_pass() -> None:
    async with serve(_echo, "127.0.0.1", 0) as server:
        target = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with proxied(target) as (proxy, through), connect(through, ping_interval=None) as socket:
            proxy.vanish()
            await socket.send("lost")
            assert await _echoed(through)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await socket.recv()
            socket.transport.abort()
