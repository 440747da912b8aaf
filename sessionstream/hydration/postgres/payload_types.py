"""Payload types in the tables: each message schema that was ever written, once, as a FileDescriptorSet."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sessionstream.descriptors import descriptor_set
from sessionstream.errors import UnknownSchemaError
from sessionstream.hydration.postgres.failures import damaged
from sessionstream.hydration.shapes import clash
from sessionstream.hydration.stored import PayloadType, StoredPayload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from sessionstream.hydration.postgres.connections import Link
    from sessionstream.schema import Family, SchemaRegistry

_INSERT: Final = """INSERT INTO {s}.payload_types (name, digest, descriptors) VALUES ($1, $2, $3)
    ON CONFLICT (name, digest) DO NOTHING"""
_NUMBER: Final = "SELECT type FROM {s}.payload_types WHERE name = $1 AND digest = $2"
_ROWS: Final = "SELECT type, name, digest, descriptors FROM {s}.payload_types WHERE type = ANY($1::integer[])"


class PayloadTypes:
    """Numbers of message classes, and message schemas of numbers. What a number stands for never changes."""

    def __init__(self, registry: SchemaRegistry, store: str) -> None:
        self.registry = registry
        self._store = store
        self.numbers: dict[type[Message], int] = {}
        self._rows: dict[int, tuple[str, bytes]] = {}
        self._changed: set[int] = set()  # those whose descriptors are not what was written
        self._compared: dict[int, tuple[str, str]] = {}

    async def insert(self, link: Link, messages: Iterable[type[Message]]) -> None:
        """Give numbers to message classes that have none yet."""
        for message in messages:
            if message in self.numbers:
                continue
            self.numbers[message] = await self.number(link, message.DESCRIPTOR.full_name, descriptor_set(message))

    async def number(self, link: Link, name: str, descriptors: bytes) -> int:
        """Return the number of a message schema, which is inserted if it has none yet."""
        key = (name, sha256(descriptors).digest())
        found = await link.fetch(_NUMBER, *key)
        if not found:
            await link.fetch(_INSERT, *key, descriptors)
            found = await link.fetch(_NUMBER, *key)
        return int(found[0][0])

    async def load(self, link: Link, numbers: Iterable[int | None]) -> None:
        """Read what numbers stand for, those that are not known."""
        unknown = {number for number in numbers if number is not None} - self._rows.keys()
        if unknown:
            for number, name, digest, descriptors in await link.fetch(_ROWS, list(unknown)):
                self._rows[number] = name, descriptors
                if sha256(descriptors).digest() != digest:
                    self._changed.add(number)

    def described(self, number: int) -> tuple[str, bytes]:
        """Return the full name of the message with this number, and the descriptors it was written with.

        Raises:
            StoreDamaged: its row is missing, or was changed.
        """
        row = self._rows.get(number)
        place = (self._store, "payload_types", f"type {number}")
        if row is None:
            raise damaged(*place, "", "missing, and something is of that type")
        if number in self._changed:
            raise damaged(*place, "descriptors", "not what was written: it has another digest")
        return row

    def stored(self, number: int, data: bytes) -> StoredPayload:
        """Return a payload as it is stored, whose type was loaded."""
        return StoredPayload(PayloadType(number, *self._rows.get(number, ("", b""))), data)

    def decode(self, family: Family, name: str, number: int, data: bytes) -> Message:
        """Decode a payload whose type was loaded.

        Raises:
            StoreDamaged: the row of its type is missing, or was changed.
            UnknownSchemaError: its message is not registered, or the registered one would misread it.
            PayloadDecodeError: the bytes are not such a message.
        """
        found = self._compared.get(number)
        if found is None:
            payload_type, descriptors = self.described(number)
            message = self.registry.stored_as(payload_type)
            if message is None:  # not yet, or not any more
                return self.registry.decode(family, name, payload_type, data)
            found = self._compared[number] = (
                payload_type,
                clash(payload_type, descriptors, descriptor_set(message)),
            )
        if found[1]:
            raise UnknownSchemaError(family, name, payload_type=found[0], clash=found[1])
        return self.registry.decode(family, name, found[0], data)
