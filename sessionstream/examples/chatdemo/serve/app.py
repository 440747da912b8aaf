"""The web application: the page, the endpoint for commands, and the WebSocket."""

from __future__ import annotations

from collections.abc import Collection
from importlib import resources
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.serve.commands import Commands
from sessionstream.serving.files import CLIENT, Files
from sessionstream.serving.hosts import only_for
from sessionstream.transport.ws import WebSocketServer

_PAGE: Final = resources.files("sessionstream.examples.chatdemo.serve") / "static"
_FILES: Final = dict.fromkeys(("index.html", "chat.css", "chat.js", "icon.svg"), _PAGE) | {"sessionstream.js": CLIENT}


def web_app(chat: Chat, server: WebSocketServer, hosts: Collection[str] | None = None) -> Starlette:
    """Return the ASGI application of a chat.

    Args:
        chat: the chat that receives the commands.
        server: the WebSocket server, which is the fan-out of the chat's hub.
        hosts: the hosts that requests may name; None means any.
    """
    page = Files(_FILES, index="index.html").answer
    return Starlette(
        routes=[
            Route("/", page),
            Route("/static/{name}", page),
            Route("/commands/{name}", Commands(chat.hub).__call__, methods=["POST"]),
            WebSocketRoute("/ws", server),
        ],
        middleware=only_for(hosts),
    )
