"""The ASGI servers that are tested, each with every WebSocket implementation that it has."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, TypeAlias

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from ..running import PATIENCE, served, unused_port

Serve: TypeAlias = Callable[[Any], AbstractAsyncContextManager[str]]
"""Serves an ASGI application; yields its address, ``ws://127.0.0.1:PORT``."""


@asynccontextmanager
async def under_hypercorn(app: Any) -> AsyncIterator[str]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.graceful_timeout = 1.0
    stop, started = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(serve(_noting(app, started), config, shutdown_trigger=stop.wait))
    try:
        await asyncio.wait_for(started.wait(), PATIENCE)
        yield f"ws://127.0.0.1:{port}"
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE)
        listening.detach()


@asynccontextmanager
async def under_granian(app: Any) -> AsyncIterator[str]:
    """In this process; granian has its sockets in Rust, and takes a port only."""
    pytest.importorskip("granian", reason="granian is not installed: pip install granian")
    from granian.constants import Interfaces
    from granian.server.embed import Server

    started = asyncio.Event()
    port = unused_port()
    server = Server(_noting(app, started), port=port, interface=Interfaces.ASGI, log_enabled=False)
    running = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(started.wait(), PATIENCE)
        yield f"ws://127.0.0.1:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait_for(running, PATIENCE)


def _noting(app: Any, started: asyncio.Event) -> Any:
    """Return the application; the event is set when its lifespan has begun."""

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: dict[str, Any]) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                started.set()

        await app(scope, receive, sent if scope["type"] == "lifespan" else send)

    return noting


SERVERS: Final[list[Serve]] = [served, under_hypercorn, under_granian]

CORES: Final[dict[str, Serve]] = {
    "uvicorn websockets": partial(served, ws="websockets"),
    "uvicorn websockets-sansio": partial(served, ws="websockets-sansio"),
    "uvicorn wsproto": partial(served, ws="wsproto"),
    "hypercorn": under_hypercorn,
    "granian": under_granian,
}
