"""Reads the body of a request: one JSON object of limited size, sent as ``application/json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BYTES: Final = 65_536
"""The maximum size of a request body, in bytes."""


class Refused(Exception):
    """A request is refused with this HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


async def json_object(request: Request, noun: str) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Args:
        request: the request; its body is read.
        noun: the name of such a request, with its article, for error messages.

    Raises:
        Refused: with 415 for another content type, 413 for a body that is too long, 400 for one that is not a JSON
            object or is incomplete.
    """
    # A page of another origin needs a CORS preflight to send this content type, and this server answers none.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, f"{noun} is application/json")
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BYTES:
                raise Refused(413, f"{noun} has at most {MAX_BYTES} bytes")
    except ClientDisconnect:
        raise Refused(400, "the request broke off") from None
    try:
        document = decoded(body)
    except ValueError as error:
        raise Refused(400, f"{noun} is JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refused(400, f"{noun} is a JSON object")
    return document


def decoded(text: str | bytes) -> Any:
    """Parse a JSON text whose value can be written as JSON again.

    Python's parser also accepts ``NaN``, numbers out of range, and lone surrogates, such as half of an emoji. These
    are refused, as neither a response nor a store can hold them.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or holds one of these.
    """
    try:
        document = json.loads(text)
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.end]
        raise ValueError(f"{half!r} is half of a surrogate pair, and no text") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return document
