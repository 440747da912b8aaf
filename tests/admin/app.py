"""The app that ``--app`` names in these tests, and files that it has written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sessionstream import (
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    SchemaRegistry,
    Session,
    SessionstreamError,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent
from sessionstream.hydration import stores
from tests.hub.support import App, chunk, registry, text

T = TypeVar("T")

BROKEN = "SESSIONSTREAM_TEST_BROKEN"
"""Chunks on which the timeline projection fails, separated by spaces."""
LIVE = "SESSIONSTREAM_TEST_LIVE"
"""File that gets a line for everything that is fanned out."""


def app_on(store: HydrationStore, *broken: str) -> App:
    app = App(store)
    app.broken["timeline"].update(broken)
    return app


def make(store: HydrationStore) -> Hub:
    hub = app_on(store, *os.environ.get(BROKEN, "").split()).hub
    live = os.environ.get(LIVE)
    if live:

        def told(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
            with Path(live).open("a", encoding="utf-8") as file:
                file.write(f"{session_id} {ordinal} {len(events)}\n")

        hub.set_fanout(told)
    return hub


async def make_async(store: HydrationStore) -> Hub:
    await asyncio.sleep(0)
    return make(store)


def make_elsewhere(store: HydrationStore) -> Hub:
    return make(MemoryStore(registry()))


def make_on_its_registry(store: HydrationStore) -> Hub:
    assert isinstance(store, SQLiteStore | MemoryStore)
    return Hub(store.registry, store=store)


def make_without_projections(store: HydrationStore) -> Hub:
    return Hub(registry(), store=store)


def make_nothing(store: HydrationStore) -> None:
    return None


def make_early(store: HydrationStore) -> Awaitable[Hub]:
    """Asks the store before there is a hub."""

    async def asking() -> Hub:
        await store.snapshot("s")
        return make(store)

    return asking()


def make_failing(store: HydrationStore) -> Hub:
    raise LookupError("no settings")


def make_renaming(store: HydrationStore) -> Hub:
    """Projections of a later version, which gives all texts another id."""
    hub = Hub(registry(), store=store)

    @hub.timeline_projection
    def renamed(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        before = view.get("Text", "renamed")
        written = "" if before is None else text(before)
        return [TimelineEntity("Text", "renamed", ChatMessageEntity(text=written + chunk(event)))]

    return hub


def make_without_entities(store: HydrationStore) -> Hub:
    """A later version, which knows nothing of texts any more."""
    schemas = SchemaRegistry()
    schemas.register_event("Said", TokensDeltaEvent)
    return _of_something_else(Hub(schemas, store=store))


def make_without_events(store: HydrationStore) -> Hub:
    """A later version, which has forgotten the event that waits."""
    schemas = SchemaRegistry()
    schemas.register_timeline_entity("Text", ChatMessageEntity)
    return _of_something_else(Hub(schemas, store=store))


def _of_something_else(hub: Hub) -> Hub:
    """Give the hub a projection that has nothing to do with these events."""
    hub.register_timeline_projection(lambda event, session, view: [])
    return hub


def make_without_metadata(store: HydrationStore) -> Hub:
    def missing(session_id: str) -> object:
        raise LookupError("no metadata")

    return App(store, session_metadata=missing).hub


not_callable = "a string"
ready = make(MemoryStore(registry()))


def with_store(location: stores.Location, work: Callable[[HydrationStore], Awaitable[T]]) -> T:
    async def main() -> T:
        async with stores.open(location, registry()) as store:
            return await work(store)

    return asyncio.run(main())


def write(location: stores.Location, *chunks: str, session_id: str = "s", broken: Sequence[str] = ()) -> None:
    """Publish; an event of a held session is logged too."""

    async def work(store: HydrationStore) -> None:
        app = app_on(store, *broken)
        for each in chunks:
            try:
                await app.publish(each, session_id=session_id)
            except SessionstreamError:
                if not broken:
                    raise
        await app.hub.shutdown()

    with_store(location, work)
