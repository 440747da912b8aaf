"""A trace over two processes of the operating system: from the command in one to the frame of a client of the other."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers.postgres import Postgres

from ..transport.running import Client, client

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds; two interpreters start at once."""


class Node:
    """A running ``tests.otel.node``.

    Attributes:
        address: of its WebSocket server.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.address = ""

    async def start(self) -> None:
        assert self._process.stdout is not None
        self.address = json.loads(await self._process.stdout.readline())["address"]

    def submit(self) -> None:
        """Have it submit a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def spans(self) -> list[dict[str, Any]]:
        """End it, and return what it has exported."""
        printed, _ = await self._process.communicate(b"")
        assert self._process.returncode == 0
        return [json.loads(line) for line in printed.splitlines()]

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def node(location: str) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tests.otel.node", location),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    started = Node(process)
    try:
        await started.start()
        yield started
    finally:
        started.kill()
        await process.wait()


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres, postgres_schema: str) -> str:
    return str(tmp_path / "x.db") if request.param == "sqlite" else f"{postgres.dsn}&schema={postgres_schema}"


async def told(publisher: Node, watcher: Client) -> int:
    """Submit until the client gets the event of a command as a frame of its own; return the event's ordinal.

    The publisher may not know of the other process yet: its client then gets a snapshot.
    """
    while True:
        publisher.submit()
        frame = await watcher.hear()
        if "uiEvent" in frame:
            return int(frame["uiEvent"]["eventOrdinal"])


def trace_of(ordinal: int, spans: list[dict[str, Any]]) -> str:
    """The id of the trace in which the frame of an event was sent."""
    (frame,) = [
        span
        for span in spans
        if span["name"] == "sessionstream.ws.fanout" and span["attributes"]["sessionstream.ordinal"] == str(ordinal)
    ]
    assert frame["attributes"]["sessionstream.targets"] == 1
    return str(frame["context"]["trace_id"])


async def test_one_trace_leads_from_a_command_to_the_frame_of_another_process(location: str) -> None:
    async with asyncio.timeout(PATIENCE), node(location) as here, node(location) as there:
        async with client(there.address) as watcher:
            await watcher.subscribe("s")
            ordinal = await told(here, watcher)
        exported = {"here": await here.spans(), "there": await there.spans()}
    trace = trace_of(ordinal, exported["there"])
    names: dict[str | None, str] = {None: "nothing"}
    parents: dict[str, str | None] = {}
    for process, spans in exported.items():
        for span in spans:
            if span["context"]["trace_id"] == trace:
                name = f"{span['name'].removeprefix('sessionstream.')} {process}"
                names[span["context"]["span_id"]], parents[name] = name, span["parent_id"]
    assert {name: names[parent] for name, parent in parents.items()} == {
        "request here": "nothing",
        "command here": "request here",
        "publish here": "command here",
        "ws.fanout here": "publish here",  # to no client
        "deliver there": "publish here",
        "ws.fanout there": "deliver there",
    }
