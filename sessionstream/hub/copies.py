"""Values with payloads of their own, for whoever may change or keep them."""

from __future__ import annotations

from sessionstream.hydration.slices import each_in_order
from sessionstream.schema import copy_message
from sessionstream.types import Event, Snapshot, TimelineEntity, UIEvent


def copy_event(event: Event) -> Event:
    """Return an equal event whose payload is a copy."""
    return Event(event.name, copy_message(event.payload), event.session_id, event.ordinal, event.event_id)


def copy_ui_event(event: UIEvent) -> UIEvent:
    """Return an equal UI event whose payload is a copy."""
    return UIEvent(event.name, copy_message(event.payload))


def copy_entity(entity: TimelineEntity) -> TimelineEntity:
    """Return an equal entity whose payload is a copy."""
    payload = entity.payload
    return TimelineEntity(
        entity.kind,
        entity.id,
        None if payload is None else copy_message(payload),
        entity.created_ordinal,
        entity.last_event_ordinal,
        entity.tombstone,
    )


async def copy_snapshot(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot of copies, in snapshot order, whatever the order was; others run in between."""
    entities = tuple(await each_in_order(snapshot.entities, copy_entity))
    return Snapshot(snapshot.session_id, snapshot.snapshot_ordinal, entities, snapshot.epoch)
