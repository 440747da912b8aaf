"""The proxy passes everything on, unless it is told to break it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from .postgres import Postgres
from .proxy import Proxy

BROKEN = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


async def test_a_stalled_question_is_answered_later(postgres: Postgres) -> None:
    async with Proxy(postgres.socket) as proxy:
        connection = await asyncpg.connect(postgres.dsn_at(proxy.port))
        for way in (proxy.requests, proxy.answers, proxy):
            way.stall()
            answer = asyncio.create_task(connection.fetchval("SELECT 1"))
            await (proxy.answers if way is proxy.answers else proxy.requests).caught()
            assert not answer.done()
            way.go_on()
            assert await answer == 1
        await connection.close()


async def test_a_cut_connection_is_reset_and_a_new_one_works(postgres: Postgres) -> None:
    async with Proxy(postgres.socket) as proxy:
        connection = await asyncpg.connect(postgres.dsn_at(proxy.port))
        assert proxy.connections == 1
        proxy.stall()
        answer = asyncio.create_task(connection.fetchval("SELECT 1"))
        await proxy.requests.caught()
        proxy.cut()
        with pytest.raises(BROKEN):
            await answer
        proxy.go_on()
        connection = await asyncpg.connect(postgres.dsn_at(proxy.port))
        assert await connection.fetchval("SELECT 2") == 2
        await connection.close()


async def test_a_commit_whose_answer_was_lost_has_happened(postgres: Postgres, postgres_schema: str) -> None:
    async with Proxy(postgres.socket) as proxy:
        connection = await asyncpg.connect(postgres.dsn_at(proxy.port))
        proxy.answers.drop()
        answer = asyncio.create_task(connection.execute(f"CREATE SCHEMA {postgres_schema}"))
        await proxy.answers.caught()
        proxy.cut()
        with pytest.raises(BROKEN):
            await answer
        proxy.go_on()
        connection = await asyncpg.connect(postgres.dsn_at(proxy.port))
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", postgres_schema) == 1
        await connection.close()


async def test_a_server_that_is_down_resets_its_clients(postgres: Postgres) -> None:
    async with Proxy(postgres.sockets / "nobody-listens") as proxy:
        with pytest.raises(BROKEN):
            await asyncpg.connect(postgres.dsn_at(proxy.port))
