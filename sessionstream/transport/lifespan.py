"""The ASGI lifespan of an application that has nothing to start, and something to shut down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sessionstream.errors import error_text
from sessionstream.transport.access import Receive, SendMessage


async def serve_lifespan(receive: Receive, send: SendMessage, shutdown: Callable[[], Awaitable[None]]) -> None:
    """Serve a lifespan scope; at its end, call ``shutdown``.

    Raises:
        Exception: what ``shutdown`` raised, after the server was told.
    """
    while (told := (await receive())["type"]) != "lifespan.shutdown":
        if told == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
    try:
        await shutdown()
    except Exception as error:
        await send({"type": "lifespan.shutdown.failed", "message": error_text(error)})
        raise
    await send({"type": "lifespan.shutdown.complete"})
