"""A running phase as a source of sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import getattr_static
from typing import Protocol, cast

from sessionstream import ErrorRecord, Hub, HydrationStore, ReplayReport
from sessionstream.hydration.payload_json import readable
from sessionstream.systemlab.inspector.seen import SeenEntity, SeenEvent, SeenSession, SeenTimeline
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

    async def sessions(self, after: str, limit: int) -> list[SeenSession]:
        """Return the sessions that are not empty, by id, above ``after``, at most ``limit``."""
        store = self._inspectable.store
        ids = await store.sessions(after=after, limit=limit)
        return [SeenSession(session_id, await store.cursors(session_id)) for session_id in ids]

    async def session(self, session_id: str) -> SeenSession | None:
        """Return the cursors of a session, None if it is empty."""
        store = self._inspectable.store
        cursors = await store.cursors(session_id)
        held = cursors.event or await store.error_records(session_id, limit=1)
        return SeenSession(session_id, cursors) if held else None

    async def timeline(self, session_id: str, as_of: int | None) -> SeenTimeline:
        """Return a timeline now, or right after an ordinal."""
        found = await self._inspectable.store.snapshot(session_id, as_of=as_of)
        entities = [
            SeenEntity(each.kind, each.id, each.created_ordinal, each.last_event_ordinal, readable(each.payload))
            for each in found.entities
            if each.payload is not None
        ]
        return SeenTimeline(found.snapshot_ordinal, found.epoch, entities)

    async def events(self, session_id: str, after: int, limit: int) -> list[SeenEvent]:
        """Return logged events."""
        found = await self._inspectable.store.events(session_id, after=after, limit=limit)
        return [
            SeenEvent(each.ordinal, each.event_id, each.name, each.recorded_at, readable(each.payload), each.metadata)
            for each in found
        ]

    async def errors(self, session_id: str | None, limit: int) -> list[ErrorRecord]:
        """Return the last error records."""
        return await self._inspectable.store.error_records(session_id, limit=limit)

    def connections(self) -> Sequence[ConnectionInfo]:
        """Return the connections of the phase's server."""
        server = self._phase.server
        return [] if server is None else server.connections()

    async def retry(self, session_id: str) -> ReplayReport:
        """Resume a held session."""
        return await self._inspectable.hub.retry_timeline(session_id)


def running(phases: Iterable[Phase]) -> list[PhaseSource]:
    """Return the phases that have a hub and a store, as sources."""
    # Statically: a phase that is being restarted has no hub at the moment, but is still a source.
    offering = [phase for phase in phases if all(_has(phase, name) for name in ("hub", "store"))]
    return [PhaseSource(phase, cast("Inspectable", phase)) for phase in offering]


def _has(phase: Phase, name: str) -> bool:
    return getattr_static(phase, name, None) is not None
