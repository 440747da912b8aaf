"""Copies of snapshots, so that callers cannot change the pipeline's messages."""

from __future__ import annotations

from sessionstream.codec import copy_entity
from sessionstream.hydration.slices import each_in_order
from sessionstream.types import Snapshot


async def copy_snapshot(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot of copies, in snapshot order, whatever the order was; others run in between."""
    entities = tuple(await each_in_order(snapshot.entities, copy_entity))
    return Snapshot(snapshot.session_id, snapshot.snapshot_ordinal, entities, snapshot.epoch)
