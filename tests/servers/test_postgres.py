"""PostgreSQL servers for tests start, are shared, stop, and are killed."""

from __future__ import annotations

import signal
from pathlib import Path

import asyncpg
import pytest

from . import postgres as servers
from .postgres import Postgres, PostgresServer


async def count(server: Postgres) -> int:
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS started (at timestamptz DEFAULT now())")
        await connection.execute("INSERT INTO started DEFAULT VALUES")
        found = await connection.fetchval("SELECT count(*) FROM started")
    finally:
        await connection.close()
    assert isinstance(found, int)
    return found


async def test_one_server_is_shared_by_the_run(
    postgres: Postgres, postgres_programs: Path, postgres_schema: str
) -> None:
    assert servers.shared(postgres_programs).dsn == postgres.dsn
    connection = await asyncpg.connect(await postgres.create_database(postgres_schema))
    try:
        await connection.execute(f"CREATE SCHEMA {postgres_schema}")
    finally:
        await connection.close()


async def test_what_was_committed_outlives_stop_crash_and_kill(own_postgres: PostgresServer) -> None:
    server = own_postgres
    assert await count(server) == 1
    server.restart()
    assert await count(server) == 2
    server.restart(signal.SIGQUIT)
    assert await count(server) == 3
    idle = await asyncpg.connect(server.dsn)
    server.kill()
    server.start()
    assert await count(server) == 4
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await idle.fetchval("SELECT 1")
    idle.terminate()
