"""Several worker processes of a real server on one file: browsers of every worker hear every event, as an event."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from ..running import Client, client, unused_port

APP = "tests.transport.server.worker:app"
ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
"""Seconds; several interpreters start at once."""


@asynccontextmanager
async def workers(file: Path, count: int) -> AsyncIterator[str]:
    """Run uvicorn with some workers; yield its address without the scheme."""
    port = unused_port()
    command = ["-m", "uvicorn", APP, "--port", str(port), "--workers", str(count), "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env={**os.environ, "WORKER_FILE": str(file)}, start_new_session=True
    )
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await process.wait()


async def started(address: str, count: int) -> set[str]:
    """Return the process ids of the workers, once each has answered."""
    found: set[str] = set()
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            try:
                async with httpx2.AsyncClient() as http:  # a new connection each time: any worker may take it
                    found.add((await http.get(f"http://{address}/process")).text)
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
    return found


async def post(address: str, path: str) -> str:
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        return (await http.post(f"http://{address}{path}")).raise_for_status().text


async def heard(watcher: Client) -> tuple[int, str]:
    """Return the ordinal and the text of the next frame, which is an event."""
    frame = await watcher.hear()
    assert list(frame) == ["uiEvent"], frame
    return int(frame["uiEvent"]["eventOrdinal"]), frame["uiEvent"]["payload"]["value"]


@pytest.mark.parametrize("put", ["", "x"], ids=["without an entity", "with an entity"])
async def test_browsers_of_four_workers_hear_every_event_as_an_event(tmp_path: Path, put: str) -> None:
    async with workers(tmp_path / "app.db", 4) as address, AsyncExitStack() as stack:
        processes = await started(address, 4)
        watchers = [await stack.enter_async_context(client(f"ws://{address}/ws")) for _ in range(12)]
        for watcher in watchers:
            assert [list(frame) for frame in await watcher.subscribe("s")] == [["snapshot"], ["subscribed"]]
        publishers: list[str] = []
        while len(publishers) < 20 or len(set(publishers)) < 2:  # whoever watches is in another process than one of two
            publishers.append(await post(address, f"/publish?put={put}"))
        expected = list(enumerate(publishers, start=1))
        for watcher in watchers:
            assert [await heard(watcher) for _ in expected] == expected
        assert set(publishers) <= processes


async def test_a_rebuild_and_a_deletion_in_one_worker_are_noticed_in_all(tmp_path: Path) -> None:
    async with workers(tmp_path / "app.db", 3) as address, AsyncExitStack() as stack:
        await started(address, 3)
        await post(address, "/publish?put=x")
        watchers = [await stack.enter_async_context(client(f"ws://{address}/ws")) for _ in range(9)]
        for watcher in watchers:
            await watcher.subscribe("s", delta=True)
        for path, entities in (("/rebuild", 1), ("/delete", 0)):
            await post(address, path)
            for watcher in watchers:
                snapshot = (await watcher.hear())["snapshot"]
                assert len(snapshot.get("entities", ())) == entities
        await post(address, "/publish?put=y")
        for watcher in watchers:
            assert (await heard(watcher))[0] == 2
