"""What a client session wants done: frozen values, for whoever has the socket, the clock and the users."""

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
    """Give this to one who watches."""

    watcher: int
    update: Update


@dataclass(frozen=True, slots=True)
class End:
    """There will be no more updates for one who watches; the error says why, and without one all is well."""

    watcher: int
    error: TransportError | None


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect, and say what became of it."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connection, or the attempt to make one; there is no need to say that it is gone.

    Attributes:
        why: for the log.
    """

    why: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Tell the user of a change."""

    state: ConnectionState


Effect: TypeAlias = Send | Deliver | End | Connect | Disconnect | StateChanged
Effects: TypeAlias = Sequence[Effect]
