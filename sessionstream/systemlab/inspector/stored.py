"""A store of another app as a source of sessions: read-only, and without the code of the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from shlex import quote
from typing import TypeVar

from sessionstream import ErrorRecord, ReplayReport
from sessionstream.hydration import stores
from sessionstream.hydration.payload_json import Payloads
from sessionstream.hydration.stored import StoredSession, StoredState
from sessionstream.systemlab.inspector.seen import (
    EventPage,
    Position,
    SeenEntity,
    SeenEvent,
    SeenTimeline,
    SessionPage,
    matching,
    visible,
)
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

    async def sessions(self, search: str, held: bool, offset: int, limit: int) -> SessionPage:
        """Return the sessions that are not empty, by id, past the first ``offset``, at most ``limit``."""

        def ask(state: StoredState) -> SessionPage:
            ids = matching(state.held_sessions() if held else state.sessions(), search)
            page = [state.session(session_id) for session_id in ids[offset : offset + limit]]
            return SessionPage([seen for seen in page if seen is not None], len(ids))

        return await self._look(ask)

    async def session(self, session_id: str) -> StoredSession | None:
        """Return where a session stands, None if it is empty."""
        return await self._look(lambda state: state.session(session_id))

    async def position(self, session_id: str, *, index: int | None = None, ordinal: int | None = None) -> Position:
        """Return the position of an index, or of the last event up to an ordinal; else the last position."""
        return await self._look(lambda state: _position(state, session_id, index, ordinal))

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

    async def events(self, session_id: str, after: int | None, below: int | None, limit: int) -> EventPage | None:
        """Return ``limit`` events: those up to the ``limit``-th above ``after``, or below ``below``, or the newest."""
        return await self._look(lambda state: _events(state, session_id, after, below, limit))

    async def errors(self, session_id: str | None, limit: int) -> list[ErrorRecord]:
        """Return the last error records."""
        return await self._look(lambda state: state.error_records(session_id, limit=limit))

    def connections(self) -> Sequence[ConnectionInfo]:
        """Return no connections: other processes serve the clients of the store."""
        return []

    def retry_command(self, session_id: str) -> str | None:
        """Return the command that retries a session with the application's projections."""
        command = f"sessionstream retry {_word(stores.shown(self._location))}"
        app = "--app MODULE:FUNCTION"
        session = _word(session_id)
        return f"{command} {app} -- {session}" if session_id.startswith("-") else f"{command} {session} {app}"

    async def retry(self, session_id: str) -> ReplayReport:
        """Refuse: a retry needs the application's projections.

        Raises:
            ReadOnly: always.
        """
        raise ReadOnly(
            f"the inspector only reads the store; to resume the session, run: {self.retry_command(session_id)}"
        )

    async def _look(self, question: Callable[[StoredState], T]) -> T:
        return await asyncio.to_thread(stores.look, self._location, question)


def _word(text: str) -> str:
    """Return a text as one word of a shell, quoted where needed; what nobody sees is escaped, for bash and zsh."""
    if text.isprintable():
        return quote(text)
    quoted = text.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{visible(quoted)}'"


def _position(state: StoredState, session_id: str, index: int | None, ordinal: int | None) -> Position:
    session = state.session(session_id)
    if session is None:
        return Position(0, 0, 0, "")
    count = state.count_events(session_id) - session.waiting
    if index is None:
        index = count if ordinal is None else state.count_events(session_id, below=ordinal + 1)
    if index == 0 or count == 0:
        return Position(0, count, session.cursors.floor, "")
    index = min(index, count)
    at = state.ordinal_from_end(session_id, session.waiting + count - index + 1)
    (event,) = state.events(session_id, after=at - 1, limit=1)
    return Position(index, count, at, event.name)


def _events(state: StoredState, session_id: str, after: int | None, below: int | None, limit: int) -> EventPage | None:
    session = state.session(session_id)
    if session is None:
        return None
    total = state.count_events(session_id)
    if after is not None:
        newer = max(0, state.count_events(session_id, after=after) - limit)
    else:
        newer = 0 if below is None else total - state.count_events(session_id, below=below)
    size = min(limit, total - newer)
    if size == 0:
        return EventPage(session, [], total, newer)
    payloads = Payloads()
    first = state.ordinal_from_end(session_id, newer + size)
    events = [
        SeenEvent(e.ordinal, e.event_id, e.name, e.recorded_at, payloads.read(e.payload), e.metadata)
        for e in state.events(session_id, after=first - 1, limit=size)
    ]
    return EventPage(session, events[::-1], total, newer)
