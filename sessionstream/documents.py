"""Builds JSON documents of a store's contents, for the operator's command and the lab's inspector.

Keys are in camelCase. Ordinals and epochs are strings, as in protobuf JSON, because JavaScript would round numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sessionstream.hydration.payload_json import Payload
from sessionstream.observe import ErrorRecord
from sessionstream.store import Cursors


class _Entity(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def created_ordinal(self) -> int: ...
    @property
    def last_event_ordinal(self) -> int: ...


class _Event(Protocol):
    @property
    def ordinal(self) -> int: ...
    @property
    def event_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def recorded_at(self) -> datetime | None: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...


def session(session_id: str, cursors: Cursors) -> dict[str, Any]:
    """Return the cursors of a session."""
    return {
        "sessionId": session_id,
        "eventCursor": str(cursors.event),
        "timelineCursor": str(cursors.timeline),
        "held": cursors.held,
        "floor": str(cursors.floor),
        "epoch": str(cursors.epoch),
    }


def entity(found: _Entity, shown: Payload) -> dict[str, Any]:
    """Return an entity with its payload."""
    return {
        "kind": found.kind,
        "id": found.id,
        "createdOrdinal": str(found.created_ordinal),
        "lastEventOrdinal": str(found.last_event_ordinal),
        **payload(shown),
    }


def event(found: _Event, shown: Payload, *, cursor: int) -> dict[str, Any]:
    """Return an event of the log with its payload; it is ``applied`` up to the timeline ``cursor``."""
    return {
        "ordinal": str(found.ordinal),
        "eventId": found.event_id,
        "name": found.name,
        "recordedAt": _time(found.recorded_at),
        "applied": found.ordinal <= cursor,
        "metadata": dict(found.metadata),
        **payload(shown),
    }


def error(record: ErrorRecord) -> dict[str, Any]:
    """Return an error record without its raw message and its traceback."""
    return {
        "kind": record.kind,
        "sessionId": record.session_id,
        "ordinal": str(record.ordinal),
        "eventName": record.event_name,
        "where": record.where,
        "error": record.error,
        "metadata": dict(record.metadata),
        "recordedAt": _time(record.recorded_at),
    }


def payload(found: Payload) -> dict[str, Any]:
    """Return type, size and protobuf JSON of a payload, or the reason why it cannot be read."""
    common = {"payloadType": found.type, "payloadBytes": found.size}
    return common | ({"unreadable": found.unreadable} if found.unreadable else {"payload": found.json})


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
