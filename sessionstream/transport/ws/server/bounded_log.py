"""Warnings that clients can cause as often as they like: so many lines a minute, and then a number."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

LINES: Final = 20
"""Lines of one kind within a minute that are logged in full."""

_MINUTE: Final = 60.0
_LONGEST: Final = 500
"""Characters of a line: what clients send may be in it."""

_log = logging.getLogger("sessionstream")


class BoundedLog:
    """Logs lines by their kind, and counts those of a minute that are too many.

    Args:
        now: the present time in seconds, on any clock that only goes forward.
    """

    __slots__ = ("_begun", "_now")

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun: dict[str, tuple[float, int]] = {}

    def say(self, kind: str, line: str, *, error: BaseException | None = None, level: int = logging.WARNING) -> None:
        """Log a line, with the traceback of an error, unless there were enough of its kind in this minute.

        ``kind`` is what the lines have in common, in the plural: it stands before the number of those left out.
        """
        self.settle()
        begun, said = self._begun.get(kind, (self._now(), 0))
        self._begun[kind] = begun, said + 1
        if said < LINES:
            _log.log(level, "%s", line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…", exc_info=error)

    def settle(self, *, end: bool = False) -> None:
        """Say how many more there were in the minutes that are over, or with ``end`` in all."""
        now = self._now()
        for kind, (begun, said) in list(self._begun.items()):
            if end or now - begun >= _MINUTE:
                del self._begun[kind]
                if said > LINES:
                    _log.warning("%s: %s more", kind, f"{said - LINES:,}")
