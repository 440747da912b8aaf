"""Pages of the project that installed the package, built by vite, in a browser: hooks, tokens, what the docs show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx2
import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from sessionstream import Hub
from sessionstream.transport.http import commands_endpoint
from sessionstream.transport.ws import WebSocketServer

from ..browser.chromium import CHROMIUM, chromium
from ..transport.running import served, unused_port
from .notes import added, notes
from .project import Project, documented_server

if TYPE_CHECKING:
    from starlette.types import Scope

PARTS = ((0.25, "true"), (0.01, "false"))
"""Seconds with the store, whose entities keep their identity, and with copies of all of them."""

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, so NOTHING was tried in a browser")


class Tokens:
    """Whom a site lets in: the owner of the last token.

    Attributes:
        current: the token that is good, unless nobody is signed in.
        given: the tokens that the site gives, one after the other; the last again and again.
        refused: the tokens with which somebody was not let in.
    """

    def __init__(self) -> None:
        self.current = ""
        self.given: list[str] = []
        self.refused: list[str] = []

    def sign_in(self, *given: str) -> None:
        self.current, self.given = given[-1], list(given)

    def sign_out(self) -> None:
        self.current, self.given = "", []

    async def answer(self, request: Request) -> PlainTextResponse:
        if not self.given:
            return PlainTextResponse("signed out", 401)
        return PlainTextResponse(self.given.pop(0) if len(self.given) > 1 else self.given[0])

    def authenticate(self, scope: Scope) -> str | None:
        token = HTTPConnection(scope).query_params["token"]
        if token == self.current:
            return "somebody"
        self.refused.append(token)
        return None


@asynccontextmanager
async def site(hub: Hub, project: Project, port: int, tokens: Tokens) -> AsyncIterator[WebSocketServer]:
    server = WebSocketServer(hub, authenticate=tokens.authenticate)
    hub.set_fanout(server)
    api = commands_endpoint(hub, errors={ValueError: 422})
    routes = [
        WebSocketRoute("/ws", server),
        Route("/token", tokens.answer),
        Mount("/api", api),
        Mount("/", StaticFiles(directory=project.dist, html=True)),
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


@in_a_browser
async def test_two_tabs_in_strict_mode_through_restarts_offline_and_tokens(project: Project) -> None:
    port, tokens = unused_port(), Tokens()
    tokens.sign_in("first")
    async with notes() as hub, chromium() as browser:
        contexts = [await browser.new_context() for _ in range(2)]
        tabs = first, second = [await context.new_page() for context in contexts]
        async with site(hub, project, port, tokens) as server:
            for page in tabs:
                await page.goto(f"http://127.0.0.1:{port}/")
                await expect(page.locator("output").first).to_have_text("ready")
            assert [each.subscriptions for each in server.connections()] == [("kitchen",), ("kitchen",)]
            await enter(first, "tea")
            for page in tabs:
                await shows(page, "tea")
            await enter(first, "")
            await expect(first).to_have_title("a note has a text")
            await shows(first, "tea")
            await contexts[1].set_offline(True)
            await enter(second, "never sent")
            await expect(second).not_to_have_title("Consumer")
            await shows(second, "tea")
            await contexts[1].set_offline(False)
            await enter(second, "milk")
            for page in tabs:
                await shows(page, "tea", "milk")

        await hub.publish(added("while the server was away"))
        tokens.sign_in("first", "first", "second")  # the old token is refused, and the client asks again
        async with site(hub, project, port, tokens):
            for page in tabs:
                await shows(page, "tea", "milk", "while the server was away")
                await expect(page.locator("header")).to_have_text("live")
            assert tokens.refused == ["first", "first"]

        tokens.sign_out()
        async with site(hub, project, port, tokens):
            for page in tabs:
                await expect(page.locator("header")).to_have_text("please sign in: 401")
                await shows(page, "tea", "milk", "while the server was away")
            await hub.publish(added("while nobody was signed in"))
            tokens.sign_in("third")
            for page in tabs:
                await expect(page.locator("header")).to_have_text("live")
                await shows(page, "tea", "milk", "while the server was away", "while nobody was signed in")
        for context in contexts:
            await context.close()


@in_a_browser
async def test_an_event_of_the_browser_is_no_payload(project: Project) -> None:
    port, tokens = unused_port(), Tokens()
    tokens.sign_in("first")
    async with notes() as hub, chromium() as browser, site(hub, project, port, tokens):
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        async with page.expect_event("pageerror") as raised:
            await page.locator("button").first.click()
        assert str(await raised.value) == "AddNote has an event as its payload: write onClick={() => send(...)}"


@in_a_browser
async def test_the_chats_of_the_docs_in_react_vue_and_svelte(project: Project) -> None:
    main = (project.folder / "docs" / "main.tsx").read_text("utf-8")
    assert len(main.splitlines()) == 16
    app: Starlette = documented_server()["app"]
    app.mount("/", StaticFiles(directory=project.dist))
    async with served(app) as address, chromium() as browser:
        url = address.replace("ws:", "http:")
        pages = {}
        for name in ("chat", "vue", "svelte"):
            pages[name] = page = await browser.new_page()
            await page.goto(f"{url}/{name}.html")
            await expect(page.locator("input")).to_be_visible()
        asked: list[str] = []
        for name, page in pages.items():
            await page.locator("input").fill(f"who is {name}")
            await page.locator("input").press("Enter")
            asked += [f"user: who is {name}", f"assistant: You asked: who is {name}"]
            for each in pages.values():
                await expect(each.locator("p")).to_have_text(asked)
        await pages["vue"].reload()
        await expect(pages["vue"].locator("p")).to_have_text(asked)
        for page in pages.values():
            await page.locator("input").fill("long " * 20_000)
            await page.locator("input").press("Enter")
            await expect(page.locator("output")).to_have_text("the body has at most 65536 bytes")
            await expect(page.locator("p")).to_have_text(asked)
        for page in pages.values():
            await page.locator("input").fill("short")
            await page.locator("input").press("Enter")
            await expect(page.locator("output")).to_have_text("")


async def test_vite_passes_commands_on_while_an_app_is_developed(project: Project) -> None:
    port = unused_port()
    async with served(documented_server()["app"]) as address:
        config = (project.folder / "docs" / "vite.config.ts").read_text("utf-8")
        assert "http://127.0.0.1:8000" in config
        file = project.folder / "developed.config.ts"
        file.write_text(config.replace("http://127.0.0.1:8000", address.replace("ws:", "http:")), "utf-8")
        url = f"http://localhost:{port}"
        vite = project.serving("vite", "--config", file, "--port", str(port), "--strictPort", until="Local:")
        async with vite, httpx2.AsyncClient(base_url=url, headers={"origin": url}) as client:
            sent = await client.post("/api/sessions/s/commands/Ask", json={"prompt": "a", "messageId": str(uuid4())})
            assert (sent.status_code, sent.text) == (200, "{}")
            sent = await client.post("/api/sessions/s/commands/Ask", json={"prompt": "a", "messageId": "a\0b"})
            assert sent.status_code == 422


@in_a_browser
async def test_a_page_of_5_000_entities_follows_200_changes_a_second(project: Project) -> None:
    app = Starlette(routes=[Mount("/", StaticFiles(directory=project.dist))])
    async with served(app) as address, chromium() as browser:
        url = address.replace("ws:", "http:")
        page = await browser.new_page()
        await page.goto(f"{url}/many.html")
        await page.wait_for_function("'measure' in globalThis")
        shared, copied = [await page.evaluate(f"measure(5000, 200, {seconds}, {shares})") for seconds, shares in PARTS]
    assert [len(each["times"]) for each in (shared, copied)] == [50, 2]
    assert [each["rendered"] for each in (shared, copied)] == [50, 2 * 5_000]
