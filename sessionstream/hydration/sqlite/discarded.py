"""The table ``discarded``: rows of other tables that are to be removed, and their removal in small transactions.

Pruning, deleting and rebuilding change one row of ``sessions``, which hides the old rows at once, and add a job to
``discarded`` for their removal. Any store that has the file open may carry it out (see removing.py). Removal changes no
answer, so it can stop anywhere, and go on in another process or after a crash.

=============  ===============  ========================================================================
``what``       ``number``       what is no longer visible
=============  ===============  ========================================================================
``session``    former sid       the events of a deleted session
``timeline``   timeline         a timeline that was replaced
``events``     sid              name, payload and metadata of its events from ``after`` up to ``below``
``versions``   timeline         states superseded before ``below``; done up to entity ``kind``, ``id``
``building``   timeline         a timeline that is being built, since ``after`` (microseconds)
=============  ===============  ========================================================================
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from sessionstream.digests import stored_digest
from sessionstream.hydration.sqlite.columns import Query, shortly
from sessionstream.hydration.sqlite.failures import Damage
from sessionstream.hydration.sqlite.payload_types import ReadTypes

PIECE: Final = 250
"""Rows that one step removes."""

DIGESTING: Final = 0.01
"""Seconds after which a step computes no further digests; one of a large ``Struct`` takes a millisecond."""

ABANDONED: Final = 600_000_000
"""Microseconds after which a timeline that is still being built counts as abandoned."""

Key: TypeAlias = tuple[str, int | None]
"""Identifies a job: ``what`` and ``number``; None if the file holds something else than a number."""

_JOBS: Final = """SELECT CAST(what AS BLOB), CASE typeof(number) WHEN 'integer' THEN number END
    FROM discarded WHERE what <> 'building' OR after < ?"""
_JOB: Final = Query(
    "discarded",
    "what, number, below, after, kind, id",
    "WHERE what = ? AND number = ? AND (what <> 'building' OR after < ?)",
)
_EVENTS: Final = Query(
    "events",
    "sid, ordinal, name, type, payload",
    "WHERE sid = ? AND ordinal >= ? AND ordinal < ? AND digest IS NULL ORDER BY ordinal LIMIT ?",
    required=("name", "type", "payload"),
)
_ENTITIES: Final = Query(
    "entities",
    "timeline, kind, id",
    "WHERE timeline = ? AND (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?",
)


@dataclass(frozen=True, slots=True)
class _Job:
    what: str
    number: int
    below: int
    after: int
    kind: str
    id: str


def discard(db: sqlite3.Connection, what: str, number: int, *, below: int = 0, after: int = 0) -> None:
    """Add a job. If it exists, raise the ordinal up to which it removes, and go through its entities again."""
    db.execute(
        "INSERT INTO discarded (what, number, below, after) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (what, number) DO UPDATE SET below = excluded.below, kind = '', id = ''",
        (what, number, below, after),
    )


def keep(db: sqlite3.Connection, what: str, number: int) -> bool:
    """Remove a job, so that its rows stay; return whether there was one."""
    return db.execute("DELETE FROM discarded WHERE what = ? AND number = ?", (what, number)).rowcount > 0


def jobs(db: sqlite3.Connection) -> list[Key]:
    """Return all jobs, also damaged ones: a damaged row must not hide the others."""
    rows = db.execute(_JOBS, (_abandoned_before(),)).fetchall()
    return [((what or b"").decode(errors="backslashreplace"), number) for what, number in rows]


def step(db: sqlite3.Connection, key: Key) -> bool:
    """Do a part of a job; return whether there may be more to do.

    Raises:
        Damage: the job, or a row that it removes, holds a value that the store did not write.
    """
    what, number = key
    if what not in _SWEEP or number is None:
        raise Damage("discarded", f"what {shortly(what)}, number {number}", "", "not a job of this store")
    row = _JOB.first(db, (*key, _abandoned_before()))
    if row is None:  # another process was faster
        return False
    job = _Job(*row)
    done = _SWEEP[job.what](db, job)
    if done:
        keep(db, job.what, job.number)
    return not done


def _abandoned_before() -> int:
    return time.time_ns() // 1000 - ABANDONED


def _session(db: sqlite3.Connection, job: _Job) -> bool:
    return _removed(db, "events", "sid", job.number) < PIECE


def _timeline(db: sqlite3.Connection, job: _Job) -> bool:
    if _removed(db, "entity_versions", "timeline", job.number) == PIECE:
        return False
    done = db.execute(
        "DELETE FROM entities WHERE timeline = ? AND (kind, id) IN "
        "(SELECT kind, id FROM entities WHERE timeline = ? LIMIT ?)",
        (job.number, job.number, PIECE),
    )
    if done.rowcount == PIECE:
        return False
    db.execute("DELETE FROM timelines WHERE timeline = ?", (job.number,))
    return True


def _removed(db: sqlite3.Connection, table: str, column: str, number: int) -> int:
    some = f"SELECT rowid FROM {table} WHERE {column} = ? LIMIT ?"  # noqa: S608 - our own names
    return db.execute(f"DELETE FROM {table} WHERE rowid IN ({some})", (number, PIECE)).rowcount  # noqa: S608


def _events(db: sqlite3.Connection, job: _Job) -> bool:
    """Replace name and payload of pruned events by a digest, so that a repeated event is still recognised."""
    pruned: list[tuple[bytes, int, int]] = []
    types, late = ReadTypes(), time.monotonic() + DIGESTING
    for sid, ordinal, name, number, data in _EVENTS.all(db, (job.number, job.after, job.below, PIECE)):
        payload_type, descriptors = types.described(db, number)
        pruned.append((stored_digest(name, payload_type, data, descriptors), sid, ordinal))
        if time.monotonic() >= late:
            break
    # The type stays: a repeated event is compared with the descriptors that this one was written with.
    db.executemany(
        "UPDATE events SET digest = ?, name = NULL, payload = NULL, metadata = '' WHERE sid = ? AND ordinal = ?", pruned
    )
    if not pruned:
        return True
    db.execute(
        "UPDATE discarded SET after = ? WHERE what = ? AND number = ?", (pruned[-1][2] + 1, job.what, job.number)
    )
    return False


def _versions(db: sqlite3.Connection, job: _Job) -> bool:
    """Remove states that were superseded before the floor, and deletions before it, entity by entity."""
    left, done = PIECE, (job.kind, job.id)
    entities = _ENTITIES.all(db, (job.number, *done, PIECE))
    for _, kind, entity_id in entities:
        which = (job.number, kind, entity_id, job.below)
        left -= 1 + db.execute(_DELETE_PAST, (*which, job.below, left)).rowcount
        if left <= 0:
            break
        db.execute(_DELETE_TOMBSTONE, which)
        done = (kind, entity_id)
    db.execute("UPDATE discarded SET kind = ?, id = ? WHERE what = ? AND number = ?", (*done, job.what, job.number))
    return len(entities) < PIECE and left > 0


_DELETE_PAST: Final = """DELETE FROM entity_versions WHERE rowid IN (
    SELECT rowid FROM entity_versions WHERE timeline = ? AND kind = ? AND id = ? AND changed <= ?
    AND (superseded <= ? OR tombstone) ORDER BY changed LIMIT ?)"""
_DELETE_TOMBSTONE: Final = """DELETE FROM entities
    WHERE timeline = ? AND kind = ? AND id = ? AND tombstone AND changed <= ?"""
_SWEEP: Final[dict[str, Callable[[sqlite3.Connection, _Job], bool]]] = {
    "session": _session,
    "timeline": _timeline,
    "events": _events,
    "versions": _versions,
    "building": _timeline,
}
