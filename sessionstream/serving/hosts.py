"""Middleware that refuses requests whose Host header names another host.

This protects against DNS rebinding: a foreign page whose host name resolves to this machine is same-origin for the
browser, and only the Host header of its requests shows that it is foreign.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def only_for(hosts: Collection[str] | None) -> list[Middleware]:
    """Return the middleware that refuses requests for other hosts; an empty list if ``hosts`` is None, meaning any."""
    return [] if hosts is None else [Middleware(_OnlyFor, hosts=hosts)]


class _OnlyFor:
    """Refuses requests, including WebSockets, for hosts that are not in ``hosts``."""

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
