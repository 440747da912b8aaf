"""A page with nothing on it but the JavaScript client, behind a proxy, and what is heard in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from sessionstream import Hub
from sessionstream.serving.files import CLIENT, Files
from sessionstream.transport.ws import WebSocketServer

from ..transport import notes
from ..transport.proxy import Proxy, proxied
from ..transport.running import PATIENCE, served

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page
    from starlette.requests import Request

AN_HOUR = 3_600_000
"""Milliseconds; a client with this heartbeat notices nothing by itself."""

IMPORT = "const { connect, Refused } = await import('/sessionstream.js');"


class Site:
    """A server whose pages are empty, and a page in a browser.

    Attributes:
        hub: its application is that of notes.py.
        server: what the page's client talks to.
        proxy: between the page and the server; also for what is not a WebSocket.
        heard: what the page told, in order.
    """

    def __init__(
        self, hub: Hub, server: WebSocketServer, proxy: Proxy, context: BrowserContext, page: Page, url: str
    ) -> None:
        self.hub = hub
        self.server = server
        self.proxy = proxy
        self.context = context
        self.page = page
        self.url = url
        self.heard: list[Any] = []
        self._changed = asyncio.Condition()

    async def open(self) -> None:
        """Open the page."""
        await self.page.expose_function("tell", self._told)
        await self.page.goto(self.url)

    async def run(self, script: str) -> Any:
        """Run the body of an async function in the page; ``connect``, ``Refused`` and ``tell`` are there."""
        return await self.page.evaluate(f"async () => {{ {IMPORT} {script} }}")

    async def until(self, condition: Callable[[Any], object]) -> Any:
        """Return the next thing the page tells that meets a condition."""
        async with asyncio.timeout(PATIENCE), self._changed:
            while True:
                while self.heard:
                    if condition(told := self.heard.pop(0)):
                        return told
                await self._changed.wait()

    async def state(self, name: str) -> dict[str, Any]:
        """Return the next change to a state."""
        return dict(await self.until(lambda told: isinstance(told, dict) and told.get("state") == name))

    async def _told(self, told: Any) -> None:
        async with self._changed:
            self.heard.append(told)
            self._changed.notify_all()


@asynccontextmanager
async def site(browser: Browser, *routes: BaseRoute, **options: Any) -> AsyncIterator[Site]:
    """Serve pages with the client behind a proxy, and open one. ``options`` are the WebSocket server's."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        server = WebSocketServer(hub, **options)
        hub.set_fanout(server)
        files = Files({"sessionstream.js": CLIENT})
        pages = [Route("/", _empty), Route("/elsewhere", _empty), WebSocketRoute("/ws", server)]
        app = Starlette(routes=[*routes, *pages, Route("/{name}", files.answer)])
        address = await stack.enter_async_context(served(app))
        proxy, through = await stack.enter_async_context(proxied(address))
        context = await stack.enter_async_context(await browser.new_context())
        page = await context.new_page()
        opened = Site(hub, server, proxy, context, page, through.replace("ws:", "http:"))
        await opened.open()
        yield opened


async def _empty(_request: Request) -> HTMLResponse:
    # A connection that is kept would be one that the proxy can lose, for the next page too.
    return HTMLResponse('<!doctype html><link rel="icon" href="data:,">', headers={"connection": "close"})
