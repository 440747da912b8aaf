"""Which connections are told of which session."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionstream.transport.ws.server.connection import Connection


class Routes:
    """Which connections are told of which session."""

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        self._connections: dict[str, dict[Connection, None]] = {}

    def of(self, session_id: str) -> tuple[Connection, ...]:
        """Return the connections that are told of a session, in the order in which they joined."""
        return tuple(self._connections.get(session_id, ()))

    def has(self, session_id: str) -> bool:
        """Whether anybody is told of a session; may be asked from any thread."""
        return session_id in self._connections

    def join(self, session_id: str, connection: Connection) -> None:
        """Add a connection."""
        self._connections.setdefault(session_id, {})[connection] = None

    def leave(self, session_id: str, connection: Connection) -> None:
        """Remove a connection, and every trace of a session that has none left."""
        connections = self._connections.get(session_id, {})
        if connection in connections:
            del connections[connection]
            if not connections:
                del self._connections[session_id]

    def __len__(self) -> int:
        return len(self._connections)
