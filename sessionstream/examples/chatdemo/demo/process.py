"""Starts the chat process, sends it prompts, and kills it or lets it end; it never stays running."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, cast

from sessionstream.examples.chatdemo.demo.checks import CheckFailed
from sessionstream.examples.chatdemo.demo.records import LiveUpdate, StoredSnapshot, from_line

KILLED: Final = 1 if sys.platform == "win32" else -signal.SIGKILL
"""Exit status of a process that was killed."""

CHILD = ("-m", "sessionstream.examples.chatdemo.demo.child")

_LONGEST_LINE: Final = 2**28
_PATIENCE = 30.0


class ChatProcess:
    """A running ``child`` that has a file open.

    Args:
        patience: seconds to wait for the next record of the process.
    """

    def __init__(self, process: asyncio.subprocess.Process, patience: float) -> None:
        self._process = process
        self._stdin = cast("asyncio.StreamWriter", process.stdin)  # there are pipes, see chat_process
        self._stdout = cast("asyncio.StreamReader", process.stdout)
        self._patience = patience

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ask(self, prompt: str) -> None:
        """Send a prompt; ``next`` returns the resulting records.

        Raises:
            CheckFailed: the process has ended.
        """
        try:
            self._stdin.write(f"{json.dumps(prompt)}\n".encode("ascii"))
            await self._stdin.drain()
        except ConnectionError:
            raise await self._gone() from None

    async def next(self) -> LiveUpdate | StoredSnapshot:
        """Return the next record of the process.

        Raises:
            CheckFailed: it printed nothing in time, has ended, or printed an invalid line.
        """
        try:
            async with asyncio.timeout(self._patience):
                line = await self._stdout.readline()
        except TimeoutError:
            raise CheckFailed(f"the chat process said nothing for {self._patience:g} seconds") from None
        if not line:
            raise await self._gone()
        try:
            return from_line(line)
        except ValueError as error:
            raise CheckFailed(f"the chat process said something odd: {error}") from error

    async def kill(self) -> int:
        """Kill it without any clean-up (SIGKILL; TerminateProcess on Windows). Return its exit status.

        Raises:
            CheckFailed: it has already ended.
        """
        if self._process.returncode is not None:
            raise await self._gone()
        self._process.kill()
        return await self._reap()

    async def let_go(self) -> int:
        """Let it close its file and end by itself; return its exit status.

        Raises:
            CheckFailed: it does not end.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._reap()
        except TimeoutError:
            raise CheckFailed(f"the chat process did not end within {_PATIENCE:g} seconds") from None

    async def _gone(self) -> CheckFailed:
        try:  # it is about to end: a kill now could change its exit status
            async with asyncio.timeout(_PATIENCE):
                status = await self._reap()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            status = await self._reap()
        return CheckFailed(f"the chat process ended too early, with status {status}")

    async def _reap(self) -> int:
        self._stdin.close()
        await self._stdout.read()  # reading to the end closes the pipe
        return await self._process.wait()


@asynccontextmanager
async def chat_process(path: Path, session_id: str, *, delay: float, limit: int) -> AsyncIterator[ChatProcess]:
    """Start a process that opens the file. It has ended when the block is left, also by an exception.

    Args:
        delay: seconds between the pieces of an answer.
        limit: an answer of more pieces is stopped.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *CHILD, str(path), session_id, repr(delay), str(limit)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        start_new_session=True,  # Ctrl-C does not reach the child; this process ends it
    )
    chat = ChatProcess(process, _PATIENCE + delay)
    try:
        yield chat
    finally:
        if process.returncode is None:
            with suppress(CheckFailed):
                await chat.kill()
