"""Sessions to test stores with: a schema registry, and a writer that keeps the expected contents of the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from google.protobuf import wrappers_pb2

from sessionstream.examples.chatdemo.v1 import chat_pb2
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Commit, Cursors, HydrationStore
from sessionstream.types import Event, TimelineEntity, in_snapshot_order

if TYPE_CHECKING:
    from google.protobuf.message import Message

EVENT: Final = "Delta"
KIND: Final = "Message"
OTHER_EVENT: Final = "Note"
OTHER_KIND: Final = "Label"


def sample_registry() -> SchemaRegistry:
    """Return a registry of two events and two kinds of entities, with four different messages."""
    registry = SchemaRegistry()
    registry.register_event(EVENT, chat_pb2.TokensDeltaEvent)
    registry.register_event(OTHER_EVENT, wrappers_pb2.BytesValue)
    registry.register_timeline_entity(KIND, chat_pb2.ChatMessageEntity)
    registry.register_timeline_entity(OTHER_KIND, wrappers_pb2.StringValue)
    return registry


def put(entity_id: str, text: str = "", *, kind: str = KIND) -> TimelineEntity:
    """Return an entity as a projection returns it."""
    payload: Message
    if kind == KIND:
        payload = chat_pb2.ChatMessageEntity(message_id=entity_id, text=text)
    else:
        payload = wrappers_pb2.StringValue(value=text)
    return TimelineEntity(kind, entity_id, payload)


def drop(entity_id: str, *, kind: str = KIND) -> TimelineEntity:
    """Return the deletion of an entity as a projection returns it."""
    return TimelineEntity(kind, entity_id, None, tombstone=True)


class SessionWriter:
    """Writes one session, as a hub does, and keeps its expected contents in lists and dicts.

    Attributes:
        event, timeline: the cursors.
        events: the logged events.
        states: the live entities of the timeline after each ordinal that moved it.
    """

    def __init__(self, store: HydrationStore, session_id: str = "session") -> None:
        self.store = store
        self.session_id = session_id
        self.event: int = 0
        self.timeline: int = 0
        self.events: list[Event] = []
        self.states: dict[int, dict[tuple[str, str], TimelineEntity]] = {0: {}}

    def new_event(self, ordinal: int | None = None, event_id: str = "", text: str = "") -> Event:
        """Return an event that may be logged next."""
        ordinal = self.event + 1 if ordinal is None else ordinal
        payload = chat_pb2.TokensDeltaEvent(chunk=text or f"chunk {ordinal}")
        return Event(EVENT, payload, self.session_id, ordinal, event_id or f"event-{ordinal}")

    def step(
        self, *entities: TimelineEntity, ordinal: int | None = None, event_id: str = "", epoch: int | None = None
    ) -> Commit:
        """Return the commit of the next event with the entities that it changes."""
        event = self.new_event(ordinal, event_id)
        placed = self.placed(entities, event.ordinal)
        return Commit(self.session_id, event, placed, self.event, event.ordinal, self.timeline, expected_epoch=epoch)

    def waiting(self, *, event_id: str = "") -> Commit:
        """Return the commit of an event that is not applied, because the session is held."""
        return Commit(self.session_id, self.new_event(event_id=event_id), (), self.event, self.timeline, self.timeline)

    def resumption(self, *entities: TimelineEntity) -> Commit:
        """Return the commit that applies the first event that is not applied yet."""
        ordinal = next(event.ordinal for event in self.events if event.ordinal > self.timeline)
        placed = self.placed(entities, ordinal)
        return Commit(self.session_id, None, placed, self.event, ordinal, self.timeline)

    async def commit(self, commit: Commit) -> None:
        """Commit to the store and, if that succeeds, ``remember`` the commit."""
        await self.store.commit(commit)
        self.remember(commit)

    async def log(self, *entities: TimelineEntity, ordinal: int | None = None, event_id: str = "") -> None:
        """Commit the next event with the entities that it changes."""
        await self.commit(self.step(*entities, ordinal=ordinal, event_id=event_id))

    def remember(self, commit: Commit) -> None:
        """Apply a commit that succeeded to the expected contents."""
        if commit.event is not None:
            self.events.append(commit.event)
        self.event, self.timeline = commit.event_cursor, commit.timeline_cursor
        before = max(known for known in self.states if known <= self.timeline)
        self.states[self.timeline] = _changed(self.states[before].values(), commit.entities)

    def at(self, ordinal: int) -> tuple[TimelineEntity, ...]:
        """Return the timeline as it stood right after ``ordinal``."""
        known = max(known for known in self.states if known <= ordinal)
        return tuple(in_snapshot_order(self.states[known].values()))

    async def cursors(self) -> Cursors:
        """Return the cursors in the store."""
        return await self.store.cursors(self.session_id)

    def placed(self, entities: Iterable[TimelineEntity], ordinal: int) -> tuple[TimelineEntity, ...]:
        """Return the entities with the ordinals that the pipeline would set."""
        present = self.states[self.timeline]
        placed = []
        for entity in entities:
            before = present.get((entity.kind, entity.id))
            created = ordinal if before is None else before.created_ordinal
            placed.append(replace(entity, created_ordinal=created, last_event_ordinal=ordinal))
        return tuple(placed)


def applied(old: Iterable[TimelineEntity], changes: Iterable[TimelineEntity]) -> tuple[TimelineEntity, ...]:
    """Return the entities of a client that held ``old`` and applied ``changes``, the answer to ``since``."""
    return tuple(in_snapshot_order(_changed(old, changes).values()))


def texts(entities: Iterable[TimelineEntity]) -> dict[str, str]:
    """Return the texts of message entities by their ids."""
    return {
        entity.id: entity.payload.text for entity in entities if isinstance(entity.payload, chat_pb2.ChatMessageEntity)
    }


def _changed(old: Iterable[TimelineEntity], changes: Iterable[TimelineEntity]) -> dict[tuple[str, str], TimelineEntity]:
    """Return the live entities by kind and id, after changes with tombstones."""
    state = {(entity.kind, entity.id): entity for entity in (*old, *changes)}
    return {key: entity for key, entity in state.items() if not entity.tombstone}
