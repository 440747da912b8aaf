"""The port between the inspector and the sources of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from sessionstream import ErrorRecord, ReplayReport
from sessionstream.systemlab.inspector.seen import SeenEvent, SeenSession, SeenTimeline
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

    async def sessions(self, after: str, limit: int) -> list[SeenSession]:
        """Return the sessions that are not empty, by id, above ``after``, at most ``limit``."""
        ...

    async def session(self, session_id: str) -> SeenSession | None:
        """Return the cursors of a session, None if it is empty."""
        ...

    async def timeline(self, session_id: str, as_of: int | None) -> SeenTimeline:
        """Return a timeline now, or right after an ordinal; beyond the cursor that means the cursor.

        Raises:
            HistoryPruned: the ordinal is below the floor.
        """
        ...

    async def events(self, session_id: str, after: int, limit: int) -> list[SeenEvent]:
        """Return logged events above ``after``, in order, at most ``limit``."""
        ...

    async def errors(self, session_id: str | None, limit: int) -> list[ErrorRecord]:
        """Return the last error records of one session or of all, in order."""
        ...

    def connections(self) -> Sequence[ConnectionInfo]:
        """Return the connections."""
        ...

    async def retry(self, session_id: str) -> ReplayReport:
        """Resume a held session.

        Raises:
            ReadOnly: it is only looked at.
            ProjectionError: a projection still fails.
        """
        ...
