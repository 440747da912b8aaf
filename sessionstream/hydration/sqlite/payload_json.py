"""Payloads made readable with the schemas that the file keeps, without the app's code.

Each payload type of the file gets a descriptor pool of its own: the same message may be there more than once, as it
was before and after it got another field, and a pool holds a file but once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from sessionstream.errors import words

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.hydration.sqlite.inspection import PayloadType, StoredPayload


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload for people.

    Attributes:
        type: full name of its message.
        size: bytes in binary form.
        json: its protobuf JSON, parsed; meaningless where it is unreadable.
        unreadable: why there is no JSON; empty where there is.
    """

    type: str
    size: int
    json: Any
    unreadable: str = ""


class UndecodablePayload(Exception):
    """The file's own schema does not make a message of a payload."""


@dataclass(frozen=True, slots=True)
class _Type:
    message: type[Message] | None
    pool: descriptor_pool.DescriptorPool | None
    unreadable: str = ""


class Payloads:
    """The payload types of one file, each made into a class when it is first met."""

    def __init__(self) -> None:
        self._types: dict[PayloadType, _Type] = {}

    def message(self, payload: StoredPayload) -> Message:
        """Return a payload as a message of the very schema it was written with.

        Raises:
            UndecodablePayload: the schema is missing or damaged, or the bytes are no such message.
        """
        known = self._type(payload.type)
        if known.message is None:
            raise UndecodablePayload(known.unreadable)
        try:
            return known.message.FromString(payload.data)
        except DecodeError as error:
            raise UndecodablePayload(words(error)) from error

    def read(self, payload: StoredPayload) -> Payload:
        """Return a payload for people; whatever is wrong with it is in there."""
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
    """Return a message of the app for people."""
    return _readable(message, message.ByteSize(), None)


def _readable(message: Message, size: int, pool: descriptor_pool.DescriptorPool | None) -> Payload:
    """Return a message for people; the types of its ``Any`` fields are looked up in the pool."""
    name = message.DESCRIPTOR.full_name
    try:
        return Payload(name, size, json_format.MessageToDict(message, descriptor_pool=pool))
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:  # no JSON for it: an unknown Any, say
        return Payload(name, size, None, words(error))


def _load(kind: PayloadType) -> _Type:
    if not kind.name:
        return _Type(None, None, "the file does not say what that is")
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in descriptor_pb2.FileDescriptorSet.FromString(kind.descriptors).file:
            pool.Add(file)
        message = message_factory.GetMessageClass(pool.FindMessageTypeByName(kind.name))
    except (DecodeError, KeyError, TypeError, ValueError) as error:
        return _Type(None, None, f"its schema cannot be read: {words(error)}")
    return _Type(message, pool)
