"""An application on a shared file, for several worker processes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from sessionstream import SQLiteStore
from sessionstream.transport.ws import Limits, WebSocketServer

from .. import notes

if TYPE_CHECKING:
    from starlette.requests import Request

PROCESS = str(os.getpid())


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[None]:
    schemas = notes.registry()
    async with SQLiteStore.open(os.environ["WORKER_FILE"], schemas) as store, notes.application(store) as hub:
        server = WebSocketServer(hub, limits=Limits(heartbeat_seconds=3600, pong_timeout_seconds=3600))
        hub.set_fanout(server)
        app.state.hub, app.state.store = hub, store
        app.router.routes.append(WebSocketRoute("/ws", server))
        yield
        await server.shutdown()


async def process(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(PROCESS)


async def publish(request: Request) -> PlainTextResponse:
    put = request.query_params["put"]
    await notes.publish(request.app.state.hub, "s", put={put: PROCESS} if put else {}, tell=[PROCESS])
    return PlainTextResponse(PROCESS)


async def rebuild(request: Request) -> PlainTextResponse:
    await request.app.state.hub.rebuild_timeline("s")
    return PlainTextResponse(PROCESS)


async def delete(request: Request) -> PlainTextResponse:
    await request.app.state.store.delete_session("s")
    return PlainTextResponse(PROCESS)


app = Starlette(
    routes=[
        Route("/process", process),
        Route("/publish", publish, methods=["POST"]),
        Route("/rebuild", rebuild, methods=["POST"]),
        Route("/delete", delete, methods=["POST"]),
    ],
    lifespan=running,
)
