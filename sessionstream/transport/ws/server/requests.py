"""Decodes frames from clients: strict protobuf JSON of a ClientFrame. Pure; raises only FrameError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from sessionstream.errors import InvalidIdError, TransportError
from sessionstream.ids import check_id
from sessionstream.transport.ws.wire.codes import BAD_CLIENT_FRAME, PROTOCOL_ERROR, ErrorCode
from sessionstream.transport.ws.wire.fields import Fields, read_fields
from sessionstream.v1.transport_pb2 import ClientFrame

_SHOWN: Final = 200
"""Longest error message in characters; it may quote the client's text."""


class FrameError(TransportError):
    """A frame from a client is invalid.

    Attributes:
        code: ``bad_client_frame`` or ``protocol_error``.
        message: what is wrong; may be sent to the client.
        session_id: its session, if that could be read.
    """

    def __init__(self, code: ErrorCode, message: str, session_id: str = "") -> None:
        self.code = code
        self.message: str = message[:_SHOWN].encode(errors="replace").decode()
        self.session_id = session_id
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Watch a session. ``since`` and ``epoch`` say what the client holds; they are used only with ``delta``."""

    session_id: str
    since: int = 0
    delta: bool = False
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Stop watching a session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a pong with the same nonce."""

    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping of the server."""

    nonce: str = ""


Request: TypeAlias = Subscribe | Unsubscribe | Ping | Pong


def decode(text: str) -> Request:
    """Decode one client frame.

    Names may be camelCase or snake_case, ordinals may be strings of digits, and null means not set. Anything else that
    is not exactly protobuf JSON of a ClientFrame is refused, including duplicate keys and NaN.

    Raises:
        FrameError: the text is not such a frame, has no member, or has an invalid session id.
    """
    try:
        members = read_fields(text, ClientFrame.DESCRIPTOR, "the frame")
        if len(members) > 1:
            raise ValueError(f"a frame has one member, not {' and '.join(members)}")
    except ValueError as error:
        raise FrameError(BAD_CLIENT_FRAME, str(error)) from error
    if not members:
        raise FrameError(PROTOCOL_ERROR, "unknown client frame: set subscribe, unsubscribe, ping or pong")
    ((name, fields),) = members.items()
    return _REQUESTS[name](fields)


def _subscribe(fields: Fields) -> Request:
    return Subscribe(
        _session_id("subscribe", fields),
        fields.get("since_snapshot_ordinal", 0),
        fields.get("delta", False),
        fields.get("epoch", 0),
    )


def _unsubscribe(fields: Fields) -> Request:
    return Unsubscribe(_session_id("unsubscribe", fields))


_REQUESTS: Final[dict[str, Callable[[Fields], Request]]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "ping": lambda fields: Ping(**fields),
    "pong": lambda fields: Pong(**fields),
}


def _session_id(request: str, fields: Fields) -> str:
    session_id = fields.get("session_id", "")
    if not session_id:
        raise FrameError(PROTOCOL_ERROR, f"{request} is missing its session id")
    try:
        return check_id("session id", session_id)
    except InvalidIdError as error:
        raise FrameError(PROTOCOL_ERROR, str(error), session_id) from error
