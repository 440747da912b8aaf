"""The JavaScript client and lists that are scrolled past more sessions than the server lets it watch, and faster."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sessionstream.transport.ws import ConnectionRecord, Limits, WebSocketServer

from ..node import newest_node
from ..pairs import pairs
from . import notes
from .following import following
from .running import PATIENCE, served

ROWS, VIEW = 200, 31
SHOWN = {f"row-{row}" for row in range(ROWS - VIEW, ROWS)}

TIGHT = Limits(subscriptions_per_connection=VIEW + 1, frames_burst=60, frames_per_second=40.0)


def _named(each: object) -> str:
    return str(each) if isinstance(each, int) else "tight" if each is TIGHT else "default"


pytestmark = pytest.mark.parametrize("node", newest_node())


async def subscribed_to(server: WebSocketServer, sessions: set[str]) -> None:
    """Return when the only connection has these subscriptions."""
    async with asyncio.timeout(PATIENCE * 6):
        while [{*each.subscriptions} for each in server.connections()] != [sessions]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("limits", "every"),
    [
        *pairs([Limits(), TIGHT], [0, 10], ids=_named),
        *[pytest.param(limits, 1, id=f"{_named(limits)}-1", marks=pytest.mark.torture) for limits in (Limits(), TIGHT)],
    ],
)
async def test_rows_scrolled_past_end_with_those_that_are_shown(node: Path, limits: Limits, every: int) -> None:
    async with notes.application() as hub:
        records: list[ConnectionRecord] = []
        server = WebSocketServer(hub, limits=limits, observer=records.append)
        hub.set_fanout(server)
        async with served(server) as address, following(node, address) as follower:
            await follower.state("live")
            await follower.order(scroll={"rows": ROWS, "view": VIEW, "every": every})
            last = await follower.until(lambda line: line.get("snapshot", {}).get("sessionId") == f"row-{ROWS - 1}")
            assert last["snapshot"]["ordinal"] == "0"
            await subscribed_to(server, SHOWN)
            await notes.publish(hub, f"row-{ROWS - 2}", tell=["it is live"])
            await follower.event("Told")
        assert [line for line in follower.heard if "end" in line] == []
        assert [line["state"]["state"] for line in follower.heard if "state" in line] == ["live"]
        assert [record for record in records if record.stage == "rate_limited"] == []
