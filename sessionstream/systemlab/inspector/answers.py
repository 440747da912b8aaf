"""JSON documents that only the inspector uses; those for the contents of a store are in ``sessionstream.documents``."""

from __future__ import annotations

from typing import Any

from sessionstream import ReplayReport, documents
from sessionstream.hydration.stored import StoredSession
from sessionstream.systemlab.inspector.diff import ABSENT, Change, Diff, Field
from sessionstream.systemlab.inspector.seen import Position, SeenEntity, SeenTimeline
from sessionstream.systemlab.inspector.sources import Source
from sessionstream.transport.ws import ConnectionInfo


def source(found: Source) -> dict[str, Any]:
    """Return a source."""
    return {"id": found.id, "title": found.title, "kind": found.kind}


def session(found: StoredSession) -> dict[str, Any]:
    """Return where a session stands, with its counts and its last error."""
    last = None if found.last_error is None else documents.error(found.last_error)
    more = {"waiting": found.waiting, "entities": found.entities, "lastError": last}
    return documents.session(found.id, found.cursors) | more


def timeline(found: SeenTimeline) -> dict[str, Any]:
    """Return a timeline with its entities."""
    return {
        "snapshotOrdinal": str(found.ordinal),
        "timelineEpoch": str(found.epoch),
        "entities": [documents.entity(each, each.payload) for each in found.entities],
    }


def position(found: Position) -> dict[str, Any]:
    """Return a position among the events of a session."""
    return {"index": found.index, "count": found.count, "ordinal": str(found.ordinal), "event": found.event}


def diff(found: Diff) -> dict[str, Any]:
    """Return the differences between two timelines."""
    return {
        "added": [documents.entity(each, each.payload) for each in found.added],
        "changed": [_change(each) for each in found.changed],
        "removed": [documents.entity(each, each.payload) for each in found.removed],
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
    """Return the result of a retry."""
    return {
        "sessionId": found.session_id,
        "events": found.events,
        "cursor": str(found.cursor),
        "epoch": str(found.epoch),
    }


def _change(found: Change) -> dict[str, Any]:
    return {
        "kind": found.after.kind,
        "id": found.after.id,
        "before": _without_payload(found.before),
        "after": _without_payload(found.after),
        "fields": [_field(each) for each in found.fields],
    }


def _without_payload(found: SeenEntity) -> dict[str, Any]:
    document = documents.entity(found, found.payload)
    document.pop("payload", None)  # the fields have what differs in it
    return document


def _field(found: Field) -> dict[str, Any]:
    sides = {"before": found.before, "after": found.after}
    return {"path": found.path, **{side: value for side, value in sides.items() if value is not ABSENT}}
