"""Snapshot sources that are slow on request, stale, or wrong about the epoch."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sessionstream import Snapshot, SnapshotSource


class Held:
    """A source whose loaded snapshots can be held back and released. It breaks no guarantee: it is only slow.

    Attributes:
        waiting: the number of snapshots that are held back.
    """

    def __init__(self, source: SnapshotSource) -> None:
        self._source = source
        self._free = asyncio.Event()
        self._free.set()
        self._changed = asyncio.Condition()
        self.waiting: int = 0

    @property
    def holds(self) -> bool:
        """Whether snapshots are held back now."""
        return not self._free.is_set()

    def hold(self) -> None:
        """Hold back further snapshots."""
        self._free.clear()

    def let_go(self) -> None:
        """Release the snapshots that are held back, and hold back no more."""
        self._free.set()

    async def until_waiting(self) -> None:
        """Return when a snapshot is held back."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.waiting > 0)

    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        """Load a snapshot now, and return it when it is released."""
        snapshot = await self._source.snapshot(session_id, since=since)
        if self.holds:
            await self._count(1)
            try:
                await self._free.wait()
            finally:
                self.waiting -= 1
        return snapshot

    async def _count(self, more: int) -> None:
        async with self._changed:
            self.waiting += more
            self._changed.notify_all()


class Stale:
    """A source that always returns the first snapshot of a session."""

    def __init__(self, source: SnapshotSource) -> None:
        self._source = source
        self._first: dict[str, Snapshot] = {}

    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        """Return the first snapshot of the session."""
        del since  # whatever is asked for, it is what it has
        if session_id not in self._first:
            self._first[session_id] = await self._source.snapshot(session_id)
        return self._first[session_id]


class OneEpoch:
    """A source whose snapshots always have the first epoch of their session."""

    def __init__(self, source: SnapshotSource) -> None:
        self._source = source
        self._epochs: dict[str, int] = {}

    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        """Return a correct snapshot with the first epoch."""
        snapshot = await self._source.snapshot(session_id, since=since)
        return replace(snapshot, epoch=self._epochs.setdefault(session_id, snapshot.epoch))
