"""The inspector as an application of its own, over one store: ``sessionstream inspect STORE --web``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sessionstream.hydration import stores
from sessionstream.serving import running
from sessionstream.serving.address import Address
from sessionstream.serving.files import HEADERS
from sessionstream.serving.hosts import only_for
from sessionstream.systemlab import rendering
from sessionstream.systemlab.inspector.routes import inspector_routes
from sessionstream.systemlab.inspector.seen import visible
from sessionstream.systemlab.inspector.stored import StoreSource
from sessionstream.systemlab.responses import Errors, healthy
from sessionstream.transport.ws import Limits

if TYPE_CHECKING:
    from starlette.requests import Request


def inspector_app(store: stores.Location, hosts: Collection[str] | None = None) -> Starlette:
    """Return the ASGI application: the page at ``/``, and its API. It only reads the store.

    Args:
        store: where the store is; see ``stores.look``.
        hosts: the hosts that requests may name; None means any.
    """
    source = StoreSource(store)

    async def page(_request: Request) -> Response:
        return rendering.page("alone.html", here="inspector", phases=(), store=visible(stores.shown(store)))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/static/{name}", rendering.static),
            Route("/static/inspector/{name}", rendering.inspector_static),
            Route("/healthz", healthy),
            *inspector_routes(lambda: [source]),
        ],
        middleware=only_for(hosts),
        exception_handlers=Errors(_problem).handlers,
    )


async def serve(store: stores.Location, port: int, say: Callable[[str], None]) -> None:
    """Serve the inspector on the loopback interface until SIGINT or SIGTERM.

    Args:
        store: where the store is; see ``stores.look``.
        port: where to listen; 0: any free port.
        say: prints a line for the user who started it.

    Raises:
        TransportError: the port cannot be listened on.
    """
    address = Address("127.0.0.1", port)
    with running.sigterm_cancels(), closing(running.listen(address, "--port")) as listening:
        say(f"inspector: {address.url(listening.getsockname()[1])}")
        say(f"store:     {stores.shown(store)}")
        app = inspector_app(store, address.names)
        await running.run(app, listening, frame_bytes=Limits().frame_bytes, farewell=_nobody_waits)


def _problem(status: int, words: str) -> Response:
    return PlainTextResponse(f"{words}\n", status, headers=HEADERS)


async def _nobody_waits() -> None:
    """Every request is answered at once."""
