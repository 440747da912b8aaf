"""Close codes and error codes, with what a client should do about each. The reference shows the same tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Reconnect: TypeAlias = Literal["no", "at once", "with back-off", "when told", "with new credentials"]
"""Whether and how a client should connect again after a close.

``"when told"``: after the seconds of ``retry-after=SECONDS`` in the reason; without it, like ``"with back-off"``.
``"with new credentials"``: with back-off, if the credentials may differ next time. All but ``"no"`` start with a random
wait, so that many clients do not return at the same moment.
"""


@dataclass(frozen=True, slots=True)
class CloseCode:
    """One WebSocket close code.

    Attributes:
        code: the number.
        name: the short form of its name in the registry of RFC 6455.
        meaning: when the server closes with it.
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
        code: the value of the field.
        meaning: when the server sends it.
        advice: what a client should do.
    """

    code: str
    meaning: str
    advice: str


NORMAL: Final = CloseCode(1000, "normal", "the client closed", "no")
GOING_AWAY: Final = CloseCode(1001, "going away", "the server shuts down", "when told")
POLICY: Final = CloseCode(
    1008, "policy", "the client kept sending refused frames, or its principal may no longer connect", "no"
)
TOO_BIG: Final = CloseCode(1009, "too big", "a frame was longer than the limit", "no")
INTERNAL: Final = CloseCode(1011, "internal error", "the server had an internal error", "with back-off")
RESTART: Final = CloseCode(
    1012,
    "service restart",
    "the server restarts, or the client's credentials have expired; the reason says when to return",
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
    "the credentials are unknown or have expired; only clients that offer `sessionstream.v1` see it",
    "with new credentials",
)
FORBIDDEN: Final = CloseCode(
    4403,
    "forbidden",
    "this principal may not connect; only clients that offer `sessionstream.v1` see it",
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
    "a well-formed frame without a request, or with a session id that no store can hold",
    "a fault of the client: do not send it again",
)
UNAUTHORIZED: Final = ErrorCode(
    "unauthorized",
    "this client may not, or may no longer, see this session; its subscription has ended",
    "subscribe again only with another principal",
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
