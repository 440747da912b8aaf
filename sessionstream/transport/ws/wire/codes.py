"""The codes a client meets, and what it should do about each: the one table that code and reference share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Reconnect: TypeAlias = Literal["no", "at once", "with back-off", "when told", "with new credentials"]
"""Whether and how a client should connect again after a close.

``"when told"``: the reason holds ``retry-after=SECONDS``; without it, as ``"with back-off"``. ``"with new
credentials"``: with back-off too, if it may have others the next time. All but ``"no"`` start with a random wait, so
that many clients do not come back in one moment.
"""


@dataclass(frozen=True, slots=True)
class CloseCode:
    """One WebSocket close code.

    Attributes:
        code: the number on the wire.
        name: its name in RFC 6455's registry, shortened.
        meaning: when a server closes with it.
        reconnect: what a client should do.
    """

    code: int
    name: str
    meaning: str
    reconnect: Reconnect


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One ``code`` of an error frame. The connection stays open.

    Attributes:
        code: the word on the wire.
        meaning: when a server sends it.
        advice: what a client should do.
    """

    code: str
    meaning: str
    advice: str


NORMAL: Final = CloseCode(1000, "normal", "the client closed", "no")
GOING_AWAY: Final = CloseCode(1001, "going away", "the server shuts down", "when told")
POLICY: Final = CloseCode(
    1008, "policy", "the client went on sending what was refused, or whoever it is may be connected no more", "no"
)
TOO_BIG: Final = CloseCode(1009, "too big", "a frame was longer than the limit", "no")
INTERNAL: Final = CloseCode(1011, "internal error", "the server met a fault of its own", "with back-off")
RESTART: Final = CloseCode(
    1012,
    "service restart",
    "the server restarts, or the credentials have expired with which the client came; the reason says when to return",
    "when told",
)
TRY_AGAIN: Final = CloseCode(
    1013,
    "try again later",
    "the client read too slowly, did not answer a ping, or could not be given a snapshot",
    "with back-off",
)

NOT_SIGNED_IN: Final = CloseCode(
    4401,
    "not signed in",
    "nobody is known by these credentials, or they have expired; only clients that offer `sessionstream.v1` see it",
    "with new credentials",
)
FORBIDDEN: Final = CloseCode(
    4403,
    "forbidden",
    "whoever it is may not connect; only clients that offer `sessionstream.v1` see it",
    "with new credentials",
)

CLOSE_CODES: Final = (
    NORMAL, GOING_AWAY, POLICY, TOO_BIG, INTERNAL, RESTART, TRY_AGAIN, NOT_SIGNED_IN, FORBIDDEN,
)  # fmt: skip

BAD_CLIENT_FRAME: Final = ErrorCode(
    "bad_client_frame",
    "the message is not a ClientFrame as protobuf JSON",
    "a fault of the client: do not send it again",
)
PROTOCOL_ERROR: Final = ErrorCode(
    "protocol_error",
    "a well-formed frame that asks for nothing, or for a session id no store can hold",
    "a fault of the client: do not send it again",
)
UNAUTHORIZED: Final = ErrorCode(
    "unauthorized",
    "this client may not see this session, or no longer; a subscription it had has ended",
    "subscribe again only as somebody else",
)
RATE_LIMITED: Final = ErrorCode(
    "rate_limited",
    "the client sends frames faster than the limit; this one had no effect",
    "send it again after a second",
)
TOO_MANY_SUBSCRIPTIONS: Final = ErrorCode(
    "too_many_subscriptions",
    "the connection has as many subscriptions as it may have",
    "unsubscribe from another session first",
)
SNAPSHOT_FAILED: Final = ErrorCode(
    "snapshot_failed",
    "the snapshot could not be loaded, or `authorize` took too long; the subscription has ended",
    "subscribe again with back-off",
)

ERROR_CODES: Final = (
    BAD_CLIENT_FRAME,
    PROTOCOL_ERROR,
    UNAUTHORIZED,
    RATE_LIMITED,
    TOO_MANY_SUBSCRIPTIONS,
    SNAPSHOT_FAILED,
)
