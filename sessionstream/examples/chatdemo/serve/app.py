"""The web application: the page, its commands, and the WebSocket on which it watches."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.serve.commands import Commands
from sessionstream.examples.chatdemo.serve.pages import page
from sessionstream.transport.ws import WebSocketServer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def web_app(chat: Chat, server: WebSocketServer, hosts: Collection[str] | None = None) -> Starlette:
    """Return the ASGI application of a chat.

    Args:
        chat: who answers.
        server: who tells; the fan-out of the chat's hub.
        hosts: the names that requests may be for; None: any.
    """
    return Starlette(
        routes=[
            Route("/", page),
            Route("/static/{name}", page),
            Route("/commands/{name}", Commands(chat.hub).__call__, methods=["POST"]),
            WebSocketRoute("/ws", server),
        ],
        middleware=[] if hosts is None else [Middleware(_OnlyFor, hosts=hosts)],
    )


class _OnlyFor:
    """Refuses requests, WebSockets included, that are for another host."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _host(scope) in self._hosts:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse("this server is not for that host\n", 421)(scope, receive, send)


def _host(scope: Scope) -> str | None:
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
    except ValueError:
        return None
