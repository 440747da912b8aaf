"""CheckedStore: checks what every store refuses, so that all stores refuse alike."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING

from sessionstream.errors import StoreClosed
from sessionstream.hydration.rules import (
    check_instance,
    check_number,
    check_snapshot,
    check_text,
    check_time,
    storable_record,
)
from sessionstream.ids import check_new_id, is_long
from sessionstream.observe import ErrorRecord
from sessionstream.store import Commit, Cursors, TimelineReplacement

if TYPE_CHECKING:
    from sessionstream.store import Change, CommandClaim, LoggedEvent, StoredTimeline
    from sessionstream.types import Event, Snapshot


class CheckedStore(ABC):
    """Base class of stores, also of your own: it checks the arguments of each call, and that the store is open.

    Its public methods are those of ``HydrationStore``. Each checks its arguments, then that the store is open, and then
    calls the method of the same name with an underscore: ``snapshot`` calls ``_snapshot``. A subclass implements those.
    Their arguments are valid and positional; for all else they do what ``HydrationStore`` says of the public method.
    """

    _name, _closed = "the store", False

    def __init__(self, name: str = _name) -> None:
        """Make an open store.

        Args:
            name: what StoreClosed calls the store, for example the path of its file.
        """
        self._name = name
        self._closed = False

    @property
    @abstractmethod
    def max_ordinal(self) -> int:
        """The highest ordinal that the store can hold."""

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        """Hand a step over. Whatever is wrong is raised where the future is awaited."""
        try:
            if type(commit) is not Commit:
                check_instance("commit", Commit, commit)
            session_id = commit.session_id
            if type(session_id) is not str or not session_id.isascii() or "\0" in session_id:
                check_text("session_id", session_id)
            if commit.expected_ordinal == 0:
                check_new_id("session id", session_id)
            self._check_open()
            return self._commit(commit)
        except Exception as error:  # noqa: BLE001 - raised where the outcome is awaited
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline now, as of an ordinal, or what changed since one."""
        check_snapshot(session_id, as_of, since)
        self._check_open()
        return await self._snapshot(session_id, as_of, since)

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events above ``after``, in order, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("limit", limit, optional=True)
        self._check_open()
        return await self._events(session_id, after, limit)

    async def find_event(self, session_id: str, event_id: str, /) -> LoggedEvent | None:
        """Return what is known of the event with this id, or None."""
        check_text("session_id", session_id)
        check_text("event_id", event_id)
        self._check_open()
        return await self._find_event(session_id, event_id)

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        """Return the timeline, or what changed in it, as one commit left it; vanished types raise nothing here."""
        check_text("session_id", session_id)
        check_instance("known", Cursors, known, optional=True)
        self._check_open()
        return await self._timeline(session_id, known)

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return where the session stands."""
        check_text("session_id", session_id)
        self._check_open()
        return await self._cursors(session_id)

    async def replace_timeline(self, replacement: TimelineReplacement, /) -> Cursors:
        """Swap a rebuilt timeline in, under a new epoch, and return the new cursors."""
        check_instance("replacement", TimelineReplacement, replacement)
        check_text("session_id", replacement.session_id)
        if replacement.expected.event == 0:
            check_new_id("session id", replacement.session_id)
        self._check_open()
        return await self._replace_timeline(replacement)

    async def claim_command(self, session_id: str, key: str, digest: bytes, /) -> CommandClaim | None:
        """Claim an idempotency key; return None, or the earlier claim."""
        check_text("session_id", session_id)
        check_text("key", key)
        if not isinstance(digest, bytes):
            raise TypeError(f"digest is bytes, not {digest!r}")
        if is_long(key):
            check_new_id("idempotency key", key)
        self._check_open()
        if is_long(session_id) and not (await self._cursors(session_id)).event:
            check_new_id("session id", session_id)
        return await self._claim_command(session_id, key, digest)

    async def end_command(self, session_id: str, key: str, /, *, finished: bool) -> None:
        """Note that the command of a claim runs no more."""
        check_text("session_id", session_id)
        check_text("key", key)
        check_instance("finished", bool, finished)
        self._check_open()
        await self._end_command(session_id, key, finished)

    async def release_command(self, session_id: str, key: str, /) -> None:
        """Give a claim back."""
        check_text("session_id", session_id)
        check_text("key", key)
        self._check_open()
        await self._release_command(session_id, key)

    async def check_writable(self) -> None:
        """Write something that no session shows."""
        self._check_open()
        await self._check_writable()

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Keep an error record, with the present time."""
        check_instance("record", ErrorRecord, record)
        for name in ("kind", "session_id", "event_name", "error", "where", "traceback"):
            check_instance(name, str, getattr(record, name))  # any string: a record must never be refused for its text
        self._check_open()
        await self._record_error(storable_record(record))

    async def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last ``limit`` error records of one session, or of all, in the order they came."""
        if session_id is not None:
            check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        self._check_open()
        return await self._error_records(session_id, limit)

    async def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold events, keys or errors, sorted, above ``after``."""
        check_text("after", after)
        check_number("limit", limit, optional=True)
        self._check_open()
        return await self._sessions(after, limit)

    async def changes(self, *, after: str = "", limit: int | None = None) -> list[Change]:
        """Return the sessions that changed after a position, in the order of their last changes, at most ``limit``."""
        check_text("after", after)
        check_number("limit", limit, optional=True)
        self._check_open()
        return await self._changes(after, limit)

    async def prune(self, session_id: str, *, before: int) -> None:
        """Forget what only questions below ordinal ``before`` need."""
        check_text("session_id", session_id)
        check_number("before", before)
        self._check_open()
        await self._prune(session_id, before)

    async def ordinal_before(self, session_id: str, moment: datetime, /) -> int:
        """Return the highest ordinal that was logged before a moment, 0 where there is none."""
        check_text("session_id", session_id)
        check_time("moment", moment)
        self._check_open()
        return await self._ordinal_before(session_id, moment)

    async def ordinal_from_end(self, session_id: str, count: int, /) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer."""
        check_text("session_id", session_id)
        check_number("count", count)
        self._check_open()
        return await self._ordinal_from_end(session_id, count)

    async def forget_errors(self, session_id: str, moment: datetime, /) -> int:
        """Forget the error records of a session, or of none, that are older than a moment; return how many."""
        check_text("session_id", session_id)
        check_time("moment", moment)
        self._check_open()
        return await self._forget_errors(session_id, moment)

    async def forget_claims(self, session_id: str, moment: datetime, /) -> int:
        """Forget the idempotency keys of a session that were claimed before a moment; return how many."""
        check_text("session_id", session_id)
        check_time("moment", moment)
        self._check_open()
        return await self._forget_claims(session_id, moment)

    async def delete_session(self, session_id: str, /, *, expected: Cursors | None = None) -> None:
        """Forget all of a session but its event cursor."""
        check_text("session_id", session_id)
        check_instance("expected", Cursors, expected, optional=True)
        self._check_open()
        await self._delete_session(session_id, expected)

    async def close(self) -> None:
        """Refuse further calls, finish what was handed over and release the medium. Closing twice is allowed."""
        self._closed = True
        await self._close()

    def _check_open(self) -> None:
        """Raise StoreClosed once the store is closed; a subclass may refuse for other reasons as well."""
        if self._closed:
            raise StoreClosed(self._name)

    @abstractmethod
    def _commit(self, commit: Commit) -> asyncio.Future[None]:
        """Begin the commit and return the future of its outcome. What is raised here is raised where that is awaited.

        The commit goes on whether or not anybody awaits the future, so a coroutine will not do; a task does.
        """

    @abstractmethod
    async def _snapshot(self, session_id: str, as_of: int | None, since: int | None) -> Snapshot: ...

    @abstractmethod
    async def _events(self, session_id: str, after: int, limit: int | None) -> list[Event]: ...

    @abstractmethod
    async def _find_event(self, session_id: str, event_id: str) -> LoggedEvent | None: ...

    @abstractmethod
    async def _timeline(self, session_id: str, known: Cursors | None) -> StoredTimeline: ...

    @abstractmethod
    async def _cursors(self, session_id: str) -> Cursors: ...

    @abstractmethod
    async def _replace_timeline(self, replacement: TimelineReplacement) -> Cursors: ...

    @abstractmethod
    async def _claim_command(self, session_id: str, key: str, digest: bytes) -> CommandClaim | None: ...

    @abstractmethod
    async def _end_command(self, session_id: str, key: str, finished: bool) -> None: ...

    @abstractmethod
    async def _release_command(self, session_id: str, key: str) -> None: ...

    @abstractmethod
    async def _check_writable(self) -> None: ...

    @abstractmethod
    async def _record_error(self, record: ErrorRecord) -> None: ...

    @abstractmethod
    async def _error_records(self, session_id: str | None, limit: int | None) -> list[ErrorRecord]: ...

    @abstractmethod
    async def _sessions(self, after: str, limit: int | None) -> list[str]: ...

    @abstractmethod
    async def _changes(self, after: str, limit: int | None) -> list[Change]: ...

    @abstractmethod
    async def _prune(self, session_id: str, before: int) -> None: ...

    @abstractmethod
    async def _ordinal_before(self, session_id: str, moment: datetime) -> int: ...

    @abstractmethod
    async def _ordinal_from_end(self, session_id: str, count: int) -> int: ...

    @abstractmethod
    async def _forget_errors(self, session_id: str, moment: datetime) -> int: ...

    @abstractmethod
    async def _forget_claims(self, session_id: str, moment: datetime) -> int: ...

    @abstractmethod
    async def _delete_session(self, session_id: str, expected: Cursors | None) -> None: ...

    @abstractmethod
    async def _close(self) -> None:
        """Finish what was handed over and release the medium. It may be called again, also while it runs."""
