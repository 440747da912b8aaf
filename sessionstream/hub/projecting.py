"""Runs projections: passes copies of events to them, checks and copies their results, and sets ordinals of entities."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from sessionstream.callables import projection_of, refuse_unasked
from sessionstream.codec import copy_event
from sessionstream.errors import ProjectionError
from sessionstream.ids import check_id, check_new_id, is_long
from sessionstream.projection import (
    TimelineProjection,
    TimelineProjectionFunction,
    UIProjection,
    UIProjectionFunction,
)
from sessionstream.schema import describe
from sessionstream.types import Event, Session, TimelineEntity, UIEvent, new_entity, new_ui_event

if TYPE_CHECKING:
    from sessionstream.hub.timeline import Timeline, TimelineAhead, View
    from sessionstream.schema import SchemaRegistry

T = TypeVar("T")
_Project = Callable[[Event, Session, "View"], "Iterable[T] | Awaitable[Iterable[T] | None] | None"]


class ProjectorFailed(Exception):  # internal: becomes a ProjectionError once the event has an ordinal
    """A projection raised an error or returned an invalid result."""

    def __init__(self, projector: str, error: Exception) -> None:
        super().__init__(projector)
        self.projector = projector
        self.error = error

    def as_projection_error(self, event: Event) -> ProjectionError:
        """Return the error for the publisher, with a copy of the event."""
        error = ProjectionError(copy_event(event), self.projector, self.error)
        error.__cause__ = self.error
        return error


class Projections:
    """The registered projections of a hub, in registration order."""

    __slots__ = ("_schemas", "_timeline", "_ui")

    def __init__(self, schemas: SchemaRegistry) -> None:
        self._schemas = schemas
        self._ui: list[tuple[str, _Project[UIEvent]]] = []
        self._timeline: list[tuple[str, _Project[TimelineEntity]]] = []

    def add_ui(self, projection: UIProjection | UIProjectionFunction) -> None:
        """Add a UI projection."""
        self._ui.append(_named("UI projection", projection))

    def add_timeline(self, projection: TimelineProjection | TimelineProjectionFunction) -> None:
        """Add a timeline projection."""
        self._timeline.append(_named("timeline projection", projection))

    async def ui_events(self, event: Event, session: Session, view: View) -> tuple[UIEvent, ...]:
        """Return copies of the UI events that the UI projections return for an event.

        Raises:
            ProjectorFailed: a projection raised, or returned anything other than registered UI events.
        """
        events: list[UIEvent] = []
        for projector, project in self._ui:
            try:
                result = project(copy_event(event), session, view)
                items = result if type(result) is list else await _settled(result, "UIEvent")
                for item in items:
                    if type(item) is not UIEvent and not isinstance(item, UIEvent):
                        raise _wrong(item, "UIEvent", " among others")
                    payload = self._schemas.checked_copy("ui event", item.name, item.payload)
                    events.append(new_ui_event(item.name, payload))
            except asyncio.CancelledError as error:
                raise _cancellation(projector, error)  # noqa: B904 - its cause is set
            except Exception as error:
                raise ProjectorFailed(projector, error) from error
        return tuple(events)

    async def entities(
        self, event: Event, session: Session, view: View, timeline: Timeline | TimelineAhead
    ) -> tuple[TimelineEntity, ...]:
        """Return the entities that the timeline projections return for an event, each once, with both ordinals.

        Raises:
            ProjectorFailed: a projection raised, or returned anything other than registered entities.
        """
        changes: dict[tuple[str, str], TimelineEntity] = {}
        for projector, project in self._timeline:
            try:
                result = project(copy_event(event), session, view)
                items = result if type(result) is list else await _settled(result, "TimelineEntity")
                for item in items:
                    if type(item) is not TimelineEntity and not isinstance(item, TimelineEntity):
                        raise _wrong(item, "TimelineEntity", " among others")
                    self._change(changes, item, event.ordinal, timeline)
            except asyncio.CancelledError as error:
                raise _cancellation(projector, error)  # noqa: B904 - its cause is set
            except Exception as error:
                raise ProjectorFailed(projector, error) from error
        return tuple(changes.values())

    def _change(
        self,
        changes: dict[tuple[str, str], TimelineEntity],
        item: TimelineEntity,
        ordinal: int,
        timeline: Timeline | TimelineAhead,
    ) -> None:
        kind, entity_id = item.kind, item.id
        if item.tombstone is False:
            payload = self._schemas.checked_copy("timeline entity", kind, item.payload)
        else:
            self._schemas.check_known("timeline entity", kind)
            payload = None
        if type(entity_id) is not str:
            check_id("timeline entity id", entity_id)
        created = timeline.created_ordinal(kind, entity_id)
        if created is None:  # a new entity, whose id is not checked yet
            check_new_id("timeline entity id", entity_id)
            if is_long(kind):
                check_new_id("timeline entity kind", kind)
        if payload is not None:
            entity = new_entity(kind, entity_id, payload, ordinal if created is None else created, ordinal)
            changes[kind, entity_id] = entity
        elif item.tombstone is not True:
            raise TypeError(f"tombstone is True or False, not {item.tombstone!r}")
        elif created is None:
            changes.pop((kind, entity_id), None)  # created and deleted by the same event: no change
        else:
            changes[kind, entity_id] = TimelineEntity(kind, entity_id, None, created, ordinal, tombstone=True)


def _cancellation(projector: str, error: asyncio.CancelledError) -> asyncio.CancelledError | ProjectorFailed:
    """Return a cancellation of the publisher unchanged, and any other as a failure of the projection.

    If something that the projection awaited was cancelled, the publisher was not.
    """
    try:
        refuse_unasked(error, "it waited for something that was cancelled")
    except RuntimeError as unasked:
        failed = ProjectorFailed(projector, unasked)
        failed.__cause__ = unasked
        return failed
    return error


async def _settled(result: Iterable[T] | Awaitable[Iterable[T] | None] | None, wanted: str) -> Iterable[T]:
    """Return an iterable of the items of a projection's result, which is awaited if it is awaitable."""
    if not isinstance(result, list | tuple) and isinstance(result, Awaitable):
        result = await result
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
