"""Running projections: copies in, checked copies out, ordinals given to what they return."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from sessionstream.callables import projection_of, refuse_unasked
from sessionstream.errors import ProjectionError
from sessionstream.hub.copies import copy_event
from sessionstream.hub.timeline import View
from sessionstream.projection import (
    TimelineProjection,
    TimelineProjectionFunction,
    UIProjection,
    UIProjectionFunction,
)
from sessionstream.schema import describe
from sessionstream.types import Event, Session, TimelineEntity, UIEvent, check_id

if TYPE_CHECKING:
    from sessionstream.hub.timeline import Timeline
    from sessionstream.schema import SchemaRegistry

T = TypeVar("T")
_Project = Callable[[Event, Session, View], "Iterable[T] | Awaitable[Iterable[T] | None] | None"]


class ProjectorFailed(Exception):  # internal: becomes a ProjectionError once the event has an ordinal
    """One projection failed."""

    def __init__(self, projector: str, error: Exception) -> None:
        super().__init__(projector)
        self.projector = projector
        self.error = error

    def as_projection_error(self, event: Event) -> ProjectionError:
        """Return what the publisher is told, with a copy of the event."""
        told = ProjectionError(copy_event(event), self.projector, self.error)
        told.__cause__ = self.error
        return told


class Projections:
    """The registered projections of a hub, in registration order."""

    __slots__ = ("_schemas", "_timeline", "_ui")

    def __init__(self, schemas: SchemaRegistry) -> None:
        self._schemas = schemas
        self._ui: list[tuple[str, _Project[UIEvent]]] = []
        self._timeline: list[tuple[str, _Project[TimelineEntity]]] = []

    def add_ui(self, projection: UIProjection | UIProjectionFunction) -> None:
        """Register one more UI projection."""
        self._ui.append(_named("UI projection", projection))

    def add_timeline(self, projection: TimelineProjection | TimelineProjectionFunction) -> None:
        """Register one more timeline projection."""
        self._timeline.append(_named("timeline projection", projection))

    async def ui_events(self, event: Event, session: Session, timeline: Timeline) -> tuple[UIEvent, ...]:
        """Return what the UI projections make of an event, as private copies.

        Raises:
            ProjectorFailed: a projection raised, or returned what is no registered UI event.
        """
        events: list[UIEvent] = []
        with View(timeline) as view:
            for projector, project in self._ui:
                try:
                    for item in await _run(project, event, session, view, "UIEvent"):
                        if not isinstance(item, UIEvent):
                            raise _wrong(item, "UIEvent", " among others")
                        payload = self._schemas.checked_copy("ui event", item.name, item.payload)
                        events.append(UIEvent(item.name, payload))
                except Exception as error:
                    raise ProjectorFailed(projector, error) from error
        return tuple(events)

    async def entities(self, event: Event, session: Session, timeline: Timeline) -> tuple[TimelineEntity, ...]:
        """Return what the timeline projections make of an event: each entity once, with both ordinals.

        Raises:
            ProjectorFailed: a projection raised, or returned what is no registered entity.
        """
        changes: dict[tuple[str, str], TimelineEntity] = {}
        with View(timeline) as view:
            for projector, project in self._timeline:
                try:
                    for item in await _run(project, event, session, view, "TimelineEntity"):
                        if not isinstance(item, TimelineEntity):
                            raise _wrong(item, "TimelineEntity", " among others")
                        self._change(changes, item, event.ordinal, timeline)
                except Exception as error:
                    raise ProjectorFailed(projector, error) from error
        return tuple(changes.values())

    def _change(
        self,
        changes: dict[tuple[str, str], TimelineEntity],
        item: TimelineEntity,
        ordinal: int,
        timeline: Timeline,
    ) -> None:
        self._schemas.check_known("timeline entity", item.kind)
        key = (item.kind, check_id("timeline entity id", item.id))
        created = timeline.created_ordinal(*key)
        if not isinstance(item.tombstone, bool):
            raise TypeError(f"tombstone is True or False, not {item.tombstone!r}")
        if item.tombstone:
            if created is None:
                changes.pop(key, None)  # created and deleted by one event: it never was
            else:
                changes[key] = TimelineEntity(*key, None, created, ordinal, tombstone=True)
        else:
            payload = self._schemas.checked_copy("timeline entity", item.kind, item.payload)
            changes[key] = TimelineEntity(*key, payload, ordinal if created is None else created, ordinal)


async def _run(project: _Project[T], event: Event, session: Session, view: View, wanted: str) -> Iterable[T]:
    try:
        result = project(copy_event(event), session, view)
        if isinstance(result, list | tuple):  # the usual answers, recognised without asking abstract classes
            return result
        if isinstance(result, Awaitable):
            result = await result
    except asyncio.CancelledError as error:
        refuse_unasked(error, "it waited for something that was cancelled")  # its event must not be dropped silently
        raise
    if result is None:
        return ()
    try:
        return iter(result)
    except TypeError as error:
        raise _wrong(result, wanted) from error


def _named(what: str, projection: object) -> tuple[str, Any]:
    project = projection_of(what, projection)
    named: Any = projection if hasattr(projection, "__qualname__") else type(projection)
    return f"{what} {named.__module__}.{named.__qualname__}", project


def _wrong(item: object, wanted: str, among: str = "") -> TypeError:
    got = describe(item) if isinstance(item, type) else repr(item)
    return TypeError(f"it returned {got}{among}; it has to return an iterable of {wanted}, or None")
