"""Stores that break a guarantee of stores. Each forwards calls to a correct store, and changes one behaviour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from sessionstream import (
    CommandClaim,
    Commit,
    Cursors,
    ErrorRecord,
    Event,
    EventConflict,
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
    """Logs every event, but drops the entities."""

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        """Commit without the entities."""
        return super().commit(replace(commit, entities=()))


class StoreThatIsStale(StoreProxy):
    """Returns the timeline before the last event as the current one."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline or its changes without the last event, unless ``as_of`` is given."""
        found = await super().snapshot(session_id, as_of=as_of, since=since)
        ordinal = found.snapshot_ordinal
        if as_of is not None or not ordinal:
            return found
        if since is not None:
            return replace(found, entities=tuple(e for e in found.entities if e.last_event_ordinal < ordinal))
        earlier = await super().snapshot(session_id, as_of=ordinal - 1)
        return replace(earlier, snapshot_ordinal=ordinal)

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        """Return the cursors, and the timeline or its changes without the last event."""
        found = await super().timeline(session_id, known=known)
        last = found.cursors.timeline
        if found.since is not None:
            return replace(found, entities=[entity for entity in found.entities if entity.last_event_ordinal < last])
        if not last:
            return found
        earlier = await super().snapshot(session_id, as_of=last - 1)
        return replace(found, entities=earlier.entities)


class StoreThatForgetsOnClose(StoreProxy):
    """Deletes its sessions when it is closed."""

    _closed = False

    async def close(self) -> None:
        """Delete all sessions, and close the store."""
        if not self._closed:
            self._closed = True
            for session_id in await self.sessions():
                await self.delete_session(session_id)
        await super().close()


class StoreThatMiscounts(StoreProxy):
    """Returns cursors that are one event too low."""

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return cursors that are too low by one."""
        found = await super().cursors(session_id)
        return replace(found, event=max(found.event - 1, 0), timeline=max(found.timeline - 1, 0))


class StoreThatForgetsKeys(StoreProxy):
    """Does not recognise a repeated command."""

    async def claim_command(self, _session_id: str, _key: str, _digest: bytes, /) -> CommandClaim | None:
        """Return that the key is free."""
        return None


class StoreThatForgetsErrors(StoreProxy):
    """Keeps no error records."""

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Drop an error record."""


class StoreThatSkips(StoreProxy):
    """Omits the second event from its log."""

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events without the second one."""
        return [event for event in await super().events(session_id, after=after, limit=limit) if event.ordinal != 2]


class StoreThatLosesEntities(StoreProxy):
    """Omits the last entity from its snapshots."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return a timeline without its last entity."""
        found = await super().snapshot(session_id, as_of=as_of, since=since)
        return replace(found, entities=found.entities[:-1])


class StoreThatLags(StoreProxy):
    """Returns the timeline before the last event, with its ordinal."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return an earlier timeline instead of the current one."""
        if as_of is None and since is None:
            as_of = max((await self.cursors(session_id)).timeline - 1, 0)
        return await super().snapshot(session_id, as_of=as_of, since=since)


class StoreThatForgetsIds(StoreProxy):
    """Does not recognise a repeated event."""

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        """Store an event again whose id is known, under another id."""
        return self._commit(commit)

    async def _commit(self, commit: Commit) -> None:
        try:
            await self.inner.commit(commit)
        except EventConflict as conflict:
            if commit.event is None:
                raise
            event = replace(commit.event, event_id=f"{commit.event.event_id} after {conflict.ordinal}")
            await self.inner.commit(replace(commit, event=event))

    async def find_event(self, _session_id: str, _event_id: str, /) -> LoggedEvent | None:
        """Return that the event id is new."""
        return None


class StoreThatLingers(StoreProxy):
    """Keeps its contents after it was closed."""

    async def close(self) -> None:
        """Do nothing."""


class Lingering:
    """Gives each process the memory store of the first one; other stores are unchanged."""

    def __init__(self) -> None:
        self._first: MemoryStore | None = None

    def __call__(self, store: HydrationStore) -> HydrationStore:
        """Return the store that a process uses instead of its own."""
        if not isinstance(store, MemoryStore):
            return store
        self._first = self._first or store
        return StoreThatLingers(self._first)


class Exchangeable(StoreProxy):
    """A store whose wrapper can be replaced while it is in use."""

    def __init__(self, store: HydrationStore) -> None:
        super().__init__(store)
        self._honest = store

    def exchange(self, around: Callable[[HydrationStore], HydrationStore]) -> None:
        """Replace the wrapper by ``around``."""
        self.inner: HydrationStore = around(self._honest)
