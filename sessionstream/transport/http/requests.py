"""What a request says: the parts of its path, its headers, and its body."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import quote, unquote

from sessionstream.transport.access import Receive, Scope, header
from sessionstream.transport.http.problems import Problem

_JSON: Final = "application/json"


class ClientGone(Exception):
    """The client has closed the connection; it cannot be answered."""


def path_below_mount(scope: Scope) -> str:
    """Return the path below where the endpoint is mounted; all of it where that is not known."""
    path: str = scope["path"]
    mounted = scope.get("root_path", "").rstrip("/")
    # Some frameworks remove it from the path themselves.
    return path[len(mounted) :] if mounted and path.startswith(f"{mounted}/") else path


def is_below_mount(scope: Scope) -> bool:
    """Return whether the path is known to be another than that where the endpoint is mounted."""
    path = path_below_mount(scope)
    return path != scope["path"] and path != "/"


def path_parts(scope: Scope, pattern: str) -> list[str] | None:
    """Return the parts of the path, below where the endpoint is mounted, that stand where the pattern has ``*``.

    An empty pattern fits every path. A part is decoded after the path was split, so that it may contain a slash, as
    ``%2F``. None: the path is another.

    Raises:
        Problem: a part is not UTF-8.
    """
    if not pattern:
        return []
    path = path_below_mount(scope)
    wanted = pattern.split("/")
    raw: bytes = scope.get("raw_path") or quote(path).encode()
    parts = raw.partition(b"?")[0].decode("latin-1").split("/")[-len(wanted) :]
    shown = "/" + "/".join(map(unquote, parts))
    if len(parts) != len(wanted) or shown not in (path, path.removesuffix("/")):  # Litestar adds a slash to the path
        return None
    if any(part != want for part, want in zip(parts, wanted, strict=True) if want != "*"):
        return None
    try:
        return [unquote(part, errors="strict") for part, want in zip(parts, wanted, strict=True) if want == "*"]
    except UnicodeDecodeError:
        raise Problem(400, "invalid_id", "the path is not percent-encoded UTF-8") from None


def idempotency_key(scope: Scope) -> str | None:
    """Return the value of ``Idempotency-Key``, without the quotes that the Internet-Draft of this header asks for.

    Raises:
        Problem: the header occurs more than once.
    """
    values = header(scope, b"idempotency-key")
    if not values:
        return None
    if len(values) > 1:
        raise Problem(400, "invalid_id", "there is more than one Idempotency-Key")
    value = values[0].strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value


def check_json(scope: Scope) -> None:
    """Check that the body is JSON, as its headers say.

    A page of another origin needs a CORS preflight to send this content type.

    Raises:
        Problem: with 415, it is not.
    """
    types = [value.partition(";")[0].strip().lower() for value in header(scope, b"content-type")]
    if types != [_JSON]:
        raise Problem(415, "not_json", f"send it as {_JSON}")
    if any(value.strip().lower() != "identity" for value in header(scope, b"content-encoding")):
        raise Problem(415, "not_json", "send it without a content encoding")


async def read_body(scope: Scope, receive: Receive, limit: int, timeout_seconds: float) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: with 413, it is longer than the limit; with 408, it did not come in time.
        ClientGone: the client has gone.
    """
    too_long = Problem(413, "too_large", f"the body has at most {limit} bytes")
    if any(length.isdecimal() and int(length) > limit for length in header(scope, b"content-length")):
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                body += message.get("body", b"")
                if len(body) > limit:
                    raise too_long
                more = message.get("more_body", False)
    except TimeoutError:
        raise Problem(408, "too_slow", "the request did not arrive in time; send it again") from None
    return bytes(body)


async def client_gone(receive: Receive) -> None:
    """Return when the client has closed the connection; until then, what it sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
