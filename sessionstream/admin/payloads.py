"""Payloads made readable with the schemas that the file keeps, without the app's code.

Each payload type of the file gets a descriptor pool of its own: the same message may be there more than once, as it
was before and after it got another field, and a pool holds a file but once.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from sessionstream.errors import words

if TYPE_CHECKING:
    from google.protobuf.message import Message


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


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    message: type[Message] | None
    pool: descriptor_pool.DescriptorPool | None
    unreadable: str = ""


class Payloads:
    """The payload types of one file, each looked up when it is first met."""

    def __init__(self) -> None:
        self._types: dict[int, _Type] = {}

    def read(self, db: sqlite3.Connection, number: int, data: bytes) -> Payload:
        """Return the payload that was stored as the type of this number; whatever is wrong with it is in there."""
        known = self._types.get(number)
        if known is None:
            known = self._types[number] = _load(db, number)
        if known.message is None:
            return Payload(known.name, len(data), None, known.unreadable)
        try:
            message = known.message.FromString(data)
        except DecodeError as error:
            return Payload(known.name, len(data), None, words(error))
        return readable(message, len(data), known.pool)


def readable(message: Message, size: int | None = None, pool: descriptor_pool.DescriptorPool | None = None) -> Payload:
    """Return a message as a payload; ``pool`` is where the types of ``Any`` fields are looked up."""
    name = message.DESCRIPTOR.full_name
    size = message.ByteSize() if size is None else size
    try:
        return Payload(name, size, json_format.MessageToDict(message, descriptor_pool=pool))
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:  # no JSON for it: an unknown Any, say
        return Payload(name, size, None, words(error))


def _load(db: sqlite3.Connection, number: int) -> _Type:
    row = db.execute("SELECT name, descriptors FROM payload_types WHERE type = ?", (number,)).fetchone()
    if row is None:
        return _Type(f"type {number}", None, None, "the file does not say what that is")
    name, descriptors = row
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
            pool.Add(file)
        message = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except (DecodeError, KeyError, TypeError, ValueError) as error:
        return _Type(name, None, None, f"its schema cannot be read: {words(error)}")
    return _Type(name, message, pool)
