"""Reads a timeline as it was right after an earlier event."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final

from sessionstream.hydration.sqlite.columns import Query, Row
from sessionstream.hydration.versions import DELTA, FULL, restored

STATE: Final = "timeline, kind, id, created, changed, tombstone, type, payload"
"""The columns of a state of an entity."""

_UNCHANGED: Final = Query("entities", STATE, "WHERE timeline = :timeline AND changed <= :ordinal AND NOT tombstone")
_SUPERSEDED: Final = Query(
    "entity_versions",
    f"{STATE}, encoding",
    """SELECT v.timeline, v.kind, v.id, v.created, v.changed, v.tombstone, v.type, v.payload, v.encoding
    FROM entities AS e CROSS JOIN entity_versions AS v
    WHERE e.timeline = :timeline AND e.changed > :ordinal
    AND v.timeline = e.timeline AND v.kind = e.kind AND v.id = e.id AND v.changed = (
        SELECT max(changed) FROM entity_versions AS w
        WHERE w.timeline = e.timeline AND w.kind = e.kind AND w.id = e.id AND w.changed <= :ordinal)
    AND v.superseded > :ordinal AND NOT v.tombstone""",
)
_LATER: Final = Query(
    "entity_versions",
    "timeline, kind, id, changed, encoding, payload",
    "WHERE timeline = ? AND kind = ? AND id = ? AND changed > ? ORDER BY changed",
)
_PRESENT: Final = Query("entities", "timeline, kind, id, payload", "WHERE timeline = ? AND kind = ? AND id = ?")


def as_of(db: sqlite3.Connection, timeline: int, ordinal: int) -> list[Row]:
    """Return the columns ``STATE`` of what was live right after an ordinal.

    Costs a look-up for each entity that has changed since, however often it has, and at most KEYFRAME deltas.

    Raises:
        Damage: a value in them is not valid.
    """
    place = {"timeline": timeline, "ordinal": ordinal}
    unchanged, superseded = _UNCHANGED.all(db, place), _SUPERSEDED.all(db, place)
    check_states(_UNCHANGED, unchanged, ordinal)
    check_states(_SUPERSEDED, superseded, ordinal)
    return unchanged + [(*row[:-2], _restored(db, row)) if row[-1] == DELTA else row[:-1] for row in superseded]


def check_states(query: Query, rows: Iterable[Row], ordinal: int) -> None:
    """Check that the columns of each state agree with each other and with the ordinal of the timeline.

    Raises:
        Damage: one has changed before it was created, or after the ordinal, or is live without a payload.
    """
    for row in rows:
        _, _, _, created, changed, tombstone, number, payload = row[:8]
        if not created <= changed <= ordinal:
            query.damaged(row, "changed", f"{changed}, not between created, {created}, and the timeline's {ordinal}")
        if not tombstone and (number is None or payload is None):
            query.damaged(row, "type" if number is None else "payload", "missing, and the row is no tombstone")


def _restored(db: sqlite3.Connection, row: Row) -> bytes:
    timeline, kind, entity_id, _, changed, _, _, steps, _ = row
    try:
        return restored(steps, _later_states(db, (timeline, kind, entity_id), changed))
    except ValueError as error:
        _SUPERSEDED.damaged(row, "payload", f"damaged, or a later version is: {error}")


def _later_states(
    db: sqlite3.Connection, key: tuple[int, str, str], changed: int
) -> Iterator[tuple[int, bytes | None]]:
    for later in _LATER.all(db, (*key, changed)):
        yield later[-2:]
    present = _PRESENT.first(db, key)
    yield FULL, None if present is None else present[-1]
