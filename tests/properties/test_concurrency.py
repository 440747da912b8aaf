"""Many publishers at once, and publishers that are cancelled: each event lands once, whole, in one order.

The schedule is random: two hubs on one store race each other, and a cancelled publisher may be stopped at any of
its awaits. What landed is learned from the log, and everything else must follow from it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sessionstream import (
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    SchemaRegistry,
    Session,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate, TokensDeltaEvent

Scenario = Callable[[HydrationStore, SchemaRegistry], Awaitable[None]]

SESSIONS = st.sampled_from(["alpha", "beta", "gamma"])


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_event("Delta", TokensDeltaEvent)
    registry.register_ui_event("Told", ChatMessageUpdate)
    registry.register_timeline_entity("Text", ChatMessageEntity)
    return registry


def delta(session_id: str, chunk: str) -> Event:
    return Event("Delta", TokensDeltaEvent(chunk=chunk), session_id, event_id=chunk)


class Sent:
    """A fan-out that keeps, per session, what it was told."""

    def __init__(self) -> None:
        self.by_session: dict[str, list[tuple[int, str]]] = {}

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
        for event in events:
            assert isinstance(event.payload, ChatMessageUpdate)
            self.by_session.setdefault(session_id, []).append((ordinal, event.payload.chunk))


def chat_hub(store: HydrationStore, registry: SchemaRegistry, sent: Sent, running: set[str]) -> Hub:
    """A hub whose one text per session is the concatenation of all chunks: wrong as soon as anything overlaps."""
    hub = Hub(registry, store=store, fanout=sent.publish_ui)

    @hub.ui_projection
    async def told(event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        assert event.session_id not in running, "two events of one session overlap"
        running.add(event.session_id)
        try:
            await asyncio.sleep(0)
        finally:
            running.remove(event.session_id)
        assert isinstance(event.payload, TokensDeltaEvent)
        return [UIEvent("Told", ChatMessageUpdate(chunk=event.payload.chunk))]

    @hub.timeline_projection
    async def text(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        before = view.get("Text", "1")
        await asyncio.sleep(0)
        old = before.payload.text if before is not None and isinstance(before.payload, ChatMessageEntity) else ""
        assert isinstance(event.payload, TokensDeltaEvent)
        return [TimelineEntity("Text", "1", ChatMessageEntity(text=old + event.payload.chunk))]

    return hub


async def check(store: HydrationStore, session_id: str, sent: list[Sent]) -> list[str]:
    """Return the chunks that landed, after checking that everything agrees on them."""
    events = await store.events(session_id)
    assert [event.ordinal for event in events] == list(range(1, len(events) + 1))
    landed = [event.payload.chunk for event in events if isinstance(event.payload, TokensDeltaEvent)]
    snapshot = await store.snapshot(session_id)
    assert snapshot.snapshot_ordinal == len(events)
    texts = [entity.payload.text for entity in snapshot.entities if isinstance(entity.payload, ChatMessageEntity)]
    assert texts == (["".join(landed)] if landed else [])
    told = sorted(pair for each in sent for pair in each.by_session.get(session_id, []))
    assert told == list(enumerate(landed, 1))
    for each in sent:  # every fan-out, on its own, heard its share in order
        ordinals = [ordinal for ordinal, _ in each.by_session.get(session_id, [])]
        assert ordinals == sorted(ordinals)
    return landed


def on_every_store(scenario: Scenario, kind: str) -> None:
    async def run() -> None:
        registry = schemas()
        if kind == "memory":
            await scenario(MemoryStore(registry), registry)
            return
        with tempfile.TemporaryDirectory() as directory:
            async with SQLiteStore.open(Path(directory) / "store.db", registry) as store:
                await scenario(store, registry)

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(plan=st.lists(st.tuples(st.integers(0, 1), SESSIONS), min_size=2, max_size=24))
def test_a_storm_of_publishers_lands_once_each(kind: str, plan: list[tuple[int, str]]) -> None:
    async def scenario(store: HydrationStore, registry: SchemaRegistry) -> None:
        sent = [Sent(), Sent()]
        hubs = [chat_hub(store, registry, each, set()) for each in sent]
        published = await asyncio.gather(
            *(hubs[hub].publish(delta(session_id, f"{n};")) for n, (hub, session_id) in enumerate(plan))
        )
        for session_id in {session_id for _, session_id in plan}:
            landed = await check(store, session_id, sent)
            assert sorted(landed) == sorted(f"{n};" for n, (_, sid) in enumerate(plan) if sid == session_id)
        for event, (_, session_id) in zip(published, plan, strict=True):
            assert (await store.events(session_id, after=event.ordinal - 1, limit=1))[0] == event

    on_every_store(scenario, kind)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(
    victims=st.lists(st.tuples(SESSIONS, st.integers(0, 12)), min_size=1, max_size=8),
    bystanders=st.lists(SESSIONS, max_size=6),
)
def test_a_cancelled_publisher_lands_whole_or_not_at_all(
    kind: str, victims: list[tuple[str, int]], bystanders: list[str]
) -> None:
    async def scenario(store: HydrationStore, registry: SchemaRegistry) -> None:
        sent = [Sent()]
        hub = chat_hub(store, registry, sent[0], set())
        others = [asyncio.create_task(hub.publish(delta(sid, f"b{n};"))) for n, sid in enumerate(bystanders)]
        tasks = [
            (asyncio.create_task(hub.publish(delta(sid, f"v{n};"))), turns) for n, (sid, turns) in enumerate(victims)
        ]
        for turn in range(14):
            for task, turns in tasks:
                if turn == turns:
                    task.cancel()
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        await asyncio.gather(*others)
        everything = {sid for sid, _ in victims} | set(bystanders)
        landed = {chunk for sid in everything for chunk in await check(store, sid, sent)}
        assert {f"b{n};" for n in range(len(bystanders))} <= landed
        for n, outcome in enumerate(outcomes):
            if isinstance(outcome, Event):
                assert f"v{n};" in landed
            else:
                assert isinstance(outcome, asyncio.CancelledError)
        for session_id in everything:  # the lanes are free
            await asyncio.wait_for(hub.publish(delta(session_id, "after;")), 10)
        await hub.shutdown()

    on_every_store(scenario, kind)
