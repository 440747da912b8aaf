"""What a client session wants done: frozen values, for whoever has the socket, the clock and the users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sessionstream.errors import TransportError
from sessionstream.transport.ws.client_updates import Update


@dataclass(frozen=True, slots=True)
class Say:
    """Send this text message."""

    text: str


@dataclass(frozen=True, slots=True)
class Give:
    """Give this to whoever watches the session."""

    session_id: str
    update: Update


@dataclass(frozen=True, slots=True)
class End:
    """There will be no more updates of the session; the error says why, and without one all is well."""

    session_id: str
    error: TransportError | None


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect after so many seconds, and say what became of it."""

    after: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the connection; there is no need to say that it is gone.

    Attributes:
        why: for the log.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Remind:
    """Call ``reminded`` with the token after so many seconds, if this connection still lasts."""

    token: int
    after: float


Effect: TypeAlias = Say | Give | End | Connect | HangUp | Remind
Effects: TypeAlias = Sequence[Effect]
