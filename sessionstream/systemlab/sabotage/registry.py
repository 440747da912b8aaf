"""A registry that accepts payloads that do not declare their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream import SchemaRegistry

if TYPE_CHECKING:
    from google.protobuf.message import Message


class PermissiveRegistry(SchemaRegistry):
    """A ``SchemaRegistry`` that shrugs where the real one refuses an event."""

    def register_event(self, name: str, message: type[Message] | Message) -> None:
        """Take anything, and forget it."""
