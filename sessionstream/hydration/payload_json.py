"""Decodes payloads with the schemas that a store keeps, without the app's code, and shows them as JSON.

Each payload type of the store has its own descriptor pool: it may hold several schemas of one message, from before and
after it got another field, and a pool holds only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from sessionstream.errors import error_text

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.hydration.stored import PayloadType, StoredPayload


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload as JSON.

    Attributes:
        type: full name of its message.
        size: bytes in binary form.
        json: its protobuf JSON, parsed; None if it is unreadable.
        unreadable: why there is no JSON; empty if there is.
    """

    type: str
    size: int
    json: Any
    unreadable: str = ""


class UndecodablePayload(Exception):
    """A payload cannot be decoded with the schema that the store keeps for it."""


@dataclass(frozen=True, slots=True)
class _Type:
    message: type[Message] | None
    pool: descriptor_pool.DescriptorPool | None
    unreadable: str = ""


class Payloads:
    """Decodes the payloads of one store; the class of each payload type is made when it is first needed."""

    def __init__(self) -> None:
        self._types: dict[PayloadType, _Type] = {}

    def message(self, payload: StoredPayload) -> Message:
        """Return a payload as a message of the schema it was written with.

        Raises:
            UndecodablePayload: the schema is missing or damaged, or the bytes are not such a message.
        """
        known = self._type(payload.type)
        if known.message is None:
            raise UndecodablePayload(known.unreadable)
        try:
            return known.message.FromString(payload.data)
        except DecodeError as error:
            raise UndecodablePayload(error_text(error)) from error

    def read(self, payload: StoredPayload) -> Payload:
        """Return a payload as JSON, or why it has none."""
        name, size = payload.type.name or f"type {payload.type.number}", len(payload.data)
        try:
            message = self.message(payload)
        except UndecodablePayload as error:
            return Payload(name, size, None, str(error))
        return _readable(message, size, self._type(payload.type).pool)

    def _type(self, kind: PayloadType) -> _Type:
        known = self._types.get(kind)
        if known is None:
            known = self._types[kind] = _load(kind)
        return known


def readable(message: Message) -> Payload:
    """Return a message of the app as JSON."""
    return _readable(message, message.ByteSize(), None)


def _readable(message: Message, size: int, pool: descriptor_pool.DescriptorPool | None) -> Payload:
    """Return a message as JSON; the types of its ``Any`` fields are looked up in the pool."""
    name = message.DESCRIPTOR.full_name
    try:
        return Payload(name, size, json_format.MessageToDict(message, descriptor_pool=pool))
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:  # no JSON for it: an unknown Any, say
        return Payload(name, size, None, error_text(error))


def _load(kind: PayloadType) -> _Type:
    if not kind.name:
        return _Type(None, None, "the store does not say what that is")
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in descriptor_pb2.FileDescriptorSet.FromString(kind.descriptors).file:
            pool.Add(file)
        message = message_factory.GetMessageClass(pool.FindMessageTypeByName(kind.name))
    except (DecodeError, KeyError, TypeError, ValueError) as error:
        return _Type(None, None, f"its schema cannot be read: {error_text(error)}")
    return _Type(message, pool)
