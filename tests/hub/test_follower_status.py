"""``Hub.follower``: what it says while the store is slow, fails, and has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

from sessionstream import FollowerStatus, Hub, MemoryStore, SchemaRegistry, StoreError
from sessionstream.feed import Hint, Move, Moves, Position
from sessionstream.hub import follower as following
from sessionstream.testing import sample_registry
from sessionstream.transport.ws import WebSocketServer

from ..transport.asgi import peers

if TYPE_CHECKING:
    import pytest


class HeldFeed:
    """A feed whose answers the test gives."""

    def __init__(self) -> None:
        self.hint: Hint = lambda session_ids: None
        self.answers: asyncio.Queue[Callable[[Mapping[str, Position]], Sequence[Moves]]] = asyncio.Queue()
        self.asked = asyncio.Event()

    def follow(self, hint: Hint, /) -> Callable[[], None]:
        self.hint = hint
        return lambda: None

    async def moves(self, known: Mapping[str, Position], /) -> Sequence[Moves]:
        self.asked.set()
        return (await self.answers.get())(known)


class FedStore(MemoryStore):
    def __init__(self, registry: SchemaRegistry) -> None:
        super().__init__(registry)
        self.feed = HeldFeed()


def moved(known: Mapping[str, Position]) -> list[Moves]:
    """Answer that each session has moved by one commit."""
    return [
        Moves(name, at._replace(ordinal=at.ordinal + 1), [Move(at.ordinal, at.ordinal + 1, at.epoch, ())])
        for name, at in known.items()
    ]


def lost(known: Mapping[str, Position]) -> list[Moves]:
    """Answer that each session has moved, and by nothing that is known."""
    return [Moves(name, at._replace(ordinal=at.ordinal + 1), []) for name, at in known.items()]


def broken(known: Mapping[str, Position]) -> list[Moves]:
    raise StoreError("the disk failed")


async def watching(hub: Hub, *session_ids: str) -> None:
    for session_id in session_ids:
        hub.joined(session_id)
        await hub.states(session_id)


async def settled(hub: Hub, condition: Callable[[FollowerStatus], bool]) -> FollowerStatus:
    async with asyncio.timeout(10):
        while not condition(status := of(hub)):  # noqa: ASYNC110 - a status notifies nobody
            await asyncio.sleep(0)
    return status


def of(hub: Hub) -> FollowerStatus:
    assert hub.follower is not None
    return hub.follower


async def test_a_store_without_a_feed_has_nothing_to_follow() -> None:
    async with Hub(sample_registry()) as hub:
        assert hub.follower is None


async def test_a_session_is_behind_from_the_hint_to_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(following, "time", SimpleNamespace(monotonic=lambda: now[0]))
    store = FedStore(sample_registry())
    async with Hub(store.registry, store=store) as hub:
        await watching(hub, "s", "t")
        assert of(hub) == FollowerStatus({}, 2, 0, 0, 0)
        assert of(hub).lag == 0.0
        store.feed.hint(["s", "not watched"])
        await store.feed.asked.wait()
        now[0] += 2
        store.feed.hint(["s", "t"])  # while the first is being read
        now[0] += 1
        status = of(hub)
        assert (status.behind, status.lag, status.watched, status.hints) == ({"s": 3.0, "t": 1.0}, 3.0, 2, 2)
        store.feed.answers.put_nowait(moved)
        status = await settled(hub, lambda status: status.moves == 1)
        status = await settled(hub, lambda status: status.lag < 3)
        assert status.behind == {"s": 1.0, "t": 1.0}
        store.feed.answers.put_nowait(lost)
        status = await settled(hub, lambda status: not status.behind)
        assert (status.moves, status.gaps, status.hints, status.error) == (1, 2, 2, "")


async def test_a_session_that_nobody_watches_any_more_is_not_behind() -> None:
    store = FedStore(sample_registry())
    async with Hub(store.registry, store=store) as hub:
        await watching(hub, "s", "t")
        store.feed.hint(None)
        await store.feed.asked.wait()
        hub.left("s")
        assert list(of(hub).behind) == ["t"]
        hub.left("t")
        assert of(hub) == FollowerStatus({}, 0, 1, 0, 0)


async def test_while_reading_fails_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.0)
    store = FedStore(sample_registry())
    async with Hub(store.registry, store=store) as hub:
        await watching(hub, "s")
        store.feed.hint(["s"])
        store.feed.answers.put_nowait(broken)
        status = await settled(hub, lambda status: bool(status.error))
        assert status.error == "StoreError: the disk failed"
        assert list(status.behind) == ["s"]
        store.feed.answers.put_nowait(moved)
        status = await settled(hub, lambda status: not status.behind)
        assert (status.error, status.moves) == ("", 1)


async def test_a_connection_shows_the_lag_of_its_sessions() -> None:
    store = FedStore(sample_registry())
    async with Hub(store.registry, store=store) as hub:
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        async with peers(server, 2) as (one, two):
            await one.subscribed("s")
            await two.subscribed("t")
            assert [each.lag for each in server.connections()] == [0.0, 0.0]
            store.feed.hint(["s"])
            await store.feed.asked.wait()
            await settled(hub, lambda status: status.lag > 0)
            first, second = server.connections()
            assert first.lag > 0
            assert second.lag == 0.0
            store.feed.answers.put_nowait(moved)
            await settled(hub, lambda status: not status.behind)
            assert [each.lag for each in server.connections()] == [0.0, 0.0]
