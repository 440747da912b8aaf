"""What a page sends: one JSON object, of a bounded size, as ``application/json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BYTES: Final = 65_536
"""The longest request."""


class Refused(Exception):
    """A request is not acted upon, with this HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


async def json_object(request: Request, noun: str) -> dict[str, Any]:
    """Return the JSON object that a request brings.

    Args:
        request: the request; its body is read.
        noun: what such a request is called in the words of a refusal, with its article.

    Raises:
        Refused: it is something else: 415 another content type, 413 too long, 400 no JSON object or cut off.
    """
    # A page of another origin cannot send this content type without asking first, and nobody here would answer.
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
    """Return what a JSON text says, if it can be said again.

    Python reads more than others write: ``NaN``, numbers beyond all bounds, and half of a surrogate pair, as is left of
    an emoji that was cut in two. No answer could hold them, and no store.

    Raises:
        ValueError: it is no JSON, nested too deeply, or says one of these.
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
