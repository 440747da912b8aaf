"""The loggers of the library: one whose records say what they concern, and one that limits how many there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

LINES: Final = 20
"""Lines of one kind that are logged in full within a minute."""

_MINUTE: Final = 60.0
_LONGEST: Final = 500
"""Longest line, in characters; lines may contain text from clients."""


class SessionLog(logging.LoggerAdapter[logging.Logger]):
    """Logs records with three attributes; they are empty where a record concerns none. (Reference: Logs.)

    Its methods take ``session_id``, ``ordinal`` and ``event``, the name of an event, as further keyword arguments. The
    records have them as ``sessionstream_session``, ``sessionstream_ordinal`` and ``sessionstream_event``.
    """

    def __init__(self, name: str = "sessionstream") -> None:
        super().__init__(logging.getLogger(name))

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Turn the three arguments into attributes of the record."""
        facts = {
            "sessionstream_session": kwargs.pop("session_id", ""),
            "sessionstream_ordinal": kwargs.pop("ordinal", 0),
            "sessionstream_event": kwargs.pop("event", ""),
        }
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **facts}
        return msg, kwargs


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
        """Log a line, with the traceback of ``error``, if it ``admits`` one of this kind.

        ``session_id`` and ``ordinal`` are what the line concerns.
        """
        if self.admits(kind):
            short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
            _log.log(level, "%s", short, exc_info=error, session_id=session_id, ordinal=ordinal)

    def admits(self, kind: str) -> bool:
        """Count a line, and return whether it is logged: unless ``LINES`` lines of its kind were in this minute.

        ``kind`` names the lines in the plural; it precedes the count of those left out.
        """
        self.flush()
        begun, count = self._begun.get(kind, (self._now(), 0))
        self._begun[kind] = begun, count + 1
        return count < LINES

    def flush(self, *, now: bool = False) -> None:
        """Log how many lines were left out, of the minutes that are over; with ``now``, of all."""
        moment = self._now()
        for kind, (begun, count) in list(self._begun.items()):
            is_over = moment - begun >= _MINUTE
            if (is_over or now) and count > LINES:
                _log.warning("%s: %s more", kind, f"{count - LINES:,}")
            if is_over:
                del self._begun[kind]
            elif now:
                self._begun[kind] = begun, min(count, LINES)
