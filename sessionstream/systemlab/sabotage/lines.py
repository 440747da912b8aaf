"""Lines between a server and a client that tamper with what the server sends, as a broken proxy would."""

from __future__ import annotations

import json

from sessionstream.systemlab.conversations import Message


class Overtaking:
    """Lets the first live event after a snapshot overtake it."""

    def __init__(self) -> None:
        self._snapshot: Message | None = None

    def carry(self, message: Message) -> list[Message]:
        """Return the message, nothing yet, or a live event and the snapshot that it overtakes."""
        match _kind(message):
            case "snapshot" if self._snapshot is None:
                self._snapshot = message
                return []
            case "uiEvent" if self._snapshot is not None:
                late, self._snapshot = self._snapshot, None
                return [message, late]
        return [message]


class Swapping:
    """Holds every second live event until the next one has passed."""

    def __init__(self) -> None:
        self._kept: Message | None = None

    def carry(self, message: Message) -> list[Message]:
        """Return the message, nothing yet, or a live event and the one before it."""
        if _kind(message) != "uiEvent":
            return [message]
        kept, self._kept = self._kept, message if self._kept is None else None
        return [] if kept is None else [message, kept]


def _kind(message: Message) -> str:
    """Return the kind of a server's frame; empty for other messages."""
    if message["type"] != "websocket.send":
        return ""
    return next(iter(json.loads(message["text"])), "")
