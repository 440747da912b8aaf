"""The readiness endpoint: ready, shut down, and with stores that cannot be written, under a real server."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from sessionstream import Hub, SQLiteStore, StoreError
from sessionstream.transport.http import ready_endpoint
from tests.hydration.test_sqlite_failures import small_disk

from ..running import PATIENCE
from ..server.servers import SERVERS, Serve
from .support import World, client, code, registry, until
from .test_mounted import beside_django, by_itself, in_litestar

__all__ = ["small_disk"]  # the fixture


def in_fastapi(endpoint: Any) -> Any:
    app = FastAPI()
    app.add_route("/ready", endpoint)
    return app


def in_starlette(endpoint: Any) -> Any:
    return Starlette(routes=[Route("/ready", endpoint)])


@pytest.mark.parametrize(
    ("mount", "path"),
    [
        (by_itself, "/ready"),
        (in_starlette, "/ready"),
        (in_fastapi, "/ready"),
        (in_litestar, "/api"),
        (beside_django, "/api/"),
    ],
)
async def test_a_hub_that_can_serve_is_ready_wherever_it_is_mounted(mount: Callable[[Any], Any], path: str) -> None:
    world = World()
    async with client(mount(ready_endpoint(world.hub))) as http:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (200, {"ready": True})
        head = await http.head(path)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "15")
        for each in (answer, head):
            assert each.headers["cache-control"] == "no-store"
        await world.hub.shutdown()
        assert code(await http.get(path)) == (503, "shutting_down")
        assert (await http.head(path)).status_code == 503


@pytest.mark.parametrize("serve_app", SERVERS)
async def test_every_server_answers(serve_app: Serve) -> None:
    world = World()
    app = Starlette(routes=[Mount("/ready", ready_endpoint(world.hub))])
    async with serve_app(app) as address, httpx2.AsyncClient(timeout=PATIENCE) as http:
        base = address.replace("ws:", "http:")
        assert (await http.get(f"{base}/ready/")).json() == {"ready": True}
        assert (await http.head(f"{base}/ready/")).status_code == 200
        assert (await http.post(f"{base}/ready/")).status_code in (404, 405)
    await world.hub.shutdown()


async def test_a_full_disk_is_told_and_logged_until_there_is_room(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filler = small_disk / "filler"
    async with (
        SQLiteStore.open(small_disk / "app.db", registry()) as store,
        Hub(registry(), store=store) as hub,
        client(ready_endpoint(hub)) as http,
    ):
        assert (await http.get("/")).status_code == 200
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(2**20))
        with caplog.at_level(logging.WARNING, "sessionstream"):
            answer = await http.get("/")
            while answer.status_code == 200:  # as long as the last page of the log has room
                answer = await http.get("/")
        assert code(answer) == (503, "store_unavailable")
        assert "make room" in answer.json()["error"]["message"]
        assert answer.headers["retry-after"]
        assert "not ready: SQLite failed on" in caplog.text
        filler.unlink()
        assert (await http.get("/")).json() == {"ready": True}


async def test_a_file_that_another_process_locks_is_told_in_time(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    async with (
        SQLiteStore.open(path, registry(), patience=0.5) as store,
        Hub(registry(), store=store) as hub,
        client(ready_endpoint(hub, within=0.05)) as http,
    ):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = await http.get("/")
        assert code(answer) == (503, "store_unavailable")
        assert "within 0.05 seconds" in answer.json()["error"]["message"]


class Slow:
    """Counts checks, which end when they are told to."""

    def __init__(self) -> None:
        self.checks = 0
        self.go_on = asyncio.Event()

    async def ready(self, *, within: float) -> None:
        self.checks += 1
        await self.go_on.wait()
        raise StoreError("no")


async def test_requests_at_the_same_time_share_a_check() -> None:
    slow, asked = Slow(), 0
    endpoint = ready_endpoint(slow)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += scope["type"] == "http"
        await endpoint(scope, receive, send)

    async with client(app) as http, asyncio.TaskGroup() as group:
        requests = [group.create_task(http.get("/")) for _ in range(5)]
        await until(lambda: asked == 5)
        slow.go_on.set()
        assert {code(await each) for each in requests} == {(503, "store_unavailable")}
        assert slow.checks == 1
        await http.get("/")
        assert slow.checks == 2


async def test_after_its_shutdown_it_is_not_ready() -> None:
    world = World()
    endpoint = ready_endpoint(world.hub)
    async with client(endpoint) as http:
        await http.get("/")
        await endpoint.shutdown()
        assert code(await http.get("/")) == (503, "shutting_down")
    await world.hub.shutdown()


async def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(TypeError, match="must have a method ready"):
        ready_endpoint(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="within must be above 0"):
        ready_endpoint(World().hub, within=0)
