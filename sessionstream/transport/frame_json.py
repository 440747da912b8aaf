"""The protobuf JSON of snapshots and UI events, which is the same on every transport. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from google.protobuf import json_format

from sessionstream.errors import TransportError
from sessionstream.json_form import why_unwritable
from sessionstream.types import TimelineEntity, UIEvent
from sessionstream.v1.transport_pb2 import EntityChanged, UnreadablePayload

_VALUE_IN_ANY: Final = frozenset(
    f"google.protobuf.{name}"
    for name in (
        "Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value",
        "BoolValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value", "StringValue",
        "UInt32Value", "UInt64Value",
    )
)  # fmt: skip
"""Messages with a special JSON form, which stands under the key ``value`` within an Any."""


class Unwritable(TransportError):
    """A payload has no JSON form.

    Attributes:
        shown: the payload to send in its place: an UnreadablePayload, or an EntityChanged that has one.
    """

    def __init__(self, what: str, why: UnreadablePayload, shown: UnreadablePayload | EntityChanged) -> None:
        super().__init__(f"{what} has a {why.type} that cannot be written as JSON: {why.reason}")
        self.shown = shown


def ui_event(session_id: str, ordinal: int, event: UIEvent) -> tuple[str, Unwritable | None]:
    """Return the frame of a UI event; if its payload has no JSON form, one that says so, and the error."""
    try:
        return _ui_event(session_id, ordinal, event), None
    except Unwritable as failure:
        return _ui_event(session_id, ordinal, UIEvent(event.name, failure.shown)), failure


def entity(of: TimelineEntity) -> str:
    """Return the JSON of one entity of a snapshot.

    Raises:
        Unwritable: the payload has no JSON form.
    """
    body = set_fields(
        kind=of.kind,
        id=of.id,
        createdOrdinal=uint64(of.created_ordinal),
        lastEventOrdinal=uint64(of.last_event_ordinal),
        tombstone=of.tombstone,
    )
    if of.payload is not None:
        body["payload"] = _any(f"timeline entity {of.kind!r} {of.id!r}", of.payload)
    return dumps(body)


def around_entities(
    session_id: str, ordinal: int, *, has_entities: bool, epoch: int = 0, since: int = 0
) -> tuple[str, str]:
    """Return what stands before and behind the entities in the text of a snapshot frame."""
    head = dumps(set_fields(sessionId=session_id, snapshotOrdinal=uint64(ordinal)))[1:-1]
    tail = dumps(set_fields(epoch=uint64(epoch), since=uint64(since)))[1:-1]
    fields = ",".join(filter(None, [head, '"entities":[\0]' if has_entities else "", tail]))
    before, _, after = f'{{"snapshot":{{{fields}}}}}'.partition("\0")  # JSON escapes a NUL: there is no other
    return before, after


def error(code: str, message: str, session_id: str = "", detail: str = "") -> str:
    """Return an error frame."""
    return dumps({"error": set_fields(code=code, message=message, sessionId=session_id, detail=detail)})


def set_fields(**values: object) -> dict[str, object]:
    """Return the fields that have a value: protobuf JSON leaves out the others."""
    return {name: value for name, value in values.items() if value}


def uint64(number: int) -> str:
    """Return a 64-bit number as JSON has it: as a string; empty for 0, which is left out."""
    return str(number) if number else ""


def dumps(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ui_event(session_id: str, ordinal: int, event: UIEvent) -> str:
    body = set_fields(sessionId=session_id, eventOrdinal=uint64(ordinal), name=event.name)
    body["payload"] = _any(f"UI event {event.name!r}", event.payload)
    return dumps({"uiEvent": body})


def _any(what: str, payload: Any) -> dict[str, object]:
    """Return the JSON of an Any with ``payload``, without packing it."""
    full_name = payload.DESCRIPTOR.full_name
    try:
        value = json_format.MessageToDict(payload)
    except Exception as failure:  # an Any of an unknown type, or a payload stored by an older version
        why = UnreadablePayload(type=full_name, reason=str(why_unwritable(payload, failure)))
        shown: UnreadablePayload | EntityChanged = why
        if isinstance(payload, EntityChanged):  # clients have to know which entity it is
            why.type = payload.payload.TypeName()
            shown = EntityChanged()
            shown.CopyFrom(payload)
            shown.payload.Pack(why)
        raise Unwritable(what, why, shown) from failure
    type_url = f"type.googleapis.com/{full_name}"
    if full_name in _VALUE_IN_ANY:
        return {"@type": type_url, "value": value}
    return {"@type": type_url, **value}
