"""What the pipeline tells observers: one record per event, one per error.

Observers are plain synchronous functions. They get values they may keep, and nothing they do, raising included,
changes what the pipeline does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from sessionstream.types import Event, TimelineEntity, UIEvent

Mode: TypeAlias = Literal["live", "retry", "rebuild"]
ErrorKind: TypeAlias = Literal["decode", "ordinal", "ui-projection", "timeline-projection", "fanout", "store"]


@dataclass(frozen=True, slots=True)
class PipelineRecord:
    """What became of one event on one way through the pipeline.

    Attributes:
        mode: ``"live"`` when published, ``"retry"`` when a held event is resumed, ``"rebuild"``.
        event: with its ordinal and id.
        view_ordinal: ordinal of the timeline the projections saw.
        ui_events: what the UI projections returned.
        ui_error: what one of them raised.
        entities: what the timeline projections returned, with their ordinals.
        timeline_error: what one of them raised.
        stored: whether the event is in the log.
        committed: the entities that were committed.
        cursor_moved: whether the timeline now reflects the event.
        fanned_out: the UI events that went out.
        error: what the store or the fan-out raised.
    """

    mode: Mode
    event: Event
    view_ordinal: int
    ui_events: tuple[UIEvent, ...] = ()
    ui_error: Exception | None = None
    entities: tuple[TimelineEntity, ...] = ()
    timeline_error: Exception | None = None
    stored: bool = False
    committed: tuple[TimelineEntity, ...] = ()
    cursor_moved: bool = False
    fanned_out: tuple[UIEvent, ...] = ()
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One thing that went wrong, in a form that a store can keep.

    Attributes:
        kind: where it went wrong.
        session_id: empty where unknown.
        ordinal: of the event concerned, 0 where it has none.
        event_name: empty where unknown.
        error: the exception's type and words.
        raw_message: the bytes of a message that could not be decoded.
        metadata: further facts, by name.
        recorded_at: when a store took it, in UTC; None before that. Takes no part in comparisons.
        where: the application's last frame, such as ``"chat/app.py:42 in project"``; the projection's name where it
            returned what cannot be used; else the innermost frame. Empty where nothing was raised.
        traceback: of the exception and its causes, as text without local variables; long ones lack their middle.
    """

    kind: ErrorKind
    session_id: str
    ordinal: int
    event_name: str
    error: str
    raw_message: bytes = b""
    metadata: Mapping[str, str] = field(default_factory=dict)
    recorded_at: datetime | None = field(default=None, compare=False)
    where: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """What a hub's consumer is doing.

    Attributes:
        state: ``"failed"`` when it ended by itself; ``"stopped"`` before it runs and after it was shut down.
        consumed: how many messages are in the log, those included that were there already.
        refused: how many were recorded as errors, because they can never be events.
        waiting: the sessions of which a message is being tried again, sorted; later ones of theirs wait behind it.
        error: what the consumer failed of, or what one of those messages waits for; else empty.
    """

    state: Literal["running", "stopped", "failed"]
    consumed: int = 0
    refused: int = 0
    waiting: tuple[str, ...] = ()
    error: str = ""


PipelineObserver: TypeAlias = Callable[[PipelineRecord], object]
ErrorObserver: TypeAlias = Callable[[ErrorRecord], object]
