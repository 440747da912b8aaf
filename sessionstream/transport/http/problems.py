"""Answers of HTTP endpoints: JSON, or a problem with a status, a code, and a message that a page can show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from sessionstream.transport.access import Reason, Scope, SendMessage

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Response headers, with names in lower case."""

RETRY_AFTER: Final = 5
"""``Retry-After`` of answers with 503, in seconds."""

SHUTTING_DOWN: Final = "shutting_down"
"""The code of answers of an endpoint, or a hub, that is shut down."""

_ALWAYS: Final[Headers] = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its body, and further headers."""

    status: int
    body: bytes = b"{}"
    headers: Headers = ()
    content_type: bytes = b"application/json"

    async def send(self, scope: Scope, send: SendMessage, headers: Headers = ()) -> None:
        """Send the response, with further headers; without its body to a HEAD request, and if it has none."""
        sent = [*_ALWAYS, *self.headers, *headers]
        if self.status != 204:
            sent += [(b"content-type", self.content_type), (b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": sent})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


class Problem(Exception):
    """A request cannot be served.

    Attributes:
        status: the HTTP status.
        code: what programs compare.
        message: what a page may show: no details of the server.
        headers: of the response.
    """

    def __init__(self, status: int, code: str, message: str, headers: Headers = ()) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        later = ((b"retry-after", str(RETRY_AFTER).encode()),) if status == 503 else ()
        self.headers: Headers = (*headers, *later)

    def answer(self) -> Answer:
        """Return the response: ``{"error": {"code": …, "message": …}}``."""
        body = json.dumps({"error": {"code": self.code, "message": self.message}}, ensure_ascii=False)
        return Answer(self.status, body.encode("utf-8", "backslashreplace"), self.headers)


REFUSALS: Final[dict[Reason, tuple[int, str, str]]] = {
    "origin": (403, "origin_not_allowed", "pages of this origin may not use this server"),
    "unknown": (401, "not_signed_in", "sign in first"),
    "expired": (401, "not_signed_in", "sign in again"),
    "forbidden": (403, "forbidden", "you may not use this session"),
    "busy": (503, "unavailable", "the server cannot take this now; try again in a moment"),
}
"""Status, code and message for each reason of a refusal."""


def shutting_down() -> Problem:
    """Return what clients are told of an endpoint, or a hub, that is shut down."""
    return Problem(503, SHUTTING_DOWN, "the server is shutting down; try again in a moment")
