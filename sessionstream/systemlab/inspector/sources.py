"""The port between the inspector and the sources of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from sessionstream import ErrorRecord, ReplayReport
from sessionstream.hydration.stored import StoredSession
from sessionstream.systemlab.inspector.seen import EventPage, Position, SeenTimeline, SessionPage
from sessionstream.transport.ws import ConnectionInfo

SourceKind: TypeAlias = Literal["hub", "store"]


class ReadOnly(Exception):
    """The request would change a source that is read-only."""


class Source(Protocol):
    """A source of sessions. Every method may raise SessionstreamError, if its store or hub fails."""

    @property
    def id(self) -> str:
        """Its id in requests."""
        ...

    @property
    def title(self) -> str:
        """Its title on the page."""
        ...

    @property
    def kind(self) -> SourceKind:
        """Whether it is a running phase or another app's store."""
        ...

    async def sessions(self, search: str, held: bool, offset: int, limit: int) -> SessionPage:
        """Return the sessions that are not empty, by id, past the first ``offset``, at most ``limit``.

        Args:
            search: only those whose ids contain this text, in upper or lower case.
            held: only those that are held.
        """
        ...

    async def session(self, session_id: str) -> StoredSession | None:
        """Return where a session stands, None if it is empty."""
        ...

    async def position(self, session_id: str, *, index: int | None = None, ordinal: int | None = None) -> Position:
        """Return the position of an index, or of the last event up to an ordinal; else the last position.

        Numbers beyond the last position mean that one.
        """
        ...

    async def timeline(self, session_id: str, as_of: int | None) -> SeenTimeline:
        """Return a timeline now, or right after an ordinal; beyond the cursor that means the cursor.

        Raises:
            HistoryPruned: the ordinal is below the floor.
        """
        ...

    async def events(self, session_id: str, after: int | None, below: int | None, limit: int) -> EventPage | None:
        """Return ``limit`` events: those up to the ``limit``-th above ``after``, or below ``below``, or the newest.

        None if the session is empty.
        """
        ...

    async def errors(self, session_id: str | None, limit: int) -> list[ErrorRecord]:
        """Return the last error records of one session or of all, in order."""
        ...

    def connections(self) -> Sequence[ConnectionInfo]:
        """Return the connections."""
        ...

    def retry_command(self, session_id: str) -> str | None:
        """Return the command that retries a session of a source that is read-only; None if ``retry`` does."""
        ...

    async def retry(self, session_id: str) -> ReplayReport:
        """Resume a held session.

        Raises:
            ReadOnly: it is only looked at.
            ProjectionError: a projection still fails.
        """
        ...
