"""What ``PostgresStore.look`` and the URLs of databases say of databases that cannot be used, and when."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial

import asyncpg
import pytest

from sessionstream.errors import StoreError
from sessionstream.hydration import stores
from sessionstream.hydration.postgres import PostgresStore, asking, schema
from sessionstream.hydration.postgres.connections import Database, Link
from sessionstream.hydration.stored import StoredState
from sessionstream.testing import SessionWriter, put, sample_registry
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

REGISTRY = sample_registry()


def version(state: StoredState) -> int:
    return state.version


async def looked(
    dsn: str, question: Callable[[StoredState], object] = version, schema: str = "sessionstream"
) -> object:
    return await asyncio.to_thread(PostgresStore.look, dsn, question, schema=schema)


async def filled(postgres: Postgres, schema: str) -> None:
    async with PostgresStore.connect(postgres.dsn, REGISTRY, schema=schema) as store:
        await SessionWriter(store).log(put("a"))


async def test_what_is_committed_meanwhile_is_not_seen(postgres: Postgres, postgres_schema: str) -> None:
    async with PostgresStore.connect(postgres.dsn, REGISTRY, schema=postgres_schema) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        loop = asyncio.get_running_loop()

        def question(state: StoredState) -> tuple[int, int]:
            before = state.count_events("session")
            asyncio.run_coroutine_threadsafe(writer.log(put("b")), loop).result(30)
            return before, state.count_events("session")

        assert await looked(postgres.dsn, question, postgres_schema) == (1, 1)


async def test_a_database_without_tables_stays_so(postgres: Postgres, postgres_schema: str) -> None:
    for _ in range(2):
        with pytest.raises(StoreError, match=rf"\(schema {postgres_schema}\) holds no sessions"):
            await looked(postgres.dsn, schema=postgres_schema)


async def test_tables_of_a_newer_version(postgres: Postgres, postgres_schema: str) -> None:
    await filled(postgres, postgres_schema)
    db = await asyncpg.connect(postgres.dsn)
    try:
        await db.execute(f'UPDATE "{postgres_schema}".meta SET schema_version = 99')  # this one may still read them
        assert await looked(postgres.dsn, schema=postgres_schema) == 99
        await db.execute(f'UPDATE "{postgres_schema}".meta SET min_version = 99')
    finally:
        await db.close()
    with pytest.raises(StoreError, match=r"written by a newer version of sessionstream \(schema 99"):
        await looked(postgres.dsn, schema=postgres_schema)


async def test_the_parts_of_the_tables_are_those_that_the_migrations_make(
    postgres: Postgres, postgres_schema: str
) -> None:
    await filled(postgres, postgres_schema)
    link = Link(Database.at(postgres.dsn, postgres_schema, 5.0, pooled=False))
    try:
        present = await schema.parts(link)
    finally:
        await link.close(5.0)
    implied = {"sequence errors_seq_seq", "sequence payload_types_type_seq"}  # of columns that are identities
    assert present - implied - {"index sessions_by_change"} == set(schema.parts_of(schema.VERSION, "app"))
    assert set(schema.parts_of(schema.VERSION, "app")) - set(schema.parts_of(1, "app")) == {
        "table copied",
        "column copied.session_id",
        "column copied.contents",
        "column copied.times",
        "index copied_pkey",
    }


async def test_the_right_to_read_is_enough(postgres: Postgres, postgres_schema: str) -> None:
    await filled(postgres, postgres_schema)
    dsn = postgres.dsn.replace("postgres@", f"{postgres_schema}:secret@")
    db = await asyncpg.connect(postgres.dsn)
    try:
        await db.execute(f"CREATE ROLE {postgres_schema} LOGIN")
        with pytest.raises(StoreError, match="grant it USAGE on the schema and SELECT") as refused:
            await looked(dsn, schema=postgres_schema)
        assert "secret" not in str(refused.value)
        await db.execute(f"GRANT USAGE ON SCHEMA {postgres_schema} TO {postgres_schema}")
        await db.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {postgres_schema} TO {postgres_schema}")
        assert await looked(dsn, lambda state: state.sessions(), postgres_schema) == ["session"]
        assert await looked(dsn, lambda state: state.problems(), postgres_schema) == []
    finally:
        await db.execute(f"DROP OWNED BY {postgres_schema}")
        await db.execute(f"DROP ROLE {postgres_schema}")
        await db.close()


async def test_it_may_lead_through_a_pooler(postgres: Postgres, postgres_schema: str, pgbouncer: PgBouncer) -> None:
    await filled(postgres, postgres_schema)
    assert await looked(pgbouncer.dsn, lambda state: state.sessions(), postgres_schema) == ["session"]


async def test_a_server_that_does_not_answer(
    postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(postgres, postgres_schema)
    monkeypatch.setattr(asking, "REACH_SECONDS", 0.3)
    async with Proxy(postgres.socket) as proxy:
        dsn = postgres.dsn_at(proxy.port)
        loop = asyncio.get_running_loop()

        def question(state: StoredState) -> None:
            loop.call_soon_threadsafe(proxy.cut)
            for _ in range(1000):
                state.sessions()

        with pytest.raises(StoreError, match="connection was closed"):
            await looked(dsn, question, postgres_schema)
        proxy.stall()
        with pytest.raises(StoreError, match=r"has not answered within 0\.3 seconds"):
            await looked(dsn, schema=postgres_schema)
    with pytest.raises(StoreError, match=r"cannot be reached: .*Connect call failed"):
        await looked(dsn)


async def test_where_an_event_loop_runs_it_is_refused(postgres: Postgres) -> None:
    with pytest.raises(RuntimeError, match="an event loop runs in this thread"):
        PostgresStore.look(postgres.dsn, version)


@pytest.mark.parametrize(
    "password", ["secret", "sec/ret", "sec?ret", "sec#ret", "s@secret", "secret:ret", "secret[", "%zzsecret"]
)
def test_no_message_shows_a_password(password: str) -> None:
    dsn = f"postgres://ada:{password}@127.0.0.1:1/app"
    for use in (partial(PostgresStore.look, dsn, version), partial(stores.look, f"{dsn}?schema=a b", version)):
        with pytest.raises(StoreError) as refused:
            use()
        assert "ret" not in str(refused.value)
        assert "127.0.0.1:1/app" in str(refused.value)


@pytest.mark.parametrize("dsn", [None, "host=db", "app.db"], ids=str)
def test_what_is_no_url(dsn: str) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^dsn is"):
        PostgresStore.look(dsn, version)


@pytest.mark.parametrize("schema", ["a b", "", "%22", "x" * 64])
def test_a_schema_that_is_no_name(schema: str) -> None:
    url = f"postgres://ada:secret@host/app?schema={schema}"
    for use in (lambda: stores.look(url, version), lambda: stores.open(url, REGISTRY)):
        with pytest.raises(StoreError, match="schema is a name") as refused:
            use()
        assert "secret" not in str(refused.value)


def test_without_its_package_a_url_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("sessionstream.hydration.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StoreError, match=r"pip install 'sessionstream\[postgres\]'"):
        stores.look("postgres://host/app", version)
