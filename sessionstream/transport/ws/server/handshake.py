"""The handshake: selects a sub-protocol, accepts, and refuses with a status or a close code."""

from __future__ import annotations

from collections.abc import Collection
from math import ceil
from typing import Final

from sessionstream.transport.access import Message, Reason, Refused, Scope, SendMessage, challenge
from sessionstream.transport.ws.wire.codes import FORBIDDEN, NOT_SIGNED_IN, CloseCode
from sessionstream.transport.ws.wire.subprotocol import HTTP_TOKEN, SUBPROTOCOL

_STATUS: Final[dict[Reason, int]] = {
    "origin": 403,
    "unknown": 403,
    "expired": 401,
    "forbidden": 403,
    "busy": 503,
}
"""The HTTP status of a refused handshake. Browsers hide it."""

_CLOSE: Final[dict[Reason, CloseCode]] = {
    "unknown": NOT_SIGNED_IN,
    "expired": NOT_SIGNED_IN,
    "forbidden": FORBIDDEN,
}
"""The close code for a client that offers our sub-protocol. For other reasons, such a client gets the status too."""


class Subprotocols:
    """The supported sub-protocols, preferred ones first.

    Raises:
        ValueError: a name is not an HTTP token.
        TypeError: the argument is a string instead of a collection of strings, or contains another type.
    """

    def __init__(self, known: Collection[str]) -> None:
        if isinstance(known, str):
            raise TypeError(f"subprotocols must be a collection of names: write [{known!r}]")
        for name in known:
            if not isinstance(name, str):
                raise TypeError(f"a sub-protocol must be a string, such as {SUBPROTOCOL!r}, not {name!r}")
            if not HTTP_TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is not a valid sub-protocol name: write letters, digits, '.', '-' or '_'")
        self._known = tuple(known)

    def chosen(self, scope: Scope) -> str:
        """Return the first supported sub-protocol that the client offers; empty if there is none."""
        offered = scope.get("subprotocols") or ()
        return next((name for name in self._known if name in offered), "")

    def close_code(self, scope: Scope, refused: Refused) -> CloseCode | None:
        """Return the code to close with after accepting; None if the handshake is to be refused with its status.

        A client that offers ``sessionstream.v1`` understands a close code, and browsers hide the status from it.
        """
        hears_closes = SUBPROTOCOL in self._known and SUBPROTOCOL in (scope.get("subprotocols") or ())
        return _CLOSE.get(refused.reason) if hears_closes else None


def accept(subprotocol: str) -> Message:
    """Return the message that accepts a handshake."""
    message: Message = {"type": "websocket.accept"}
    if subprotocol:
        message["subprotocol"] = subprotocol
    return message


def status_of(refused: Refused) -> int:
    """Return the HTTP status of a refused handshake."""
    return _STATUS[refused.reason]


async def refuse(scope: Scope, send: SendMessage, refused: Refused, retry_after: float) -> None:
    """Refuse a handshake with its status; with 403 if the ASGI server supports no other."""
    status = status_of(refused)
    # Every server answers a close with 403; some log an error if they get a response instead.
    if status == 403 or "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    passes = status == 503
    body = b"try again later" if passes else b"sign in again"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    if passes:
        headers.append((b"retry-after", str(ceil(retry_after)).encode()))
    else:
        headers.append((b"www-authenticate", challenge(refused.reason)))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def ask_to_upgrade(send: SendMessage) -> None:
    """Answer an HTTP request with 426 Upgrade Required."""
    body = b"this is a WebSocket endpoint\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"upgrade", b"websocket"),
    ]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": body})
