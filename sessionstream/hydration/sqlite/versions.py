"""Superseded states of entities: how each is kept, and how it is read again.

A state is kept as a delta against the one that superseded it, except that every so often one is kept in full: at
most ``KEYFRAME`` deltas lead from any state to one that is there as a whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sessionstream.hydration.delta import delta, patched
from sessionstream.hydration.sqlite.rows import EntityRow, whole

FULL: Final = 0
DELTA: Final = 1
KEYFRAME: Final = 64

_entity_key: Final = attrgetter("kind", "id")
_version_key: Final = attrgetter("kind", "id", "changed")

_AS_OF: Final = """SELECT kind, id, created, changed, tombstone, type, payload, 0 FROM entities
    WHERE timeline = :timeline AND changed <= :ordinal AND NOT tombstone
    UNION ALL
    SELECT v.kind, v.id, v.created, v.changed, v.tombstone, v.type, v.payload, v.encoding
    FROM entities AS e CROSS JOIN entity_versions AS v
    WHERE e.timeline = :timeline AND e.changed > :ordinal
    AND v.timeline = e.timeline AND v.kind = e.kind AND v.id = e.id AND v.changed = (
        SELECT max(changed) FROM entity_versions AS w
        WHERE w.timeline = e.timeline AND w.kind = e.kind AND w.id = e.id AND w.changed <= :ordinal)
    AND v.superseded > :ordinal AND NOT v.tombstone"""
_LATER: Final = """SELECT encoding, payload FROM entity_versions
    WHERE timeline = ? AND kind = ? AND id = ? AND changed > ? ORDER BY changed"""
_NOW: Final = "SELECT payload FROM entities WHERE timeline = ? AND kind = ? AND id = ?"


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


def as_of(db: sqlite3.Connection, timeline: int, ordinal: int) -> Iterator[tuple[Any, ...]]:
    """Yield kind, id, created, changed, tombstone, type and payload of what was live right after an ordinal.

    Costs a look-up for each entity that has changed since, however often it has, and at most KEYFRAME deltas.
    """
    for row in db.execute(_AS_OF, {"timeline": timeline, "ordinal": ordinal}).fetchall():
        state, encoding = row[:-1], row[-1]
        if encoding == DELTA:
            kind, entity_id, _, changed, _, _, steps = state
            state = (*state[:-1], _restored(db, (timeline, kind, entity_id, changed), steps))
        yield state


def _restored(db: sqlite3.Connection, version: tuple[int, str, str, int], steps: bytes) -> bytes:
    deltas, base = [steps], None
    for encoding, data in db.execute(_LATER, version):
        if encoding == FULL:
            base = data
            break
        deltas.append(data)
    else:
        found = db.execute(_NOW, version[:3]).fetchone()
        base = found and found[0]
    if base is None:
        raise sqlite3.DatabaseError(f"a version of {version[1]!r} {version[2]!r} lacks what it is a delta against")
    try:
        for each in reversed(deltas):
            base = patched(base, whole(each))
    except ValueError as error:
        raise sqlite3.DatabaseError(f"a version of {version[1]!r} {version[2]!r} is damaged: {error}") from error
    return bytes(base)


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
