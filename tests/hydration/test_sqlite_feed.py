"""What processes that share a file tell each other: each store here stands for a process of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import Int64Value

from sessionstream import SchemaRegistry, SQLiteStore, UIEvent
from sessionstream.feed import Position
from sessionstream.hydration.sqlite import feed

from ..transport import notes
from . import following
from .following import until


class Process(following.Process[SQLiteStore]):
    """A hub on a store of its own, with a fan-out that watches a session."""

    async def is_ready(self, alone: bool) -> None:
        """Wait until this process leaves rows for the others, if there are any, and its own watching has begun."""
        node = self.store._node
        await until(lambda: node._position is not None and (node.others_until > 0 or alone))


@asynccontextmanager
async def processes(path: Path, count: int = 2, schemas: SchemaRegistry | None = None) -> AsyncIterator[list[Process]]:
    """Open a file in several processes that watch one session."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            store = await stack.enter_async_context(SQLiteStore.open(path, schemas or notes.registry()))
            opened.append(Process(store, await stack.enter_async_context(notes.application(store))))
        for each in opened:
            await each.watch()
        for each in opened:
            await each.is_ready(alone=count == 1)
        yield opened


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


async def test_each_event_of_another_process_comes_as_an_event(tmp_path: Path) -> None:
    async with processes(tmp_path / "x.db") as (here, there):
        assert await there.tell("a", put={"n": "1"}) == 1
        assert await there.tell("leaves no entity") == 2
        await here.fanout.hears((1, "a"), (2, "leaves no entity"))
        assert await here.tell("b") == 3
        assert here.fanout.told.pop() == (3, "b"), "its own are told before publish returns"
        await until(lambda: here.hub.follower is not None and not here.hub.follower.behind)
        status = here.hub.follower
        assert status is not None
        assert (status.watched, status.moves, status.gaps, status.error) == (1, 2, 0, "")
        assert status.hints >= 1
        await there.fanout.hears((1, "a"), (2, "leaves no entity"), (3, "b"))


async def test_a_quiet_event_makes_no_gap(tmp_path: Path) -> None:
    async with processes(tmp_path / "x.db") as (here, there):
        await notes.publish(there.hub, "s", put={"n": "1"})
        await there.tell("a")
        await here.fanout.hears((2, "a"))


async def test_many_publishers_in_three_processes(tmp_path: Path) -> None:
    async with processes(tmp_path / "x.db", 3) as all_of_them:
        await asyncio.gather(*[all_of_them[number % 3].tell(str(number)) for number in range(60)])
        for each in all_of_them:
            await until(lambda each=each: len(each.fanout.told) == 60)  # type: ignore[misc]
            assert [ordinal for ordinal, _ in each.fanout.told] == list(range(1, 61))
        assert all_of_them[0].fanout.told == all_of_them[1].fanout.told == all_of_them[2].fanout.told


async def rebuild(process: Process) -> None:
    await process.hub.rebuild_timeline("s")


async def delete(process: Process) -> None:
    await process.store.delete_session("s")


@pytest.mark.parametrize("do", [rebuild, delete])
async def test_a_timeline_that_another_process_replaces(
    tmp_path: Path, do: Callable[[Process], Awaitable[None]]
) -> None:
    async with processes(tmp_path / "x.db") as (here, there):
        await there.tell("a", put={"n": "1"})
        await here.fanout.hears((1, "a"))
        await do(there)
        await here.fanout.hears(("resync", 1))
        await there.tell("b")
        await here.fanout.hears((2, "b"))


@pytest.mark.parametrize("lost", ["DELETE FROM ui_events", "DELETE FROM ui_events WHERE ordinal = 1"])
async def test_what_is_not_recorded_becomes_a_snapshot(tmp_path: Path, lost: str) -> None:
    path = tmp_path / "x.db"
    async with processes(path) as (here, there):
        here.hub.left("s")
        await there.tell("a")
        await there.tell("b")
        change(path, lost)
        here.hub.joined("s")
        assert here.hub._pipeline.follower is not None
        here.hub._pipeline.follower.loaded("s", Position(0, (await here.store.cursors("s")).epoch))
        await here.fanout.hears(("resync", 2))
        await there.tell("c")
        await here.fanout.hears((3, "c"))
        status = here.hub.follower
        assert status is not None
        assert (status.gaps, status.moves) == (1, 1)


async def test_a_ui_event_that_is_not_registered_here_becomes_a_snapshot(tmp_path: Path) -> None:
    async with processes(tmp_path / "x.db") as (here, there):
        there.hub.schemas.register_ui_event("Newer", Int64Value)
        there.hub.register_ui_projection(lambda event, session, view: [UIEvent("Newer", Int64Value(value=1))])
        await notes.publish(there.hub, "s")
        await here.fanout.hears(("resync", 1))


async def test_a_process_that_is_alone_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with processes(path, 1) as (here,):
        await here.tell("a")
        await here.hub.rebuild_timeline("s")
        assert (rows(path, "nodes"), rows(path, "ui_events")) == (1, 0)
        assert here.store._node.others_until == 0
    assert rows(path, "nodes") == 0


async def test_who_has_gone_is_not_told_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(feed, "IDLE_SECONDS", 0.02)
    path = tmp_path / "x.db"
    async with processes(path) as (here, there):
        change(path, "INSERT INTO nodes VALUES ('was killed', 1)")
        await there.hub.shutdown()
        await there.store.close()
        await until(lambda: here.store._node.others_until < time.time())
        await here.tell("a")
        assert rows(path, "ui_events") == 0


async def test_rows_are_deleted_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "KEPT_SECONDS", 0.1)
    monkeypatch.setattr(feed, "PRUNE_SECONDS", 0.02)
    monkeypatch.setattr(feed, "DELETED_AT_ONCE", 2)
    path = tmp_path / "x.db"
    async with processes(path) as (here, there):
        for text in "abcdefg":
            await there.tell(text)
        await until(lambda: rows(path, "ui_events") == 0)
        await there.tell("h")
        await until(lambda: (8, "h") in here.fanout.told)


async def test_rows_that_are_damaged_are_said_and_become_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sessionstream.hub.follower.RETRY_SECONDS", 0.05)
    caplog.set_level(logging.INFO, "sessionstream")
    path = tmp_path / "x.db"
    async with processes(path) as (here, there):
        await there.tell("a")
        await here.fanout.hears((1, "a"))
        change(path, "CREATE TRIGGER rot AFTER INSERT ON ui_events BEGIN UPDATE ui_events SET data = 7; END")
        await there.tell("b")
        await until(lambda: "the events of other processes cannot be read" in caplog.text)
        change(path, "DROP TRIGGER rot")
        change(path, "DELETE FROM ui_events")
        await here.fanout.hears(("resync", 2))
        assert caplog.text.count("cannot be read") == caplog.text.count("are read again") == 1


async def test_a_fan_out_that_cannot_follow_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.db"
    async with processes(path) as (here, there):
        here.hub.set_fanout(lambda session_id, ordinal, events: None)
        here.hub.left("s")
        with caplog.at_level(logging.WARNING, "sessionstream"):
            for text in "abc":
                await here.tell(text)
                await there.tell(text)
        assert caplog.text.count("has to call hub.joined and hub.left") == 1


async def test_a_process_that_watches_nothing_asks_nothing(tmp_path: Path) -> None:
    async with processes(tmp_path / "x.db") as (here, there):
        here.hub.left("s")
        here.hub.left("s")
        assert not here.store._node._hints
        await there.tell("a")
        assert here.fanout.told == []
        await here.watch()
        await there.tell("b")
        await here.fanout.hears((2, "b"))
