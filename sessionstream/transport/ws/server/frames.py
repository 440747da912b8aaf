"""Encodes server frames as protobuf JSON. An event is encoded once, for all its subscribers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sessionstream.transport import frame_json
from sessionstream.transport.frame_json import Unwritable, dumps, set_fields, uint64
from sessionstream.transport.ws.wire.budget import Budget
from sessionstream.transport.ws.wire.codes import ErrorCode
from sessionstream.types import UIEvent

FrameKind: TypeAlias = Literal["control", "ui", "snapshot"]

_UINT32: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Frame:
    """One server frame, ready to be sent.

    Attributes:
        text: the protobuf JSON.
        size: length of ``text`` in UTF-8 bytes.
        kind: how an outbox counts and drops it.
        session_id: the session of a snapshot, a UI event or ``subscribed``; empty for other frames.
    """

    text: str
    size: int
    kind: FrameKind = "control"
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """The UI events of one backend event, as frames that every connection sends."""

    session_id: str
    ordinal: int
    frames: tuple[Frame, ...]

    @property
    def count(self) -> int:
        """Number of the frames."""
        return len(self.frames)

    @property
    def size(self) -> int:
        """UTF-8 bytes of the frames."""
        return sum(frame.size for frame in self.frames)


def hello(connection_id: str) -> Frame:
    """Return the first frame of a connection."""
    return _control("hello", connectionId=connection_id)


def subscribed(session_id: str, since: int, budget: Budget | None = None) -> Frame:
    """Return the frame that ends the answer to a subscribe; ``since`` is the ordinal of that subscribe."""
    told = None if budget is None else _budget(budget)
    body = set_fields(sessionId=session_id, sinceSnapshotOrdinal=uint64(since), budget=told)
    return _frame(dumps({"subscribed": body}), "control", session_id)


def unsubscribed(session_id: str) -> Frame:
    """Return the answer to an unsubscribe."""
    return _control("unsubscribed", sessionId=session_id)


def error(code: ErrorCode, message: str, session_id: str = "", detail: str = "") -> Frame:
    """Return an error frame."""
    return _frame(frame_json.error(code.code, message, session_id, detail), "control", "")


def ping(nonce: str) -> Frame:
    """Return a ping."""
    return _control("ping", nonce=nonce)


def pong(nonce: str) -> Frame:
    """Return the answer to a ping."""
    return _control("pong", nonce=nonce)


def ui_event(session_id: str, ordinal: int, event: UIEvent) -> tuple[Frame, Unwritable | None]:
    """Return the frame of one UI event; if its payload has no JSON form, one that says so, and the error."""
    text, failure = frame_json.ui_event(session_id, ordinal, event)
    return _frame(text, "ui", session_id), failure


def _budget(budget: Budget) -> dict[str, object]:
    """Return the JSON of a budget, with numbers limited to the range of their fields."""
    return {
        "framesBurst": min(budget.frames_burst, _UINT32),
        "framesPerSecond": min(float(budget.frames_per_second), float(_UINT32)),
        **set_fields(subscriptions=min(budget.subscriptions or 0, _UINT32)),
    }


def _control(name: str, **values: object) -> Frame:
    return _frame(dumps({name: set_fields(**values)}), "control", "")


def _frame(text: str, kind: FrameKind, session_id: str) -> Frame:
    return Frame(text, len(text) if text.isascii() else len(text.encode()), kind, session_id)
