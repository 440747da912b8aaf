"""``sessionstream inspect STORE --web`` as a process of its own."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .process import PATIENCE


@dataclass
class Inspecting:
    """A process that serves the inspector.

    Attributes:
        said: the lines that it printed before it accepted connections.
    """

    process: asyncio.subprocess.Process
    url: str
    said: list[str]

    async def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End the process, and check that it ends well."""
        self.process.send_signal(by)
        async with asyncio.timeout(PATIENCE):
            printed, errors = await self.process.communicate()
        assert (self.process.returncode, printed, errors) == (0, b"", b"")


@asynccontextmanager
async def inspecting(store: object) -> AsyncIterator[Inspecting]:
    """Serve the inspector of a store on a free port; at the end the process is ended, if the body has not done so."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "sessionstream", "inspect", str(store), "--web", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        said = [(await process.stdout.readline()).decode() for _ in range(2)]
    found = re.fullmatch(r"inspector: (http://127\.0\.0\.1:\d+/)\n", said[0])
    if found is None:
        raise AssertionError(f"it said {said}, and {(await process.communicate())[1].decode()}")
    served = Inspecting(process, found[1], said)
    try:
        yield served
    finally:
        if process.returncode is None:
            await served.end()
