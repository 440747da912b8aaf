"""A running phase as a source of sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import getattr_static
from typing import Protocol, cast

from sessionstream import ErrorRecord, Hub, HydrationStore, ReplayReport
from sessionstream.hydration.payload_json import readable
from sessionstream.hydration.stored import StoredSession
from sessionstream.systemlab.inspector.seen import (
    EventPage,
    Position,
    SeenEntity,
    SeenEvent,
    SeenTimeline,
    SessionPage,
    matching,
)
from sessionstream.systemlab.inspector.sources import SourceKind
from sessionstream.systemlab.phase import Phase
from sessionstream.transport.ws import ConnectionInfo


class Inspectable(Protocol):
    """The further attributes of a phase that can be inspected."""

    @property
    def hub(self) -> Hub:
        """The current hub."""
        ...

    @property
    def store(self) -> HydrationStore:
        """The store of that hub."""
        ...


class PhaseSource:
    """The sessions of one phase."""

    def __init__(self, phase: Phase, inspectable: Inspectable) -> None:
        self._phase = phase
        self._inspectable = inspectable

    @property
    def id(self) -> str:
        """Its id in requests."""
        return f"phase{self._phase.number}"

    @property
    def kind(self) -> SourceKind:
        """The kind: a running phase."""
        return "hub"

    @property
    def title(self) -> str:
        """Its title on the page."""
        return f"Phase {self._phase.number}: {self._phase.title}"

    async def sessions(self, search: str, held: bool, offset: int, limit: int) -> SessionPage:
        """Return the sessions that are not empty, by id, past the first ``offset``, at most ``limit``."""
        ids = matching(await self._inspectable.store.sessions(), search)
        found = [await self._session(session_id) for session_id in ids]
        found = [each for each in found if each.cursors.held or not held]
        return SessionPage(found[offset : offset + limit], len(found))

    async def session(self, session_id: str) -> StoredSession | None:
        """Return where a session stands, None if it is empty."""
        found = await self._session(session_id)
        return found if found.cursors.event or found.last_error is not None else None

    async def position(self, session_id: str, *, index: int | None = None, ordinal: int | None = None) -> Position:
        """Return the position of an index, or of the last event up to an ordinal; else the last position."""
        store = self._inspectable.store
        cursors = await store.cursors(session_id)
        applied = [each for each in await store.events(session_id) if each.ordinal <= cursors.timeline]
        count = len(applied)
        if index is None:
            index = count if ordinal is None else sum(each.ordinal <= ordinal for each in applied)
        index = min(index, count)
        if index == 0:
            return Position(0, count, cursors.floor, "")
        return Position(index, count, applied[index - 1].ordinal, applied[index - 1].name)

    async def timeline(self, session_id: str, as_of: int | None) -> SeenTimeline:
        """Return a timeline now, or right after an ordinal."""
        found = await self._inspectable.store.snapshot(session_id, as_of=as_of)
        entities = [
            SeenEntity(each.kind, each.id, each.created_ordinal, each.last_event_ordinal, readable(each.payload))
            for each in found.entities
            if each.payload is not None
        ]
        return SeenTimeline(found.snapshot_ordinal, found.epoch, entities)

    async def events(self, session_id: str, after: int | None, below: int | None, limit: int) -> EventPage | None:
        """Return ``limit`` events: those up to the ``limit``-th above ``after``, or below ``below``, or the newest."""
        session = await self.session(session_id)
        if session is None:
            return None
        logged = await self._inspectable.store.events(session_id)
        newest_first = [each for each in reversed(logged) if each.ordinal <= session.cursors.event]
        if after is not None:
            newer = max(0, sum(each.ordinal > after for each in newest_first) - limit)
        else:
            newer = 0 if below is None else sum(each.ordinal >= below for each in newest_first)
        events = [
            SeenEvent(each.ordinal, each.event_id, each.name, each.recorded_at, readable(each.payload), each.metadata)
            for each in newest_first[newer : newer + limit]
        ]
        return EventPage(session, events, len(newest_first), newer)

    async def errors(self, session_id: str | None, limit: int) -> list[ErrorRecord]:
        """Return the last error records."""
        return await self._inspectable.store.error_records(session_id, limit=limit)

    def connections(self) -> Sequence[ConnectionInfo]:
        """Return the connections of the phase's server."""
        server = self._phase.server
        return [] if server is None else server.connections()

    def retry_command(self, session_id: str) -> str | None:
        """Return None: ``retry`` does it."""
        return None

    async def retry(self, session_id: str) -> ReplayReport:
        """Resume a held session."""
        return await self._inspectable.hub.retry_timeline(session_id)

    async def _session(self, session_id: str) -> StoredSession:
        store = self._inspectable.store
        cursors = await store.cursors(session_id)
        waiting = await store.events(session_id, after=cursors.timeline)
        entities = (await store.snapshot(session_id)).entities
        errors = await store.error_records(session_id, limit=1)
        return StoredSession(session_id, cursors, len(waiting), len(entities), errors[0] if errors else None)


def running(phases: Iterable[Phase]) -> list[PhaseSource]:
    """Return the phases that have a hub and a store, as sources."""
    # Statically: a phase that is being restarted has no hub at the moment, but is still a source.
    offering = [phase for phase in phases if all(_has(phase, name) for name in ("hub", "store"))]
    return [PhaseSource(phase, cast("Inspectable", phase)) for phase in offering]


def _has(phase: Phase, name: str) -> bool:
    return getattr_static(phase, name, None) is not None
