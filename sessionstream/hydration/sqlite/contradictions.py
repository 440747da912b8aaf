"""What of the file's tables is missing, and which of its rows contradict each other, over all sessions."""

from __future__ import annotations

import sqlite3
from typing import Final

from sessionstream.digests import LENGTHS
from sessionstream.hydration.contradictions import COUNTS, contradictions, missing
from sessionstream.hydration.sqlite import schema
from sessionstream.hydration.sqlite.columns import Query
from sessionstream.hydration.stored import Problem

_WITH_DISCARDED: Final = 2
"""The first schema version with the table ``discarded``."""

_SESSIONS: Final = Query("sessions", "sid, session_id, timeline", "ORDER BY session_id")
_DISCARDED: Final = "SELECT what, number FROM discarded"
_COUNTS: Final = COUNTS.replace("{s}", "")
_DIGESTED: Final = f"""SELECT sid, ordinal, payload IS NULL FROM events
    WHERE digest IS NOT NULL AND (payload IS NOT NULL OR length(digest) NOT IN {LENGTHS})
    ORDER BY sid, ordinal"""  # noqa: S608 - our own numbers


def found(db: sqlite3.Connection, version: int) -> list[Problem]:
    """Return what is wrong with the tables of a file of that schema version, and between them.

    Raises:
        Damage: a row of ``sessions`` holds a value that is not valid.
    """
    problems, readable = missing(schema.parts_of(version), schema.parts(db))
    if not readable:
        return problems
    discarded = db.execute(_DISCARDED).fetchall() if version >= _WITH_DISCARDED else []
    return problems + contradictions(_SESSIONS.all(db), discarded, db.execute(_COUNTS), db.execute(_DIGESTED))
