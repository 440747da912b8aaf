"""A fan-out and observers that keep what they receive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sessionstream.observe import ErrorRecord, PipelineRecord
from sessionstream.types import UIEvent


@dataclass(slots=True)
class RecordingFanout:
    """A UIFanout that keeps what is published.

    Attributes:
        published: one ``(session_id, ordinal, ui_events)`` per call, in order.
    """

    published: list[tuple[str, int, tuple[UIEvent, ...]]] = field(default_factory=list)

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Keep the UI events of one backend event."""
        self.published.append((session_id, ordinal, tuple(events)))


@dataclass(slots=True)
class RecordingObserver:
    """Both observers of a hub: ``Hub(…, pipeline_observer=recorder.pipeline, error_observer=recorder.error)``.

    Attributes:
        records: what the pipeline reported, in order.
        errors: what went wrong, in order.
    """

    records: list[PipelineRecord] = field(default_factory=list)
    errors: list[ErrorRecord] = field(default_factory=list)

    def pipeline(self, record: PipelineRecord) -> None:
        """Keep a pipeline record."""
        self.records.append(record)

    def error(self, record: ErrorRecord) -> None:
        """Keep an error record."""
        self.errors.append(record)
