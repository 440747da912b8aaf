"""A store in memory that does not tell the truth about what it keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from sessionstream import Event, LoggedEvent, MemoryStore, SchemaRegistry, Snapshot

StoreFault: TypeAlias = Literal["", "gap", "lost", "stale", "forgetful"]
"""What is wrong with it; empty: nothing."""


class SabotagedStore(MemoryStore):
    """A ``MemoryStore`` that when told to be faulty lies to whoever reads it; what it keeps stays as it is.

    Attributes:
        fault: ``"gap"`` leaves the second event out of the log, ``"lost"`` the last entity out of snapshots,
            ``"stale"`` gives snapshots from before the last event, ``"forgetful"`` knows no event id.
    """

    def __init__(self, registry: SchemaRegistry, fault: StoreFault = "") -> None:
        super().__init__(registry)
        self.fault: StoreFault = fault

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return the log, or what the fault leaves of it."""
        events = await super().events(session_id, after=after, limit=limit)
        return [event for event in events if event.ordinal != 2] if self.fault == "gap" else events

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline, or what the fault makes of it."""
        if self.fault == "stale" and as_of is None and since is None:
            cursor = (await self.cursors(session_id)).timeline
            return await super().snapshot(session_id, as_of=max(0, cursor - 1))
        snapshot = await super().snapshot(session_id, as_of=as_of, since=since)
        return replace(snapshot, entities=snapshot.entities[:-1]) if self.fault == "lost" else snapshot

    async def find_event(self, session_id: str, event_id: str, /) -> LoggedEvent | None:
        """Return what is known of an event id, or nothing."""
        return None if self.fault == "forgetful" else await super().find_event(session_id, event_id)
