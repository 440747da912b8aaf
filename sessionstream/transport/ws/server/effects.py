"""What a conversation wants done: frozen values, for whoever has the socket, the loader and the application's hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sessionstream.transport.ws.server.frames import Batch, Frame
from sessionstream.transport.ws.server.records import ConnectionRecord
from sessionstream.transport.ws.wire.codes import CloseCode


@dataclass(frozen=True, slots=True)
class Send:
    """Send these frames, in this order."""

    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Authorize:
    """Ask whether this client may see the session; answer with ``authorized``. An older question is void."""

    session_id: str
    token: int


@dataclass(frozen=True, slots=True)
class Join:
    """From this moment on, tell the conversation of the session's UI events."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Tell it no more, and forget what it asked for about the session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Basis:
    """A timeline that a client holds: as of this ordinal, of this epoch.

    One at ordinal 0 is none: what changed since then is everything, deletions included.

    Raises:
        ValueError: the ordinal is 0.
    """

    ordinal: int
    epoch: int

    def __post_init__(self) -> None:
        if not self.ordinal:
            raise ValueError("a delta from ordinal 0 is no delta: ask for a full snapshot")


@dataclass(frozen=True, slots=True)
class Load:
    """Load a snapshot that is taken after this moment; tell of it with ``load_began``, ``loaded`` or ``load_failed``.

    Attributes:
        basis: what the client holds; a delta from there is welcome, if it is of the same epoch.
        epochs: whether the snapshot is to say its epoch.
    """

    session_id: str
    token: int
    basis: Basis | None = None
    epochs: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection. What waits to be sent is dropped; the client gets a snapshot when it returns."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Tell the observer."""

    record: ConnectionRecord


Effect: TypeAlias = Send | Batch | Authorize | Join | Leave | Load | Close | Note
"""A ``Batch`` as an effect: send its frames."""

Effects: TypeAlias = Sequence[Effect]


@dataclass(frozen=True, slots=True)
class Hydration:
    """A loaded snapshot, ready to be sent.

    Attributes:
        ordinal: what the timeline is at after it.
        epoch: of that timeline.
        entities: how many the frame holds.
        delta: whether it holds only what changed since the client's basis.
    """

    frame: Frame
    ordinal: int
    epoch: int
    entities: int
    delta: bool = False
