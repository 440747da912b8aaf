"""Who may do what: checks the origin of a page, and calls the application's ``authenticate`` and ``authorize``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import isawaitable
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from sessionstream.callables import kind_of, refuse_unasked
from sessionstream.errors import error_text

Message: TypeAlias = MutableMapping[str, Any]
"""An ASGI message."""

Scope: TypeAlias = MutableMapping[str, Any]
"""An ASGI connection scope."""

Receive: TypeAlias = Callable[[], Awaitable[Message]]
"""Returns the next ASGI message."""

SendMessage: TypeAlias = Callable[[Any], Awaitable[None]]
"""Sends an ASGI message."""

AuthenticateHook: TypeAlias = Callable[[Any], object | Awaitable[object]]
"""Returns a principal, any hashable value, or an ``Admitted`` with one. None, False, "" or an exception refuses."""

AuthorizeHook: TypeAlias = Callable[[Any, str], bool | Awaitable[bool]]
"""``authorize(principal, session_id)``: whether this principal may use this session."""

Reason: TypeAlias = Literal["origin", "unknown", "expired", "forbidden", "busy"]
"""Why a request is refused: its page, an unknown principal, an admission that has ended, a principal that may not; or
the server cannot decide or serve it now."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}

Place: TypeAlias = tuple[str, str, int | None]
"""Scheme, host and port of an origin."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What ``authenticate`` may return: a principal and when its admission ends. (Reference: WebSocket transport.)

    At that time a WebSocket connection is closed with 1012, and a stream of server-sent events ends; the client
    reconnects with new credentials.

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
    """A request or a handshake is refused.

    Attributes:
        reason: what the client is told; each transport has its own status for it.
        why: the details, for the log.
    """

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason: Reason = reason
        self.why = why


class Origins:
    """The origins whose pages may connect.

    Args:
        allowed: origins as browsers write them, ``"https://app.example"``; ``"*"`` for any; None for pages that
            come from the host they connect to.

    Attributes:
        any: whether pages of every origin may connect.

    Raises:
        ValueError: an entry is not a valid origin.
        TypeError: the argument is a string instead of a collection of strings, or contains another type.
    """

    def __init__(self, allowed: Collection[str] | None) -> None:
        if isinstance(allowed, str):
            raise TypeError(f"allowed_origins must be a collection of origins: write [{allowed!r}]")
        self.any: bool = allowed is not None and "*" in allowed
        self._allowed = None if allowed is None else frozenset(_place(origin) for origin in allowed if origin != "*")

    def check(self, scope: Scope) -> None:
        """Check the ``Origin`` header, which browsers always send and pages cannot forge.

        Raises:
            Refused: the page may not connect.
        """
        origins = header(scope, b"origin")
        if not origins or self.any:
            return  # without the header, the client is not a browser
        try:
            (origin,) = origins
            place = _place(origin)
        except ValueError:
            raise Refused("origin", f"the Origin header {origins} is not a valid origin") from None
        if self._allowed is not None:
            if place in self._allowed:
                return
            raise Refused("origin", f"the origin {origin} is not in allowed_origins")
        own = _own_place(scope)
        if place != own:
            raise Refused("origin", f"the origin {origin} is not this server's own, {own}: see allowed_origins")


def check_hooks(authenticate: object, authorize: object) -> None:
    """Check the application's hooks.

    Raises:
        TypeError: one is neither a function nor None.
    """
    for name, hook in (("authenticate", authenticate), ("authorize", authorize)):
        if hook is not None and not callable(hook):
            raise TypeError(f"{name} must be a function, not {hook!r}")


async def authenticate(hook: AuthenticateHook | None, scope: Scope, timeout_seconds: float) -> Admitted:
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
        raise Refused("busy", "authenticate took too long") from None
    except Exception as error:
        reason: Reason = "forbidden" if isinstance(error, PermissionError) else "unknown"
        raise Refused(reason, f"authenticate raised {error_text(error)}") from error
    admitted = answered if isinstance(answered, Admitted) else Admitted(answered)
    principal, until = admitted.principal, admitted.until
    if principal is None or principal is False or principal == "":
        raise Refused("unknown", f"authenticate returned {principal!r}")
    try:
        hash(principal)
    except TypeError:
        kind = kind_of(principal)
        raise TypeError(
            f"authenticate returned {kind} as principal: return a hashable value, such as the id of a user"
        ) from None
    if until is not None and until <= datetime.now(UTC):
        raise Refused("expired", f"{principal!r} was admitted until {until}, which is past")
    return admitted


def seconds_left(admitted: Admitted) -> float | None:
    """Return how long an admission lasts; None: no end."""
    return None if admitted.until is None else (admitted.until - datetime.now(UTC)).total_seconds()


async def authorize(hook: AuthorizeHook | None, principal: object, session_id: str, timeout_seconds: float) -> None:
    """Call the hook; without one, everybody may use every session.

    Raises:
        Refused: the hook did not return True, raised (which is the ``__cause__``), or timed out.
    """
    if hook is None:
        return
    try:
        async with asyncio.timeout(timeout_seconds):
            allowed = await call_hook("authorize", hook, principal, session_id) is True
    except TimeoutError:
        raise Refused("busy", f"authorize took too long for session {session_id!r}") from None
    except Exception as error:
        raise Refused("forbidden", f"authorize failed for session {session_id!r}: the client is refused") from error
    if not allowed:
        raise Refused("forbidden", f"authorize({principal!r}, {session_id!r}) did not return True")


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


def challenge(reason: Reason) -> bytes:
    """Return the ``WWW-Authenticate`` of an answer with 401, which RFC 9110 requires.

    It names the scheme ``Bearer``, for which browsers show no dialog, whatever ``authenticate`` reads.
    """
    return b'Bearer realm="sessionstream"' + (b', error="invalid_token"' if reason == "expired" else b"")


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
