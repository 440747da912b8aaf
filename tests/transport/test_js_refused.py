"""The JavaScript client and handshakes that are answered with an HTTP status, as an ingress does in a deploy."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from sessionstream.transport.ws import WebSocketServer

from ..node import newest_node
from . import notes
from .following import following
from .proxy import proxied
from .running import served

pytestmark = pytest.mark.parametrize("node", newest_node())


@pytest.mark.parametrize("status", [401, 403, 404, 502])
async def test_an_answer_that_no_browser_shows_passes(node: Path, status: int) -> None:
    """Neither a page nor Node is told the status, so it is a connection that could not be made."""
    async with notes.application() as hub:
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        async with served(server) as address, proxied(address) as (proxy, through):
            proxy.answer(status, times=3)
            async with following(node, through, "s-1") as follower:
                assert (await follower.snapshot())["ordinal"] == "0"
                proxy.answer(status, times=2)
                proxy.reset()
                await notes.publish(hub, "s-1", put={"a": "A"})
                assert (await follower.snapshot())["ordinal"] == "1"
            states = [line["state"] for line in follower.heard if "state" in line]
            # Node 24 asks again by itself after a 401, so how often it says so is not the same everywhere.
            assert [name for name, _ in groupby(each["state"] for each in states)] == ["reconnecting", "live"] * 2
            assert {each["code"] for each in states if each["state"] == "reconnecting"} == {1006}
            assert len(proxy.heads) == 5
