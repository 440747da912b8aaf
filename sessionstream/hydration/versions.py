"""Superseded states of entities in durable stores: how each is kept, and how it is restored.

A state is kept as a delta against the one that superseded it, except that every so often one is kept in full: at
most ``KEYFRAME`` deltas lead from any state to one that is kept in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionstream.hydration.delta import delta, patched

if TYPE_CHECKING:
    from google.protobuf.message import Message

FULL: Final = 0
DELTA: Final = 1
KEYFRAME: Final = 64

_entity_key: Final = attrgetter("kind", "id")
_version_key: Final = attrgetter("kind", "id", "changed")


class EntityRow(NamedTuple):
    """A state of an entity with its payload encoded; ``message`` is None for a tombstone."""

    kind: str
    id: str
    created: int
    changed: int
    message: type[Message] | None
    payload: bytes | None


class Kept(NamedTuple):
    """How a superseded payload is kept: encoding, bytes, and the number of deltas since the last state in full."""

    encoding: int
    data: bytes | None
    depth: int


def kept(payload: bytes | None, successor: bytes | None, depth: int) -> Kept:
    """Return how to keep a payload that ``successor`` supersedes, after ``depth`` deltas in a row."""
    steps = None
    if payload is not None and successor is not None and depth < KEYFRAME:
        steps = delta(payload, successor)
    return Kept(FULL, payload, 0) if steps is None else Kept(DELTA, steps, depth + 1)


def restored(steps: bytes | None, later: Iterable[tuple[int, bytes | None]]) -> bytes:
    """Return a payload that was kept as a delta.

    Args:
        steps: the delta.
        later: encoding and bytes of the entity's later states, in order; read up to the first one in full. The present
            state is the last.

    Raises:
        ValueError: the delta, or a later state that it needs, is damaged or missing.
    """
    deltas, base = [steps], None
    for encoding, data in later:
        if encoding == FULL:
            base = data
            break
        deltas.append(data)
    for each in reversed(deltas):
        if base is None or each is None:
            raise ValueError("it lacks what it is a delta against")
        base = patched(base, each)
    return base or b""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A state of a rebuilt timeline as it is kept; ``superseded`` is None for the present state."""

    state: EntityRow
    superseded: int | None
    kept: Kept


def history_rows(versions: Sequence[EntityRow]) -> list[HistoryRow]:
    """Return one row for each state of each entity."""
    rows = []
    for _, group in groupby(sorted(versions, key=_version_key), _entity_key):
        states, depth = list(group), 0
        for state, later in pairwise(states):
            past = kept(state.payload, later.payload, depth)
            depth = past.depth
            rows.append(HistoryRow(state, later.changed, past))
        rows.append(HistoryRow(states[-1], None, Kept(FULL, states[-1].payload, depth)))
    return rows


def history_pieces(versions: Sequence[EntityRow], piece_bytes: int, row_bytes: int) -> list[list[HistoryRow]]:
    """Return ``history_rows`` in pieces, each to be written at once.

    Args:
        piece_bytes: the size of a piece; it may be exceeded by its last row.
        row_bytes: what a row counts in addition to its payload.
    """
    pieces: list[list[HistoryRow]] = []
    room = 0
    for row in history_rows(versions):
        if not pieces or room <= 0:
            pieces.append([])
            room = piece_bytes
        pieces[-1].append(row)
        room -= row_bytes + len(row.kept.data or b"")
    return pieces
