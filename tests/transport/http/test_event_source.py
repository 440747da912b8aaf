"""``EventSource``, of npm and of a browser: it comes back by itself, and to where it was."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from sessionstream import Hub
from sessionstream.transport.http import StreamLimits, sse_endpoint

from ...browser.chromium import CHROMIUM, chromium
from ...node import environment, install, newest_node
from ...servers.fixtures import missing
from .. import notes
from ..running import PATIENCE, served, unused_port
from .events import notes_of

HERE = Path(__file__).parent
PACKAGES = {20: "eventsource@4.1.1", 22: "eventsource@5.1.5"}
"""The package by the oldest major version of Node that it supports."""

Lines: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
"""Returns what the client says next."""

Follow: TypeAlias = Callable[[str], Any]
"""Opens a client of a URL: an async context manager, which yields its ``Lines``."""

QUICK = StreamLimits(retry_seconds=0.05)


async def frame(lines: Lines) -> tuple[str, dict[str, Any], str]:
    """Return the member, what it holds, and the last id of the next frame; skip that the client lost and found it."""
    while True:
        line = await lines()
        if "frame" not in line:
            assert line in ({"open": True}, {"error": 0, "status": 0}), line
            continue
        ((member, held),) = line["frame"].items()
        if held.get("code") != "shutting_down":  # it has come back while the server was still there
            return member, held, line["id"]


async def told(lines: Lines) -> tuple[int, str]:
    member, held, _ = await frame(lines)
    assert member == "uiEvent", held
    return int(held["eventOrdinal"]), held["payload"]["value"]


async def snapshot(lines: Lines) -> dict[str, Any]:
    member, held, _ = await frame(lines)
    assert member == "snapshot", held
    return held


async def story(follow: Follow, port: int, proxy: int | None = None) -> None:
    """A stream that ends and comes back, a second tab, a rebuild, another server, and a right that is taken away."""
    allowed = True
    async with notes.application() as hub:
        url = f"http://127.0.0.1:{proxy or port}/sessions/s/events"
        async with AsyncExitStack() as clients:
            async with serving(hub, port, lambda principal, session_id: allowed) as end_streams:
                await notes.publish(hub, "s", put={"a": "1", "b": "1"})
                lines = await clients.enter_async_context(follow(url))
                first = await snapshot(lines)
                assert notes_of(first) == {"a": "1", "b": "1"}
                await notes.publish(hub, "s", tell=["x", "y"])
                assert [await told(lines), await told(lines)] == [(2, "x"), (2, "y")]

                await end_streams()
                assert (await frame(lines))[:2] == ("error", unauthorized("s"))
                await notes.publish(hub, "s", put={"b": "2"})
                back = await snapshot(lines)
                assert back["epoch"] == first["epoch"]
                if back["snapshotOrdinal"] == "2":  # it was back before the event
                    assert (back["since"], notes_of(back)) == ("2", {})
                else:
                    assert (back["since"], back["snapshotOrdinal"], notes_of(back)) == ("2", "3", {"b": "2"})

                tab = await clients.enter_async_context(follow(url))
                assert notes_of(await snapshot(tab)) == {"a": "1", "b": "2"}
                await notes.publish(hub, "s", tell=["both"])
                assert [await told(lines), await told(tab)] == [(4, "both")] * 2

                await hub.rebuild_timeline("s")
                for each in (lines, tab):
                    rebuilt = await snapshot(each)
                    assert ("since" in rebuilt, notes_of(rebuilt)) == (False, {"a": "1", "b": "2"})
                await end_streams(shutdown=True)

            await notes.publish(hub, "s", put={"c": "5"}, drop=["a"])
            async with serving(hub, port, lambda principal, session_id: allowed) as end_streams:
                for each in (lines, tab):
                    back = await snapshot(each)
                    assert (back["since"], back["snapshotOrdinal"]) == ("4", "5")
                    assert notes_of(back) == {"c": "5", "a": None}

                allowed = False
                await end_streams()
                for each in (lines, tab):
                    assert (await frame(each))[:2] == ("error", unauthorized("s"))
                    while (line := await each()).get("error") != 2:
                        assert line == {"error": 0, "status": 0}, line
                    assert line["status"] in (0, 403)


def unauthorized(session_id: str) -> dict[str, str]:
    return {"code": "unauthorized", "message": "you may no longer watch this session", "sessionId": session_id}


@asynccontextmanager
async def serving(hub: Hub, port: int, authorize: Any) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Serve a page and the sessions; yield a function that ends the open streams."""
    endpoint = sse_endpoint(hub, authorize=authorize, limits=QUICK)

    async def end(*, shutdown: bool = False) -> None:
        if shutdown:
            await endpoint.shutdown()
        else:
            assert await endpoint.revoke(None) > 0

    async def page(request: Any) -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>A page</title><link rel=icon href=data:,>")

    async with served(Starlette(routes=[Route("/", page), Mount("/", endpoint)]), port=port):
        try:
            yield end
        finally:
            await endpoint.shutdown()


