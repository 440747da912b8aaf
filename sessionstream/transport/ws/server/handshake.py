"""The handshake: checks the origin, authenticates the principal, selects a sub-protocol, refuses with a status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import isawaitable
from math import ceil
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from sessionstream.callables import refuse_unasked
from sessionstream.errors import error_text
from sessionstream.transport.ws.wire.codes import FORBIDDEN, NOT_SIGNED_IN, CloseCode
from sessionstream.transport.ws.wire.subprotocol import HTTP_TOKEN, SUBPROTOCOL

Message: TypeAlias = MutableMapping[str, Any]
"""An ASGI message."""

Scope: TypeAlias = MutableMapping[str, Any]
"""An ASGI connection scope."""

Authenticate: TypeAlias = Callable[[Any], object | Awaitable[object]]
"""Returns a principal, any hashable value, or an ``Admitted`` with one. None, False or an exception refuses."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}

Place: TypeAlias = tuple[str, str, int | None]
"""Scheme, host and port of an origin."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What ``authenticate`` may return: a principal and when its admission ends. (Reference: WebSocket transport.)

    At that time the connection is closed with 1012, and the client reconnects with new credentials.

    Args:
        principal: any hashable value.
        until: the end, with a time zone; None: no end.

    Raises:
        TypeError: ``until`` is not a datetime.
        ValueError: ``until`` has no time zone.
    """

    principal: object
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.until is None:
            return
        if not isinstance(self.until, datetime):
            raise TypeError(f"until must be a datetime, not {self.until!r}")
        if self.until.utcoffset() is None:
            raise ValueError(f"until needs a time zone, as in datetime.fromtimestamp(exp, UTC); {self.until} has none")


class Refused(Exception):
    """A handshake is refused.

    Attributes:
        status: the HTTP status.
        why: the reason, for the log.
        close: the close code for a client that offers our sub-protocol, because browsers hide the status. None: such a
            client gets the status too.
    """

    def __init__(self, status: int, why: str, close: CloseCode | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.close = close


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

    def hears_closes(self, scope: Scope) -> bool:
        """Whether the client offers ``sessionstream.v1``, and so understands a close code instead of an HTTP status."""
        return SUBPROTOCOL in self._known and SUBPROTOCOL in (scope.get("subprotocols") or ())


class Origins:
    """The origins whose pages may connect.

    Args:
        allowed: origins as browsers write them, ``"https://app.example"``; ``"*"`` for any; None for pages that
            come from the host they connect to.

    Raises:
        ValueError: an entry is not a valid origin.
        TypeError: the argument is a string instead of a collection of strings, or contains another type.
    """

    def __init__(self, allowed: Collection[str] | None) -> None:
        if isinstance(allowed, str):
            raise TypeError(f"allowed_origins must be a collection of origins: write [{allowed!r}]")
        self._any = allowed is not None and "*" in allowed
        self._allowed = None if allowed is None else frozenset(_place(origin) for origin in allowed if origin != "*")

    def check(self, scope: Scope) -> None:
        """Check the ``Origin`` header, which browsers always send and pages cannot forge.

        Raises:
            Refused: the page may not connect.
        """
        origins = header(scope, b"origin")
        if not origins or self._any:
            return  # without the header, the client is not a browser
        try:
            (origin,) = origins
            place = _place(origin)
        except ValueError:
            raise Refused(403, f"the Origin header {origins} is not a valid origin") from None
        if self._allowed is not None:
            if place in self._allowed:
                return
            raise Refused(403, f"the origin {origin} is not in allowed_origins")
        own = _own_place(scope)
        if place != own:
            raise Refused(403, f"the origin {origin} is not this server's own, {own}: see allowed_origins")


async def authenticate(hook: Authenticate | None, scope: Scope, timeout_seconds: float) -> Admitted:
    """Call the hook; without one, the principal is None.

    Raises:
        Refused: the hook refused, raised or timed out, or the admission has expired already.
        TypeError: the principal is not hashable.
    """
    if hook is None:
        return Admitted(None)
    try:
        async with asyncio.timeout(timeout_seconds):
            answered = await call_hook("authenticate", hook, scope)
    except TimeoutError:
        raise Refused(503, "authenticate took too long") from None
    except Exception as error:
        close = FORBIDDEN if isinstance(error, PermissionError) else NOT_SIGNED_IN
        raise Refused(403, f"authenticate raised {error_text(error)}", close) from error
    admitted = answered if isinstance(answered, Admitted) else Admitted(answered)
    principal, until = admitted.principal, admitted.until
    if principal is None or principal is False:
        raise Refused(403, f"authenticate returned {principal}", NOT_SIGNED_IN)
    hash(principal)
    if until is not None and until <= datetime.now(UTC):
        raise Refused(401, f"{principal!r} was admitted until {until}, which is past", NOT_SIGNED_IN)
    return admitted


async def call_hook(name: str, hook: Callable[..., object], *asked: object) -> object:
    """Call a hook, plain or async, and return its result.

    Raises:
        RuntimeError: the hook raised CancelledError although this task was not cancelled.
    """
    try:
        result = hook(*asked)
        return await result if isawaitable(result) else result
    except asyncio.CancelledError as error:
        refuse_unasked(error, f"{name} waited for something that was cancelled")
        raise


def accept(subprotocol: str) -> Message:
    """Return the message that accepts a handshake."""
    message: Message = {"type": "websocket.accept"}
    if subprotocol:
        message["subprotocol"] = subprotocol
    return message


async def refuse(scope: Scope, send: Callable[[Any], Awaitable[None]], refused: Refused, retry_after: float) -> None:
    """Refuse a handshake with its status; with 403 if the ASGI server supports no other."""
    # Every server answers a close with 403; some log an error if they get a response instead.
    if refused.status == 403 or "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    passes = refused.status == 503
    body = b"try again later" if passes else b"sign in again"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    if passes:
        headers.append((b"retry-after", str(ceil(retry_after)).encode()))
    await send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def ask_to_upgrade(send: Callable[[Any], Awaitable[None]]) -> None:
    """Answer an HTTP request with 426 Upgrade Required."""
    body = b"this is a WebSocket endpoint\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"upgrade", b"websocket"),
    ]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> list[str]:
    """Return all values of a header, in order."""
    pairs: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    return [value.decode("latin-1") for key, value in pairs if key.lower() == name]


def _place(origin: str) -> Place:
    if not isinstance(origin, str):
        raise TypeError(f"an entry of allowed_origins must be a string, such as 'https://app.example', not {origin!r}")
    if "*" in origin:
        raise ValueError(f"{origin!r} is not a valid origin: '*' allows any origin, and stands only by itself")
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{origin!r} is not a valid origin: write scheme and host, as 'https://app.example'")
    return _located(parts.scheme, parts)


def _own_place(scope: Scope) -> Place | None:
    hosts = header(scope, b"host")
    if len(hosts) != 1:
        return None
    scheme = _PAGE_SCHEMES.get(scope.get("scheme", "ws"), "http")
    try:
        return _located(scheme, urlsplit(f"//{hosts[0]}"))
    except ValueError:
        return None


def _located(scheme: str, parts: SplitResult) -> Place:
    if not parts.hostname:
        raise ValueError("an origin needs a host")
    return scheme, parts.hostname, parts.port or _DEFAULT_PORTS[scheme]
