"""Stores that break what a store promises. Each wraps a good one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

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
    TimelineReplacement,
)


class StoreThatWorks:
    """Passes everything on; the others change one thing about it."""

    def __init__(self, store: HydrationStore) -> None:
        self._store = store

    @property
    def max_ordinal(self) -> int:
        """The highest ordinal it can hold."""
        return self._store.max_ordinal

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        """Make a step true."""
        return self._store.commit(commit)

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline."""
        return await self._store.snapshot(session_id, as_of=as_of, since=since)

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events."""
        return await self._store.events(session_id, after=after, limit=limit)

    async def find_event(self, session_id: str, event_id: str, /) -> LoggedEvent | None:
        """Return what is known of the event with this id."""
        return await self._store.find_event(session_id, event_id)

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        """Return the cursors and the timeline."""
        return await self._store.timeline(session_id, known=known)

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return where the session stands."""
        return await self._store.cursors(session_id)

    async def replace_timeline(self, replacement: TimelineReplacement, /) -> Cursors:
        """Swap a rebuilt timeline in."""
        return await self._store.replace_timeline(replacement)

    async def claim_command(self, session_id: str, key: str, digest: bytes, /) -> bytes | None:
        """Claim an idempotency key."""
        return await self._store.claim_command(session_id, key, digest)

    async def release_command(self, session_id: str, key: str, /) -> None:
        """Give a claim back."""
        await self._store.release_command(session_id, key)

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Keep an error record."""
        await self._store.record_error(record)

    async def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return error records."""
        return await self._store.error_records(session_id, limit=limit)

    async def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything."""
        return await self._store.sessions(after=after, limit=limit)

    async def prune(self, session_id: str, *, before: int) -> None:
        """Forget what only questions below an ordinal need."""
        await self._store.prune(session_id, before=before)

    async def ordinal_before(self, session_id: str, moment: datetime, /) -> int:
        """Return the highest ordinal that was logged before a moment."""
        return await self._store.ordinal_before(session_id, moment)

    async def forget_errors(self, session_id: str, moment: datetime, /) -> int:
        """Forget old error records."""
        return await self._store.forget_errors(session_id, moment)

    async def forget_claims(self, session_id: str, moment: datetime, /) -> int:
        """Forget old idempotency keys."""
        return await self._store.forget_claims(session_id, moment)

    async def ordinal_from_end(self, session_id: str, count: int, /) -> int:
        """Return the ordinal of the ``count``-th last event."""
        return await self._store.ordinal_from_end(session_id, count)

    async def delete_session(self, session_id: str, /, *, expected: Cursors | None = None) -> None:
        """Forget a session."""
        await self._store.delete_session(session_id, expected=expected)

    async def close(self) -> None:
        """Let go of the medium."""
        await self._store.close()


class StoreThatListsBackwards(StoreThatWorks):
    """Returns its log from the last event to the first."""

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events in the wrong order."""
        return (await super().events(session_id, after=after, limit=limit))[::-1]


class StoreThatDropsEntities(StoreThatWorks):
    """Logs every event, and keeps nothing of what it means."""

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        """Make a step true, without its entities."""
        return super().commit(replace(commit, entities=()))


class StoreThatIsStale(StoreThatWorks):
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
        """Return the cursors, and a timeline that is short of the last event where the whole is asked for."""
        found = await super().timeline(session_id, known=known)
        if known is not None or not found.cursors.timeline:
            return found
        earlier = await super().snapshot(session_id, as_of=found.cursors.timeline - 1)
        return replace(found, entities=earlier.entities)


class StoreThatForgetsOnClose(StoreThatWorks):
    """Keeps sessions until it is closed."""

    _closed = False

    async def close(self) -> None:
        """Let go of the medium, and of everything on it."""
        if not self._closed:
            self._closed = True
            for session_id in await self.sessions():
                await self.delete_session(session_id)
        await super().close()


class StoreThatMiscounts(StoreThatWorks):
    """Says of every session that it stands one event before where it does."""

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return cursors that are wrong by one."""
        found = await super().cursors(session_id)
        return replace(found, event=max(found.event - 1, 0), timeline=max(found.timeline - 1, 0))


class StoreThatForgetsKeys(StoreThatWorks):
    """Never knows a command again."""

    async def claim_command(self, _session_id: str, _key: str, _digest: bytes, /) -> bytes | None:
        """Say of any key that it is free."""
        return None


class StoreThatForgetsErrors(StoreThatWorks):
    """Keeps no error records."""

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Take an error record and let it go."""


class StoreThatSkips(StoreThatWorks):
    """Leaves the second event out of its log."""

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events, but for one."""
        return [event for event in await super().events(session_id, after=after, limit=limit) if event.ordinal != 2]


class StoreThatLosesEntities(StoreThatWorks):
    """Leaves the last entity out of its snapshots."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return a timeline, but for one entity."""
        found = await super().snapshot(session_id, as_of=as_of, since=since)
        return replace(found, entities=found.entities[:-1])


class StoreThatLags(StoreThatWorks):
    """Shows the timeline as it was before the last event, and says so."""

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return an earlier timeline where the present one is asked for."""
        if as_of is None and since is None:
            as_of = max((await self.cursors(session_id)).timeline - 1, 0)
        return await super().snapshot(session_id, as_of=as_of, since=since)


class StoreThatForgetsIds(StoreThatWorks):
    """Never knows an event again."""

    async def find_event(self, _session_id: str, _event_id: str, /) -> LoggedEvent | None:
        """Say of any event id that it is new."""
        return None


class StoreThatLingers(StoreThatWorks):
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


class Exchangeable(StoreThatWorks):
    """A store around which another way of breaking promises can be put while it is in use."""

    def __init__(self, store: HydrationStore) -> None:
        super().__init__(store)
        self._honest = store

    def exchange(self, around: Callable[[HydrationStore], HydrationStore]) -> None:
        """Break promises as ``around`` does, and no longer as before."""
        self._store = around(self._honest)
