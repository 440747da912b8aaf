"""Runs projections: passes copies of events to them, checks and copies their results, and sets ordinals of entities."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from sessionstream.callables import projection_of, refuse_unasked
from sessionstream.changes import EntityChanges
from sessionstream.codec import copy_event
from sessionstream.hub.step import ProjectorFailed
from sessionstream.hub.timeline import View
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
    from sessionstream.hub.step import Step
    from sessionstream.hub.timeline import Timeline, TimelineAhead
    from sessionstream.projection import ProjectionPolicies
    from sessionstream.schema import SchemaRegistry

T = TypeVar("T")
_Project = Callable[[Event, Session, View], "Iterable[T] | Awaitable[Iterable[T] | None] | None"]


class Projections:
    """The registered projections of a hub, in registration order."""

    __slots__ = ("_changes", "_policies", "_schemas", "_timeline", "_ui")

    def __init__(self, schemas: SchemaRegistry, policies: ProjectionPolicies) -> None:
        self._schemas = schemas
        self._policies = policies
        self._ui: list[tuple[str, _Project[UIEvent]]] = []
        self._timeline: list[tuple[str, _Project[TimelineEntity]]] = []
        self._changes: list[EntityChanges] = []

    def add_ui(self, projection: UIProjection | UIProjectionFunction) -> None:
        """Add a UI projection; one made by ``entity_changes`` runs after the timeline projections."""
        if isinstance(projection, EntityChanges):
            projection.register(self._schemas)
            self._changes.append(projection)
        else:
            self._ui.append(_named("UI projection", projection))

    def add_timeline(self, projection: TimelineProjection | TimelineProjectionFunction) -> None:
        """Add a timeline projection."""
        self._timeline.append(_named("timeline projection", projection))

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._ui or self._timeline or self._changes)

    async def run(self, step: Step, session: Session, timeline: Timeline | TimelineAhead) -> None:
        """Run the projections on a step's event, and put copies of their results, or what failed, into the step.

        In a rebuild, only timeline projections run. If one fails under the ``fail`` policy, this is the step's failure,
        and the others do not run.
        """
        event = step.event
        view = View(event.session_id, timeline)
        began = None if step.began is None else perf_counter()
        try:
            projector = ""
            try:
                ui_events: list[UIEvent] = []
                for projector, project_ui in self._ui if step.mode != "rebuild" else ():  # noqa: B007 - used below
                    shown = project_ui(copy_event(event), session, view)
                    for ui_event in shown if type(shown) is list else await _settled(shown, "UIEvent"):
                        if type(ui_event) is not UIEvent and not isinstance(ui_event, UIEvent):
                            raise _wrong(ui_event, "UIEvent", " among others")
                        payload = self._schemas.checked_copy("ui event", ui_event.name, ui_event.payload)
                        ui_events.append(new_ui_event(ui_event.name, payload))
                step.ui_events = tuple(ui_events)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - recorded, or raised by `_reason`
                step.ui_failed = ProjectorFailed(projector, _reason(error))
                if self._policies.ui == "fail":
                    step.failure = step.ui_failed.as_projection_error(event)
                    return
            try:
                changes: dict[tuple[str, str], TimelineEntity] = {}
                for projector, project in self._timeline:  # noqa: B007 - used below
                    result = project(copy_event(event), session, view)
                    for item in result if type(result) is list else await _settled(result, "TimelineEntity"):
                        if type(item) is not TimelineEntity and not isinstance(item, TimelineEntity):
                            raise _wrong(item, "TimelineEntity", " among others")
                        self._change(changes, item, event.ordinal, timeline)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - recorded, or raised by `_reason`
                step.timeline_failed = ProjectorFailed(projector, _reason(error))
                if self._policies.timeline == "fail":
                    step.failure = step.timeline_failed.as_projection_error(event, rebuild=step.mode == "rebuild")
            else:
                step.entities = tuple(changes.values())
                if self._changes and step.mode != "rebuild":
                    told = [ui_event for each in self._changes for ui_event in each.ui_events(step.entities)]
                    step.ui_events += tuple(told)
        finally:
            view.end()
            if began is not None:
                step.projection_seconds = perf_counter() - began

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


def _reason(error: BaseException) -> Exception:
    """Return why a projection failed; raise a cancellation of the publisher.

    If something that the projection awaited was cancelled, the publisher was not.
    """
    if isinstance(error, asyncio.CancelledError):
        try:
            refuse_unasked(error, "it waited for something that was cancelled")
        except RuntimeError as unasked:
            return unasked
    if isinstance(error, Exception):
        return error
    raise error


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
