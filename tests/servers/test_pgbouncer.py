"""PgBouncer for tests passes transactions on, and lends a server connection for one transaction only."""

from __future__ import annotations

import asyncpg

from .pgbouncer import PgBouncer


async def test_a_transaction_at_a_time_has_a_server_connection(pgbouncer: PgBouncer) -> None:
    one = await asyncpg.connect(pgbouncer.dsn, statement_cache_size=0)
    two = await asyncpg.connect(pgbouncer.dsn, statement_cache_size=0)
    assert await one.fetchval("SELECT pg_backend_pid()") == await two.fetchval("SELECT pg_backend_pid()")
    await one.close()
    await two.close()
