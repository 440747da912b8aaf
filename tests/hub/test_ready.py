"""``Hub.ready`` says whether the hub can serve: it is open, and its store writes and reads."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from sessionstream import HubClosed, MemoryStore, SQLiteStore, StoreClosed, StoreError
from sessionstream.hydration import stores
from tests.servers.postgres import PostgresServer

from .support import App, Store, registry


async def test_a_hub_that_can_serve_is_ready() -> None:
    app = App()
    await app.hub.ready()
    await app.hub.shutdown()
    with pytest.raises(HubClosed):
        await app.hub.ready()


@pytest.mark.parametrize("method", ["check_writable", "cursors"])
async def test_a_store_that_cannot_write_or_read_is_named(method: str) -> None:
    store = Store(MemoryStore(registry()))
    app = App(store)
    store.fail(method, StoreError("the disk is full"))
    with pytest.raises(StoreError, match="the disk is full"):
        await app.hub.ready()
    await app.hub.ready()
    await app.hub.shutdown()


@pytest.mark.parametrize("method", ["check_writable", "cursors"])
async def test_a_store_that_does_not_answer_is_not_waited_for(method: str) -> None:
    store = Store(MemoryStore(registry()))
    app = App(store)
    store.stop_before(method)
    with pytest.raises(StoreError, match=r"has not answered within 0\.05 seconds: .*lock"):
        await app.hub.ready(within=0.05)
    await app.hub.shutdown()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
async def test_a_limit_that_is_none_is_refused(seconds: float) -> None:
    app = App()
    with pytest.raises(ValueError, match="within is a number of seconds above 0"):
        await app.hub.ready(within=seconds)
    await app.hub.shutdown()


async def test_it_writes_to_the_file(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "app.db", registry()) as store:
        app = App(store)
        log = tmp_path / "app.db-wal"
        size = log.stat().st_size
        await app.hub.ready()
        assert log.stat().st_size > size
        await app.hub.shutdown()
    with pytest.raises(StoreClosed):
        await store.check_writable()


async def test_a_server_that_is_down_is_not_ready_and_is_again_when_it_is_back(own_postgres: PostgresServer) -> None:
    async with stores.open(own_postgres.dsn, registry()) as store:
        app = App(store)
        await app.hub.ready()
        own_postgres.stop()
        with pytest.raises(StoreError):
            await app.hub.ready(within=0.5)
        with pytest.raises(StoreError, match=r"cannot be reached: .*: check that it runs"):
            await app.hub.ready()
        own_postgres.start()
        await app.hub.ready(within=20)
        await app.hub.shutdown()


async def test_a_server_that_takes_no_changes_is_not_ready_and_says_so(own_postgres: PostgresServer) -> None:
    """As after a failover that has made the primary a replica."""
    owner = await asyncpg.connect(own_postgres.dsn)
    async with stores.open(own_postgres.dsn, registry()) as store:
        app = App(store)
        await app.hub.ready()
        for value in ("on", "off"):
            await owner.execute(f"ALTER DATABASE postgres SET default_transaction_read_only = {value}")
            await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            if value == "on":
                with pytest.raises(
                    StoreError, match="takes no changes: it is a replica, or default_transaction_read_only"
                ):
                    await app.hub.ready()
        await app.hub.ready(within=20)
        await app.hub.shutdown()
    await owner.close()
