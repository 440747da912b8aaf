"""A client keeps to the budget of its server, whatever its users do, and ends up with what they watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import Hub, Snapshot
from sessionstream.transport.ws import ConnectionRecord, Limits, LiveEvent, WebSocketServer, connect
from sessionstream.transport.ws.client.client import Client
from sessionstream.transport.ws.client.frames import Subscribed, read
from sessionstream.transport.ws.client.pacing import DEFAULT, SHARE, Pacer
from sessionstream.transport.ws.server.rate_limit import TokenBucket
from sessionstream.transport.ws.wire.budget import Budget

from .. import notes
from ..proxy import Proxy, proxied
from ..running import PATIENCE, served

VISIBLE = 31
TIGHT: Mapping[str, int] = {"subscriptions_per_connection": 40, "frames_per_second": 40, "frames_burst": 48}


class Row:
    """One row of a list, which watches its session for as long as it is visible."""

    def __init__(self, client: Client, number: int) -> None:
        self.session_id = f"row-{number}"
        self.updates: asyncio.Queue[object] = asyncio.Queue()
        self.task = asyncio.create_task(self._watch(client))

    async def _watch(self, client: Client) -> None:
        async with client.subscribe(self.session_id) as updates:
            async for update in updates:
                self.updates.put_nowait(update)

    async def next(self) -> object:
        async with asyncio.timeout(PATIENCE):
            return await self.updates.get()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


class Refusals:
    """What a server refused, as its observer."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def __call__(self, record: ConnectionRecord) -> None:
        if record.stage in ("rate_limited", "protocol_error", "closing"):
            self.codes.append(record.code)


@asynccontextmanager
async def world(limits: Mapping[str, int]) -> AsyncIterator[tuple[Hub, WebSocketServer, Proxy, Client, Refusals]]:
    refusals = Refusals()
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        server = WebSocketServer(hub, limits=Limits(**limits), observer=refusals)
        hub.set_fanout(server)
        proxy, address = await stack.enter_async_context(proxied(await stack.enter_async_context(served(server))))
        yield hub, server, proxy, await stack.enter_async_context(connect(address)), refusals


async def scroll(client: Client, rows: int, turns: int) -> list[Row]:
    """Scroll past so many rows; return those that are visible in the end."""
    visible: list[Row] = []
    for number in range(rows):
        visible.append(Row(client, number))
        for _ in range(turns):
            await asyncio.sleep(0)  # so quick is the user
        if len(visible) > VISIBLE:
            await visible.pop(0).leave()
    return visible


@pytest.mark.parametrize("turns", [1, 20])
@pytest.mark.parametrize("limits", [{}, TIGHT], ids=["default", "tight"])
async def test_a_list_is_scrolled_past_400_rows(limits: Mapping[str, int], turns: int) -> None:
    async with world(limits) as (hub, server, proxy, client, refusals):
        visible = await scroll(client, 400, turns)
        try:
            for row in visible:
                assert isinstance(await row.next(), Snapshot)
            for row in visible:
                await notes.publish(hub, row.session_id, tell=["live"])
                assert isinstance(await row.next(), LiveEvent)
            async with asyncio.timeout(PATIENCE):  # the last of those that were left may be on the way
                while _watched(server) != {row.session_id for row in visible}:  # noqa: ASYNC110 - nobody is told
                    await asyncio.sleep(0.01)
            assert refusals.codes == []
            assert proxy.made == 1
        finally:
            for row in visible:
                await row.leave()


def _watched(server: WebSocketServer) -> set[str]:
    (connection,) = server.connections()
    return set(connection.subscriptions)


async def test_whoever_watches_as_much_as_the_server_allows_comes_back_to_all_of_it() -> None:
    async with world({"subscriptions_per_connection": 300}) as (_, _, proxy, client, refusals):
        rows = [Row(client, number) for number in range(300)]
        try:
            for _ in range(2):
                for row in rows:
                    assert isinstance(await row.next(), Snapshot)
                proxy.reset()
            assert not {"rate_limited", "too_many_subscriptions"} & set(refusals.codes)
        finally:
            for row in rows:
                await row.leave()


@pytest.mark.parametrize("burst", [1, 2, 3])
async def test_a_server_that_takes_hardly_a_frame_at_once_sends_its_own_client_not_away(burst: int) -> None:
    async with world({"frames_burst": burst, "frames_per_second": 50}) as (_, _, proxy, client, refusals):
        rows = [Row(client, number) for number in range(6)]
        try:
            for row in rows:
                assert isinstance(await row.next(), Snapshot)
            assert "1008" not in refusals.codes
            assert proxy.made == 1
        finally:
            for row in rows:
                await row.leave()


# -- the bucket ------------------------------------------------------------------------------------------------

BUDGETS = st.builds(Budget, st.integers(1, 500), st.floats(0.1, 200), st.none() | st.integers(1, 100))


@given(BUDGETS, st.lists(st.floats(0, 5), max_size=200))
def test_what_a_pace_lets_pass_no_server_refuses(budget: Budget, waits: list[float]) -> None:
    """However the frames are spread."""
    pacer, server = Pacer(), TokenBucket(budget.frames_per_second, budget.frames_burst, 0.0)
    pacer.begin(0.0)
    pacer.tell(budget, 0.0)
    now = 0.0
    for wait in waits:
        now += wait
        while pacer.take(now):
            assert server.take(now)
        assert pacer.ready_at > now
        now = pacer.ready_at
        assert pacer.take(now)  # exactly when it says
        assert server.take(now)


@given(BUDGETS, st.integers(0, 100))
def test_what_was_sent_before_the_budget_was_told_counts(budget: Budget, sent: int) -> None:
    pacer = Pacer()
    pacer.begin(0.0)
    assert sum(pacer.take(0.0) for _ in range(sent)) == sent
    pacer.tell(budget, 0.0)
    burst = max(1, int(budget.frames_burst * SHARE))
    left = 0
    while pacer.take(0.0):
        left += 1
    assert left == max(0, burst - sent)
    assert pacer.subscriptions == budget.subscriptions


def test_a_budget_is_read_where_it_makes_sense() -> None:
    def told(budget: str) -> object:
        return read(f'{{"subscribed":{{"sessionId":"s","budget":{budget}}}}}')

    whole = '{"framesBurst":20,"framesPerSecond":2.5,"subscriptions":7}'
    assert told(whole) == Subscribed(Budget(20, 2.5, 7))
    assert told('{"framesBurst":20,"framesPerSecond":2.5}') == Subscribed(Budget(20, 2.5, None))
    for nonsense in (
        "null",
        "{}",
        '{"framesBurst":20}',
        '{"framesPerSecond":1}',
        '{"framesPerSecond":-1,"framesBurst":9}',
    ):
        assert told(nonsense) == Subscribed(None)


def test_a_server_that_tells_none_is_taken_to_have_the_default_limits() -> None:
    limits = Limits()
    assert (DEFAULT.frames_burst, DEFAULT.frames_per_second) == (limits.frames_burst, limits.frames_per_second)


def test_a_small_budget_that_is_told_during_a_pause_counts_from_its_end() -> None:
    """Not what was sent before: of a burst of the default that would be minutes without a word, pongs included."""
    pacer = Pacer()
    for _ in range(8):
        assert pacer.take(0.0)
    pacer.pause(2.0)
    pacer.tell(Budget(5, 1.0), 0.1)
    assert not pacer.take(1.9)
    assert [pacer.take(2.0) for _ in range(5)] == [True] * 4 + [False]
    assert pacer.ready_at == pytest.approx(2.0 + 1 / SHARE)
