"""Entities that cannot be read: their replacements in snapshots, and their error records."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sessionstream.errors import OrdinalConflict, TransportError
from sessionstream.hub.completion import Completion
from sessionstream.hub.reporting import record_of
from sessionstream.hub.timeline import shown
from sessionstream.hydration.rules import check_floor
from sessionstream.hydration.slices import all_in_order
from sessionstream.types import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessionstream.hub.reporting import Reporter
    from sessionstream.store import HydrationStore
    from sessionstream.types import TimelineEntity

REMEMBERED: Final = 10_000
"""How many recorded entities are remembered; beyond that, the oldest may be recorded again."""


async def stored_states(store: HydrationStore, session_id: str, since: int | None) -> Snapshot:
    """Return a snapshot from the store, with an UnreadablePayload in place of each payload that cannot be read.

    Raises:
        HistoryPruned: the changes ``since`` were pruned.
        OrdinalConflict: the timeline was rebuilt or pruned meanwhile, so that the changes ``since`` are not known.
        StoreError: the store failed.
    """
    known = None
    if since is not None:
        cursors = await store.cursors(session_id)
        check_floor(session_id, cursors.floor, since)
        known = replace(cursors, timeline=min(since, cursors.timeline))
    stored = await store.timeline(session_id, known=known)
    if known is not None and stored.since != known.timeline:
        raise OrdinalConflict(session_id, expected=known, actual=stored.cursors)
    entities = await all_in_order([*stored.entities, *map(shown, stored.unreadable)])
    return Snapshot(session_id, stored.cursors.timeline, tuple(entities), stored.cursors.epoch, since)


class UnreadableEntities:
    """Records each entity that cannot be read once for all clients, until an event changes it."""

    __slots__ = ("_recorded", "_report")

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._recorded: dict[tuple[str, str, str, int], None] = {}

    async def record(self, session_id: str, entities: Iterable[TimelineEntity]) -> None:
        """Record entities whose payload is an UnreadablePayload, with one record for each kind and reason."""
        alike: dict[tuple[str, str, str], list[TimelineEntity]] = {}
        for entity in entities:
            if self._is_new(session_id, entity):
                payload: Any = entity.payload
                alike.setdefault((entity.kind, payload.type, payload.reason), []).append(entity)
        completion = Completion()
        for (kind, payload_type, reason), (first, *others) in alike.items():
            more = f" and {len(others)} more" if others else ""
            what = f"timeline entity {kind!r} {first.id!r}{more}"
            error = TransportError(f"{what} cannot be shown to clients, stored as {payload_type}: {reason}")
            facts = {"entityKind": kind, "entityId": first.id, "entities": str(1 + len(others))}
            facts["payloadType"] = payload_type
            record = record_of("fanout", session_id, first.last_event_ordinal, "", error, metadata=facts)
            await self._report.error(record, error, completion)
        completion.checkpoint()

    def _is_new(self, session_id: str, entity: TimelineEntity) -> bool:
        key = (session_id, entity.kind, entity.id, entity.last_event_ordinal)
        if key in self._recorded:
            return False
        self._recorded[key] = None
        if len(self._recorded) > REMEMBERED:
            del self._recorded[next(iter(self._recorded))]
        return True
