"""Values with payloads of their own, for whoever may change or keep them."""

from __future__ import annotations

from sessionstream.schema import copy_message
from sessionstream.types import Event, TimelineEntity, UIEvent


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
