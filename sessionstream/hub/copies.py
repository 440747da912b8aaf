"""Copies of snapshots, so that callers cannot change the pipeline's messages."""

from __future__ import annotations

from sessionstream.codec import copy_entity
from sessionstream.hydration.slices import each_of
from sessionstream.types import Snapshot


async def copy_snapshot(snapshot: Snapshot) -> Snapshot:
    """Return a copy of a snapshot with copies of its entities; it yields to the event loop meanwhile."""
    entities = tuple(await each_of(snapshot.entities, copy_entity))
    return Snapshot(snapshot.session_id, snapshot.snapshot_ordinal, entities, snapshot.epoch)
