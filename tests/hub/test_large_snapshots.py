"""Snapshots of many entities: the event loop runs meanwhile, and each snapshot is consistent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sessionstream import (
    Commit,
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    Session,
    Snapshot,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    UnknownSchemaError,
)
from sessionstream.hydration import slices
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.types import in_snapshot_order

REGISTRY = sample_registry()
MANY = 6_000
TURNS = MANY // slices.SLICE


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HydrationStore]:
    if request.param == "memory":
        yield MemoryStore(REGISTRY)
        return
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as opened:
        yield opened


async def filled(store: HydrationStore) -> SessionWriter:
    writer = SessionWriter(store)
    numbers = list(range(MANY))
    Random(0).shuffle(numbers)  # so that the order they came in is not that of a snapshot
    for start in range(0, MANY, 2_500):
        await writer.log(*(put(f"{number}", "text") for number in numbers[start : start + 2_500]))
    return writer


async def hub_on(store: HydrationStore, *, warm: bool) -> Hub:
    hub = Hub(REGISTRY, store=store)

    @hub.timeline_projection
    def project(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        what, _, entity_id = event.payload.chunk.partition(" ")  # type: ignore[attr-defined]
        return [drop(entity_id) if what == "drop" else put(entity_id, what)]

    if warm:
        await hub.retry_timeline("session")
    return hub


async def turns_while(work: Any) -> tuple[Any, int]:
    """Return what is awaited, and how often another task ran meanwhile."""
    turns, working = 0, True

    async def other() -> None:
        nonlocal turns
        while working:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    turns = 0
    found = await work
    working = False
    result = found, turns
    await task
    return result


@pytest.mark.parametrize("warm", [False, True])
async def test_others_run_while_a_large_snapshot_is_made(store: HydrationStore, warm: bool) -> None:
    writer = await filled(store)
    hub = await hub_on(store, warm=warm)
    snapshot, turns = await turns_while(hub.snapshot("session"))
    assert snapshot.entities == writer.at(writer.timeline)
    assert turns >= TURNS
    await hub.shutdown()


async def test_others_run_while_a_large_timeline_is_read(store: HydrationStore) -> None:
    writer = await filled(store)
    timeline, turns = await turns_while(store.timeline("session"))
    assert tuple(in_snapshot_order(timeline.entities)) == writer.at(writer.timeline)
    assert turns >= TURNS
    for ordinal in (1, 2):
        snapshot, turns = await turns_while(store.snapshot("session", as_of=ordinal))
        assert snapshot.entities == writer.at(ordinal)


def said(words: str) -> Event:
    event = SessionWriter(MemoryStore(REGISTRY)).new_event(text=words)
    return Event(event.name, event.payload, "session")


@pytest.mark.parametrize("warm", [False, True])
async def test_what_happens_while_a_snapshot_is_made_is_in_it_as_a_whole_or_not_at_all(
    store: HydrationStore, warm: bool
) -> None:
    await filled(store)
    hub = await hub_on(store, warm=warm)

    async def taking() -> list[Snapshot]:
        return [await hub.snapshot("session") for _ in range(3)]

    task = asyncio.create_task(taking())
    number = 0
    while not task.done():
        await hub.publish(said(f"changed {number}"))
        await hub.publish(said(f"drop {MANY - 1 - number}"))
        await hub.publish(said(f"new {MANY + number}"))
        await asyncio.sleep(0)
        number += 1
    for snapshot in await task:
        assert snapshot == await store.snapshot("session", as_of=snapshot.snapshot_ordinal)
    await hub.shutdown()


async def test_a_timeline_that_is_replaced_meanwhile_does_not_show(store: HydrationStore) -> None:
    writer = await filled(store)
    hub = await hub_on(store, warm=True)
    taking = asyncio.create_task(hub.snapshot("session"))
    for _ in range(3):
        await asyncio.sleep(0)
    report = await hub.rebuild_timeline("session")
    snapshot = await taking
    if snapshot.epoch != report.epoch:
        assert snapshot.entities == writer.at(writer.timeline)
    assert (await hub.snapshot("session")).epoch == report.epoch
    await hub.shutdown()


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1_999, 2_000, 2_001, 4_500])
async def test_every_size_is_in_order(count: int) -> None:
    made = [put(f"{number}", "text") for number in range(count)]
    Random(count).shuffle(made)
    wanted = in_snapshot_order(made)
    assert slices.in_order(made) == wanted
    assert await slices.all_in_order(made) == wanted
    (_, turns) = await turns_while(slices.each_of(made, lambda entity: entity))
    assert turns == max(count - 1, 0) // slices.SLICE


async def test_a_small_snapshot_waits_for_nobody() -> None:
    store = MemoryStore(REGISTRY)
    writer = SessionWriter(store)
    await writer.log(*(put(f"{number}") for number in range(slices.SLICE)))
    snapshot, turns = await turns_while(store.snapshot("session"))
    assert (len(snapshot.entities), turns) == (slices.SLICE, 0)


async def test_a_vanished_message_is_told_of_at_once() -> None:
    store = MemoryStore(REGISTRY)
    await store.commit(Commit("session", SessionWriter(store).new_event(), (), 0, 1))
    writer = SessionWriter(store, "other")
    await writer.log(*(put(f"{number}") for number in range(1_000)))
    later = sample_registry()
    later._by_type.clear()
    store._registry = later
    with pytest.raises(UnknownSchemaError):
        await store.snapshot("other")
    assert len((await store.timeline("other")).unreadable) == 1_000
