"""Responses of the lab's APIs: JSON documents, and errors as ``{"error": …}`` or, outside of ``/api``, as a page."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sessionstream import SessionstreamError
from sessionstream.serving.bodies import Refused
from sessionstream.serving.files import HEADERS
from sessionstream.systemlab.actions import BadRequest

if TYPE_CHECKING:
    from starlette.requests import Request


def answer(document: object, status: int = 200) -> Response:
    """Return a JSON answer."""
    return JSONResponse(document, status, headers=HEADERS)


def problem(status: int, words: str) -> Response:
    """Return an error response."""
    return answer({"error": words}, status)


async def healthy(_request: Request) -> Response:
    """``GET /healthz``."""
    return PlainTextResponse("ok\n", headers=HEADERS)


class Errors:
    """Error responses: JSON for requests to the API, otherwise a page.

    Args:
        page: returns the page for a status and words.

    Attributes:
        handlers: by the exception, for a Starlette application.
    """

    def __init__(self, page: Callable[[int, str], Response]) -> None:
        self._page = page
        self.handlers: dict[Any, Any] = {
            HTTPException: self._http,
            Refused: self._refused,
            BadRequest: self.bad_request,
            SessionstreamError: self.conflict,
            Exception: self._fault,
        }

    async def bad_request(self, request: Request, error: Exception) -> Response:
        """Answer 400 with the words of the exception."""
        return self._say(request, 400, str(error))

    async def unknown(self, request: Request, error: Exception) -> Response:
        """Answer 404 with the words of the exception."""
        return self._say(request, 404, str(error))

    async def conflict(self, request: Request, error: Exception) -> Response:
        """Answer 409 with the words of the exception."""
        return self._say(request, 409, str(error))

    async def _http(self, request: Request, error: HTTPException) -> Response:
        words = error.detail if error.detail != HTTPStatus(error.status_code).phrase else _words(request, error)
        response = self._say(request, error.status_code, words)
        response.headers.update(error.headers or {})
        return response

    async def _refused(self, request: Request, error: Refused) -> Response:
        return self._say(request, error.status, str(error))

    async def _fault(self, request: Request, _error: Exception) -> Response:
        return self._say(request, 500, "the server met a fault of its own; its output has the details")

    def _say(self, request: Request, status: int, words: str) -> Response:
        return problem(status, words) if request.url.path.startswith("/api/") else self._page(status, words)


def _words(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another method")
        return f"{request.url.path} is asked by {allowed}, not by {request.method}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {request.url.path}"
    return error.detail
