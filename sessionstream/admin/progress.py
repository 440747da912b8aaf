"""Shows on standard error how far a long command is: on a terminal, or where ``--progress`` asks for it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self, TypeAlias

from sessionstream import output

ProgressFunction: TypeAlias = Callable[[int, int], object]
"""Takes how much is done, and how much there is."""

_TERMINAL_SECONDS: Final = 0.1
_LINE_SECONDS: Final = 1.0
"""Between two notes of a count, at least; the last one is always written."""

_TERMINAL_TICK: Final = 1.0
_LINE_TICK: Final = 10.0
"""Between two notes of how long something has been running, in seconds."""


class Progress:
    """Shows how far a command is, within its block.

    It writes nothing unless standard error is a terminal, or it is ``asked`` for.

    If standard error cannot be written, as when its reader has gone, the command goes on and nothing more is shown.
    """

    def __init__(self, *, asked: bool) -> None:
        self._terminal = output.is_open(sys.stderr) and sys.stderr.isatty()
        self._shown = output.is_open(sys.stderr) and (asked or self._terminal)
        self._line_is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._line_is_open:  # what is written next has a line of its own
            self._write("\n")

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Say what runs in the block, which cannot tell how far it is, and for how many seconds it has been running."""
        if not self._shown:
            yield
            return
        ended, began = threading.Event(), time.monotonic()

        def tell() -> None:
            while not ended.wait(_TERMINAL_TICK if self._terminal else _LINE_TICK):
                self._line(f"{what} … {time.monotonic() - began:.0f} s")

        self._line(f"{what} …")
        teller = threading.Thread(target=tell, name="progress", daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()

    def count_of(self, total: int, of: str) -> Callable[[int], object] | None:
        """Return what shows ``N of TOTAL things``; the total grows if more are done."""
        tell = self.count(of)
        return None if tell is None else lambda done: tell(done, max(done, total))

    def count(self, of: str) -> ProgressFunction | None:
        """Return what shows a count of something in the plural; None if nothing is shown."""
        if not self._shown:
            return None
        seconds, told_at = _TERMINAL_SECONDS if self._terminal else _LINE_SECONDS, 0.0

        def tell(done: int, count: int) -> None:
            nonlocal told_at
            now = time.monotonic()
            if done == count or now - told_at >= seconds:
                told_at = now
                self._line(f"{done:,} of {count:,} {of}")

        return tell

    def _line(self, text: str) -> None:
        """Write a line; on a terminal, over the line before."""
        self._line_is_open = self._terminal
        self._write(f"\r{text}" if self._terminal else f"{text}\n")

    def _write(self, text: str) -> None:
        if not self._shown:
            return
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # its reader has gone, or it is closed: the command itself goes on
            self._shown = False
