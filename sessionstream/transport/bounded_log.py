"""A rate limit for log lines that clients can cause: a number of lines a minute in full, then only their count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from sessionstream.logs import SessionLog

LINES: Final = 20
"""Lines of one kind that are logged in full within a minute."""

_MINUTE: Final = 60.0
_LONGEST: Final = 500
"""Longest line, in characters; lines may contain text from clients."""

_log = SessionLog()


class BoundedLog:
    """Logs lines of each kind up to a limit per minute, and counts the rest.

    Args:
        now: returns the time in seconds, from a monotonic clock.
    """

    __slots__ = ("_begun", "_now")

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun: dict[str, tuple[float, int]] = {}

    def log(
        self,
        kind: str,
        line: str,
        *,
        error: BaseException | None = None,
        level: int = logging.WARNING,
        session_id: str = "",
        ordinal: int = 0,
    ) -> None:
        """Log a line, with the traceback of ``error``, unless ``LINES`` lines of its kind were logged in this minute.

        ``kind`` names the lines in the plural; it precedes the count of those left out. ``session_id`` and ``ordinal``
        are what the line concerns.
        """
        self.flush()
        begun, count = self._begun.get(kind, (self._now(), 0))
        self._begun[kind] = begun, count + 1
        if count < LINES:
            short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
            _log.log(level, "%s", short, exc_info=error, session_id=session_id, ordinal=ordinal)

    def flush(self, *, end: bool = False) -> None:
        """Log the counts of the minutes that are over; with ``end``, all counts."""
        now = self._now()
        for kind, (begun, count) in list(self._begun.items()):
            if end or now - begun >= _MINUTE:
                del self._begun[kind]
                if count > LINES:
                    _log.warning("%s: %s more", kind, f"{count - LINES:,}")
