"""A running phase as a source of sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import getattr_static
from typing import Protocol, cast

from sessionstream import ErrorRecord, Hub, HydrationStore, ReplayReport
from sessionstream.hydration.sqlite import readable
from sessionstream.systemlab.inspector.seen import SeenEntity, SeenEvent, SeenSession, SeenTimeline
from sessionstream.systemlab.inspector.sources import SourceKind
from sessionstream.systemlab.phase import Phase
from sessionstream.transport.ws import ConnectionInfo


class Inspectable(Protocol):
    """What a phase offers beside its page, if it can be inspected."""

    @property
    def hub(self) -> Hub:
        """The hub that runs now."""
        ...

    @property
    def store(self) -> HydrationStore:
        """Where that hub keeps its sessions."""
        ...


class PhaseSource:
    """The sessions of one phase, as they are at the moment of asking."""

    def __init__(self, phase: Phase, inspectable: Inspectable) -> None:
        self._phase = phase
        self._inspectable = inspectable

    @property
    def id(self) -> str:
        """What a request calls it."""
        return f"phase{self._phase.number}"

    @property
    def kind(self) -> SourceKind:
        """That it runs."""
        return "hub"

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return f"Phase {self._phase.number}: {self._phase.title}"

    async def sessions(self, after: str, limit: int) -> list[SeenSession]:
        """Return the sessions that hold anything, by id, above ``after``, at most ``limit``."""
        store = self._inspectable.store
        ids = await store.sessions(after=after, limit=limit)
        return [SeenSession(session_id, await store.cursors(session_id)) for session_id in ids]

    async def session(self, session_id: str) -> SeenSession | None:
        """Return where a session stands, None if it holds nothing."""
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
    """Return the sources that phases are: those that offer a hub and a store."""
    # Statically: a phase that is being restarted has no hub at the moment, but is still a source.
    offering = [phase for phase in phases if all(_has(phase, name) for name in ("hub", "store"))]
    return [PhaseSource(phase, cast("Inspectable", phase)) for phase in offering]


def _has(phase: Phase, name: str) -> bool:
    return getattr_static(phase, name, None) is not None
