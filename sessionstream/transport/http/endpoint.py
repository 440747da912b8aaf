"""What all HTTP endpoints do: they find the route of a request, check its origin, and answer problems."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from sessionstream.errors import HubClosed
from sessionstream.logs import SessionLog
from sessionstream.transport.access import Receive, Scope, SendMessage
from sessionstream.transport.http.guard import Guard
from sessionstream.transport.http.problems import Answer, Headers, Problem, shutting_down
from sessionstream.transport.http.requests import ClientGone, is_below_mount, path_parts
from sessionstream.transport.lifespan import serve_lifespan

_NOTHING: Final = "there is nothing here"

_log = SessionLog()


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        cors: headers for its response.
        pattern: the pattern of its route.
        parts: the variable parts of its path.
    """

    scope: Scope
    receive: Receive
    send: SendMessage
    cors: Headers
    pattern: str
    parts: tuple[str, ...]


class Endpoint(ABC):
    """An ASGI application with a few routes, which belongs to one event loop.

    A subclass sets its routes: for each path below where it is mounted, with ``*`` for the variable parts, the methods
    that it serves there, beside OPTIONS, with spaces between them; an empty path stands for all paths, because where a
    route is mounted is not always known. And it says in words what it serves.
    """

    _routes: ClassVar[Mapping[str, str]]
    _usage: ClassVar[str]

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI scope: HTTP, or a lifespan, whose end calls ``shutdown``. A WebSocket is refused.

        Raises:
            ValueError: the scope has another type.
        """
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await _serve_other(self, scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        cors: Headers = ()
        answer: Answer | None
        try:
            found: dict[str, tuple[str, tuple[str, ...]]] = {}
            for pattern, methods in self._routes.items():
                parts = path_parts(scope, pattern)
                if parts is not None:
                    found |= dict.fromkeys(methods.split(), (pattern, tuple(parts)))
            if not found:
                raise Problem(404, "not_found", f"{_NOTHING}: {self._usage}")
            cors = self._guard.check_origin(scope)
            allowed = ", ".join(sorted(("OPTIONS", *found))).encode()
            if scope["method"] == "OPTIONS":
                answer = self._guard.options(scope, allowed)
            elif scope["method"] not in found:
                if is_below_mount(scope) and not any(pattern for pattern, _ in found.values()):
                    raise Problem(404, "not_found", f"{_NOTHING}: {self._usage}")
                raise Problem(405, "method_not_allowed", self._usage, ((b"allow", allowed),))
            else:
                answer = await self._serve(Request(scope, receive, send, cors, *found[scope["method"]]))
        except Problem as problem:
            answer = self._problem_answer(scope, problem)
        except HubClosed:
            answer = self._problem_answer(scope, shutting_down())
        except ClientGone:
            return
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception("a request could not be answered: %s", self._usage)
            answer = Problem(500, "internal", "the server has failed; its log says why").answer()
        if answer is not None:
            await answer.send(scope, send, cors)

    def matches(self, scope: Scope) -> bool:
        """Whether a request has a path of this endpoint."""
        try:
            return any(path_parts(scope, pattern) is not None for pattern in self._routes)
        except Problem:  # it has, with a part that cannot be read
            return True

    def _problem_answer(self, scope: Scope, problem: Problem) -> Answer:
        """Return the answer to a request that cannot be served."""
        return problem.answer()

    @abstractmethod
    async def _serve(self, request: Request) -> Answer | None:
        """Serve a request of one of the routes; return the answer if it is not sent yet.

        Raises:
            Problem: the request cannot be served, and nothing was sent yet.
            HubClosed: the hub is shut down, and nothing was sent yet.
            ClientGone: the client has gone.
        """

    @abstractmethod
    async def shutdown(self) -> None:
        """Refuse new requests and end those in progress."""


class Endpoints:
    """An ASGI application that passes each request to the endpoint whose path it has. (Reference: HTTP endpoints.)

    So several endpoints can be mounted at one place::

        app = Starlette(routes=[Mount("/api", Endpoints(commands_endpoint(hub), sse_endpoint(hub)))])

    Raises:
        TypeError: there is none, or one is not an endpoint.
    """

    def __init__(self, *endpoints: Endpoint) -> None:
        if not endpoints:
            raise TypeError("Endpoints needs at least one endpoint, such as sse_endpoint(hub)")
        for each in endpoints:
            if not isinstance(each, Endpoint):
                raise TypeError(f"Endpoints takes endpoints, such as sse_endpoint(hub), not {each!r}")
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI scope: HTTP, or a lifespan, whose end calls ``shutdown``. A WebSocket is refused.

        Raises:
            ValueError: the scope has another type.
        """
        if scope["type"] != "http":
            await _serve_other(self, scope, receive, send)
        elif (endpoint := next((each for each in self._endpoints if each.matches(scope)), None)) is not None:
            await endpoint(scope, receive, send)
        else:
            await Problem(404, "not_found", _NOTHING).answer().send(scope, send)

    async def shutdown(self) -> None:
        """Shut down all endpoints, at the same time."""
        await asyncio.gather(*(each.shutdown() for each in self._endpoints))


async def _serve_other(application: Endpoint | Endpoints, scope: Scope, receive: Receive, send: SendMessage) -> None:
    """Serve a scope that is not HTTP."""
    match scope["type"]:
        case "lifespan":
            await serve_lifespan(receive, send, application.shutdown)
        case "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        case other:
            raise ValueError(f"{type(application).__name__} serves http and lifespan, not {other!r}")
