"""Superseded states of entities: how each is kept, and how it is read again.

A state is kept as a delta against the one that superseded it, except that every so often one is kept in full: at
most ``KEYFRAME`` deltas lead from any state to one that is there as a whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from sessionstream.hydration.delta import delta, patched
from sessionstream.hydration.sqlite.columns import Query, Row
from sessionstream.hydration.sqlite.rows import EntityRow

FULL: Final = 0
DELTA: Final = 1
KEYFRAME: Final = 64

_entity_key: Final = attrgetter("kind", "id")
_version_key: Final = attrgetter("kind", "id", "changed")

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


class Kept(NamedTuple):
    """How a superseded payload is kept: its encoding, its bytes, and the deltas since the last one in full."""

    encoding: int
    data: bytes | None
    depth: int


def kept(payload: bytes | None, successor: bytes | None, depth: int) -> Kept:
    """Return how a payload is kept that ``successor`` supersedes, after ``depth`` deltas in a row."""
    steps = None
    if payload is not None and successor is not None and depth < KEYFRAME:
        steps = delta(payload, successor)
    return Kept(FULL, payload, 0) if steps is None else Kept(DELTA, steps, depth + 1)


def as_of(db: sqlite3.Connection, timeline: int, ordinal: int) -> list[Row]:
    """Return the columns ``STATE`` of what was live right after an ordinal.

    Costs a look-up for each entity that has changed since, however often it has, and at most KEYFRAME deltas.

    Raises:
        Damage: something in them is none of our values.
    """
    place = {"timeline": timeline, "ordinal": ordinal}
    unchanged, superseded = _UNCHANGED.all(db, place), _SUPERSEDED.all(db, place)
    check_states(_UNCHANGED, unchanged, ordinal)
    check_states(_SUPERSEDED, superseded, ordinal)
    restored = [(*row[:-2], _restored(db, row)) if row[-1] == DELTA else row[:-1] for row in superseded]
    return unchanged + restored


def check_states(query: Query, rows: Iterable[Row], ordinal: int) -> None:
    """Check states of entities in a timeline at an ordinal, for what one column says of another.

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
    deltas: list[bytes | None] = [steps]
    base: bytes | None = None
    for later in _LATER.all(db, (timeline, kind, entity_id, changed)):
        if later[-2] == FULL:
            base = later[-1]
            break
        deltas.append(later[-1])
    else:
        present = _PRESENT.first(db, (timeline, kind, entity_id))
        base = None if present is None else present[-1]
    try:
        for each in reversed(deltas):
            if base is None or each is None:
                raise ValueError("it lacks what it is a delta against")
            base = patched(base, each)
    except ValueError as error:
        _SUPERSEDED.damaged(row, "payload", f"damaged, or a later version is: {error}")
    return base or b""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A state of a rebuilt timeline as it will be kept; ``superseded`` is None for a present one."""

    state: EntityRow
    superseded: int | None
    kept: Kept


def history_rows(versions: Sequence[EntityRow]) -> list[HistoryRow]:
    """Return the rows of all states that all entities went through."""
    rows = []
    for _, group in groupby(sorted(versions, key=_version_key), _entity_key):
        states, depth = list(group), 0
        for state, later in pairwise(states):
            past = kept(state.payload, later.payload, depth)
            depth = past.depth
            rows.append(HistoryRow(state, later.changed, past))
        rows.append(HistoryRow(states[-1], None, Kept(FULL, states[-1].payload, depth)))
    return rows
