"""The lab as a web application: its pages, their API, and their WebSockets."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from sessionstream.hydration.stores import Location
from sessionstream.serving.hosts import only_for
from sessionstream.systemlab.api import Api
from sessionstream.systemlab.inspector import StoreSource, inspector_routes, running
from sessionstream.systemlab.lab import Interrupted, Lab, UnknownPhase
from sessionstream.systemlab.pages import Pages
from sessionstream.systemlab.rendering import inspector_static, static
from sessionstream.systemlab.responses import Errors, healthy

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


def lab_app(lab: Lab, hosts: Collection[str] | None = None, store: Location | None = None) -> Starlette:
    """Return the ASGI application of an open lab.

    Args:
        lab: the lab whose phases are shown.
        hosts: the hosts that requests may name; None means any.
        store: where a store for the inspector is; None: it shows only the phases.
    """
    pages, api = Pages(lab), Api(lab)
    errors = Errors(pages.problem)
    stored = [] if store is None else [StoreSource(store)]
    return Starlette(
        routes=[
            Route("/", pages.front),
            Route("/phases/{number:int}", pages.phase),
            Route("/inspector", pages.inspector),
            Route("/docs/", pages.docs),
            Route("/api/docs/search", pages.search),
            Route("/docs/{slug}.md", pages.raw),
            Route("/docs/{slug}", pages.entry),
            Route("/chapters/", pages.chapters),
            Route("/chapters/{number:int}", pages.chapter),
            Route("/static/{name}", static),
            Route("/static/inspector/{name}", inspector_static),
            Route("/healthz", healthy),
            Route("/api/status", api.status),
            Route("/api/reset", api.reset, methods=["POST"]),
            Route("/api/phase{number:int}/run", api.run, methods=["POST"]),
            Route("/api/phase{number:int}/state", api.state),
            Route("/api/phase{number:int}/export", api.export),
            Route("/api/phase{number:int}/ws", api.upgrade),
            WebSocketRoute("/api/phase{number:int}/ws", _Watch(lab)),
            *inspector_routes(lambda: [*stored, *running(lab.phases)]),
        ],
        middleware=only_for(hosts),
        exception_handlers={**errors.handlers, UnknownPhase: errors.unknown, Interrupted: errors.conflict},
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
