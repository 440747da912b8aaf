"""Snapshots for callers: copies, and changes since a state that a client holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream.codec import copy_entity
from sessionstream.errors import HistoryPruned, OrdinalConflict
from sessionstream.hydration.rules import check_number
from sessionstream.hydration.slices import each_of
from sessionstream.types import Snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def copy_snapshot(snapshot: Snapshot) -> Snapshot:
    """Return a copy of a snapshot with copies of its entities; it yields to the event loop meanwhile."""
    entities = tuple(await each_of(snapshot.entities, copy_entity))
    return Snapshot(snapshot.session_id, snapshot.snapshot_ordinal, entities, snapshot.epoch, snapshot.since)


def check_held(since: object, epoch: object) -> None:
    """Check the position of a timeline that a client holds.

    Raises:
        TypeError: the epoch is not an int.
        ValueError: it is negative, or there is no ``since`` beside it.
    """
    check_number("epoch", epoch, optional=True)
    if epoch is not None and since is None:
        raise ValueError("an epoch says what history `since` belongs to: pass both, or neither")


async def changes_or_all(read: Callable[..., Awaitable[Snapshot]], session_id: str, since: int, epoch: int) -> Snapshot:
    """Read what leads from a state of a timeline to the present one: its changes, or, if that cannot be, all of it.

    A client with ordinal 0 holds nothing, so it gets all of it, without tombstones.

    Args:
        read: reads a snapshot: ``read(session_id)`` or ``read(session_id, since=since)``.
    """
    if since:
        try:
            changes = await read(session_id, since=since)
        except (HistoryPruned, OrdinalConflict):  # the history was pruned, or the timeline rebuilt meanwhile
            pass
        else:
            if changes.epoch == epoch and since <= changes.snapshot_ordinal:
                return changes
    return await read(session_id)
