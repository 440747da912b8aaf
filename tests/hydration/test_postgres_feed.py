"""What processes that share a database tell each other: each store here stands for a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from sessionstream import CommandClaim
from sessionstream.hints import Hints
from sessionstream.hydration.postgres import PostgresStore, feed, notifications, upkeep
from sessionstream.redis_hints import RedisHints
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres, PostgresServer
from tests.servers.valkey import ValkeyServer

from ..transport import notes
from .following import Process, until


class NoHints:
    """Hints of which every one is lost."""

    works = True

    async def start(self, channel: str, heard: object, /) -> None:
        pass

    def send(self, session_ids: Collection[str], /) -> None:
        pass

    async def close(self) -> None:
        pass


@asynccontextmanager
async def processes(
    dsn: str, schema: str, count: int = 2, hints: Callable[[], Hints | None] = lambda: None, **options: Any
) -> AsyncIterator[list[Process[PostgresStore]]]:
    """Connect several processes to a database, which watch one session."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            connecting = PostgresStore.connect(dsn, notes.registry(), schema=schema, hints=hints(), **options)
            store = await stack.enter_async_context(connecting)
            opened.append(Process(store, await stack.enter_async_context(notes.application(store))))
        for each in opened:
            await each.watch()
        yield opened


async def execute(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def becomes(dsn: str, sql: str, expected: Any) -> None:
    """Wait until a question has this answer."""
    async with asyncio.timeout(30):
        while await execute(dsn, sql) != expected:  # noqa: ASYNC110 - other processes change it
            await asyncio.sleep(0.02)


async def test_each_event_of_another_process_comes_as_an_event(postgres: Postgres, postgres_schema: str) -> None:
    async with processes(postgres.dsn, postgres_schema) as (here, there):
        assert await there.tell("a", put={"n": "1"}) == 1
        assert await there.tell("leaves no entity") == 2
        await here.fanout.hears((1, "a"), (2, "leaves no entity"))
        assert await here.tell("b") == 3
        assert here.fanout.told.pop() == (3, "b"), "its own are told before publish returns"
        await there.fanout.hears((1, "a"), (2, "leaves no entity"), (3, "b"))


async def test_many_publishers_in_three_processes(postgres: Postgres, postgres_schema: str) -> None:
    async with processes(postgres.dsn, postgres_schema, 3) as all_of_them:
        await asyncio.gather(*[all_of_them[number % 3].tell(str(number)) for number in range(45)])
        for each in all_of_them:
            await until(lambda each=each: len(each.fanout.told) == 45)  # type: ignore[misc]
            assert [ordinal for ordinal, _ in each.fanout.told] == list(range(1, 46))
        assert all_of_them[0].fanout.told == all_of_them[1].fanout.told == all_of_them[2].fanout.told


async def rebuild(process: Process[PostgresStore]) -> None:
    await process.hub.rebuild_timeline("s")


async def delete(process: Process[PostgresStore]) -> None:
    await process.store.delete_session("s")


@pytest.mark.parametrize("do", [rebuild, delete])
async def test_a_timeline_that_another_process_replaces(
    postgres: Postgres, postgres_schema: str, do: Callable[[Process[PostgresStore]], Awaitable[None]]
) -> None:
    async with processes(postgres.dsn, postgres_schema) as (here, there):
        await there.tell("a", put={"n": "1"})
        await here.fanout.hears((1, "a"))
        await do(there)
        await here.fanout.hears(("resync", 1))
        await there.tell("b", put={"n": "2"})
        await here.fanout.hears((2, "b"))


async def test_events_arrive_as_events_when_every_hint_is_lost(postgres: Postgres, postgres_schema: str) -> None:
    async with processes(postgres.dsn, postgres_schema, hints=NoHints) as (here, there):
        await there.tell("a")
        began = asyncio.get_running_loop().time()
        await there.tell("b")
        await here.fanout.hears((1, "a"), (2, "b"))
        assert asyncio.get_running_loop().time() - began < feed.SWEEP_SECONDS + 10


@pytest.mark.parametrize("away", [False, True], ids=["Redis is there", "Redis is away"])
async def test_hints_over_redis(
    postgres: Postgres, postgres_schema: str, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    if away:
        valkey.stop()
    else:  # only a hint tells of an event
        monkeypatch.setattr(feed, "SWEEP_SECONDS", 1000.0)
        monkeypatch.setattr(feed, "BLIND_SECONDS", 1000.0)
    made: list[RedisHints] = []

    def hints() -> RedisHints:
        made.append(RedisHints(valkey.url))
        return made[-1]

    async with processes(postgres.dsn, postgres_schema, hints=hints) as (here, there):
        if not away:
            await until(lambda: all(each.works for each in made))
        await there.tell("a")
        await here.fanout.hears((1, "a"))
        assert [each.works for each in made] == [not away, not away]


@pytest.mark.parametrize("lost", ["TRUNCATE {}.ui_events", "DELETE FROM {}.ui_events WHERE ordinal = 1"])
async def test_what_is_not_recorded_becomes_a_snapshot(postgres: Postgres, postgres_schema: str, lost: str) -> None:
    async with processes(postgres.dsn, postgres_schema, hints=NoHints) as (here, there):
        await there.tell("a")
        await there.tell("b")
        await execute(postgres.dsn, lost.format(postgres_schema))
        await here.fanout.hears(("resync", 2))
        await there.tell("c")
        await here.fanout.hears((3, "c"))


async def test_a_server_that_crashes_costs_snapshots_and_no_event(own_postgres: PostgresServer) -> None:
    async with processes(own_postgres.dsn, "sessionstream") as (here, there):
        await there.tell("a")
        await here.fanout.hears((1, "a"))
        await asyncio.to_thread(own_postgres.restart, signal.SIGQUIT)
        await there.tell("b")
        await until(lambda: here.fanout.told)
        assert here.fanout.told[-1] in [(2, "b"), ("resync", 2)]
        here.fanout.told.clear()
        await there.tell("c")
        await here.fanout.hears((3, "c"))


async def test_a_listener_behind_a_pooler_says_so_and_looks_more_often(
    pgbouncer: PgBouncer, postgres: Postgres, postgres_schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sessionstream")
    async with processes(pgbouncer.dsn, postgres_schema, listen_dsn=pgbouncer.dsn) as (here, there):
        await until(lambda: "hints do not come through" in caplog.text)
        await there.tell("a")
        await here.fanout.hears((1, "a"))
    assert "listen_dsn" in caplog.text


async def test_a_pooler_and_a_listener_that_leads_to_the_server(
    pgbouncer: PgBouncer, postgres: Postgres, postgres_schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(pgbouncer.dsn, postgres_schema, listen_dsn=postgres.dsn) as (here, there):
        await until(lambda: here.store._hints.works)
        await asyncio.gather(*(there.tell(str(number)) for number in range(20)))
        await until(lambda: len(here.fanout.told) == 20)
        assert [ordinal for ordinal, _ in here.fanout.told] == list(range(1, 21))
    assert not caplog.records


async def test_a_listener_that_is_cut_off_is_connected_again(
    postgres: Postgres, postgres_schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(postgres.dsn, postgres_schema) as (here, there):
        await until(lambda: here.store._hints.works and there.store._hints.works)
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%sessionstream%'"
        await execute(postgres.dsn, cut)
        await until(lambda: not here.store._hints.works)
        await until(lambda: here.store._hints.works and there.store._hints.works)
        await there.tell("a")
        await here.fanout.hears((1, "a"))


async def test_a_hint_of_very_many_sessions_stands_for_all(postgres: Postgres, postgres_schema: str) -> None:
    async with processes(postgres.dsn, postgres_schema) as (here, there):
        await until(lambda: here.store._hints.works)
        heard: list[Collection[str] | None] = []
        stop = here.store.feed.follow(heard.append)
        there.store._feed.send([f"{number:0100}" for number in range(notifications.MAX_BYTES // 100)])
        await until(lambda: None in heard)
        heard.clear()
        there.store._feed.send(["one", "two"])
        await until(lambda: ["one", "two"] in map(sorted_ids, heard))
        stop()


def sorted_ids(session_ids: Collection[str] | None) -> list[str]:
    return sorted(session_ids or ())


async def test_a_process_reads_nothing_because_of_its_own_commits(
    postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SWEEP_SECONDS", 3600)
    monkeypatch.setattr(feed, "BLIND_SECONDS", 3600)  # hints may take a while to work
    async with processes(postgres.dsn, postgres_schema) as (here, there):
        await until(lambda: here.store._hints.works and there.store._hints.works)
        asked: list[object] = []
        moves = here.store._feed.moves

        async def asking(known: Any, /) -> Any:
            asked.append(known)
            return await moves(known)

        monkeypatch.setattr(here.store._feed, "moves", asking)
        await here.tell("a")
        await there.fanout.hears((1, "a"))
        assert not asked
        await there.tell("b")
        await until(lambda: here.fanout.told == [(1, "a"), (2, "b")])
        assert len(asked) == 1


async def test_two_hubs_on_one_store(postgres: Postgres, postgres_schema: str) -> None:
    async with processes(postgres.dsn, postgres_schema, count=1) as (here,), notes.application(here.store) as hub:
        beside = Process(here.store, hub)
        await beside.watch()
        await beside.tell("a")
        await here.fanout.hears((1, "a"))


async def test_old_rows_are_removed_by_one_process(
    postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(upkeep, "KEPT_SECONDS", 0.2)
    async with processes(postgres.dsn, postgres_schema) as (here, there):
        await there.tell("a")
        await here.fanout.hears((1, "a"))
        await becomes(postgres.dsn, f"SELECT count(*) FROM {postgres_schema}.ui_events", 0)
        owner = await execute(postgres.dsn, f"SELECT owner FROM {postgres_schema}.leases")
        assert owner in {here.store._upkeep.node, there.store._upkeep.node}
        assert await execute(postgres.dsn, f"SELECT count(*) FROM {postgres_schema}.nodes") == 2
        # A process that was stopped for longer than its lease loses it.
        await execute(postgres.dsn, f"UPDATE {postgres_schema}.leases SET owner = 'stopped', until = now()")
        await becomes(postgres.dsn, f"SELECT fence FROM {postgres_schema}.leases WHERE owner <> 'stopped'", 2)
    assert await execute(postgres.dsn, f"SELECT count(*) FROM {postgres_schema}.nodes") == 0


async def test_a_command_whose_process_is_gone_is_unfinished(postgres: Postgres, postgres_schema: str) -> None:
    async with processes(postgres.dsn, postgres_schema) as (here, there):
        assert await there.store.claim_command("s", "key", b"digest") is None
        assert await here.store.claim_command("s", "key", b"other") == CommandClaim(b"digest", "running")
        await execute(postgres.dsn, f"UPDATE {postgres_schema}.nodes SET until = now() - interval '1 second'")
        assert await here.store.claim_command("s", "key", b"other") == CommandClaim(b"digest", "unfinished")
        assert await there.store.claim_command("s", "key", b"other") == CommandClaim(b"digest", "running")


async def test_what_a_crash_leaves_is_removed_later(
    postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BEAT_SECONDS", 0.05)
    async with processes(postgres.dsn, postgres_schema, count=1) as (here,):
        await here.tell("a", put={"n": "1"})
        db = f"INSERT INTO {postgres_schema}"
        await execute(postgres.dsn, f"{db}.entities VALUES (99, 'Note', 'x', 1, 1, NULL, NULL, 0)")
        await execute(postgres.dsn, f"{db}.discarded VALUES ('building', 99, 0, now() - interval '1 hour')")
        await becomes(postgres.dsn, f"SELECT count(*) FROM {postgres_schema}.discarded", 0)
        assert await execute(postgres.dsn, f"SELECT count(*) FROM {postgres_schema}.entities") == 1
