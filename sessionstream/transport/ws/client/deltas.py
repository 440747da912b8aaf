"""Applies snapshots and deltas to the timeline that a client holds. Pure."""

from __future__ import annotations

from sessionstream.transport.ws.client.frames import SnapshotFrame
from sessionstream.transport.ws.client.updates import JsonSnapshot
from sessionstream.types import in_snapshot_order


class DeltaGap(Exception):
    """A delta does not continue the timeline that the client holds."""


def apply_snapshot(held: JsonSnapshot | None, came: SnapshotFrame) -> JsonSnapshot:
    """Return the timeline after a snapshot frame.

    A full snapshot replaces what was held. A delta updates it; it must have the same epoch, start at or below the held
    ordinal, and not end below it.

    Raises:
        DeltaGap: the frame is a delta that does not meet these conditions.
    """
    if not came.since:
        living = tuple(entity for entity in came.entities if not entity.tombstone)
        return JsonSnapshot(came.session_id, came.ordinal, living, came.epoch)
    if held is None or held.epoch != came.epoch or not came.since <= held.snapshot_ordinal <= came.ordinal:
        raise DeltaGap(f"the server sent a delta of session {came.session_id!r} that does not follow")
    entities = {(entity.kind, entity.id): entity for entity in held.entities}
    for entity in came.entities:
        if entity.tombstone:
            entities.pop((entity.kind, entity.id), None)
        else:
            entities[entity.kind, entity.id] = entity
    return JsonSnapshot(came.session_id, came.ordinal, tuple(in_snapshot_order(entities.values())), came.epoch)
