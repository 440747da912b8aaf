"""A wrapper between a hub and its transport that records what passes."""

from __future__ import annotations

from collections.abc import Sequence

from sessionstream import UIEvent
from sessionstream.transport.ws import WebSocketServer


class Witness:
    """A fan-out that records UI events and passes them on to a server.

    Attributes:
        heard: by session, every UI event with the ordinal of its backend event, in order.
    """

    def __init__(self, server: WebSocketServer) -> None:
        self._server = server
        self.heard: dict[str, list[tuple[int, UIEvent]]] = {}

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Record the UI events of one backend event, and pass them on."""
        self.heard.setdefault(session_id, []).extend((ordinal, event) for event in events)
        self._server.publish_ui(session_id, ordinal, events)
