"""Decodes JSON payloads to the messages of a registry. Pure."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, Literal

from google.protobuf import any_pb2, json_format

from sessionstream.errors import error_text
from sessionstream.schema import SchemaRegistry
from sessionstream.transport.ws.client.errors import UnexpectedPayload
from sessionstream.transport.ws.client.frames import UIEventFrame
from sessionstream.transport.ws.client.updates import JsonEntity, JsonSnapshot, LiveEvent
from sessionstream.types import Snapshot, TimelineEntity
from sessionstream.v1 import transport_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message


_UNREADABLE: Final = transport_pb2.UnreadablePayload.DESCRIPTOR.full_name

_LEVELS: Final = 200
"""Deepest nesting of messages in JSON; protobuf's limit for its binary form is 100."""


class PayloadDecoder:
    """Makes the updates for users; they share no objects with what the client holds.

    A payload whose name or kind the registry does not have stays JSON, because the server may be newer than the client.
    Otherwise it must be the registered message; its unknown fields are dropped. A payload that the server could not
    encode is a ``sessionstream.v1.transport_pb2.UnreadablePayload``, whatever the registry has.
    """

    __slots__ = ("_schemas",)

    def __init__(self, schemas: SchemaRegistry | None) -> None:
        self._schemas = schemas

    def event(self, happened: UIEventFrame) -> LiveEvent:
        """Return the update of a UI event.

        Raises:
            UnexpectedPayload: the payload is not the registered message.
        """
        payload = happened.payload
        expected = None
        if self._schemas is not None:
            expected = _expected(payload, self._schemas.ui_event_schema(happened.name))
        if expected is None:
            return LiveEvent(happened.ordinal, happened.name, payload)
        message = _message(happened.session_id, "ui event", happened.name, expected, payload)
        return LiveEvent(happened.ordinal, happened.name, message)

    def snapshot(self, held: JsonSnapshot) -> Snapshot:
        """Return the update of a snapshot.

        Raises:
            UnexpectedPayload: a payload is not the message that is registered for the entity's kind.
        """
        if self._schemas is None:
            entities = tuple(map(_copied, held.entities))
            return JsonSnapshot(held.session_id, held.snapshot_ordinal, entities, held.epoch)
        typed = tuple(self._entity(held.session_id, self._schemas, entity) for entity in held.entities)
        return Snapshot(held.session_id, held.snapshot_ordinal, typed, held.epoch)

    def _entity(self, session_id: str, schemas: SchemaRegistry, held: JsonEntity) -> TimelineEntity:
        """Return an entity with its payload as a message, if its kind is registered."""
        expected = _expected(held.payload, schemas.timeline_entity_schema(held.kind))
        if expected is None:
            return _copied(held)
        message = _message(session_id, "timeline entity", held.kind, expected, held.payload)
        return TimelineEntity(held.kind, held.id, message, held.created_ordinal, held.last_event_ordinal)


def _copied(held: JsonEntity) -> JsonEntity:
    return JsonEntity(held.kind, held.id, copy.deepcopy(held.payload), held.created_ordinal, held.last_event_ordinal)


def _expected(payload: dict[str, Any] | None, registered: type[Message] | None) -> type[Message] | None:
    """Return the message class to decode a payload as; None leaves it as JSON."""
    return transport_pb2.UnreadablePayload if _type_of(payload or {}) == _UNREADABLE else registered


def _type_of(payload: dict[str, Any]) -> str:
    """Return the full name of the message in a JSON payload; empty if it has none."""
    type_url = payload.get("@type")
    return type_url.rpartition("/")[2] if isinstance(type_url, str) else ""


def _message(
    session_id: str,
    family: Literal["ui event", "timeline entity"],
    name: str,
    expected: type[Message],
    payload: dict[str, Any],
) -> Message:
    """Decode a payload as a message; raise UnexpectedPayload if it is another."""
    descriptor: Any = expected.DESCRIPTOR
    wanted: str = descriptor.full_name
    if _type_of(payload) != wanted:
        raise UnexpectedPayload(session_id, family, name, wanted, f"it is of type {payload.get('@type')!r}")
    packed = any_pb2.Any()
    message = expected()
    try:
        json_format.ParseDict(
            payload,
            packed,
            ignore_unknown_fields=True,
            descriptor_pool=descriptor.file.pool,
            max_recursion_depth=_LEVELS,
        )
    except Exception as failure:  # the parser may raise anything on untrusted JSON
        raise UnexpectedPayload(session_id, family, name, wanted, error_text(failure)) from failure
    message.MergeFromString(packed.value)
    return message
