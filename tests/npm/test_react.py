"""The React hooks of the package, in the project that installed it: built by vite, in a browser, and on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles

from sessionstream import Hub
from sessionstream.transport.http import commands_endpoint
from sessionstream.transport.ws import WebSocketServer

from ..browser.chromium import CHROMIUM, chromium
from ..transport.running import served, unused_port
from .conftest import Project
from .notes import added, notes


@asynccontextmanager
async def site(hub: Hub, dist: Path, port: int) -> AsyncIterator[WebSocketServer]:
    server = WebSocketServer(hub)
    hub.set_fanout(server)
    api = commands_endpoint(hub, errors={ValueError: 422})
    routes = [
        WebSocketRoute("/ws", server),
        Mount("/api", api),
        Mount("/", StaticFiles(directory=dist, html=True)),
    ]
    async with served(Starlette(routes=routes), port=port):
        yield server
        await server.shutdown(retry_after=0.05)
        await api.shutdown()


async def shows(page: Page, *texts: str) -> None:
    """Wait until both places of a page show these notes, none of them pending."""
    for place in range(2):
        await expect(page.locator("ul").nth(place).locator("li.kept")).to_have_text(list(texts))
        await expect(page.locator("ul").nth(place).locator("li.pending")).to_have_count(0)


async def enter(page: Page, text: str) -> None:
    await page.locator("input").first.fill(text)
    await page.locator("input").first.press("Enter")


def test_a_server_renders_the_snapshot_that_it_is_given(project: Project) -> None:
    assert project.script("server.mjs") == "9007199254740993 tea\n"


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, so NOTHING was tried in a browser")
async def test_two_tabs_in_strict_mode_through_a_restart_and_offline(project: Project, tmp_path: Path) -> None:
    dist, port = tmp_path / "dist", unused_port()
    project.run("vite", "build", "--logLevel", "warn", "--outDir", dist)
    async with notes() as hub, chromium() as browser:
        contexts = [await browser.new_context() for _ in range(2)]
        first, second = [await context.new_page() for context in contexts]
        async with site(hub, dist, port) as server:
            for page in (first, second):
                await page.goto(f"http://127.0.0.1:{port}/")
                await expect(page.locator("output").first).to_have_text("ready")
            assert [each.subscriptions for each in server.connections()] == [("kitchen",), ("kitchen",)]
            await enter(first, "tea")
            for page in (first, second):
                await shows(page, "tea")
            await enter(first, "")
            await expect(first).to_have_title("a note has a text")
            await shows(first, "tea")
        await hub.publish(added("while the server was away"))
        async with site(hub, dist, port):
            for page in (first, second):
                await shows(page, "tea", "while the server was away")
            await contexts[1].set_offline(True)
            await enter(second, "never sent")
            await expect(second).not_to_have_title("Consumer")
            await shows(second, "tea", "while the server was away")
            await contexts[1].set_offline(False)
            await enter(second, "milk")
            for page in (first, second):
                await shows(page, "tea", "while the server was away", "milk")
        for context in contexts:
            await context.close()
