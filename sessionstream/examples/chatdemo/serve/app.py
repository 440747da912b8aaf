"""The web application: the page, the endpoint for commands, and the WebSocket."""

from __future__ import annotations

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.serve.commands import Commands
from sessionstream.examples.chatdemo.serve.pages import page
from sessionstream.serving.hosts import only_for
from sessionstream.transport.ws import WebSocketServer


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
        middleware=only_for(hosts),
    )
