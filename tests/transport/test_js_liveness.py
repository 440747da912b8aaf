"""The JavaScript client on connections that are gone without a word, when somebody has doubts about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sessionstream.transport.ws import WebSocketServer

from ..node import newest_node
from . import notes
from .following import Follower, following
from .proxy import proxied
from .running import served

AN_HOUR = 3_600_000
"""Milliseconds; a client with this heartbeat notices nothing by itself."""


@asynccontextmanager
async def doubting(follower: Follower) -> AsyncIterator[None]:
    """Somebody presses "reconnect", again and again: while the server was heard a second ago, it has no effect."""

    async def press() -> None:
        while True:
            await follower.order(reconnect=True)
            await asyncio.sleep(0.1)

    pressing = asyncio.create_task(press())
    try:
        yield
    finally:
        pressing.cancel()


pytestmark = pytest.mark.parametrize("node", newest_node())


@pytest.mark.parametrize("silent", [True, False], ids=["vanished", "stalled"])
async def test_a_dead_connection_is_replaced_within_moments_of_reconnect(node: Path, silent: bool) -> None:
    async with notes.application() as hub:
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        async with (
            served(server) as address,
            proxied(address) as (proxy, through),
            following(node, through, "s-1", heartbeat=AN_HOUR, hurryPatience=50) as follower,
        ):
            await follower.snapshot()
            if silent:
                proxy.vanish()
            else:
                proxy.stall("down")
            await notes.publish(hub, "s-1", put={"a": "A"}, tell=["missed"])
            async with doubting(follower):
                lost = await follower.state("reconnecting")
            assert (lost["code"], lost["reason"]) == (1006, "the server is silent")
            proxy.heal()
            assert (await follower.snapshot())["ordinal"] == "1"
            proxy.reset()  # Node does not end while it waits for the other side to close what it left


async def test_reconnect_leaves_a_connection_alone_that_lives(node: Path) -> None:
    async with notes.application() as hub:
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        async with served(server) as address:
            async with following(node, address, "s-1", heartbeat=AN_HOUR, hurryPatience=5_000) as follower:
                await follower.snapshot()
                await follower.order(reconnect=True)
                await notes.publish(hub, "s-1", tell=["after it"])
                await follower.event("Told")
            assert [line["state"]["state"] for line in follower.heard if "state" in line] == ["live"]
