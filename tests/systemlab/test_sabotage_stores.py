"""Each store breaks the promise that it is named for; what it passes on is that of the store behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream import Commit, ErrorRecord, Event, Hub, MemoryStore, Snapshot, SQLiteStore
from sessionstream.systemlab.notebook import ADD_NOTE, NOTE_STARTED, notebook_schemas, open_notebook
from sessionstream.systemlab.sabotage import stores
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteEntity, NoteStartedEvent
from sessionstream.testing import StoreProxy

SCHEMAS = notebook_schemas()


async def written(store: StoreProxy, text: str = "one two") -> None:
    async with open_notebook(Hub(SCHEMAS, store=store)) as hub:
        await hub.submit("s", ADD_NOTE, AddNoteCommand(text=text), idempotency_key="k")


async def test_one_lists_its_log_backwards() -> None:
    store = stores.StoreThatListsBackwards(MemoryStore(SCHEMAS))
    await written(store)
    assert [event.ordinal for event in await store.events("s")] == [4, 3, 2, 1]


async def test_one_drops_entities() -> None:
    store = stores.StoreThatDropsEntities(MemoryStore(SCHEMAS))
    await written(store)
    assert (len(await store.events("s")), (await store.snapshot("s")).entities) == (4, ())


async def test_one_is_stale() -> None:
    store = stores.StoreThatIsStale(MemoryStore(SCHEMAS))
    assert (await store.snapshot("s")).snapshot_ordinal == 0
    await written(store)
    found, true = await store.snapshot("s"), await store.snapshot("s", as_of=4)
    assert [(each.snapshot_ordinal, unfinished(each)) for each in (found, true)] == [(4, True), (4, False)]
    assert (await store.snapshot("s", since=2)).entities == ()
    loaded = await store.timeline("s")
    assert (loaded.cursors.timeline, loaded.entities) == (4, found.entities)


async def test_one_forgets_when_it_is_closed(tmp_path: Path) -> None:
    store = stores.StoreThatForgetsOnClose(await SQLiteStore.open(tmp_path / "s.db", SCHEMAS))
    await written(store)
    assert len(await store.events("s")) == 4
    await store.close()
    await store.close()
    async with SQLiteStore.open(tmp_path / "s.db", SCHEMAS) as again:
        assert await again.sessions() == []


def unfinished(snapshot: Snapshot) -> bool:
    (note,) = snapshot.entities
    return isinstance(note.payload, NoteEntity) and not note.payload.finished


async def test_one_miscounts() -> None:
    store = stores.StoreThatMiscounts(MemoryStore(SCHEMAS))
    await written(store)
    cursors = await store.cursors("s")
    assert (cursors.event, cursors.timeline) == (3, 3)


async def test_one_forgets_keys() -> None:
    store = stores.StoreThatForgetsKeys(MemoryStore(SCHEMAS))
    await written(store)
    await written(store)
    assert len(await store.events("s")) == 8


async def test_one_forgets_errors() -> None:
    store = stores.StoreThatForgetsErrors(MemoryStore(SCHEMAS))
    await store.record_error(ErrorRecord("fanout", "s", 1, "X", "no"))
    assert await store.error_records() == []


@pytest.mark.parametrize("kind", [StoreProxy, stores.StoreThatMiscounts])
async def test_events_can_be_published_on_all_of_them(kind: type[StoreProxy]) -> None:
    async with open_notebook(Hub(SCHEMAS, store=kind(MemoryStore(SCHEMAS)))) as hub:
        await hub.publish(Event(NOTE_STARTED, NoteStartedEvent(note_id="n"), "s"))


async def test_one_skips_an_event() -> None:
    store = stores.StoreThatSkips(MemoryStore(SCHEMAS))
    await written(store)
    assert [event.ordinal for event in await store.events("s")] == [1, 3, 4]


async def test_one_loses_entities() -> None:
    store = stores.StoreThatLosesEntities(MemoryStore(SCHEMAS))
    assert (await store.snapshot("s")).entities == ()
    await written(store)
    found = await store.snapshot("s")
    assert (found.snapshot_ordinal, found.entities) == (4, ())


async def test_one_lags() -> None:
    store = stores.StoreThatLags(MemoryStore(SCHEMAS))
    assert (await store.snapshot("s")).snapshot_ordinal == 0
    await written(store)
    found = await store.snapshot("s")
    assert (found.snapshot_ordinal, unfinished(found)) == (3, True)
    assert (await store.snapshot("s", as_of=4)).snapshot_ordinal == 4


async def test_one_forgets_event_ids() -> None:
    store = stores.StoreThatForgetsIds(MemoryStore(SCHEMAS))
    await written(store)
    (first, *_) = events = await store.events("s")
    assert await store.find_event("s", first.event_id) is None
    last = len(events)
    again = Event(first.name, first.payload, "s", last + 1, first.event_id)
    await store.commit(Commit("s", again, (), last, last + 1))
    assert [event.name for event in await store.events("s")] == [*(event.name for event in events), first.name]


async def test_one_breaks_what_it_is_told_to_break() -> None:
    store = stores.Exchangeable(MemoryStore(SCHEMAS))
    await written(store)
    store.exchange(stores.StoreThatSkips)
    assert len(await store.events("s")) == 3
    store.exchange(stores.StoreThatLags)
    assert (len(await store.events("s")), (await store.snapshot("s")).snapshot_ordinal) == (4, 3)
