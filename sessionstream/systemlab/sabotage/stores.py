"""Stores that break a guarantee of stores. Each forwards calls to a correct store, and changes one behaviour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from sessionstream import (
    Commit,
    Cursors,
    ErrorRecord,
    Event,
    HydrationStore,
    LoggedEvent,
    MemoryStore,
    Snapshot,
    StoredTimeline,
)
from sessionstream.hydration import StoreProxy


class StoreThatListsBackwards(StoreProxy):
    """Returns its log from the last event to the first."""

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events in the wrong order."""
        return (await super().events(session_id, after=after, limit=limit))[::-1]


class StoreThatDropsEntities(StoreProxy):
    """Logs every event, and keeps nothing of what it means."""

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        """Make a step true, without its entities."""
        return super().commit(replace(commit, entities=()))


class StoreThatIsStale(StoreProxy):
    """Shows the timeline without the last event, and says that it is the present one."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline, or what changed in it, short of the last event unless one says as of when."""
        found = await super().snapshot(session_id, as_of=as_of, since=since)
        ordinal = found.snapshot_ordinal
        if as_of is not None or not ordinal:
            return found
        if since is not None:
            return replace(found, entities=tuple(e for e in found.entities if e.last_event_ordinal < ordinal))
        earlier = await super().snapshot(session_id, as_of=ordinal - 1)
        return replace(earlier, snapshot_ordinal=ordinal)

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        """Return the cursors, and the timeline or what changed in it, short of the last event."""
        found = await super().timeline(session_id, known=known)
        last = found.cursors.timeline
        if found.since is not None:
            return replace(found, entities=[entity for entity in found.entities if entity.last_event_ordinal < last])
        if not last:
            return found
        earlier = await super().snapshot(session_id, as_of=last - 1)
        return replace(found, entities=earlier.entities)


class StoreThatForgetsOnClose(StoreProxy):
    """Keeps sessions until it is closed."""

    _closed = False

    async def close(self) -> None:
        """Let go of the medium, and of everything on it."""
        if not self._closed:
            self._closed = True
            for session_id in await self.sessions():
                await self.delete_session(session_id)
        await super().close()


class StoreThatMiscounts(StoreProxy):
    """Says of every session that it stands one event before where it does."""

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return cursors that are wrong by one."""
        found = await super().cursors(session_id)
        return replace(found, event=max(found.event - 1, 0), timeline=max(found.timeline - 1, 0))


class StoreThatForgetsKeys(StoreProxy):
    """Never knows a command again."""

    async def claim_command(self, _session_id: str, _key: str, _digest: bytes, /) -> bytes | None:
        """Say of any key that it is free."""
        return None


class StoreThatForgetsErrors(StoreProxy):
    """Keeps no error records."""

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Take an error record and let it go."""


class StoreThatSkips(StoreProxy):
    """Leaves the second event out of its log."""

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events, but for one."""
        return [event for event in await super().events(session_id, after=after, limit=limit) if event.ordinal != 2]


class StoreThatLosesEntities(StoreProxy):
    """Leaves the last entity out of its snapshots."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return a timeline, but for one entity."""
        found = await super().snapshot(session_id, as_of=as_of, since=since)
        return replace(found, entities=found.entities[:-1])


class StoreThatLags(StoreProxy):
    """Shows the timeline as it was before the last event, and says so."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return an earlier timeline where the present one is asked for."""
        if as_of is None and since is None:
            as_of = max((await self.cursors(session_id)).timeline - 1, 0)
        return await super().snapshot(session_id, as_of=as_of, since=since)


class StoreThatForgetsIds(StoreProxy):
    """Never knows an event again."""

    async def find_event(self, _session_id: str, _event_id: str, /) -> LoggedEvent | None:
        """Say of any event id that it is new."""
        return None


class StoreThatLingers(StoreProxy):
    """Is as it was, also after it was closed."""

    async def close(self) -> None:
        """Let go of nothing."""


class Lingering:
    """Gives each process the memory store of the first; any other store is what it is."""

    def __init__(self) -> None:
        self._first: MemoryStore | None = None

    def __call__(self, store: HydrationStore) -> HydrationStore:
        """Return what a process uses in the place of a store."""
        if not isinstance(store, MemoryStore):
            return store
        self._first = self._first or store
        return StoreThatLingers(self._first)


class Exchangeable(StoreProxy):
    """A store around which another way of breaking promises can be put while it is in use."""

    def __init__(self, store: HydrationStore) -> None:
        super().__init__(store)
        self._honest = store

    def exchange(self, around: Callable[[HydrationStore], HydrationStore]) -> None:
        """Break promises as ``around`` does, and no longer as before."""
        self.inner = around(self._honest)
