"""The web nodes: processes of the chat example on one PostgreSQL."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

from tests.servers.guard import Guarded

_READY = re.compile(rb"^chat:.*:(\d+)/?$", re.MULTILINE)


class Node:
    """A web node, which can be killed and started again.

    Args:
        name: for people.
        dsn: the database.
        folder: where its log is written.
        delay: seconds between two pieces of an answer.
    """

    def __init__(self, name: str, dsn: str, folder: Path, delay: float) -> None:
        self.name = name
        self.port: int | None = None
        """Where it listens; None while it is not started."""
        self.log = folder / f"{name}.log"
        self._command = [sys.executable, "-m", "sessionstream.examples.chatdemo", "serve", "--addr", "127.0.0.1:0"]
        self._command += ["--store", dsn, "--delay", str(delay)]
        self._process: Guarded | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, f"{self.name} is not started"
        return self._process.pid

    async def start(self) -> None:
        """Start it, and return when it listens."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        self.log.write_bytes(b"")
        self._process = Guarded(self._command, log=self.log)
        self._process.wait_until(lambda: _READY.search(self.log.read_bytes()) is not None)
        found = _READY.search(self.log.read_bytes())
        assert found is not None
        self.port = int(found[1])

    async def kill(self) -> None:
        """Kill it with -9."""
        assert self._process is not None, f"{self.name} is not started"
        self.port = None
        self._process.send(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        self._process = None

    def pause(self) -> None:
        """Stop it without its noticing, until ``go_on``."""
        assert self._process is not None, f"{self.name} is not started"
        self._process.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        assert self._process is not None, f"{self.name} is not started"
        self._process.send(signal.SIGCONT)

    async def end(self) -> None:
        """End it in good order, if it runs."""
        if self._process is not None:
            self.go_on()
            await asyncio.to_thread(self._process.end)
