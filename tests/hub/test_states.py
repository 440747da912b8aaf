"""What a hub gives to transports: its own entities, uncopied, and the same objects until an event changes them."""

from __future__ import annotations

import asyncio

from sessionstream import Hub, MemoryStore

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
