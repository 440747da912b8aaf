"""Encodes server frames as protobuf JSON. An event is encoded once, for all its subscribers. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from google.protobuf import json_format

from sessionstream.errors import TransportError
from sessionstream.json_form import why_unwritable
from sessionstream.transport.ws.wire.budget import Budget
from sessionstream.transport.ws.wire.codes import ErrorCode
from sessionstream.types import TimelineEntity, UIEvent
from sessionstream.v1.transport_pb2 import EntityChanged, UnreadablePayload

FrameKind: TypeAlias = Literal["control", "ui", "snapshot"]

_UINT32: Final = 0xFFFF_FFFF

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


@dataclass(frozen=True, slots=True)
class Frame:
    """One server frame, ready to be sent.

    Attributes:
        text: the protobuf JSON.
        size: length of ``text`` in UTF-8 bytes.
        kind: how an outbox counts and drops it.
        session_id: the session of a snapshot, a UI event or ``subscribed``; empty for other frames.
    """

    text: str
    size: int
    kind: FrameKind = "control"
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """The UI events of one backend event, as frames that every connection sends."""

    session_id: str
    ordinal: int
    frames: tuple[Frame, ...]

    @property
    def count(self) -> int:
        """Number of the frames."""
        return len(self.frames)

    @property
    def size(self) -> int:
        """UTF-8 bytes of the frames."""
        return sum(frame.size for frame in self.frames)


def hello(connection_id: str) -> Frame:
    """Return the first frame of a connection."""
    return _control("hello", connectionId=connection_id)


def subscribed(session_id: str, since: int, budget: Budget | None = None) -> Frame:
    """Return the frame that ends the answer to a subscribe; ``since`` is the ordinal of that subscribe."""
    told = None if budget is None else _budget(budget)
    body = _set_fields(sessionId=session_id, sinceSnapshotOrdinal=_uint64(since), budget=told)
    return _frame(_dumps({"subscribed": body}), "control", session_id)


def unsubscribed(session_id: str) -> Frame:
    """Return the answer to an unsubscribe."""
    return _control("unsubscribed", sessionId=session_id)


def error(code: ErrorCode, message: str, session_id: str = "", detail: str = "") -> Frame:
    """Return an error frame."""
    return _control("error", code=code.code, message=message, sessionId=session_id, detail=detail)


def ping(nonce: str) -> Frame:
    """Return a ping."""
    return _control("ping", nonce=nonce)


def pong(nonce: str) -> Frame:
    """Return the answer to a ping."""
    return _control("pong", nonce=nonce)


def ui_event(session_id: str, ordinal: int, event: UIEvent) -> Frame:
    """Return the frame of one UI event.

    Raises:
        Unwritable: the payload has no JSON form.
    """
    body = _set_fields(sessionId=session_id, eventOrdinal=_uint64(ordinal), name=event.name)
    body["payload"] = _any(f"UI event {event.name!r}", event.payload)
    return _frame(_dumps({"uiEvent": body}), "ui", session_id)


def entity(of: TimelineEntity) -> str:
    """Return the JSON of one entity of a snapshot.

    Raises:
        Unwritable: the payload has no JSON form.
    """
    body = _set_fields(
        kind=of.kind,
        id=of.id,
        createdOrdinal=_uint64(of.created_ordinal),
        lastEventOrdinal=_uint64(of.last_event_ordinal),
        tombstone=of.tombstone,
    )
    if of.payload is not None:
        body["payload"] = _any(f"timeline entity {of.kind!r} {of.id!r}", of.payload)
    return _dumps(body)


def around_entities(
    session_id: str, ordinal: int, *, has_entities: bool, epoch: int = 0, since: int = 0
) -> tuple[str, str]:
    """Return what stands before and behind the entities in the text of a snapshot frame."""
    head = _dumps(_set_fields(sessionId=session_id, snapshotOrdinal=_uint64(ordinal)))[1:-1]
    tail = _dumps(_set_fields(epoch=_uint64(epoch), since=_uint64(since)))[1:-1]
    fields = ",".join(filter(None, [head, '"entities":[\0]' if has_entities else "", tail]))
    before, _, after = f'{{"snapshot":{{{fields}}}}}'.partition("\0")  # JSON escapes a NUL: there is no other
    return before, after


def _budget(budget: Budget) -> dict[str, object]:
    """Return the JSON of a budget, with numbers limited to the range of their fields."""
    return {
        "framesBurst": min(budget.frames_burst, _UINT32),
        "framesPerSecond": min(float(budget.frames_per_second), float(_UINT32)),
        **_set_fields(subscriptions=min(budget.subscriptions or 0, _UINT32)),
    }


def _control(name: str, **values: object) -> Frame:
    return _frame(_dumps({name: _set_fields(**values)}), "control", "")


def _frame(text: str, kind: FrameKind, session_id: str) -> Frame:
    return Frame(text, len(text) if text.isascii() else len(text.encode()), kind, session_id)


def _set_fields(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value}


def _uint64(number: int) -> str:
    return str(number) if number else ""


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


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
