"""Rights that are taken away and admissions that expire, as clients of a real server meet them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessionstream import Snapshot
from sessionstream.transport.ws import (
    Admitted,
    LiveEvent,
    SubscriptionEnded,
    Update,
    WebSocketServer,
    connect,
)

from .. import notes
from ..clock import MovedClock
from ..running import PATIENCE, served
from .test_refused import States


async def take(updates: AsyncIterator[Update]) -> Update:
    async with asyncio.timeout(PATIENCE):
        return await anext(updates)


async def test_a_right_that_is_taken_away_ends_what_it_was_for_and_nothing_else() -> None:
    states = States()
    allowed = {"one", "two"}
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        server = WebSocketServer(
            hub, authenticate=lambda _: "ada", authorize=lambda _, session_id: session_id in allowed
        )
        hub.set_fanout(server)
        address = await stack.enter_async_context(served(server))
        client = await stack.enter_async_context(connect(address, on_state=states))
        watchers = [client.subscribe("one"), client.subscribe("one")]
        other = client.subscribe("two")
        for updates in (*watchers, other):
            assert isinstance(await take(updates), Snapshot)
        allowed.discard("one")
        assert await server.revoke("ada", "one", reason="moved to another team") == 1
        for updates in watchers:
            with pytest.raises(SubscriptionEnded, match="moved to another team") as raised:
                await take(updates)
            assert raised.value.code == "unauthorized"
        await notes.publish(hub, "two", tell=["still here"])
        assert isinstance(await take(other), LiveEvent)
        with pytest.raises(SubscriptionEnded, match="unauthorized"):
            await take(client.subscribe("one"))
        allowed.add("one")  # and given back
        assert isinstance(await take(client.subscribe("one")), Snapshot)
        assert states.names == ["live"]


async def test_an_admission_that_expires_is_renewed_with_new_credentials() -> None:
    """The connection is closed with 1012, and whoever comes back shows the next token."""
    numbers = iter(range(9))
    admitted: list[str] = []

    def authenticate(scope: dict[str, Any]) -> Admitted:
        admitted.append(dict(scope["headers"])[b"authorization"].decode())
        soon = timedelta(seconds=0.3) if len(admitted) == 1 else timedelta(hours=1)
        return Admitted("ada", until=datetime.now(UTC) + soon)

    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        server = WebSocketServer(hub, authenticate=authenticate)
        hub.set_fanout(server)
        address = await stack.enter_async_context(served(server))
        states = States()
        headers = lambda: {"Authorization": f"token-{next(numbers)}"}  # noqa: E731 - as users write it
        client = await stack.enter_async_context(
            connect(address, headers=headers, on_state=states, clock=MovedClock(), heartbeat_seconds=None)
        )
        updates = client.subscribe("s-1")
        assert isinstance(await take(updates), Snapshot)
        await notes.publish(hub, "s-1", put={"a": "A"})
        assert isinstance(await take(updates), Snapshot)  # of the next connection
        await notes.publish(hub, "s-1", tell=["live"])
        assert isinstance(await take(updates), LiveEvent)
    assert admitted == ["token-0", "token-1"]
    assert states.names == ["live", "reconnecting", "live", "closed"]
    assert states.told[1].code == 1012


@pytest.mark.parametrize(
    ("answer", "status", "code"), [(None, 401, 4401), (OSError("expired"), 401, 4401), (PermissionError(), 403, 4403)]
)
async def test_who_offers_the_sub_protocol_is_refused_by_a_close(answer: object, status: int, code: int) -> None:
    """As browsers are, which do not see the status."""
    states = States()
    answers = [answer, answer, "ada"]

    def authenticate(scope: dict[str, Any]) -> object:
        assert scope["subprotocols"] == ["sessionstream.v1", "token.abc"]
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        address = await stack.enter_async_context(served(WebSocketServer(hub, authenticate=authenticate)))
        offered: Any = lambda: ["sessionstream.v1", "token.abc"]  # noqa: E731 - as users write it
        options: dict[str, Any] = {"on_state": states, "clock": MovedClock(), "heartbeat_seconds": None}
        client = await stack.enter_async_context(connect(address, subprotocols=offered, **options))
        assert isinstance(await take(client.subscribe("s-1")), Snapshot)
    assert states.names[:3] == ["refused", "refused", "live"]
    assert [(state.status, state.code) for state in states.told[:2]] == [(status, code)] * 2
