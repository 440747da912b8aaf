"""The effects that Conversation returns and Connection performs, and the values they carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sessionstream.subscription import Basis
from sessionstream.transport.ws.server.frames import Batch, Frame
from sessionstream.transport.ws.server.records import ConnectionRecord
from sessionstream.transport.ws.wire.codes import CloseCode


@dataclass(frozen=True, slots=True)
class Send:
    """Send these frames, in this order."""

    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Authorize:
    """Call ``authorize``, and report the answer with ``authorized``. Cancels an earlier call for the same session."""

    session_id: str
    token: int


@dataclass(frozen=True, slots=True)
class Join:
    """From now on, pass the session's UI events to ``events``."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Stop passing the session's UI events, and cancel its pending authorization and load."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Load:
    """Load a snapshot that begins after now; report it with ``load_began``, then ``loaded`` or ``load_failed``.

    Attributes:
        basis: what the client holds; a delta from there may be sent if the epoch is the same. None: full only.
        epochs: whether the snapshot frame contains its epoch.
    """

    session_id: str
    token: int
    basis: Basis | None = None
    epochs: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection. Frames that wait to be sent are dropped."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Pass a record to the observer."""

    record: ConnectionRecord


Effect: TypeAlias = Send | Batch | Authorize | Join | Leave | Load | Close | Note
"""A ``Batch`` as an effect: send its frames."""

Effects: TypeAlias = Sequence[Effect]


@dataclass(frozen=True, slots=True)
class Hydration:
    """A loaded snapshot, ready to be sent.

    Attributes:
        ordinal: the ordinal of the snapshot.
        epoch: its epoch.
        entities: number of entities in the frame.
        delta: whether it contains only the changes since the client's basis.
    """

    frame: Frame
    ordinal: int
    epoch: int
    entities: int
    delta: bool = False
