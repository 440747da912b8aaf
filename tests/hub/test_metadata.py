"""Metadata of events: given to projections and observers, stored, and not a part of what an event is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from sessionstream import (
    Command,
    Event,
    EventPublisher,
    HydrationStore,
    MemoryStore,
    Session,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
)

from .support import App, Broken, registry, said, say


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HydrationStore]:
    if request.param == "memory":
        yield MemoryStore(registry())
        return
    async with SQLiteStore.open(tmp_path / "x.db", registry()) as opened:
        yield opened


class Seeing(App):
    """Keeps what its timeline projection saw of each event; fails while it is told to."""

    def __init__(self, store: HydrationStore) -> None:
        super().__init__(store)
        self.seen: list[tuple[dict[str, str], object]] = []
        self.fails = False

    def project_timeline(self, event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
        if self.fails:
            raise Broken
        self.seen.append((dict(event.metadata), event.recorded_at))
        return super().project_timeline(event, session, view)


FACTS = [{"trace": "1"}, {}, {"trace": "2", "who": "me"}]


def events() -> list[Event]:
    return [replace(said("x"), metadata=each) for each in FACTS]


async def test_projections_see_the_same_live_and_in_a_rebuild(store: HydrationStore) -> None:
    app = Seeing(store)
    first = await app.hub.publish(events()[0])
    rest = await app.hub.publish_many("s", events()[1:])
    assert [each.metadata for each in (first, *rest)] == FACTS
    assert [each.recorded_at for each in (first, *rest)] == [None] * 3
    assert app.seen == [(each, None) for each in FACTS]
    await app.hub.rebuild_timeline("s")
    assert app.seen == [(each, None) for each in FACTS] * 2
    assert [dict(each.metadata) for each in await store.events("s")] == FACTS
    assert [dict(each.event.metadata) for each in app.recorder.records] == FACTS * 2


async def test_and_in_a_retry(store: HydrationStore) -> None:
    app = Seeing(store)
    app.fails = True
    for event in events():
        with pytest.raises(Exception, match=r"Broken|held"):
            await app.hub.publish(event)
    app.fails = False
    await app.hub.retry_timeline("s")
    assert app.seen == [(each, None) for each in FACTS]


async def test_a_handler_may_give_it(store: HydrationStore) -> None:
    app = Seeing(store)

    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(events()[0])

    app.hub.register_command("Say", handle)
    await app.hub.submit("s", "Say", say())
    assert app.seen == [(FACTS[0], None)]


async def test_an_event_that_comes_again_with_other_metadata_is_a_repeat(store: HydrationStore) -> None:
    app = Seeing(store)
    for facts in FACTS:
        published = await app.hub.publish(replace(said("x", event_id="same"), metadata=facts))
        assert published.ordinal == 1
    (event,) = await store.events("s")
    assert event.metadata == FACTS[0]
