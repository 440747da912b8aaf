"""The times that events, error records and keys are stored with. Within a session they never decrease."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sessionstream.hydration.sqlite.columns import MAX_MOMENT, START, Query

# Times that are damaged are ignored.
_LAST_EVENT: Final = Query(
    "events",
    "sid, ordinal, recorded_at",
    "WHERE sid = ? AND typeof(recorded_at) = 'integer' AND recorded_at <= ? ORDER BY ordinal DESC LIMIT 1",
)
_LAST_EVENT_OF: Final = Query(
    "events",
    "sid, ordinal, recorded_at",
    """WHERE sid = (SELECT sid FROM sessions WHERE session_id = ?)
    AND typeof(recorded_at) = 'integer' AND recorded_at <= ? ORDER BY ordinal DESC LIMIT 1""",
)
_LAST_ERROR: Final = Query(
    "errors",
    "seq, recorded_at",
    "WHERE session_id = ? AND typeof(recorded_at) = 'integer' AND recorded_at <= ? ORDER BY seq DESC LIMIT 1",
)
_LATEST_CLAIM: Final = Query(
    "command_claims",
    "session_id, key, claimed_at",
    "WHERE session_id = ? AND typeof(claimed_at) = 'integer' AND claimed_at <= ? ORDER BY claimed_at DESC LIMIT 1",
)


_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return a moment as the file keeps it: microseconds since 1970."""
    return (moment - START) // _MICROSECOND


class Times:
    """The clock's time in microseconds, or the latest time that the session has already, if that is later.

    An event is not earlier than the session's last event; an error record or an idempotency key is not earlier than
    that, nor than the last one of its own kind.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._highest = 0  # time that the clock has returned

    def of_event(self, db: sqlite3.Connection, sid: int, last: int | None, now: int) -> int:
        """Return the time of a session's next event.

        Args:
            last: that of the last one, None if it was not read.
            now: what ``now`` has returned.
        """
        if last is None:
            return _later(now, _LAST_EVENT, db, sid)
        return max(last, now)

    def of_error(self, db: sqlite3.Connection, session_id: str) -> int:
        """Return the time of a session's next error record."""
        return _later(_later(self.now(), _LAST_EVENT_OF, db, session_id), _LAST_ERROR, db, session_id)

    def of_claim(self, db: sqlite3.Connection, session_id: str) -> int:
        """Return the time of a session's next idempotency key.

        Keys have no order, so all of a session's have to be read: only if the clock has gone back.
        """
        now = self.now()
        time = _later(now, _LAST_EVENT_OF, db, session_id)
        return time if now == self._highest else _later(time, _LATEST_CLAIM, db, session_id)

    def now(self) -> int:
        """Return the clock's time."""
        now = microseconds(self._clock())
        self._highest = max(self._highest, now)
        return now


def _later(time: int, query: Query, db: sqlite3.Connection, key: int | str) -> int:
    row = query.first(db, (key, MAX_MOMENT))
    return time if row is None else max(time, row[-1])
