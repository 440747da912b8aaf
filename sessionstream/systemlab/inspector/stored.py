"""A store of another app as a source of sessions: read-only, and without the code of the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from shlex import quote
from typing import TypeVar

from sessionstream import ErrorRecord, ReplayReport
from sessionstream.hydration import stores
from sessionstream.hydration.payload_json import Payloads
from sessionstream.hydration.stored import StoredState
from sessionstream.systemlab.inspector.seen import SeenEntity, SeenEvent, SeenSession, SeenTimeline
from sessionstream.systemlab.inspector.sources import ReadOnly, SourceKind
from sessionstream.transport.ws import ConnectionInfo

T = TypeVar("T")


class StoreSource:
    """The sessions of a store; each method reads one consistent state.

    Args:
        location: where the store is; see ``stores.look``.
    """

    def __init__(self, location: stores.Location) -> None:
        self._location = location

    @property
    def id(self) -> str:
        """Its id in requests."""
        return "store"

    @property
    def kind(self) -> SourceKind:
        """The kind: a store."""
        return "store"

    @property
    def title(self) -> str:
        """Its title on the page."""
        return f"Store {stores.shown(self._location)}"

    async def sessions(self, after: str, limit: int) -> list[SeenSession]:
        """Return the sessions that are not empty, by id, above ``after``, at most ``limit``."""

        def ask(state: StoredState) -> list[SeenSession]:
            ids = state.sessions(after=after, limit=limit)
            return [seen for session_id in ids if (seen := _session(state, session_id)) is not None]

        return await self._look(ask)

    async def session(self, session_id: str) -> SeenSession | None:
        """Return the cursors of a session, None if it is empty."""
        return await self._look(lambda state: _session(state, session_id))

    async def timeline(self, session_id: str, as_of: int | None) -> SeenTimeline:
        """Return a timeline now, or right after an ordinal."""

        def ask(state: StoredState) -> SeenTimeline:
            found, payloads = state.timeline(session_id, as_of=as_of), Payloads()
            entities = [
                SeenEntity(e.kind, e.id, e.created_ordinal, e.last_event_ordinal, payloads.read(e.payload))
                for e in found.entities
            ]
            return SeenTimeline(found.ordinal, found.epoch, entities)

        return await self._look(ask)

    async def events(self, session_id: str, after: int, limit: int) -> list[SeenEvent]:
        """Return logged events above ``after``, in order, at most ``limit``."""

        def ask(state: StoredState) -> list[SeenEvent]:
            payloads = Payloads()
            return [
                SeenEvent(e.ordinal, e.event_id, e.name, e.recorded_at, payloads.read(e.payload), e.metadata)
                for e in state.events(session_id, after=after, limit=limit)
            ]

        return await self._look(ask)

    async def errors(self, session_id: str | None, limit: int) -> list[ErrorRecord]:
        """Return the last error records."""
        return await self._look(lambda state: state.error_records(session_id, limit=limit))

    def connections(self) -> Sequence[ConnectionInfo]:
        """Return no connections: other processes serve the clients of the store."""
        return []

    async def retry(self, session_id: str) -> ReplayReport:
        """Refuse: a retry needs the application's projections.

        Raises:
            ReadOnly: always.
        """
        raise ReadOnly(
            f"the lab only reads the store; to resume the session, run: "
            f"sessionstream retry {quote(stores.shown(self._location))} {quote(session_id)} --app MODULE:FUNCTION"
        )

    async def _look(self, question: Callable[[StoredState], T]) -> T:
        return await asyncio.to_thread(stores.look, self._location, question)


def _session(state: StoredState, session_id: str) -> SeenSession | None:
    found = state.session(session_id)
    return None if found is None else SeenSession(found.id, found.cursors)
