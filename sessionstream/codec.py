"""Copies and encodes payloads; a Codec holds what is computed once for each message class from its descriptor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf import message_factory

from sessionstream.json_form import MAX_LEVELS, reachable
from sessionstream.types import Event, TimelineEntity, UIEvent, new_entity, new_event, new_ui_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from sessionstream.json_form import Flaw, JsonForms

M = TypeVar("M", bound="Message")

_SAFE_DEPTH: Final = MAX_LEVELS // 2
"""Nesting levels of messages that every protobuf build can parse."""


class Codec:
    """Facts about a message class that follow from its descriptor, and operations that use them.

    Attributes:
        message: the class.
        full_name: full name of the message.
        is_shallow: whether the nesting of its messages is limited, so that each of them can be parsed again.
        may_lack_fields: whether a message may lack a required field.
        is_plain: whether every message of the class is valid, so that a copy is all that ``checked_copy`` has to make.
        find_flaw: returns the first value in a message that has no JSON form, or None. None if all messages have one.
        encode: returns a message as bytes; equal messages give equal bytes within one protobuf build.
    """

    __slots__ = ("encode", "find_flaw", "full_name", "is_plain", "is_shallow", "may_lack_fields", "message")

    def __init__(self, message: type[Message], forms: JsonForms) -> None:
        types = list(reachable(message.DESCRIPTOR))
        open_ended = any(each.is_extendable for each in types)
        self.message: type[Message] = message
        self.full_name: str = message.DESCRIPTOR.full_name
        self.is_shallow: bool = not open_ended and _depth(message.DESCRIPTOR, {}) <= _SAFE_DEPTH
        self.may_lack_fields: bool = open_ended or any(map(_has_required, types))
        self.find_flaw: Callable[[Message], Flaw | None] | None = forms.finder(message.DESCRIPTOR)
        self.is_plain: bool = self.is_shallow and not self.may_lack_fields and self.find_flaw is None
        has_order = open_ended or any(each.GetOptions().map_entry for each in types)
        self.encode: Callable[[Message], bytes] = _encode_sorted if has_order else _encode


def _encode(message: Message) -> bytes:
    return message.SerializePartialToString()


def _encode_sorted(message: Message) -> bytes:
    """Encode a message that may have maps, with their keys in sorted order."""
    return message.SerializePartialToString(deterministic=True)


def copy_message(message: M) -> M:
    """Return a copy that shares nothing with ``message``; unknown fields are kept."""
    return message.__deepcopy__(None)


def copy_event(event: Event) -> Event:
    """Return an equal event whose payload is a copy, without the time of its record."""
    payload = event.payload.__deepcopy__(None)
    return new_event(event.name, payload, event.session_id, event.ordinal, event.event_id, event.metadata)


def copy_ui_event(event: UIEvent) -> UIEvent:
    """Return an equal UI event whose payload is a copy."""
    return new_ui_event(event.name, event.payload.__deepcopy__(None))


def copy_entity(entity: TimelineEntity) -> TimelineEntity:
    """Return an equal entity whose payload is a copy."""
    payload, created, changed = entity.payload, entity.created_ordinal, entity.last_event_ordinal
    copied = None if payload is None else payload.__deepcopy__(None)
    return new_entity(entity.kind, entity.id, copied, created, changed, entity.tombstone)


def _has_required(descriptor: Any) -> bool:
    return not message_factory.GetMessageClass(descriptor)().IsInitialized()


def _depth(descriptor: Any, known: dict[Any, int]) -> int:
    """Return the maximum nesting of messages of a type; more than ``MAX_LEVELS`` if the type is recursive."""
    known[descriptor] = MAX_LEVELS + 1  # a type that occurs within itself is recursive
    inner = {field.message_type for field in descriptor.fields if field.message_type is not None}
    deepest = max((known.get(each) or _depth(each, known) for each in inner), default=0)
    known[descriptor] = 1 + deepest
    return known[descriptor]
