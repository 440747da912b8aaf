"""What the ``sessions`` table says of a session: for the writer and the readers alike."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from sessionstream.hydration.sqlite.columns import Query
from sessionstream.store import Cursors


@dataclass(slots=True)
class Stored:
    """What the sessions table says of a session."""

    sid: int
    cursors: Cursors
    timeline: int


_SESSION: Final = Query(
    "sessions",
    "sid, session_id, event_cursor, timeline_cursor, epoch, floor, timeline",
    "WHERE session_id = ?",
)


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