# -- npm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", newest_node())
async def test_the_package_of_npm(node: Path, tmp_path: Path) -> None:
    version = int((await output(node, "-p", "process.versions.node")).partition(".")[0])
    install(node, tmp_path, PACKAGES[max(oldest for oldest in PACKAGES if oldest <= version)])

    @asynccontextmanager
    async def follow(url: str) -> AsyncIterator[Lines]:
        process = await asyncio.create_subprocess_exec(
            node, HERE / "follow.mjs", tmp_path, url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment(node),
        )  # fmt: skip
        assert process.stdin is not None
        reader = process.stdout
        assert reader is not None

        async def lines() -> dict[str, Any]:
            async with asyncio.timeout(PATIENCE):
                return dict(json.loads(await reader.readline()))

        try:
            yield lines
        finally:
            process.stdin.close()
            async with asyncio.timeout(PATIENCE):
                assert await process.wait() == 0

    await story(follow, unused_port())


async def output(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode().strip()


# -- a browser ---------------------------------------------------------------------------------------------

FOLLOW = """url => {
    let last = "";
    const open = () => {
        const source = new EventSource(`${url}?last_event_id=${last}`);
        source.onmessage = event => {
            last = event.lastEventId;
            said({id: last, frame: JSON.parse(event.data)});
        };
        source.onerror = async () => {
            if (source.readyState === EventSource.CLOSED) {
                const answer = await fetch(url);
                await answer.body.cancel();
                if (answer.ok || answer.status >= 500) setTimeout(open, 50);  // a proxy had no server behind it
                else said({error: 2, status: answer.status});
            }
        };
    };
    open();
}"""

NGINX = """
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    gzip on;
    gzip_types text/event-stream;
    client_body_temp_path body;
    proxy_temp_path proxied;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{proxy};
        location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; }}
    }}
}}
"""
"""As little as possible: nginx buffers what it passes on, and compresses it, unless the response says otherwise."""


@asynccontextmanager
async def nginx(place: Path, port: int) -> AsyncIterator[int]:
    """Run a proxy for a port; yield its own."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("there is no nginx, so NOTHING was tried behind it: apt-get install nginx")
    proxy = unused_port()
    (place / "nginx.conf").write_text(NGINX.format(proxy=proxy, port=port), "utf-8")
    process = await asyncio.create_subprocess_exec(
        program, "-p", place, "-e", "stderr", "-c", "nginx.conf", stderr=asyncio.subprocess.PIPE
    )
    try:
        yield proxy
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize("behind", ["no proxy", "nginx"])
async def test_chromium(behind: str, tmp_path: Path) -> None:
    if CHROMIUM is None:
        missing("there is no chromium: apt-get install chromium")
    port = unused_port()
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(nginx(tmp_path, port)) if behind == "nginx" else None
        browser = await stack.enter_async_context(chromium())

        @asynccontextmanager
        async def follow(url: str) -> AsyncIterator[Lines]:
            came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            context = await browser.new_context()
            page = await context.new_page()
            await page.expose_function("said", came.put_nowait)
            await page.goto(url.partition("/sessions")[0] + "/")
            await page.evaluate(FOLLOW, url)

            async def lines() -> dict[str, Any]:
                async with asyncio.timeout(PATIENCE):
                    return await came.get()

            try:
                yield lines
            finally:
                await context.close()

        await story(follow, port, proxy)
