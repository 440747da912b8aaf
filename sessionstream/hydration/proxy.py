"""StoreProxy: passes every call on to another store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from sessionstream.store import Commit, Cursors, HydrationStore, TimelineReplacement

if TYPE_CHECKING:
    from sessionstream.feed import Feed
    from sessionstream.observe import ErrorRecord
    from sessionstream.store import Change, CommandClaim, LoggedEvent, StoredTimeline
    from sessionstream.types import Event, Snapshot

T = TypeVar("T")


class StoreProxy:
    """A HydrationStore that passes every call on to another one, for tests that count, delay, alter or break calls.

    Override the method that is to behave differently, or ``around``, through which every method goes but ``commit``.

    Attributes:
        inner: the other store; it may be exchanged at any time.
    """

    def __init__(self, inner: HydrationStore) -> None:
        self.inner = inner

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Await a call of the other store and return its result; ``method`` is the name of the one that is called."""
        return await call()

    @property
    def max_ordinal(self) -> int:
        """The highest ordinal that the other store can hold."""
        return self.inner.max_ordinal

    @property
    def feed(self) -> Feed | None:
        """Tells a hub what other processes do, if the other store has it."""
        return getattr(self.inner, "feed", None)

    @property
    def pending(self) -> int:
        """How many changes have no outcome yet, if the other store counts them; else 0."""
        found: int = getattr(self.inner, "pending", 0)
        return found

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        """Hand a step over."""
        return self.inner.commit(commit)

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline now, as of an ordinal, or what changed since one."""
        return await self.around("snapshot", lambda: self.inner.snapshot(session_id, as_of=as_of, since=since))

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events above ``after``, in order."""
        return await self.around("events", lambda: self.inner.events(session_id, after=after, limit=limit))

    async def find_event(self, session_id: str, event_id: str, /) -> LoggedEvent | None:
        """Return what is known of the event with this id, or None."""
        return await self.around("find_event", lambda: self.inner.find_event(session_id, event_id))

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        """Return the cursors and the timeline, or what changed in it."""
        return await self.around("timeline", lambda: self.inner.timeline(session_id, known=known))

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return where the session stands."""
        return await self.around("cursors", lambda: self.inner.cursors(session_id))

    async def replace_timeline(self, replacement: TimelineReplacement, /) -> Cursors:
        """Swap a rebuilt timeline in."""
        return await self.around("replace_timeline", lambda: self.inner.replace_timeline(replacement))

    async def claim_command(self, session_id: str, key: str, digest: bytes, /) -> CommandClaim | None:
        """Claim an idempotency key; return None, or the earlier claim."""
        return await self.around("claim_command", lambda: self.inner.claim_command(session_id, key, digest))

    async def end_command(self, session_id: str, key: str, /, *, finished: bool) -> None:
        """Note that the command of a claim runs no more."""
        await self.around("end_command", lambda: self.inner.end_command(session_id, key, finished=finished))

    async def release_command(self, session_id: str, key: str, /) -> None:
        """Give a claim back."""
        await self.around("release_command", lambda: self.inner.release_command(session_id, key))

    async def check_writable(self) -> None:
        """Write something that no session shows."""
        await self.around("check_writable", self.inner.check_writable)

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Keep an error record."""
        await self.around("record_error", lambda: self.inner.record_error(record))

    async def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last error records of one session, or of all."""
        return await self.around("error_records", lambda: self.inner.error_records(session_id, limit=limit))

    async def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything."""
        return await self.around("sessions", lambda: self.inner.sessions(after=after, limit=limit))

    async def changes(self, *, after: str = "", limit: int | None = None) -> list[Change]:
        """Return the sessions that changed after a position."""
        return await self.around("changes", lambda: self.inner.changes(after=after, limit=limit))

    async def prune(self, session_id: str, *, before: int) -> None:
        """Forget what only questions below an ordinal need."""
        await self.around("prune", lambda: self.inner.prune(session_id, before=before))

    async def ordinal_before(self, session_id: str, moment: datetime, /) -> int:
        """Return the highest ordinal that was logged before a moment."""
        return await self.around("ordinal_before", lambda: self.inner.ordinal_before(session_id, moment))

    async def ordinal_from_end(self, session_id: str, count: int, /) -> int:
        """Return the ordinal of the ``count``-th last event."""
        return await self.around("ordinal_from_end", lambda: self.inner.ordinal_from_end(session_id, count))

    async def forget_errors(self, session_id: str, moment: datetime, /) -> int:
        """Forget old error records."""
        return await self.around("forget_errors", lambda: self.inner.forget_errors(session_id, moment))

    async def forget_claims(self, session_id: str, moment: datetime, /) -> int:
        """Forget old idempotency keys."""
        return await self.around("forget_claims", lambda: self.inner.forget_claims(session_id, moment))

    async def delete_session(self, session_id: str, /, *, expected: Cursors | None = None) -> None:
        """Forget a session."""
        await self.around("delete_session", lambda: self.inner.delete_session(session_id, expected=expected))

    async def close(self) -> None:
        """Close the other store."""
        await self.around("close", self.inner.close)
