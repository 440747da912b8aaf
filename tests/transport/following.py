"""The JavaScript client in a separate Node process, see follow.mjs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .running import PATIENCE

SCRIPT = Path(__file__).parent / "js" / "follow.mjs"


class Follower:
    """A Node process that watches sessions and prints the updates; see follow.mjs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.heard: list[dict[str, Any]] = []

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the next line that meets a condition."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            async for line in self._process.stdout:
                self.heard.append(json.loads(line))
                if condition(self.heard[-1]):
                    return self.heard[-1]
        raise AssertionError(f"it ended, having said {self.heard}")

    async def state(self, name: str) -> dict[str, Any]:
        return dict((await self.until(lambda line: line.get("state", {}).get("state") == name))["state"])

    async def snapshot(self) -> dict[str, Any]:
        return dict((await self.until(lambda line: "snapshot" in line))["snapshot"])

    async def event(self, name: str) -> dict[str, Any]:
        return dict((await self.until(lambda line: line.get("event", {}).get("name") == name))["event"])

    async def order(self, **order: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """Everything that it prints, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield json.loads(line)

    def stop(self) -> None:
        """Let it do nothing at all, until it may ``go``."""
        self._process.send_signal(signal.SIGSTOP)

    def go(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    def ordinals(self) -> list[int]:
        """The ordinals of the events since the last snapshot."""
        found: list[int] = []
        for line in self.heard:
            if "snapshot" in line:
                found.clear()
            if "event" in line:
                found.append(int(line["event"]["ordinal"]))
        return found


@asynccontextmanager
async def following(node: Path, address: str, *session_ids: str, **options: float) -> AsyncIterator[Follower]:
    """Watch sessions with the JavaScript client; its process leaves nothing on stderr, and ends well when told to.

    ``options`` are those of the client that are numbers; times are in milliseconds.
    """
    process = await asyncio.create_subprocess_exec(
        node,
        "--no-warnings",  # Node 20 calls its WebSocket experimental
        "--experimental-websocket",
        SCRIPT,
        f"{address}/ws",
        *session_ids,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**22,
        env={**os.environ, "OPTIONS": json.dumps(options)},
    )
    follower = Follower(process)
    try:
        yield follower
        await follower.order(close=True)
        assert await follower.ended() == 0
        assert process.stderr is not None
        assert (await process.stderr.read()).decode() == ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
