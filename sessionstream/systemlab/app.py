"""The lab as a web application: its pages, their API, and their WebSockets."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route, WebSocketRoute

from sessionstream import SessionstreamError
from sessionstream.hydration.stores import Location
from sessionstream.serving.bodies import Refused
from sessionstream.serving.hosts import only_for
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.api import Api, healthy, problem
from sessionstream.systemlab.inspector import inspector_routes
from sessionstream.systemlab.lab import Interrupted, Lab, UnknownPhase
from sessionstream.systemlab.pages import Pages, static

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send


def lab_app(lab: Lab, hosts: Collection[str] | None = None, store: Location | None = None) -> Starlette:
    """Return the ASGI application of an open lab.

    Args:
        lab: the lab whose phases are shown.
        hosts: the hosts that requests may name; None means any.
        store: where a store for the inspector is; None: it shows only the phases.
    """
    pages, api = Pages(lab), Api(lab)
    errors = _Errors(pages)
    return Starlette(
        routes=[
            Route("/", pages.front),
            Route("/phases/{number:int}", pages.phase),
            Route("/inspector", pages.inspector),
            Route("/docs/", pages.docs),
            Route("/docs/{slug}.md", pages.raw),
            Route("/docs/{slug}", pages.entry),
            Route("/chapters/", pages.chapters),
            Route("/chapters/{number:int}", pages.chapter),
            Route("/static/{name}", static),
            Route("/healthz", healthy),
            Route("/api/status", api.status),
            Route("/api/reset", api.reset, methods=["POST"]),
            Route("/api/phase{number:int}/run", api.run, methods=["POST"]),
            Route("/api/phase{number:int}/state", api.state),
            Route("/api/phase{number:int}/export", api.export),
            Route("/api/phase{number:int}/ws", api.upgrade),
            WebSocketRoute("/api/phase{number:int}/ws", _Watch(lab)),
            *inspector_routes(lab, store),
        ],
        middleware=only_for(hosts),
        exception_handlers=errors.handlers,
    )


class _Watch:
    """The WebSocket of a phase: passes connections to the current server of the phase."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            server = await self._lab.server(scope["path_params"]["number"])
        except UnknownPhase:
            server = None
        if server is None:
            await send({"type": "websocket.close", "code": 1013})
        else:
            await server(scope, receive, send)


class _Errors:
    """Error responses: JSON for requests to the API, otherwise a page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.handlers: dict[Any, Any] = {
            HTTPException: self.http,
            Refused: self.refused,
            BadRequest: self.bad_request,
            UnknownPhase: self.unknown,
            Interrupted: self.conflict,
            SessionstreamError: self.conflict,
            Exception: self.fault,
        }

    async def http(self, request: Request, error: HTTPException) -> Response:
        words = error.detail if error.detail != HTTPStatus(error.status_code).phrase else _words(request, error)
        response = self._say(request, error.status_code, words)
        response.headers.update(error.headers or {})
        return response

    async def refused(self, request: Request, error: Refused) -> Response:
        return self._say(request, error.status, str(error))

    async def bad_request(self, request: Request, error: Exception) -> Response:
        return self._say(request, 400, str(error))

    async def unknown(self, request: Request, error: Exception) -> Response:
        return self._say(request, 404, str(error))

    async def conflict(self, request: Request, error: Exception) -> Response:
        return self._say(request, 409, str(error))

    async def fault(self, request: Request, _error: Exception) -> Response:
        return self._say(request, 500, "the lab met a fault of its own; its output has the details")

    def _say(self, request: Request, status: int, words: str) -> Response:
        if request.url.path.startswith("/api/"):
            return problem(status, words)
        return self._pages.problem(status, words)


def _words(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another method")
        return f"{request.url.path} is asked by {allowed}, not by {request.method}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {request.url.path}"
    return error.detail
