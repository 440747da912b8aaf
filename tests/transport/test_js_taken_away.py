"""The JavaScript client whose rights are taken away, one by one, and whose admission ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sessionstream.testing import ManualClock
from sessionstream.transport.ws import Admitted, Limits, WebSocketServer

from ..node import every_node
from . import notes
from .following import following
from .running import served

pytestmark = pytest.mark.parametrize("node", every_node())


async def test_a_right_that_is_taken_away_ends_one_subscription_and_no_other(node: Path) -> None:
    async with notes.application() as hub:
        server = WebSocketServer(hub, authenticate=lambda scope: "ada")
        hub.set_fanout(server)
        async with served(server) as address, following(node, address, "s-1", "s-2") as follower:
            await follower.snapshot()
            await follower.snapshot()
            assert await server.revoke("ada", "s-1", reason="no longer a member") == 1
            ended = (await follower.until(lambda line: "end" in line))["end"]
            assert (ended["sessionId"], ended["error"]["code"]) == ("s-1", "unauthorized")
            assert ended["error"]["message"] == "no longer a member"
            await notes.publish(hub, "s-1", tell=["a secret"])
            await notes.publish(hub, "s-2", tell=["for ada too"])
            told = await follower.event("Told")
            assert (told["sessionId"], told["payload"]["value"]) == ("s-2", "for ada too")
            await follower.order(subscribe="s-1")  # which authorize would refuse; here it is given back
            assert (await follower.snapshot())["sessionId"] == "s-1"
        assert [line["state"]["state"] for line in follower.heard if "state" in line] == ["live"]


async def test_a_client_whose_admission_has_ended_comes_back(node: Path) -> None:
    clock, admissions = ManualClock(), 0

    def authenticate(scope: Any) -> Admitted:
        nonlocal admissions
        admissions += 1
        return Admitted("ada", until=datetime.now(UTC) + timedelta(hours=1))

    async with notes.application() as hub:
        limits = Limits(heartbeat_seconds=None)
        server = WebSocketServer(hub, authenticate=authenticate, clock=clock, limits=limits)
        hub.set_fanout(server)
        async with served(server) as address, following(node, address, "s-1") as follower:
            for ordinal in range(2):
                assert (await follower.snapshot())["ordinal"] == str(ordinal)
                clock.advance(3_600)
                ended = await follower.state("reconnecting")
                assert (ended["code"], ended["reason"]) == (1012, "retry-after=0")
                await notes.publish(hub, "s-1", put={"a": str(ordinal)})
            assert (await follower.snapshot())["ordinal"] == "2"
    assert admissions == 3
