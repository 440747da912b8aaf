"""What the ``sessions`` table says of a session: for the writer and the readers alike."""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sessionstream.hydration.sqlite.columns import MAX_MOMENT, Query
from sessionstream.store import Cursors


@dataclass(slots=True)
class Stored:
    """What the sessions table says of a session.

    Attributes:
        commit_id: of its last commit, empty if this writer has not made that.
        last_time: when that was recorded, in microseconds; None if that was not read.
        changed: the number of its last change, 0 if this writer has not made that.
    """

    sid: int
    cursors: Cursors
    timeline: int
    commit_id: str = ""
    last_time: int | None = None
    changed: int = 0


REMEMBERED: Final = 4096
"""Sessions that the writer remembers at most; each takes about 600 bytes."""


_SESSION: Final = Query(
    "sessions",
    "sid, session_id, event_cursor, timeline_cursor, epoch, floor, timeline",
    "WHERE session_id = ?",
)
_LAST_CHANGE: Final = Query(
    "sessions",
    "sid, changed",
    "WHERE typeof(changed) = 'integer' AND changed BETWEEN 1 AND ? ORDER BY changed DESC LIMIT 1",
)


def last_change(db: sqlite3.Connection) -> int:
    """Return the number of the last change of any session, 0 if there is none. Numbers that are damaged are ignored."""
    row = _LAST_CHANGE.first(db, (MAX_MOMENT - 1,))
    return 0 if row is None else row[1]


def stored(db: sqlite3.Connection, session_id: str) -> Stored | None:
    """Return what the sessions table says of a session, None where nobody has used it yet."""
    row = _SESSION.first(db, (session_id,))
    if row is None:
        return None
    sid, _, event, timeline_cursor, epoch, floor, timeline = row
    if timeline_cursor > event:
        _SESSION.damaged(row, "timeline_cursor", f"{timeline_cursor}, above its event_cursor {event}")
    if floor > timeline_cursor:
        _SESSION.damaged(row, "floor", f"{floor}, above its timeline_cursor {timeline_cursor}")
    return Stored(sid, Cursors(event, timeline_cursor, epoch, floor), timeline)


class KnownSessions:
    """Sessions as the writer's connection last read or wrote them, so that it need not read them for each commit.

    They are valid while no other connection commits to the file, which ``PRAGMA data_version`` shows, and while the
    writer's own transactions succeed. Of the writer thread alone; the session used longest ago is forgotten first.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Stored] = OrderedDict()
        self._version: int | None = None
        self._last_change: int | None = None

    def begin(self, db: sqlite3.Connection) -> bool:
        """Return whether the file is the one known, in a transaction that writes; if not, forget every session."""
        version: int = db.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return True
        self._known.clear()
        self._last_change = None
        self._version = version
        return False

    def rolled_back(self) -> None:
        """Have the next transaction forget every session: what was written is not true."""
        self._version = None

    def next_change(self, db: sqlite3.Connection) -> int:
        """Return the number of the next change of a session, which is higher than those of all earlier ones.

        It is the time in microseconds, if that is higher: then it is also higher than the numbers of changes that the
        file has lost, because the power failed, or because an earlier copy took its place.
        """
        last = last_change(db) if self._last_change is None else self._last_change
        self._last_change = max(last + 1, time.time_ns() // 1000)
        return self._last_change

    def find(self, db: sqlite3.Connection, session_id: str) -> Stored | None:
        """Return a session, from the file if it is not known; None where nobody has used it yet."""
        return self._known.get(session_id) or stored(db, session_id)

    def take(self, db: sqlite3.Connection, session_id: str) -> Stored | None:
        """Return a session and forget it, for a change of its row."""
        return self._known.pop(session_id, None) or stored(db, session_id)

    def remember(self, sessions: dict[str, Stored]) -> None:
        """Remember what the transaction has made of some sessions."""
        known = self._known
        for session_id, session in sessions.items():
            known[session_id] = session
            known.move_to_end(session_id)
        while len(known) > REMEMBERED:
            known.popitem(last=False)
