"""What all HTTP endpoints do: they find the route of a request, check its origin, and answer problems."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sessionstream.transport.access import Receive, Scope, SendMessage
from sessionstream.transport.http.guard import Guard
from sessionstream.transport.http.problems import Answer, Headers, Problem
from sessionstream.transport.http.requests import ClientGone, path_parts
from sessionstream.transport.lifespan import serve_lifespan

_log = logging.getLogger("sessionstream")


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

    A subclass sets its routes: for each path below where it is mounted, with ``*`` for the variable parts, the method
    that it serves there, beside OPTIONS; an empty path stands for all paths. And it says in words what it serves.
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
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await serve_lifespan(receive, send, self.shutdown)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000, "reason": ""})
            case other:
                raise ValueError(f"a {type(self).__name__} serves http and lifespan, not {other!r}")

    async def _http(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        cors: Headers = ()
        answer: Answer | None
        try:
            found: dict[str, tuple[str, tuple[str, ...]]] = {}
            for pattern, method in self._routes.items():
                parts = path_parts(scope, pattern)
                if parts is not None:
                    found[method] = (pattern, tuple(parts))
            if not found:
                raise Problem(404, "not_found", f"there is nothing here: {self._usage}")
            cors = self._guard.check_origin(scope)
            allowed = ", ".join(sorted(("OPTIONS", *found))).encode()
            if scope["method"] == "OPTIONS":
                answer = self._guard.options(scope, allowed)
            elif scope["method"] not in found:
                raise Problem(405, "method_not_allowed", self._usage, ((b"allow", allowed),))
            else:
                answer = await self._serve(Request(scope, receive, send, cors, *found[scope["method"]]))
        except Problem as problem:
            answer = problem.answer()
        except ClientGone:
            return
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception("a request could not be answered: %s", self._usage)
            answer = Problem(500, "internal", "the server has failed; its log says why").answer()
        if answer is not None:
            await answer.send(scope, send, cors)

    @abstractmethod
    async def _serve(self, request: Request) -> Answer | None:
        """Serve a request of one of the routes; return the answer if it is not sent yet.

        Raises:
            Problem: the request cannot be served, and nothing was sent yet.
            ClientGone: the client has gone.
        """

    @abstractmethod
    async def shutdown(self) -> None:
        """Refuse new requests and end those in progress."""
