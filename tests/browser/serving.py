"""``chatdemo serve`` as a process that can be ended, killed and started again at the same address."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

PATIENCE = 30.0


class Served:
    """One server process after the other, on one file and one port.

    Args:
        store: the file; None: the one that it takes by itself.
        place: the working directory.
    """

    def __init__(self, store: Path | None, place: Path | None = None) -> None:
        self._store: list[str | Path] = [] if store is None else ["--store", store]
        self._place = place
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self.url = ""

    async def start(self, *options: str, delay: float = 0.0) -> None:
        """Start a process; return when it can be connected to."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-m", "sessionstream.examples.chatdemo",
            "serve", "--addr", f"127.0.0.1:{self._port}", *self._store, "--delay", str(delay), *options,
            cwd=self._place,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            said = (await self._process.stdout.readline()).decode()
        found = re.fullmatch(r"chat:  (http://127\.0\.0\.1:(\d+)/)\n", said)
        if found is None:
            raise AssertionError(f"it said {said!r}, and {(await self._process.communicate())[1].decode()}")
        self.url, self._port = found[1], int(found[2])

    async def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Tell the process to end; it does so well, and says nothing about it."""
        status, errors = await self._stopped(by)
        assert (status, errors) == (0, "")

    async def kill(self) -> None:
        """Kill the process."""
        status, errors = await self._stopped(signal.SIGKILL)
        assert (status, errors) == (-signal.SIGKILL, "")

    async def close(self) -> None:
        """Leave no process behind, whatever the test did."""
        if self._process is not None:
            await self.kill()

    async def _stopped(self, by: signal.Signals) -> tuple[int | None, str]:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(by)
        async with asyncio.timeout(PATIENCE):
            _, errors = await process.communicate()
        return process.returncode, errors.decode()
