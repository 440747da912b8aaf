"""The effects that Conversation returns and Client performs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sessionstream.errors import TransportError
from sessionstream.transport.ws.client.updates import ConnectionState, Update


@dataclass(frozen=True, slots=True)
class Send:
    """Send this text message."""

    text: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give an update to one watcher."""

    watcher: int
    update: Update


@dataclass(frozen=True, slots=True)
class End:
    """End the updates of one watcher, with an error or, if it is None, normally."""

    watcher: int
    error: TransportError | None


@dataclass(frozen=True, slots=True)
class Connect:
    """Make a connection, and report the result."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connection, or the attempt to make one; this need not be reported.

    Attributes:
        why: for the log.
    """

    why: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Report a change of the connection's state to the user."""

    state: ConnectionState


Effect: TypeAlias = Send | Deliver | End | Connect | Disconnect | StateChanged
Effects: TypeAlias = Sequence[Effect]
