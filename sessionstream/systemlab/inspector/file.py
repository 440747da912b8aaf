"""A store file as a source of sessions: read-only, and without the code of the app that wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import TypeVar

from sessionstream import ErrorRecord, ReplayReport, SQLiteStore
from sessionstream.hydration.sqlite import Payloads, SQLiteFile
from sessionstream.systemlab.inspector.seen import SeenEntity, SeenEvent, SeenSession, SeenTimeline
from sessionstream.systemlab.inspector.sources import ReadOnly, SourceKind
from sessionstream.transport.ws import ConnectionInfo

T = TypeVar("T")


class FileSource:
    """The sessions of a SQLite file; each method reads one consistent state.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def id(self) -> str:
        """Its id in requests."""
        return "file"

    @property
    def kind(self) -> SourceKind:
        """The kind: a file."""
        return "file"

    @property
    def title(self) -> str:
        """Its title on the page."""
        return f"File {self._path}"

    async def sessions(self, after: str, limit: int) -> list[SeenSession]:
        """Return the sessions that are not empty, by id, above ``after``, at most ``limit``."""

        def ask(file: SQLiteFile) -> list[SeenSession]:
            ids = [session_id for session_id in file.sessions() if session_id > after][:limit]
            return [seen for session_id in ids if (seen := _session(file, session_id)) is not None]

        return await self._look(ask)

    async def session(self, session_id: str) -> SeenSession | None:
        """Return the cursors of a session, None if it is empty."""
        return await self._look(lambda file: _session(file, session_id))

    async def timeline(self, session_id: str, as_of: int | None) -> SeenTimeline:
        """Return a timeline now, or right after an ordinal."""

        def ask(file: SQLiteFile) -> SeenTimeline:
            found, payloads = file.timeline(session_id, as_of=as_of), Payloads()
            entities = [
                SeenEntity(e.kind, e.id, e.created_ordinal, e.last_event_ordinal, payloads.read(e.payload))
                for e in found.entities
            ]
            return SeenTimeline(found.ordinal, found.epoch, entities)

        return await self._look(ask)

    async def events(self, session_id: str, after: int, limit: int) -> list[SeenEvent]:
        """Return logged events above ``after``, in order, at most ``limit``."""

        def ask(file: SQLiteFile) -> list[SeenEvent]:
            payloads = Payloads()
            return [
                SeenEvent(e.ordinal, e.event_id, e.name, e.recorded_at, payloads.read(e.payload), e.metadata)
                for e in file.events(session_id, after=after, limit=limit)
            ]

        return await self._look(ask)

    async def errors(self, session_id: str | None, limit: int) -> list[ErrorRecord]:
        """Return the last error records."""
        return await self._look(lambda file: file.error_records(session_id, limit=limit))

    def connections(self) -> Sequence[ConnectionInfo]:
        """Return no connections: other processes serve the clients of a file."""
        return []

    async def retry(self, session_id: str) -> ReplayReport:
        """Refuse: a retry needs the application's projections.

        Raises:
            ReadOnly: always.
        """
        raise ReadOnly(
            f"the lab only reads the file; to resume the session, run: "
            f"sessionstream retry {quote(str(self._path))} {quote(session_id)} --app MODULE:FUNCTION"
        )

    async def _look(self, question: Callable[[SQLiteFile], T]) -> T:
        return await asyncio.to_thread(SQLiteStore.look, self._path, question)


def _session(file: SQLiteFile, session_id: str) -> SeenSession | None:
    found = file.session(session_id)
    return None if found is None else SeenSession(found.id, found.cursors)
