"""Invariants 1-5, 8 and 9 as a state machine: random histories over two hubs and one store, against a model.

The same history runs over every store at once, so that the stores are compared with each other as well as with
the model. Projections break and are mended, publishers are cancelled, event ids are repeated, hubs and stores are
reopened, timelines rebuilt. After every step the store must show exactly the fold of the events up to its cursor,
for the session that the step was about; after a reopening and at the end, for every session.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sessionstream import (
    ErrorRecord,
    Event,
    EventConflict,
    Hub,
    HydrationStore,
    MemoryStore,
    PipelineRecord,
    ProjectionError,
    ProjectionPolicies,
    SchemaRegistry,
    Session,
    SessionHeld,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate, TokensDeltaEvent

T = TypeVar("T")
OpenStore = Callable[[SchemaRegistry], Awaitable[HydrationStore]]

SESSIONS = st.sampled_from(["alpha", "beta"])
ENTITY_IDS = st.sampled_from(["1", "2"])
WHAT = st.sampled_from(["append", "append", "append", "delete", "nothing"])


@dataclass(frozen=True)
class Fact:
    """One event of the model: what it does to which entity, and where projections may stumble over it."""

    what: str
    entity_id: str
    chunk: str
    ui_trap: bool
    timeline_trap: bool

    def payload(self) -> TokensDeltaEvent:
        return TokensDeltaEvent(
            message_id=self.entity_id,
            chunk=self.chunk,
            status=self.what,
            role=f"{'u' * self.ui_trap}{'t' * self.timeline_trap}",
        )


FACTS = st.builds(
    Fact,
    what=WHAT,
    entity_id=ENTITY_IDS,
    chunk=st.sampled_from(["", "x", "é", "\U0001f600"]),
    ui_trap=st.booleans(),
    timeline_trap=st.booleans(),
)


@dataclass
class ModelSession:
    log: list[Fact] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    cursor: int = 0
    timeline: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    sent: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Faults:
    """What is broken at the moment, shared by all projections."""

    ui: bool = False
    timeline: bool = False


class Model:
    """What must be true, in a page of code that waits for nothing."""

    def __init__(self, policies: ProjectionPolicies, faults: Faults) -> None:
        self.policies = policies
        self.faults = faults
        self.sessions: dict[str, ModelSession] = {}

    def resume(self, session: ModelSession) -> int | None:
        while session.cursor < len(session.log):
            fact = session.log[session.cursor]
            ui_fails = fact.ui_trap and self.faults.ui
            timeline_fails = fact.timeline_trap and self.faults.timeline
            if (ui_fails and self.policies.ui == "fail") or (timeline_fails and self.policies.timeline == "fail"):
                return session.cursor + 1
            session.cursor += 1
            if not timeline_fails:
                fold(session.timeline, fact, session.cursor)
            if not ui_fails and fact.what != "nothing":
                session.sent.append((session.cursor, fact.chunk))
        return None

    def publish(self, session_id: str, fact: Fact, event_id: str) -> tuple[str, int]:
        """Return what publishing does ('ok', 'failed' or 'held') and the event's ordinal."""
        session = self.sessions.setdefault(session_id, ModelSession())
        held_by = self.resume(session)
        known = session.ids.get(event_id)
        held_by = self.resume(session)
        if known is not None and session.log[known - 1] != fact:
            return "conflict", known
        if known is not None:
            return ("held" if session.cursor < known else "ok"), known
        session.log.append(fact)
        ordinal = len(session.log)
        session.ids[event_id] = ordinal
        if held_by is not None:
            return "held", ordinal
        return ("ok" if self.resume(session) is None else "failed"), ordinal


def fold(timeline: dict[str, tuple[str, int, int]], fact: Fact, ordinal: int) -> None:
    before = timeline.get(fact.entity_id)
    if fact.what == "append":
        text, created, _ = before or ("", ordinal, 0)
        timeline[fact.entity_id] = (text + fact.chunk, created, ordinal)
    elif fact.what == "delete":
        timeline.pop(fact.entity_id, None)


