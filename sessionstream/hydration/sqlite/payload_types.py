"""Payload types in the file: each message schema that was ever written, once, as a FileDescriptorSet.

A schema is identified by the full name of its message and its descriptors. So each row refers to the schema it was
written with, even after the message got another field.
"""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sessionstream.descriptors import descriptor_set
from sessionstream.hydration.shapes import clash
from sessionstream.hydration.sqlite.columns import Query
from sessionstream.hydration.sqlite.failures import Damage

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.schema import SchemaRegistry

PAYLOAD_TYPE: Final = Query("payload_types", "type, name, digest, descriptors", "WHERE type = ?")
_NUMBER: Final = Query("payload_types", "type", "WHERE name = ? AND digest = ?")


class WrittenTypes:
    """Numbers of message classes, for the writer: looked up or inserted within the running transaction.

    Attributes:
        known: the numbers that are known, those of the running transaction included.
        pending: the classes whose numbers are of the running transaction.
    """

    def __init__(self) -> None:
        self.known: dict[type[Message], int] = {}
        self.pending: list[type[Message]] = []

    def number(self, db: sqlite3.Connection, message: type[Message]) -> int:
        """Return the number of a message class that is not known, inserting it where it is new."""
        descriptors = descriptor_set(message)
        key = (message.DESCRIPTOR.full_name, sha256(descriptors).digest())
        db.execute(
            "INSERT OR IGNORE INTO payload_types (name, digest, descriptors) VALUES (?, ?, ?)",
            (*key, descriptors),
        )
        (found,) = _NUMBER.all(db, key)
        self.pending.append(message)
        number: int = found[0]
        self.known[message] = number
        return number

    def committed(self) -> None:
        """Keep the numbers of the transaction."""
        self.pending.clear()

    def rolled_back(self) -> None:
        """Forget the numbers of the transaction."""
        for message in self.pending:
            del self.known[message]
        self.pending.clear()


class ReadTypes:
    """Payload types by number, for readers; the type of a number never changes."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[str, bytes]] = {}
        self._compared: dict[int, tuple[str, str]] = {}

    def described(self, db: sqlite3.Connection, number: int) -> tuple[str, bytes]:
        """Return the full name of the message with this number, and the descriptors it was written with."""
        row = self._rows.get(number)
        if row is None:
            row = self._rows[number] = self._row(db, number)
        return row

    def compared(self, db: sqlite3.Connection, number: int, registry: SchemaRegistry) -> tuple[str, str]:
        """Return the full name of the message, and what the registered message of that name would misread in it."""
        found = self._compared.get(number)
        if found is None:
            name, descriptors = self.described(db, number)
            message = registry.stored_as(name)
            if message is None:  # not yet, or not any more
                return name, ""
            found = self._compared[number] = name, clash(name, descriptors, descriptor_set(message))
        return found

    def _row(self, db: sqlite3.Connection, number: int) -> tuple[str, bytes]:
        row = PAYLOAD_TYPE.first(db, (number,))
        if row is None:
            raise Damage("payload_types", f"type {number}", "", "missing, and something in the file is of that type")
        _, name, digest, descriptors = row
        if sha256(descriptors).digest() != digest:
            PAYLOAD_TYPE.damaged(row, "descriptors", "not what was written: it has another digest")
        return name, descriptors
