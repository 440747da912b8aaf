"""A registry that accepts payloads that do not declare their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream import SchemaRegistry

if TYPE_CHECKING:
    from google.protobuf.message import Message


class PermissiveRegistry(SchemaRegistry):
    """A ``SchemaRegistry`` that accepts events that the real one refuses."""

    def register_event(self, name: str, message: type[Message] | Message) -> None:
        """Accept any payload without registering it."""
