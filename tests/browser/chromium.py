"""The browser of this machine, and pages in it that notice what they should not do."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright, expect

PATIENCE = 30_000
"""Milliseconds within which a page shows what it has to; none takes that long unless something hangs."""

expect.set_options(timeout=PATIENCE)

CHROMIUM = shutil.which("chromium")
LOST = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_SOCKET_NOT_CONNECTED", "ERR_EMPTY_RESPONSE")
"""What the browser itself logs when a server is not there."""

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run the browser, as users have it: with its cache of pages to go back to."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, ignore_default_args=["--disable-back-forward-cache"]
        )
        try:
            yield browser
        finally:
            await browser.close()


class Tabs:
    """Pages of one server: what goes wrong in them is kept, and what they ask of others. ``async with`` closes them.

    Attributes:
        url: of the server.
        faults: uncaught errors, and what the console calls an error.
        foreign: requests to anything but the server.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.url = url
        self.faults: list[str] = []
        self.foreign: list[str] = []
        self._unanswered: set[Request] = set()
        self._answered = asyncio.Event()

    async def __aenter__(self) -> Tabs:
        return self

    async def __aexit__(self, *_: object) -> None:
        for context in self._contexts:
            await context.close()

    async def open(self, session_id: str = "s-1", **options: Any) -> Page:
        """Open the chat page in a window of its own."""
        return await self.visit(f"#{session_id}" if session_id else "", **options)

    async def visit(self, place: str, **options: Any) -> Page:
        """Open an address below the server's in a window of its own, which shares nothing with the others."""
        page = await self.window(**options)
        await page.goto(f"{self.url}{place}")
        return page

    async def window(self, **options: Any) -> Page:
        """Open an empty window, which shares nothing with the others."""
        context: BrowserContext = await self._browser.new_context(**options)
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        page.on("request", self._requested)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        return page

    async def answered(self) -> None:
        """Return when no page waits for an answer."""
        while self._unanswered:
            self._answered.clear()
            await self._answered.wait()

    def _ended(self, request: Request) -> None:
        self._unanswered.discard(request)
        self._answered.set()

    def _requested(self, request: Request) -> None:
        self._unanswered.add(request)
        if not request.url.startswith((self.url, self.url.replace("http", "ws"))):
            self.foreign.append(request.url)


OpenTabs = Callable[[str], Any]
