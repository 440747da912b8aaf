"""Shows on standard error how far a long command is: on a terminal, or where ``--progress`` asks for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TypeAlias

Told: TypeAlias = Callable[[int, int], object]
"""Takes how much is done, and how much there is."""

_TERMINAL_SECONDS: Final = 0.1
_LINE_SECONDS: Final = 1.0
"""Between two notes of a count, at least; the last one is always written."""


class Progress:
    """Writes nothing unless standard error is a terminal, or it is ``asked`` for."""

    def __init__(self, *, asked: bool) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = asked or self._terminal

    def begin(self, what: str) -> None:
        """Say what begins now and may take long."""
        if self._shown:
            self._write(f"{what} …\n")

    def count(self, of: str) -> Told | None:
        """Return what shows a count of something in the plural; None if nothing is shown."""
        if not self._shown:
            return None
        seconds, told_at = _TERMINAL_SECONDS if self._terminal else _LINE_SECONDS, 0.0

        def tell(done: int, count: int) -> None:
            nonlocal told_at
            now = time.monotonic()
            if done == count or now - told_at >= seconds:
                told_at = now
                start, end = ("\r", "\n" if done == count else "") if self._terminal else ("", "\n")
                self._write(f"{start}{done:,} of {count:,} {of}{end}")

        return tell

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
