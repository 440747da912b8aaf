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


class Server:
    """A server process, which is perhaps the parent of several.

    Attributes:
        address: without the scheme.
    """

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process = process
        self.address = address


@asynccontextmanager
async def workers(file: Path, count: int) -> AsyncIterator[str]:
    """Run uvicorn with some workers; yield its address without the scheme."""
    async with server(file, count) as running:
        yield running.address


@asynccontextmanager
async def server(file: Path, count: int = 1) -> AsyncIterator[Server]:
    """Run uvicorn with some workers."""
    port = unused_port()
    command = ["-m", "uvicorn", APP, "--port", str(port), "--workers", str(count), "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env={**os.environ, "WORKER_FILE": str(file)}, start_new_session=True
    )
    try:
        yield Server(process, f"127.0.0.1:{port}")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
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


async def test_browsers_of_four_workers_hear_every_event_as_an_event(tmp_path: Path) -> None:
    async with workers(tmp_path / "app.db", 4) as address, AsyncExitStack() as stack:
        processes = await started(address, 4)
        watchers = [await stack.enter_async_context(client(f"ws://{address}/ws")) for _ in range(12)]
        for watcher in watchers:
            assert [list(frame) for frame in await watcher.subscribe("s")] == [["snapshot"], ["subscribed"]]
        publishers: list[str] = []
        while len(publishers) < 20 or len(set(publishers)) < 2:  # whoever watches is in another process than one of two
            put = "x" if len(publishers) % 2 else ""  # with and without an entity
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


async def caught_up(watcher: Client, seen: int, ordinal: int) -> list[str]:
    """Follow a session up to an ordinal: each event is the next one, or a snapshot comes. Return their kinds."""
    kinds = []
    while seen < ordinal:
        frame = await watcher.hear()
        kinds.append(next(iter(frame)))
        if "snapshot" in frame:
            seen = int(frame["snapshot"]["snapshotOrdinal"])
        else:
            assert int(frame["uiEvent"]["eventOrdinal"]) == seen + 1, (seen, frame)
            seen += 1
    return kinds


async def acquainted(watcher: Client, ordinal: int, publisher: Server) -> int:
    """Publish until the event comes as one; return its ordinal. A process may not know yet that another has come."""
    kinds = ["snapshot"]
    while kinds != ["uiEvent"]:
        await post(publisher.address, "/publish?put=")
        kinds, ordinal = await caught_up(watcher, ordinal, ordinal + 1), ordinal + 1
    return ordinal


async def test_browsers_hear_the_others_when_a_process_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with server(file) as one, server(file) as two, server(file) as three:
        for each in (one, two, three):
            await started(each.address, 1)
        async with client(f"ws://{one.address}/ws") as watcher:
            await watcher.subscribe("s")
            ordinal = 0
            for each in (two, three):
                ordinal = await acquainted(watcher, ordinal, each)
            await post(two.address, "/publish?put=")
            two.process.kill()
            for each in (three, one, three):
                await post(each.address, "/publish?put=")
            assert await caught_up(watcher, ordinal, ordinal + 4) == ["uiEvent"] * 4


@pytest.mark.torture
async def test_a_process_that_was_stopped_for_longer_than_its_lease_catches_up(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with server(file) as one, server(file) as two:
        for each in (one, two):
            await started(each.address, 1)
        async with client(f"ws://{one.address}/ws", ping_interval=None) as watcher:
            await watcher.subscribe("s")
            one.process.send_signal(signal.SIGSTOP)
            for _ in range(12):
                await post(two.address, "/publish?put=x")
                await asyncio.sleep(1)  # in all for longer than LEASE_SECONDS: the last ones leave no rows
            one.process.send_signal(signal.SIGCONT)
            assert "snapshot" in await caught_up(watcher, 0, 12)
            await acquainted(watcher, 12, two)
