"""Dry run of a retry or a rebuild: the app's hub does it on copies of sessions in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sessionstream.admin.app import AppSchemas, Factory, Replay, carry_out, hub_on
from sessionstream.admin.looking import look, one_session
from sessionstream.admin.outcome import Failed
from sessionstream.errors import HistoryPruned
from sessionstream.hub import Hub, ReplayReport
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.payload_json import Payload, Payloads, UndecodablePayload, readable
from sessionstream.hydration.stored import StoredState
from sessionstream.store import Commit, Cursors, StoredTimeline, TimelineReplacement, UnreadableEntity
from sessionstream.types import Event, TimelineEntity

_Known: TypeAlias = TimelineEntity | UnreadableEntity


@dataclass(frozen=True, slots=True)
class Side:
    """An entity as it is, or as it would be."""

    created: int
    changed: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class Difference:
    """What would become of one entity."""

    change: Literal["added", "changed", "removed"]
    kind: str
    id: str
    before: Side | None
    after: Side | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a retry or a rebuild would do."""

    report: ReplayReport
    differences: Sequence[Difference]


class Stage:
    """The app's hub on a store in memory, where copies of sessions are retried or rebuilt; nothing is fanned out."""

    def __init__(self, hub: Hub, memory: MemoryStore) -> None:
        """Not for callers: use ``stage``."""
        self._hub = hub
        self._memory = memory

    async def rehearse(
        self, location: str, session_id: str, replay: Replay, progress: Callable[[int], object] | None = None
    ) -> Rehearsal:
        """Retry or rebuild a copy of a session, once each, and compare the timelines.

        The store is only read. Its payloads are decoded with its own schemas, so that the app fails to read what it
        would fail to read in the store.

        Args:
            progress: called from time to time with the number of events that are applied.

        Raises:
            Refused: the store cannot be used, or the app's hub is not on the store that it was given.
            Failed: the store has no such session, or holds a payload that its own schemas cannot decode.
            HistoryPruned: it cannot be rebuilt, because its first events were pruned.
            SessionstreamError: what the retry or the rebuild would raise.
        """
        copy = await asyncio.to_thread(look, location, lambda state: _copied(state, session_id, replay))
        if not copy.events:
            cursors = copy.cursors
            return Rehearsal(ReplayReport(session_id, 0, cursors.event, cursors.epoch), ())
        memory = self._memory
        try:
            await copy.put_into(memory)
            before = await memory.timeline(session_id)
            report = await carry_out(self._hub, session_id, replay, copy.events[-1].ordinal, progress)
            return Rehearsal(report, _differences(before, await memory.timeline(session_id)))
        finally:
            await memory.delete_session(session_id)


@asynccontextmanager
async def stage(factory: Factory) -> AsyncIterator[Stage]:
    """Let the app make its hub on a store in memory; shut both down at the end.

    Raises:
        Refused: the app cannot be used.
    """
    schemas = AppSchemas()
    memory = MemoryStore(schemas)
    try:
        hub = await hub_on(memory, schemas, factory)
        try:
            hub.set_fanout(None)
            yield Stage(hub, memory)
        finally:
            await hub.shutdown()
    finally:
        await memory.close()


async def rehearse(
    location: str,
    session_id: str,
    factory: Factory,
    replay: Replay,
    progress: Callable[[int], object] | None = None,
) -> Rehearsal:
    """Retry or rebuild a copy of one session; see ``Stage.rehearse``, and ``stage``, which say what is raised."""
    async with stage(factory) as made:
        return await made.rehearse(location, session_id, replay, progress)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What of a session is copied.

    Attributes:
        entities: its timeline.
        events: those that would be applied to it, or to an empty one.
    """

    session_id: str
    cursors: Cursors
    entities: Sequence[TimelineEntity]
    events: Sequence[Event]

    async def put_into(self, memory: MemoryStore) -> None:
        """Log the events as waiting ones, and put the timeline beside them."""
        ordinal = 0
        for event in self.events:
            await memory.commit(Commit(self.session_id, event, (), ordinal, timeline_cursor=0, expected_timeline=0))
            ordinal = event.ordinal
        expected = await memory.cursors(self.session_id)
        replacement = TimelineReplacement(self.session_id, self.entities, self.cursors.timeline, expected)
        await memory.replace_timeline(replacement)


def _copied(state: StoredState, session_id: str, replay: Replay) -> _Copy:
    cursors, payloads = one_session(state, session_id).cursors, Payloads()
    if replay == "rebuild" and cursors.floor:
        raise HistoryPruned(session_id, 0, cursors.floor)
    after = 0 if replay == "rebuild" else cursors.timeline
    try:
        entities = [
            TimelineEntity(
                each.kind,
                each.id,
                payloads.message(each.payload),
                each.created_ordinal,
                each.last_event_ordinal,
            )
            for each in state.timeline(session_id).entities
        ]
        events = [
            Event(each.name, payloads.message(each.payload), session_id, each.ordinal, each.event_id, each.metadata)
            for each in state.events(session_id, after=after)
        ]
    except UndecodablePayload as error:
        raise Failed(f"session {session_id!r} has a payload that cannot be copied: {error}") from error
    return _Copy(session_id, cursors, entities, events)


def _differences(before: StoredTimeline, after: StoredTimeline) -> list[Difference]:
    old, new = _by_key(before), _by_key(after)
    found = []
    for key in sorted({*old, *new}):
        was, will_be = old.get(key), new.get(key)
        if was is not None and will_be is not None:
            if _identity(was) != _identity(will_be):
                found.append(Difference("changed", *key, _side(was), _side(will_be)))
        elif will_be is not None:
            found.append(Difference("added", *key, None, _side(will_be)))
        elif was is not None:
            found.append(Difference("removed", *key, _side(was), None))
    return found


def _by_key(timeline: StoredTimeline) -> dict[tuple[str, str], _Known]:
    known: list[_Known] = [*timeline.entities, *timeline.unreadable]
    return {(each.kind, each.id): each for each in known}


def _identity(entity: _Known) -> tuple[object, ...]:
    ordinals = (entity.created_ordinal, entity.last_event_ordinal)
    if isinstance(entity, UnreadableEntity) or entity.payload is None:
        return (*ordinals, None)
    return (*ordinals, entity.payload.DESCRIPTOR.full_name, entity.payload.SerializePartialToString(deterministic=True))


def _side(entity: _Known) -> Side:
    if isinstance(entity, UnreadableEntity):
        payload = Payload(entity.payload_type, 0, None, "the app does not register its message")
    else:
        assert entity.payload is not None  # noqa: S101 - a live one has one
        payload = readable(entity.payload)
    return Side(entity.created_ordinal, entity.last_event_ordinal, payload)