class World:
    """Two hubs on one store, as two processes would have it, and everything that came out of them."""

    def __init__(self, open_store: OpenStore, *, durable: bool, faults: Faults, policies: ProjectionPolicies) -> None:
        self.open_store = open_store
        self.durable = durable
        self.faults = faults
        self.policies = policies
        self.schemas = SchemaRegistry()
        self.schemas.register_event("Fact", TokensDeltaEvent)
        self.schemas.register_ui_event("Told", ChatMessageUpdate)
        self.schemas.register_timeline_entity("Text", ChatMessageEntity)
        self.sent: dict[str, list[tuple[int, str]]] = {}
        self.records: list[PipelineRecord] = []
        self.errors: list[ErrorRecord] = []

    async def start(self) -> None:
        self.store = await self.open_store(self.schemas)
        self.hubs = [self.new_hub(), self.new_hub()]

    def new_hub(self) -> Hub:
        hub = Hub(
            self.schemas,
            store=self.store,
            policies=self.policies,
            fanout=self.publish_ui,
            pipeline_observer=self.observe,
            error_observer=self.observe_error,
            cache_entities=2,
        )
        hub.register_ui_projection(self.project_ui)
        hub.register_timeline_projection(self.project_timeline)
        return hub

    def publish_ui(self, session_id: str, ordinal: int, events: Iterable[UIEvent]) -> None:
        for event in events:
            assert isinstance(event.payload, ChatMessageUpdate)
            self.sent.setdefault(session_id, []).append((ordinal, event.payload.chunk))

    def observe(self, record: PipelineRecord) -> None:
        self.records.append(record)
        record.event.payload.Clear()  # an observer's copies are its own
        for entity in record.entities:
            if entity.payload is not None:
                entity.payload.Clear()
        raise RuntimeError("observers may fail")

    def observe_error(self, record: ErrorRecord) -> None:
        self.errors.append(record)
        raise RuntimeError("observers may fail")

    async def project_ui(self, event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        await asyncio.sleep(0)
        payload = event.payload
        assert isinstance(payload, TokensDeltaEvent)
        if "u" in payload.role and self.faults.ui:
            raise RuntimeError("the UI projection is broken")
        if payload.status == "nothing":
            return []
        told = [UIEvent("Told", ChatMessageUpdate(chunk=payload.chunk))]
        payload.Clear()  # a projection's copy is its own
        return told

    def project_timeline(self, event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
        payload = event.payload
        assert isinstance(payload, TokensDeltaEvent)
        assert view.ordinal == event.ordinal - 1
        if "t" in payload.role and self.faults.timeline:
            raise RuntimeError("the timeline projection is broken")
        if payload.status == "delete":
            yield TimelineEntity("Text", payload.message_id, None, tombstone=True)
        elif payload.status == "append":
            before = view.get("Text", payload.message_id)
            text = ""
            if before is not None:
                assert isinstance(before.payload, ChatMessageEntity)
                text = before.payload.text
                before.payload.Clear()  # a view's copies are the projection's own
            yield TimelineEntity("Text", payload.message_id, ChatMessageEntity(text=text + payload.chunk))

    async def publish(self, hub: int, session_id: str, fact: Fact, event_id: str) -> tuple[str, int]:
        """Publish and say what came of it, in the model's words."""
        event = Event("Fact", fact.payload(), session_id, event_id=event_id)
        try:
            published = await self.hubs[hub].publish(event)
        except EventConflict as error:
            return "conflict", error.ordinal
        except ProjectionError as error:
            return "failed", error.event.ordinal
        except SessionHeld as error:
            assert error.failed_ordinal <= error.event.ordinal
            return "held", error.event.ordinal
        assert published.payload is event.payload
        return "ok", published.ordinal

    async def publish_many(
        self, hub: int, session_id: str, facts: list[tuple[Fact, str]]
    ) -> tuple[str, list[int], int | None]:
        """Publish several at once; say what came of it, the ordinals that were given, and that of what failed."""
        events = [Event("Fact", fact.payload(), session_id, event_id=event_id) for fact, event_id in facts]
        try:
            published = await self.hubs[hub].publish_many(session_id, events)
        except EventConflict as error:
            return "conflict", [], error.ordinal
        except ProjectionError as error:
            return "failed", [], error.event.ordinal
        except SessionHeld as error:
            return "held", [], error.event.ordinal
        assert [event.payload for event in published] == [event.payload for event in events]
        return "ok", [event.ordinal for event in published], None

    async def reopen(self) -> None:
        for hub in self.hubs:
            await hub.shutdown()
        if self.durable:
            await self.store.close()
            self.store = await self.open_store(self.schemas)
        self.hubs = [self.new_hub(), self.new_hub()]

    async def close(self) -> None:
        for hub in self.hubs:
            await hub.shutdown()
        await self.store.close()


async def open_memory(schemas: SchemaRegistry) -> HydrationStore:
    return MemoryStore(schemas)


class HubMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.faults = Faults()
        self.worlds: list[World] = []
        self.unchecked: set[str] = set()
        """The sessions that a step may have changed since the last check."""

    def run(self, awaitable: Callable[[World], Awaitable[T]]) -> T:
        """Do the same in every world, and insist on the same outcome."""

        async def one(world: World) -> T:
            return await awaitable(world)

        outcomes = [self.runner.run(one(world)) for world in self.worlds]
        assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
        return outcomes[0]

    @initialize(ui=st.sampled_from(["fail", "advance"]), timeline=st.sampled_from(["fail", "advance"]))
    def start(self, ui: str, timeline: str) -> None:
        policies = ProjectionPolicies(ui=ui, timeline=timeline)  # type: ignore[arg-type]
        path = self.directory / "store.db"

        async def open_sqlite(schemas: SchemaRegistry) -> HydrationStore:
            return await SQLiteStore.open(path, schemas)

        self.model = Model(policies, self.faults)
        self.worlds = [
            World(open_memory, durable=False, faults=self.faults, policies=policies),
            World(open_sqlite, durable=True, faults=self.faults, policies=policies),
        ]
        self.run(lambda world: world.start())

    @rule(ui=st.booleans(), timeline=st.booleans())
    def break_or_mend(self, ui: bool, timeline: bool) -> None:
        self.faults.ui, self.faults.timeline = ui, timeline

    @rule(
        hub=st.integers(0, 1),
        session_id=SESSIONS,
        fact=FACTS,
        event_id=st.sampled_from(["", "", "id-1", "id-2"]),
    )
    def publish(self, hub: int, session_id: str, fact: Fact, event_id: str) -> None:
        self.unchecked.add(session_id)
        event_id = event_id or uuid4().hex
        expected = self.model.publish(session_id, fact, event_id)
        assert self.run(lambda world: world.publish(hub, session_id, fact, event_id)) == expected

    @rule(
        hub=st.integers(0, 1),
        session_id=SESSIONS,
        facts=st.lists(st.tuples(FACTS, st.sampled_from(["", "", "", "id-1", "id-2", "id-3"])), max_size=6),
    )
    def publish_many(self, hub: int, session_id: str, facts: list[tuple[Fact, str]]) -> None:
        """Several events are published as one after the other would be, up to the first that fails."""
        self.unchecked.add(session_id)
        named = [(fact, event_id or uuid4().hex) for fact, event_id in facts]
        kind, ordinals, failed = "ok", list[int](), None
        for fact, event_id in named:
            kind, ordinal = self.model.publish(session_id, fact, event_id)
            if kind != "ok":
                ordinals, failed = [], ordinal
                break
            ordinals.append(ordinal)
        assert self.run(lambda world: world.publish_many(hub, session_id, named)) == (kind, ordinals, failed)

    @rule(hub=st.integers(0, 1), session_id=SESSIONS, which=st.integers(0, 1000))
    def publish_again(self, hub: int, session_id: str, which: int) -> None:
        """A publisher that does not know whether it was heard repeats itself, held session or not."""
        session = self.model.sessions.get(session_id)
        named = sorted(session.ids.items()) if session is not None else []
        if session is not None and named:
            event_id, ordinal = named[which % len(named)]
            self.publish(hub, session_id, session.log[ordinal - 1], event_id)

    @rule(hub=st.integers(0, 1), session_id=SESSIONS)
    def retry(self, hub: int, session_id: str) -> None:
        self.unchecked.add(session_id)
        session = self.model.sessions.setdefault(session_id, ModelSession())
        held_by = self.model.resume(session)

        async def retry(world: World) -> tuple[int, int | None]:
            try:
                report = await world.hubs[hub].retry_timeline(session_id)
            except ProjectionError as error:
                return error.event.ordinal - 1, error.event.ordinal
            return report.cursor, None

        assert self.run(retry) == (session.cursor, held_by)

    @rule(hub=st.integers(0, 1), session_id=SESSIONS)
    def rebuild(self, hub: int, session_id: str) -> None:
        self.unchecked.add(session_id)
        session = self.model.sessions.setdefault(session_id, ModelSession())
        broken = {ordinal for ordinal, fact in enumerate(session.log, 1) if fact.timeline_trap and self.faults.timeline}
        refused = bool(broken) and self.model.policies.timeline == "fail"
        if not refused:
            session.timeline.clear()
            session.cursor = len(session.log)
            for ordinal, fact in enumerate(session.log, 1):
                if ordinal not in broken:
                    fold(session.timeline, fact, ordinal)

        async def rebuild(world: World) -> tuple[bool, bool]:
            before = (await world.store.cursors(session_id)).epoch
            try:
                await world.hubs[hub].rebuild_timeline(session_id)
            except ProjectionError as error:
                assert error.event.ordinal == min(broken)
                return True, (await world.store.cursors(session_id)).epoch == before
            return False, (await world.store.cursors(session_id)).epoch == before

        assert self.run(rebuild) == (refused, refused)

    @rule()
    def reopen(self) -> None:
        self.run(lambda world: world.reopen())
        self.unchecked.update(self.model.sessions)

    @invariant()
    def everything_is_the_fold_of_the_log(self) -> None:
        for session_id in sorted(self.unchecked & self.model.sessions.keys() if self.worlds else ()):
            session = self.model.sessions[session_id]
            log = [(number, str(fact.payload())) for number, fact in enumerate(session.log, 1)]
            timeline = {
                (f"{entity_id}", text, created, changed)
                for entity_id, (text, created, changed) in session.timeline.items()
            }

            async def check(world: World, session_id: str = session_id) -> tuple[object, ...]:
                cursors = await world.store.cursors(session_id)
                events = [(e.ordinal, str(e.payload)) for e in await world.store.events(session_id)]
                stored = await world.store.snapshot(session_id)
                for hub in world.hubs:  # from the cache or not: the same
                    served = await hub.snapshot(session_id)
                    assert (served, served.epoch) == (stored, stored.epoch)
                    assert await hub.cursor(session_id) == stored.snapshot_ordinal
                    assert await hub.event_cursor(session_id) == cursors.event
                entities = {
                    (e.id, e.payload.text, e.created_ordinal, e.last_event_ordinal)
                    for e in stored.entities
                    if isinstance(e.payload, ChatMessageEntity)
                }
                return cursors.event, cursors.timeline, events, entities, world.sent.get(session_id, [])

            assert self.run(check) == (len(log), session.cursor, log, timeline, session.sent)
        self.unchecked.clear()

    @invariant()
    def every_attempt_was_observed(self) -> None:
        for world in self.worlds:
            fanned_out = sum(len(record.fanned_out) for record in world.records)
            assert fanned_out == sum(map(len, world.sent.values()))
            assert all(record.ui_error or record.timeline_error for record in world.records if record.error)
            kept = self.runner.run(world.store.error_records())
            assert [(r.kind, r.session_id, r.ordinal, r.error) for r in kept] == [
                (r.kind, r.session_id, r.ordinal, r.error) for r in world.errors
            ]

    def teardown(self) -> None:
        try:
            if self.worlds:
                self.unchecked.update(self.model.sessions)
                self.everything_is_the_fold_of_the_log()
        finally:
            for world in self.worlds:
                self.runner.run(world.close())
            self.runner.close()
            shutil.rmtree(self.directory)


TestHubMachine = HubMachine.TestCase
TestHubMachine.settings = settings(stateful_step_count=30)
