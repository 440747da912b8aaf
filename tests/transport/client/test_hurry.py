"""``reconnect()``: a dead connection is found out within seconds, a wait is cut short, and a live one stays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import Hub, Snapshot, TransportError
from sessionstream.testing import ManualClock
from sessionstream.transport.ws import ClientClosed, LiveEvent, Update, WebSocketServer, connect
from sessionstream.transport.ws.client.client import Client
from sessionstream.transport.ws.wire.liveness import FRESH, Heartbeat

from .. import notes
from ..proxy import Proxy, proxied
from ..running import PATIENCE, served
from .test_refused import States

HURRY = 5.0


@asynccontextmanager
async def behind_proxy() -> AsyncIterator[tuple[Hub, Proxy, str]]:
    async with notes.application() as hub:
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        async with served(server) as address, proxied(address) as (proxy, through):
            yield hub, proxy, through


@asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[Hub, Proxy, Client]]:
    """A client that has a snapshot, of a real server behind a proxy."""
    async with behind_proxy() as (hub, proxy, address), connect(address, **options) as client:
        yield hub, proxy, client


async def take(updates: AsyncIterator[Update]) -> Update:
    async with asyncio.timeout(PATIENCE):
        return await anext(updates)


async def asleep(clock: ManualClock) -> None:
    async with asyncio.timeout(PATIENCE):
        await clock.asleep()


async def come_back(clock: ManualClock, states: States) -> None:
    """Let the wait before the next attempt pass."""
    await states.seen("reconnecting")
    retry_in = states.told[-1].retry_in
    assert retry_in is not None
    await asleep(clock)
    clock.advance(retry_in)
    await states.seen("live")


async def test_a_half_open_connection_is_given_up_within_the_patience_of_hurry() -> None:
    clock, states = ManualClock(), States()
    async with connected(clock=clock, on_state=states, heartbeat_seconds=None) as (hub, proxy, client):
        updates = client.subscribe("s-1")
        await take(updates)
        proxy.vanish()
        await notes.publish(hub, "s-1", put={"a": "A"}, tell=["lost"])
        clock.advance(FRESH + 1)
        client.reconnect()
        await asleep(clock)
        clock.advance(HURRY - 1)
        client.reconnect()  # changes nothing: the patience is not extended
        assert client.state.name == "live"
        clock.advance(1)
        await come_back(clock, states)
        snapshot = await take(updates)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.snapshot_ordinal == 1
        assert proxy.made == 2


async def test_a_live_connection_stays() -> None:
    clock, states = ManualClock(), States()
    async with connected(clock=clock, on_state=states, heartbeat_seconds=None) as (hub, proxy, client):
        updates = client.subscribe("s-1")
        await take(updates)
        for number in range(3):
            clock.advance(FRESH + 1)
            client.reconnect()
            await asleep(clock)
            await notes.publish(hub, "s-1", tell=[str(number)])
            assert isinstance(await take(updates), LiveEvent)  # something was heard
            clock.advance(2 * HURRY)
            await asyncio.sleep(0)
        assert states.names == ["live"]
        assert proxy.made == 1


async def test_a_connection_of_which_something_was_heard_just_now_is_left_alone() -> None:
    clock = ManualClock()
    async with connected(clock=clock, heartbeat_seconds=None) as (_, proxy, client):
        await take(client.subscribe("s-1"))
        proxy.vanish()
        client.reconnect()
        clock.advance(10 * HURRY)
        await asyncio.sleep(0)
        assert client.state.name == "live"
        proxy.reset()  # so that closing the client does not wait for an answer


async def test_a_wait_is_cut_short() -> None:
    clock, states = ManualClock(), States()
    async with behind_proxy() as (_, proxy, address):
        port, proxy.target = proxy.target, 0
        async with connect(address, clock=clock, on_state=states) as client:
            await states.seen("reconnecting")
            client.reconnect()
            await states.seen("reconnecting", "reconnecting")
            proxy.target = port
            client.reconnect()
            await states.seen("live")  # no time has passed
            assert clock.now() == 0
            waits = [state.retry_in for state in states.told if state.retry_in is not None]
            assert all(0.5 <= wait <= 2.0 for wait in waits)  # each was the first in a row


async def test_an_attempt_that_hangs_is_given_no_more_than_that() -> None:
    clock, states = ManualClock(), States()
    async with behind_proxy() as (_, proxy, address):
        proxy.stall("down")
        async with connect(address, clock=clock, on_state=states, open_timeout_seconds=PATIENCE * 9) as client:
            async with asyncio.timeout(PATIENCE):
                await proxy.connected(1)
            client.reconnect()
            await asleep(clock)
            clock.advance(HURRY)
            await states.seen("reconnecting")
            proxy.flow("down")
            await come_back(clock, states)
            assert isinstance(await take(client.subscribe("s-1")), Snapshot)


async def test_a_function_that_hangs_is_given_no_more_than_that() -> None:
    clock, states = ManualClock(), States()
    asked = asyncio.Event()

    async def url() -> str:
        asked.set()
        await asyncio.get_running_loop().create_future()
        return ""

    async with connect(url, clock=clock, on_state=states, open_timeout_seconds=PATIENCE * 9) as client:
        await asked.wait()
        client.reconnect()
        await asleep(clock)
        clock.advance(HURRY)
        await states.seen("reconnecting")


async def test_whom_reconnect_does_not_belong_to() -> None:
    client: Client = connect("ws://127.0.0.1:9/ws")
    with pytest.raises(ClientClosed):
        client.reconnect()
    errors: list[BaseException] = []

    def elsewhere() -> None:
        async def call() -> None:
            client.reconnect()

        try:
            asyncio.run(call())
        except TransportError as error:
            errors.append(error)

    async with client:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
    assert "another event loop" in str(errors)
    client.reconnect()  # closed: it does nothing


# -- the heartbeat itself --------------------------------------------------------------------------------------


@given(
    st.none() | st.floats(0.1, 100),
    st.floats(0.1, 100),
    st.lists(st.tuples(st.sampled_from(["heard", "tick", "probe"]), st.floats(0, 30)), max_size=30),
)
def test_a_heartbeat_is_due_at_its_deadline_and_not_before(
    interval: float | None, patience: float, steps: list[tuple[str, float]]
) -> None:
    now = 0.0
    heartbeat = Heartbeat(interval, patience, now)
    for what, seconds in steps:
        before = heartbeat.deadline
        now += seconds
        match what:
            case "heard":
                heartbeat.heard(now)
                assert not heartbeat.probe(now + FRESH / 2, HURRY)
            case "probe":
                nonce = heartbeat.probe(now, HURRY)
                assert heartbeat.deadline <= max(now + HURRY, before)
                assert not (nonce and heartbeat.probe(now, HURRY))
            case _:
                assert not (heartbeat.silent(now) and now < before)
                assert not (heartbeat.due(now) and now < before)
                if before <= now:
                    assert heartbeat.silent(now) or heartbeat.deadline > now
