"""Hub.states: shared entities without copies, and the same objects until an event changes them."""

from __future__ import annotations

import asyncio

from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import Cursors, Hub, MemoryStore, StoredTimeline, TimelineEntity
from sessionstream.hub.timeline import Timeline
from sessionstream.hydration.slices import SORTED

from .support import App, registry, said


async def filled() -> App:
    app = App()
    for number in (2, 1, 3):
        await app.hub.publish(said(f"{number}", entity=f"{number}"))
    return app


async def test_nothing_is_copied_until_something_changes() -> None:
    app = await filled()
    first, again = await app.hub.states("s"), await app.hub.states("s")
    assert first == await app.hub.snapshot("s")
    assert again.entities is first.entities
    await app.hub.publish(said("more", entity="1"))
    after = await app.hub.states("s")
    assert after == await app.hub.snapshot("s")
    known = {id(entity) for entity in first.entities}
    assert [entity.id for entity in after.entities if id(entity) not in known] == ["1"]


async def test_an_event_without_entities_moves_only_the_ordinal() -> None:
    app = await filled()
    first = await app.hub.states("s")
    hub = Hub(registry(), store=app.store)  # without a projection
    await hub.publish(said("more"))
    before = await hub.states("s")
    await hub.publish(said("more"))
    after = await hub.states("s")
    assert (first.snapshot_ordinal, before.snapshot_ordinal, after.snapshot_ordinal) == (3, 4, 5)
    assert after.entities is before.entities


async def test_a_snapshot_is_of_copies() -> None:
    app = await filled()
    for entity in (await app.hub.snapshot("s")).entities:
        entity.payload.text = "scribbled over"  # type: ignore[union-attr]
    assert [entity.payload.text for entity in (await app.hub.states("s")).entities] == ["2", "1", "3"]  # type: ignore[union-attr]


async def test_a_rebuild_gives_other_objects() -> None:
    app = await filled()
    before = await app.hub.states("s")
    report = await app.hub.rebuild_timeline("s")
    after = await app.hub.states("s")
    assert after.epoch == report.epoch != before.epoch
    assert after.entities == before.entities


async def test_an_event_while_they_are_put_in_order_is_not_missed() -> None:
    app = App(MemoryStore(registry()))
    for number in range(300):  # more than are put in order without a pause
        await app.hub.publish(said("x", entity=f"{number}"))
    reading = asyncio.create_task(app.hub.states("s"))
    await asyncio.sleep(0)
    await app.hub.publish(said("y", entity="7"))
    early, late = await reading, await app.hub.states("s")
    assert early == await app.store.snapshot("s", as_of=early.snapshot_ordinal)
    assert (early.snapshot_ordinal, late.snapshot_ordinal) == (300, 301)
    assert late == await app.store.snapshot("s")


async def test_a_timeline_that_is_loaded_in_slices_is_never_seen_half() -> None:
    def stored(epoch: int, count: int) -> StoredTimeline:
        entities = [TimelineEntity("Text", str(number), StringValue(), 1, 1) for number in range(count)]
        return StoredTimeline(Cursors(epoch, epoch, epoch), entities)

    timeline = Timeline()
    await timeline.take_over(stored(1, 10))
    loading = asyncio.create_task(timeline.take_over(stored(2, 3 * SORTED)))
    sizes = []
    while not loading.done():
        assert len(list(timeline.select(""))) == {1: 10, 2: 3 * SORTED}[timeline.epoch]
        sizes.append((timeline.epoch, timeline.size))
        await asyncio.sleep(0)
    assert sizes.count((1, 10)) > 1
    assert len((await timeline.states("s")).entities) == timeline.size == 3 * SORTED


async def test_a_load_that_is_cancelled_changes_nothing() -> None:
    timeline = Timeline()
    entities = [TimelineEntity("Text", str(number), StringValue(), 1, 1) for number in range(2 * SORTED)]
    loading = asyncio.create_task(timeline.take_over(StoredTimeline(Cursors(1, 1, 1), entities)))
    await asyncio.sleep(0)
    loading.cancel()
    await asyncio.wait([loading])
    assert (timeline.ordinal, timeline.epoch, timeline.size) == (0, 0, 0)


async def test_a_memory_store_shares_its_states_with_hubs() -> None:
    app = await filled()
    before = {id(entity) for entity in (await app.hub.states("s")).entities}
    await Hub(registry(), store=app.store).states("s")  # which is the first to look at a payload of this type
    after = await Hub(registry(), store=app.store).states("s")
    assert {id(entity) for entity in after.entities} == before
