"""Every store of this distribution keeps the contract."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.postgres import PostgresStore
from sessionstream.hydration.rules import time_of_day
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.schema import SchemaRegistry
from sessionstream.store import HydrationStore
from sessionstream.testing import StoreProxy, sample_registry
from sessionstream.testing.store_contract import StoreContract
from sessionstream.testing.store_machine import StoreMachine
from tests.servers.postgres import Postgres


@asynccontextmanager
async def memory(
    registry: SchemaRegistry, clock: Callable[[], datetime] = time_of_day
) -> AsyncIterator[HydrationStore]:
    store = MemoryStore(registry, clock=clock)
    yield store
    await store.close()


class TestMemoryStore(StoreContract):
    clocked = True

    def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return memory(registry, self.clock)


class TestStoreProxy(StoreContract):
    @asynccontextmanager
    async def open(self, registry: SchemaRegistry) -> AsyncIterator[HydrationStore]:
        async with memory(registry) as store:
            yield StoreProxy(store)


class TestSQLiteStore(StoreContract):
    durable = True
    clocked = True

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "sessions.db"

    def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return SQLiteStore.open(self.path, registry, clock=self.clock)

    def reopen(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return self.open(registry)


class TestPostgresStore(StoreContract):
    durable = True
    settles_within = 30.0

    @pytest.fixture(autouse=True)
    def place(self, postgres: Postgres, postgres_schema: str) -> None:
        self.dsn, self.schema = postgres.dsn, postgres_schema

    def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return PostgresStore.connect(self.dsn, registry, schema=self.schema)

    def reopen(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return self.open(registry)


@pytest.mark.parametrize("own", [TestMemoryStore, TestSQLiteStore])
@pytest.mark.parametrize("wrong", [None, 3, "session"], ids=repr)
async def test_a_commit_of_another_type(own: type[StoreContract], wrong: Any, tmp_path: Path) -> None:
    contract = own()
    vars(contract)["path"] = tmp_path / "x.db"
    async with contract.open(sample_registry()) as store:
        for _ in range(2):
            with pytest.raises(TypeError, match=r"^commit is a Commit"):
                await store.commit(wrong)
            await store.close()


class SQLiteMachine(StoreMachine):
    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()

    def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return SQLiteStore.open(Path(self.directory.name) / "sessions.db", registry)

    def reopen(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return self.open(registry)

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


class PostgresMachine(StoreMachine):
    durable = True
    settles_within = 30.0
    dsn: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.schema = f"test_{secrets.token_hex(8)}"

    def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return PostgresStore.connect(self.dsn, registry, schema=self.schema)

    def reopen(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return self.open(registry)


class MemoryMachine(StoreMachine):
    def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        return memory(registry)


def some(part: float) -> settings:
    """Return settings for a part of the profile's examples."""
    examples = int(settings().max_examples * part)
    return settings(max_examples=examples, stateful_step_count=20, suppress_health_check=list(HealthCheck))


TestSQLiteInLockstep = SQLiteMachine.TestCase
TestSQLiteInLockstep.settings = some(0.5)
TestMemoryInLockstep = MemoryMachine.TestCase
TestMemoryInLockstep.settings = some(0.5)


def test_postgres_in_lockstep(postgres: Postgres) -> None:
    PostgresMachine.dsn = postgres.dsn
    run_state_machine_as_test(PostgresMachine, settings=some(0.2))
