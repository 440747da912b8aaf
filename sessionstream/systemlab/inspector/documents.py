"""What was seen as JSON: keys in camelCase; ordinals and epochs as strings, because a browser would round them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sessionstream import ErrorRecord, ReplayReport
from sessionstream.hydration.sqlite import Payload
from sessionstream.systemlab.inspector.diff import Diff
from sessionstream.systemlab.inspector.seen import SeenEntity, SeenEvent, SeenSession, SeenTimeline
from sessionstream.systemlab.inspector.sources import Source
from sessionstream.transport.ws import ConnectionInfo


def source(found: Source) -> dict[str, Any]:
    """Return a source; ``retry`` says whether its sessions can be retried here."""
    return {"id": found.id, "title": found.title, "kind": found.kind, "retry": found.kind == "hub"}


def session(found: SeenSession) -> dict[str, Any]:
    """Return where a session stands."""
    cursors = found.cursors
    return {
        "sessionId": found.id,
        "eventCursor": str(cursors.event),
        "timelineCursor": str(cursors.timeline),
        "held": cursors.held,
        "floor": str(cursors.floor),
        "epoch": str(cursors.epoch),
    }


def timeline(found: SeenTimeline) -> dict[str, Any]:
    """Return a timeline with its entities."""
    return {
        "snapshotOrdinal": str(found.ordinal),
        "timelineEpoch": str(found.epoch),
        "entities": [entity(each) for each in found.entities],
    }


def entity(found: SeenEntity) -> dict[str, Any]:
    """Return an entity."""
    return {
        "kind": found.kind,
        "id": found.id,
        "createdOrdinal": str(found.created_ordinal),
        "lastEventOrdinal": str(found.last_event_ordinal),
        **payload(found.payload),
    }


def diff(found: Diff) -> dict[str, Any]:
    """Return what became of entities."""
    return {
        "added": [entity(each) for each in found.added],
        "changed": [
            {
                "kind": each.after.kind,
                "id": each.after.id,
                "before": entity(each.before),
                "after": entity(each.after),
            }
            for each in found.changed
        ],
        "removed": [entity(each) for each in found.removed],
    }


def event(found: SeenEvent, seen: SeenSession) -> dict[str, Any]:
    """Return an event of a session; one that is not ``applied`` waits."""
    return {
        "ordinal": str(found.ordinal),
        "eventId": found.event_id,
        "name": found.name,
        "recordedAt": _moment(found.recorded_at),
        "applied": found.ordinal <= seen.cursors.timeline,
        **payload(found.payload),
    }


def error(found: ErrorRecord) -> dict[str, Any]:
    """Return an error record."""
    return {
        "kind": found.kind,
        "sessionId": found.session_id,
        "ordinal": str(found.ordinal),
        "eventName": found.event_name,
        "where": found.where,
        "error": found.error,
        "metadata": dict(found.metadata),
        "recordedAt": _moment(found.recorded_at),
    }


def connection(found: ConnectionInfo, where: Source) -> dict[str, Any]:
    """Return a connection of a source."""
    return {
        "source": where.id,
        "connectionId": found.connection_id,
        "subscriptions": list(found.subscriptions),
        "queueDepth": found.queue_depth,
        "queueBytes": found.queue_bytes,
    }


def replay(found: ReplayReport) -> dict[str, Any]:
    """Return what a retry did."""
    return {
        "sessionId": found.session_id,
        "events": found.events,
        "cursor": str(found.cursor),
        "epoch": str(found.epoch),
    }


def payload(found: Payload) -> dict[str, Any]:
    """Return type, size and protobuf JSON of a payload; in place of the JSON, why there is none."""
    common = {"payloadType": found.type, "payloadBytes": found.size}
    return common | ({"unreadable": found.unreadable} if found.unreadable else {"payload": found.json})


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
