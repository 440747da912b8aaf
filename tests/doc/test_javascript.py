"""What the pages show of the JavaScript client runs in a browser, on a session that something happens in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from sessionstream import Event, Hub, SchemaRegistry, TimelineEntity, UIEvent
from sessionstream.serving.files import CLIENT
from sessionstream.transport.ws import WebSocketServer

from ..browser.chromium import CHROMIUM, chromium
from ..transport.running import PATIENCE, served
from .pages import ENTRIES, blocks, name_of

if TYPE_CHECKING:
    from starlette.requests import Request

SCRIPTS = [
    pytest.param(block.text, id=f"{name_of(page)}:{block.line}")
    for page in ENTRIES
    for block in blocks(page.read_text("utf-8"))
    if block.info == "javascript"
]


OFFERED: tuple[list[str], ...] = ([], ["sessionstream.v1", "token.good"])

# Playwright cannot pass a BigInt on.
AS_TEXT = "const log = console.log; console.log = (...said) => log(said.map(String).join(' '))"


def deployments() -> Hub:
    schemas = SchemaRegistry()
    schemas.register_event("StepDone", StringValue)
    schemas.register_ui_event("LogLine", StringValue)
    schemas.register_timeline_entity("Deployment", StringValue)
    hub = Hub(schemas)
    hub.register_ui_projection(lambda event, session, view: [UIEvent("LogLine", event.payload)])
    hub.register_timeline_projection(
        lambda event, session, view: [TimelineEntity("Deployment", "current", event.payload)]
    )
    return hub


def site(script: str, server: WebSocketServer) -> Starlette:
    files = {"block.js": script, "sessionstream.js": (CLIENT / "sessionstream.js").read_text("utf-8")}

    async def front(_request: Request) -> Response:
        return HTMLResponse(
            '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/block.js"></script>'
        )

    async def file(request: Request) -> Response:
        return Response(files[request.path_params["name"]], media_type="text/javascript")

    async def token(_request: Request) -> Response:
        return PlainTextResponse("good")

    ways = [Route("/", front), Route("/token", token), WebSocketRoute("/ws", server), Route("/{name}", file)]
    return Starlette(routes=ways)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, so NOTHING was tried in a browser")
@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_script_shows_a_snapshot_and_then_each_event(script: str) -> None:
    logged: asyncio.Queue[str] = asyncio.Queue()

    async def until(words: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while words not in await logged.get():
                pass

    async with deployments() as hub, chromium() as browser:
        server = WebSocketServer(hub, authenticate=lambda scope: scope["subprotocols"] in OFFERED)
        hub.set_fanout(server)
        await hub.publish(Event("StepDone", StringValue(value="build"), "deploy-42"))
        async with served(site(script, server)) as address:
            page = await browser.new_page()
            await page.add_init_script(AS_TEXT)
            page.on("console", lambda said: logged.put_nowait(said.text))
            page.on("pageerror", lambda error: logged.put_nowait(f"error {error}"))
            await page.goto(address.replace("ws:", "http:"))
            await until("live")
            await until("replace everything 1")
            await hub.publish(Event("StepDone", StringValue(value="test"), "deploy-42"))
            await until("then each event 2")
            await page.close()
