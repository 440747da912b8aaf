"""Answers as JSON documents: keys in camelCase, ordinals and epochs as strings, as in protobuf JSON."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from sessionstream.admin.rehearsal import Difference, Side
from sessionstream.hydration.sqlite import Payload, Payloads, StoredEntity, StoredEvent, StoredSession, StoredSnapshot
from sessionstream.observe import ErrorRecord


def session(state: StoredSession) -> dict[str, Any]:
    """Return where a session stands."""
    cursors = state.cursors
    return {
        "sessionId": state.id,
        "eventCursor": str(cursors.event),
        "timelineCursor": str(cursors.timeline),
        "held": cursors.held,
        "waiting": state.waiting,
        "entities": state.entities,
        "floor": str(cursors.floor),
        "epoch": str(cursors.epoch),
        "lastError": None if state.last_error is None else error(state.last_error),
    }


def timeline(found: StoredSnapshot, payloads: Payloads) -> dict[str, Any]:
    """Return a timeline with its entities."""
    return {
        "snapshotOrdinal": str(found.ordinal),
        "epoch": str(found.epoch),
        "entities": [_entity(each, payloads) for each in found.entities],
    }


def event(found: StoredEvent, applied: bool, payloads: Payloads) -> dict[str, Any]:
    """Return an event of the log; one that is not ``applied`` waits."""
    return {
        "ordinal": str(found.ordinal),
        "eventId": found.event_id,
        "name": found.name,
        "recordedAt": _moment(found.recorded_at),
        "applied": applied,
        **payload(payloads.read(found.payload)),
    }


def error(record: ErrorRecord, *, with_traceback: bool = False) -> dict[str, Any]:
    """Return an error record; the raw message is in base64, as bytes are in protobuf JSON."""
    found = {
        "kind": record.kind,
        "sessionId": record.session_id,
        "ordinal": str(record.ordinal),
        "eventName": record.event_name,
        "where": record.where,
        "error": record.error,
        "rawMessage": base64.b64encode(record.raw_message).decode(),
        "metadata": dict(record.metadata),
        "recordedAt": _moment(record.recorded_at),
    }
    return found | {"traceback": record.traceback} if with_traceback else found


def payload(found: Payload) -> dict[str, Any]:
    """Return type, size and protobuf JSON of a payload; in place of the JSON, why there is none."""
    common = {"payloadType": found.type, "payloadBytes": found.size}
    return common | ({"unreadable": found.unreadable} if found.unreadable else {"payload": found.json})


def difference(found: Difference) -> dict[str, Any]:
    """Return what becomes of an entity."""
    return {
        "change": found.change,
        "kind": found.kind,
        "id": found.id,
        "before": _side(found.before),
        "after": _side(found.after),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {"createdOrdinal": str(side.created), "lastEventOrdinal": str(side.changed), **payload(side.payload)}


def _entity(found: StoredEntity, payloads: Payloads) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "id": found.id,
        "createdOrdinal": str(found.created_ordinal),
        "lastEventOrdinal": str(found.last_event_ordinal),
        **payload(payloads.read(found.payload)),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
