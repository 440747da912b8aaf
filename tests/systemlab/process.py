"""``sessionstream-systemlab serve`` as a process that can be ended, killed and started again at the same address."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

PATIENCE = 30.0


class ServedLab:
    """One process after the other on one port, with its temporary files in a directory of the test.

    Attributes:
        url: its URL, once it has started.
        said: the lines that it printed before it accepted connections.
        temporary: where its temporary files go.
    """

    def __init__(self, temporary: Path) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self.temporary = temporary
        self.url = ""
        self.said = ""

    async def start(self, *options: str, **environment: str) -> None:
        """Start a process; return when it can be connected to."""
        process = await self.begin(*options, **environment)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            self.said = (await process.stdout.readline()).decode()
        found = re.fullmatch(r"lab:   (http://127\.0\.0\.1:(\d+)/)\n", self.said)
        if found is None:
            raise AssertionError(f"it said {self.said!r}, and {(await process.communicate())[1].decode()}")
        self.url, self._port = found[1], int(found[2])

    async def begin(self, *options: str, **environment: str) -> asyncio.subprocess.Process:
        """Start a process, and return at once."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "sessionstream.systemlab"),
            *("serve", "--addr", f"127.0.0.1:{self._port}", *options),
            env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.temporary)) | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return self._process

    async def end(self, by: signal.Signals = signal.SIGTERM) -> str:
        """End the process, and check that it leaves no files. Return its further output."""
        status, printed, errors = await self._stopped(by)
        assert (status, errors) == (0, ""), errors
        assert list(self.temporary.iterdir()) == []
        return printed

    async def kill(self) -> None:
        """Kill the process."""
        status, _, errors = await self._stopped(signal.SIGKILL)
        assert (status, errors) == (-signal.SIGKILL, "")

    async def close(self) -> None:
        """Leave no process behind, whatever the test did."""
        if self._process is not None:
            await self.kill()

    async def _stopped(self, by: signal.Signals) -> tuple[int | None, str, str]:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(by)
        async with asyncio.timeout(PATIENCE):
            printed, errors = await process.communicate()
        return process.returncode, printed.decode(), errors.decode()
