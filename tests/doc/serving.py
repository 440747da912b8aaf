"""A web server of a page in a separate process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .run_blocks import READY

PATIENCE = 30.0


class Server:
    """A server process that can be ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said = ""

    async def ready(self, said: str) -> None:
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while said not in self._said:
                line = await self._process.stderr.readline()
                assert line, self._said
                self._said += line.decode()

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Return its exit status when it has ended without an error in its output."""
        async with asyncio.timeout(PATIENCE):
            _, rest = await self._process.communicate()
        assert not re.search("Traceback|ERROR|ResourceWarning", self._said + rest.decode()), rest.decode()
        assert self._process.returncode is not None
        return self._process.returncode


@asynccontextmanager
async def serving(directory: Path, *arguments: str, ready: str = READY) -> AsyncIterator[Server]:
    """Run ``python *arguments`` there within the block; end the server at its end, if it still runs.

    Args:
        ready: what it prints when it can be connected to.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", *arguments, cwd=directory, start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    server = Server(process)
    try:
        await server.ready(ready)
        yield server
        if process.returncode is None:
            server.terminate()
            await server.ended()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
            await process.communicate()
