"""What a retry or a rebuild would do: the same, by the app's own hub, on a copy of the session in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sessionstream.admin.app import AppSchemas, Factory, Replay, carry_out, hub_on
from sessionstream.admin.file import look
from sessionstream.admin.payloads import Payload, readable
from sessionstream.admin.questions import one_session
from sessionstream.errors import HistoryPruned, UnknownSchemaError
from sessionstream.hub import ReplayReport
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.sqlite.reads import Reading
from sessionstream.hydration.sqlite.types import ReadTypes
from sessionstream.store import Commit, StoredTimeline, TimelineReplacement, UnreadableEntity

if TYPE_CHECKING:
    from sessionstream.types import Event, TimelineEntity

_Known: TypeAlias = "TimelineEntity | UnreadableEntity"


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


async def rehearse(path: str, session_id: str, factory: Factory, replay: Replay) -> Rehearsal:
    """Retry or rebuild a copy of the session, which fans nothing out, and compare the timelines.

    The copy is held in memory, the file is only read.

    Raises:
        Refused: the file or the app cannot be used.
        Failed: the file has no such session.
        HistoryPruned: it cannot be rebuilt, because its first events are gone.
        SessionstreamError: what the retry or the rebuild would raise.
    """
    schemas = AppSchemas()
    memory = MemoryStore(schemas)
    try:
        hub = await hub_on(memory, schemas, factory)
        try:
            hub.set_fanout(None)
            before, events = look(path, lambda db, _: _state(db, session_id, schemas, replay))
            if replay == "retry" and not events:
                return Rehearsal(ReplayReport(session_id, 0, before.cursors.timeline, before.cursors.epoch), ())
            await _fill(memory, session_id, before, events)
            report = await carry_out(hub, session_id, replay, events[-1].ordinal if events else 0)
            after = await memory.timeline(session_id)
        finally:
            await hub.shutdown()
    finally:
        await memory.close()
    return Rehearsal(report, _differences(before, after))


def _state(
    db: sqlite3.Connection, session_id: str, schemas: AppSchemas, replay: Replay
) -> tuple[StoredTimeline, list[Event]]:
    """Return the timeline and the events that would be applied to it, or to an empty one."""
    cursors = one_session(db, session_id).cursors
    reading = Reading(schemas, ReadTypes(), cursors.epoch)
    timeline = reading.timeline(db, session_id, None)
    if replay == "rebuild":
        if cursors.floor:
            raise HistoryPruned(session_id, 0, cursors.floor)
        return timeline, reading.events(db, session_id, 0, None)
    for entity in timeline.unreadable:
        raise UnknownSchemaError("timeline entity", entity.kind, payload_type=entity.payload_type)
    return timeline, reading.events(db, session_id, cursors.timeline, None)


async def _fill(memory: MemoryStore, session_id: str, before: StoredTimeline, events: Sequence[Event]) -> None:
    """Log the events as such that wait, on top of what the timeline is where they do not begin at the first."""
    ordinal = 0
    for event in events:
        await memory.commit(Commit(session_id, event, (), ordinal, timeline_cursor=0, expected_timeline=0))
        ordinal = event.ordinal
    cursor = before.cursors.timeline
    if events and events[0].ordinal > cursor:
        expected = await memory.cursors(session_id)
        await memory.replace_timeline(TimelineReplacement(session_id, before.entities, cursor, expected))


def _differences(before: StoredTimeline, after: StoredTimeline) -> list[Difference]:
    old, new = _by_key(before), _by_key(after)
    found = []
    for key in sorted({*old, *new}):
        was, will_be = old.get(key), new.get(key)
        if was is None:
            found.append(Difference("added", *key, None, _side(will_be)))
        elif will_be is None:
            found.append(Difference("removed", *key, _side(was), None))
        elif _identity(was) != _identity(will_be):
            found.append(Difference("changed", *key, _side(was), _side(will_be)))
    return found


def _by_key(timeline: StoredTimeline) -> dict[tuple[str, str], _Known]:
    known: list[_Known] = [*timeline.entities, *timeline.unreadable]
    return {(each.kind, each.id): each for each in known}


def _identity(entity: _Known) -> tuple[object, ...]:
    ordinals = (entity.created_ordinal, entity.last_event_ordinal)
    if isinstance(entity, UnreadableEntity) or entity.payload is None:
        return (*ordinals, None)
    return (*ordinals, entity.payload.DESCRIPTOR.full_name, entity.payload.SerializePartialToString(deterministic=True))


def _side(entity: _Known | None) -> Side | None:
    if entity is None:
        return None
    if isinstance(entity, UnreadableEntity):
        payload = Payload(entity.payload_type, 0, None, "the app does not register its message")
    else:
        assert entity.payload is not None  # noqa: S101 - a live one has one
        payload = readable(entity.payload)
    return Side(entity.created_ordinal, entity.last_event_ordinal, payload)
