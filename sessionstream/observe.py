"""The records that observers receive from the pipeline: one for each event, one for each error.

Observers are plain synchronous functions. They may keep and change the records; what they do, or raise, does not affect
the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from sessionstream.fast_init import fast_init
from sessionstream.types import NO_METADATA, Event, TimelineEntity, UIEvent

Mode: TypeAlias = Literal["live", "retry", "rebuild"]
ErrorKind: TypeAlias = Literal["decode", "ordinal", "ui-projection", "timeline-projection", "fanout", "store"]


@fast_init()
@dataclass(frozen=True, slots=True)
class PipelineRecord:
    """The outcome of one pass of an event through the pipeline.

    Attributes:
        mode: ``"live"`` for a published event, ``"retry"`` for a held event that is resumed, ``"rebuild"`` for an
            event of a timeline that is rebuilt.
        event: the event, with its ordinal and id.
        view_ordinal: ordinal of the timeline that the projections saw.
        ui_events: the UI events that the projections returned.
        ui_error: the exception of a UI projection.
        entities: the entities that the timeline projections returned, with their ordinals.
        timeline_error: the exception of a timeline projection.
        stored: whether the event is in the log.
        committed: the entities that were committed.
        cursor_moved: whether the timeline now reflects the event.
        fanned_out: the UI events that were passed to the fan-out.
        error: the exception of the store or the fan-out.
        seconds: how long the event took, from the call of ``publish`` until the record was made; it includes the wait
            for the session's lane, and attempts that failed because another process had moved the session. With
            ``publish_many`` the events before it count too. For an event that comes from a bus, from when the consumer
            took it; in a retry or a rebuild, from when its turn came. Comparisons ignore this and the following three.
        projection_seconds: how long its projections ran, in the last attempt.
        commit_seconds: from when its commit was passed to the store until the hub had the outcome.
        fanout_seconds: how long the fan-out ran.
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
    seconds: float = field(default=0.0, compare=False)
    projection_seconds: float = field(default=0.0, compare=False)
    commit_seconds: float = field(default=0.0, compare=False)
    fanout_seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One error, in a form that a store can keep.

    Attributes:
        kind: the step that failed.
        session_id: empty if unknown.
        ordinal: of the event concerned; 0 if it has none.
        event_name: empty if unknown.
        error: the exception's type and message.
        raw_message: the bytes of a message that could not be decoded.
        metadata: further facts, by name.
        recorded_at: the time in UTC when a store recorded it; None before that. Comparisons ignore it.
        where: the application's last frame, such as ``"chat/app.py:42 in project"``; the projection's name if it
            returned an invalid result; else the innermost frame. Empty if nothing was raised.
        traceback: of the exception and its causes, as text without local variables; a long one is cut in the middle.
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
    """The state of a hub's consumer.

    Attributes:
        state: ``"failed"`` if it ended by itself; ``"stopped"`` before it runs and after it was shut down.
        consumed: how many messages are in the log, including those that were already in it.
        refused: how many messages were recorded as errors, because they can never become events.
        waiting: the sessions with a message that is being retried, sorted; their later messages wait for it.
        error: why the consumer failed, or why one of those messages is retried; else empty.
    """

    state: Literal["running", "stopped", "failed"]
    consumed: int = 0
    refused: int = 0
    waiting: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """How far a hub has followed what other processes do to the sessions that are watched here.

    The numbers begin at 0 with the hub and never decrease.

    Attributes:
        behind: the watched sessions that other processes may have moved since they were last read; for each the seconds
            since the first such hint.
        watched: how many sessions are watched.
        hints: how often the store said that sessions may have moved.
        moves: how many commits of other processes were passed on.
        gaps: how many snapshots were asked for because moves were missing.
        error: why reading fails at the moment; else empty.
    """

    behind: Mapping[str, float]
    watched: int
    hints: int
    moves: int
    gaps: int
    error: str = ""

    @property
    def lag(self) -> float:
        """The highest number of seconds for which a session is behind; 0 if none is."""
        return max(self.behind.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class HubStatistics:
    """What a hub holds at a moment.

    Attributes:
        sessions: how many sessions are cached.
        entities: how many entities their timelines have in memory.
        evictions: how many sessions have left the cache for others, since the hub was made.
        held: how many of the cached sessions are held.
        pending: how many changes were passed to the store and have no outcome yet, of all hubs that use it; 0 if the
            store does not count them.
    """

    sessions: int
    entities: int
    evictions: int
    held: int
    pending: int


PipelineObserver: TypeAlias = Callable[[PipelineRecord], object]
ErrorObserver: TypeAlias = Callable[[ErrorRecord], object]


@fast_init()
@dataclass(frozen=True, slots=True)
class Span:
    """A part of a hub's work that has a beginning and an end.

    Attributes:
        operation: ``"command"`` runs a command's handler. ``"publish"`` is a call of ``publish`` or ``publish_many``.
            The others go on with an event that was published earlier: ``"consume"`` takes it from a bus, ``"resume"``
            commits it after it was held or ends with a new error of its projections, and ``"deliver"`` passes UI events
            of another process to the fan-out.
        session_id: the session.
        name: of the command or of the event; empty in ``"deliver"``. Of ``publish_many``, that of the first event.
        ordinal: of the event in ``"resume"`` and ``"deliver"``; else 0.
        events: how many events are published; 1 unless it is ``publish_many``.
        metadata: of the event that the work goes on with.
    """

    operation: Literal["command", "publish", "consume", "resume", "deliver"]
    session_id: str
    name: str = ""
    ordinal: int = 0
    events: int = 1
    metadata: Mapping[str, str] = NO_METADATA


class Instrumentation(Protocol):
    """What ``Hub.instrument`` takes: both observers, beside those that the hub was made with, and spans.

    What it raises is logged, and has no other effect.
    """

    def span(self, span: Span, /) -> AbstractContextManager[Mapping[str, str]]:
        """Return a context that the hub enters before the work, and leaves after it, in the same task.

        The context's value is metadata for the events of ``"publish"``, by which those who go on with them find it.
        They are left out of an event that has one of these keys already, or no room for them. Of other operations it is
        ignored.
        """
        ...

    def pipeline(self, record: PipelineRecord, /) -> object:
        """Receive the record of an event; it must not be changed, as another observer gets it too."""
        ...

    def error(self, record: ErrorRecord, /) -> object:
        """Receive the record of an error."""
        ...
