"""The state of one event in the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from sessionstream.codec import copy_entity, copy_event, copy_ui_event
from sessionstream.errors import ProjectionError
from sessionstream.observe import PipelineRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionstream.errors import SessionHeld
    from sessionstream.observe import Mode
    from sessionstream.types import Event, TimelineEntity, UIEvent


class ProjectorFailed(NamedTuple):
    """A projection that raised an error or returned an invalid result."""

    projector: str
    error: Exception

    def as_projection_error(self, event: Event, *, rebuild: bool = False) -> ProjectionError:
        """Return the error for the caller, with a copy of the event."""
        error = ProjectionError(copy_event(event), self.projector, self.error, rebuild=rebuild)
        error.__cause__ = self.error
        return error


@dataclass(slots=True)
class Step:
    """The state of one event in the pipeline, from which its PipelineRecord is made.

    Attributes:
        view_ordinal: ordinal of the timeline that its projections see.
        on_published: called once the event is in the log, or may be.
        failure: why the event is not applied to the timeline, or None.
        moved: whether the timeline reflects the event.
        began: when the event came, on ``perf_counter``; None if nobody observes, so that nothing is measured.
        handed_over: when its commit was passed to the store.
    """

    mode: Mode
    event: Event
    view_ordinal: int
    on_published: Callable[[], None] | None = None
    failure: ProjectionError | SessionHeld | None = None
    ui_events: tuple[UIEvent, ...] = ()
    ui_failed: ProjectorFailed | None = None
    entities: tuple[TimelineEntity, ...] = ()
    timeline_failed: ProjectorFailed | None = None
    stored: bool = False
    moved: bool = False
    fanned_out: bool = False
    error: Exception | None = None
    began: float | None = None
    handed_over: float = 0.0
    projection_seconds: float = 0.0
    commit_seconds: float = 0.0
    fanout_seconds: float = 0.0

    def record(self) -> PipelineRecord:
        """Return the PipelineRecord, with copies of the messages."""
        ui_events = tuple(map(copy_ui_event, self.ui_events))
        entities = tuple(map(copy_entity, self.entities))
        return PipelineRecord(
            mode=self.mode,
            event=copy_event(self.event),
            view_ordinal=self.view_ordinal,
            ui_events=ui_events,
            ui_error=None if self.ui_failed is None else self.ui_failed.error,
            entities=entities,
            timeline_error=None if self.timeline_failed is None else self.timeline_failed.error,
            stored=self.stored,
            committed=entities if self.moved else (),
            cursor_moved=self.moved,
            fanned_out=ui_events if self.fanned_out else (),
            error=self.error,
            seconds=0.0 if self.began is None else perf_counter() - self.began,
            projection_seconds=self.projection_seconds,
            commit_seconds=self.commit_seconds,
            fanout_seconds=self.fanout_seconds,
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """The reason why a session is held.

    Attributes:
        ordinal: ordinal of the event that cannot be applied.
        error: the error of applying it.
    """

    ordinal: int
    error: Exception
