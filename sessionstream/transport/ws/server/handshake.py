"""Who may connect: the origin, the principal, and how a handshake is refused."""

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
from sessionstream.errors import words
from sessionstream.transport.ws.wire.codes import FORBIDDEN, NOT_SIGNED_IN, CloseCode
from sessionstream.transport.ws.wire.subprotocol import HTTP_TOKEN, SUBPROTOCOL

Message: TypeAlias = MutableMapping[str, Any]
"""An ASGI message."""

Scope: TypeAlias = MutableMapping[str, Any]
"""An ASGI connection scope."""

Authenticate: TypeAlias = Callable[[Any], object | Awaitable[object]]
"""Returns a principal, anything hashable that tells one from another, or an ``Admitted`` with one; None, False, or an
exception, refuses."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}

Place: TypeAlias = tuple[str, str, int | None]
"""Scheme, host and port of an origin."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What ``authenticate`` may return: who it is, and until when. (Reference: WebSocket transport.)

    At that moment the connection is closed with 1012, and the client comes back, with new credentials.

    Args:
        principal: as ``authenticate`` would return it by itself.
        until: the end, with a time zone; None for none.

    Raises:
        TypeError: ``until`` is no datetime.
        ValueError: it has no time zone.
    """

    principal: object
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.until is None:
            return
        if not isinstance(self.until, datetime):
            raise TypeError(f"until is a datetime, not {self.until!r}")
        if self.until.utcoffset() is None:
            raise ValueError(f"until has a time zone, as datetime.fromtimestamp(exp, UTC) has; {self.until} has none")


class Refused(Exception):
    """A handshake is refused, with this HTTP status.

    Attributes:
        close: how it is told to a client that offers our sub-protocol: browsers hide the status. None: as to any other.
    """

    def __init__(self, status: int, why: str, close: CloseCode | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.close = close


class Subprotocols:
    """Which sub-protocols are known, the preferred ones first.

    Raises:
        ValueError: a name is none that a handshake can carry.
        TypeError: it is one string instead of a collection of them, or holds what is no string.
    """

    def __init__(self, known: Collection[str]) -> None:
        if isinstance(known, str):
            raise TypeError(f"subprotocols is a collection of names: write [{known!r}]")
        for name in known:
            if not isinstance(name, str):
                raise TypeError(f"a sub-protocol is a text, such as {SUBPROTOCOL!r}, not {name!r}")
            if not HTTP_TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a sub-protocol: write letters, digits, '.', '-' or '_'")
        self._known = tuple(known)

    def chosen(self, scope: Scope) -> str:
        """Return the one that is selected of those that a client offers; empty, if none of them is known."""
        offered = scope.get("subprotocols") or ()
        return next((name for name in self._known if name in offered), "")

    def hears_closes(self, scope: Scope) -> bool:
        """Whether a client offers our own, and so understands a close in place of a refused handshake."""
        return SUBPROTOCOL in self._known and SUBPROTOCOL in (scope.get("subprotocols") or ())


class Origins:
    """Which pages may connect.

    Args:
        allowed: origins as browsers write them, ``"https://app.example"``; ``"*"`` for any; None for pages that come
            from the host they connect to.

    Raises:
        ValueError: an origin is not one.
        TypeError: it is one string instead of a collection of them, or holds what is no string.
    """

    def __init__(self, allowed: Collection[str] | None) -> None:
        if isinstance(allowed, str):
            raise TypeError(f"allowed_origins is a collection of origins: write [{allowed!r}]")
        self._any = allowed is not None and "*" in allowed
        self._allowed = None if allowed is None else frozenset(_place(origin) for origin in allowed if origin != "*")

    def check(self, scope: Scope) -> None:
        """Check the ``Origin`` header, which browsers always send and no page can forge.

        Raises:
            Refused: the page may not connect.
        """
        origins = header(scope, b"origin")
        if not origins or self._any:
            return  # no browser
        try:
            (origin,) = origins
            place = _place(origin)
        except ValueError:
            raise Refused(403, f"the origin {origins} is none") from None
        if self._allowed is not None:
            if place in self._allowed:
                return
            raise Refused(403, f"the origin {origin} is not among the allowed ones")
        own = _own_place(scope)
        if place != own:
            raise Refused(403, f"the origin {origin} is not this server's own, {own}: see allowed_origins")


async def authenticate(hook: Authenticate | None, scope: Scope, timeout_seconds: float) -> Admitted:
    """Return who a handshake is from; the principal is None where nobody asks.

    Raises:
        Refused: the hook said no, raised, or took too long; or what it said has expired already.
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
        raise Refused(403, f"authenticate raised {words(error)}", close) from error
    admitted = answered if isinstance(answered, Admitted) else Admitted(answered)
    principal, until = admitted.principal, admitted.until
    if principal is None or principal is False:
        raise Refused(403, f"authenticate returned {principal}", NOT_SIGNED_IN)
    hash(principal)
    if until is not None and until <= datetime.now(UTC):
        raise Refused(401, f"{principal!r} was admitted until {until}, which is past", NOT_SIGNED_IN)
    return admitted


async def call_hook(name: str, hook: Callable[..., object], *asked: object) -> object:
    """Return what a hook answers, plain or async.

    Raises:
        RuntimeError: it ended in a CancelledError that nobody asked for.
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
    """Refuse a handshake: with the server's own 403, or with another status where the server can say one."""
    # Every server knows how to refuse by closing; some log an error when a response of ours is all they get.
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
    """Answer an HTTP request: this is not the way to speak to us."""
    body = b"this is a WebSocket endpoint\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"upgrade", b"websocket"),
    ]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> list[str]:
    """Return the values of a header, in order."""
    pairs: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    return [value.decode("latin-1") for key, value in pairs if key.lower() == name]


def _place(origin: str) -> Place:
    if not isinstance(origin, str):
        raise TypeError(f"an allowed origin is a text, such as 'https://app.example', not {origin!r}")
    if "*" in origin:
        raise ValueError(f"{origin!r} is no origin: '*' stands for any of them, and only by itself")
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{origin!r} is no origin: write scheme and host, as 'https://app.example'")
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
        raise ValueError("there is no host")
    return scheme, parts.hostname, parts.port or _DEFAULT_PORTS[scheme]
