"""What is special about MemoryStore; that it is a store at all is shown in tests/contracts."""

from __future__ import annotations

import asyncio
import gc

import pytest

from sessionstream.errors import OrdinalConflict, StoreClosed, StoreError, UnknownSchemaError
from sessionstream.examples.chatdemo.v1 import chat_pb2
from sessionstream.hydration.memory import MemoryStore
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Commit
from sessionstream.types import Event


def step(ordinal: int, *, expected: int | None = None) -> Commit:
    event = Event("Delta", chat_pb2.TokensDeltaEvent(chunk="x"), "s", ordinal, f"e{ordinal}")
    return Commit("s", event, (), ordinal - 1 if expected is None else expected, ordinal)


@pytest.fixture
def registry() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_event("Delta", chat_pb2.TokensDeltaEvent)
    return registry


def test_it_may_be_created_before_there_is_an_event_loop(registry: SchemaRegistry) -> None:
    store = MemoryStore(registry)

    async def use() -> int:
        await store.commit(step(1))
        return (await store.cursors("s")).event

    assert asyncio.run(use()) == 1


async def test_a_commit_is_true_as_soon_as_it_was_called(registry: SchemaRegistry) -> None:
    store = MemoryStore(registry)
    outcome = store.commit(step(1))
    assert outcome.done()
    assert (await store.cursors("s")).event == 1
    await outcome


async def test_a_refused_commit_raises_only_where_it_is_awaited(registry: SchemaRegistry) -> None:
    store = MemoryStore(registry)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    refused = store.commit(step(5, expected=4))
    with pytest.raises(OrdinalConflict):
        await refused
    del refused
    gc.collect()
    assert complaints == []


async def test_no_two_stores_share_an_epoch(registry: SchemaRegistry) -> None:
    epochs = {(await MemoryStore(registry).cursors("s")).epoch for _ in range(20)}
    assert len(epochs) == 20


async def test_a_payload_nobody_registered_fails_whoever_reads_it(registry: SchemaRegistry) -> None:
    store = MemoryStore(SchemaRegistry())
    await store.commit(step(1))
    with pytest.raises(UnknownSchemaError):
        await store.events("s")
    assert (await store.snapshot("s")).snapshot_ordinal == 1


async def test_commit_after_closing_is_refused_where_it_is_awaited(registry: SchemaRegistry) -> None:
    store = MemoryStore(registry)
    await store.close()
    outcome = store.commit(step(1))
    with pytest.raises(StoreClosed):
        await outcome


async def test_an_ordinal_beyond_64_bits_is_refused(registry: SchemaRegistry) -> None:
    store = MemoryStore(registry)
    with pytest.raises(StoreError, match="beyond 64 bits"):
        await store.commit(step(2**64, expected=0))
    assert (await store.cursors("s")).event == 0
