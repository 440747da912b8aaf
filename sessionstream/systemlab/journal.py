"""Keeps the latest records of observers for the page, and makes tables of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import MessageToJson

from sessionstream import ErrorRecord, Event, PipelineRecord, TimelineEntity, UIEvent
from sessionstream.systemlab.panels import Cell, Table
from sessionstream.transport.ws import ConnectionRecord

if TYPE_CHECKING:
    from google.protobuf.message import Message

KEPT: Final = 400
"""The maximum number of records of a kind; the oldest are removed first."""


class Journal:
    """Observers for a hub and a WebSocket server that keep their records.

    Pass ``journal.pipeline.append`` as pipeline observer, ``journal.errors.append`` as error observer and
    ``journal.connections.append`` as observer of a server.

    Attributes:
        pipeline: one record for each event, oldest first.
        errors: the error records, oldest first.
        connections: the stages of connections, oldest first.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.pipeline: deque[PipelineRecord] = deque(maxlen=kept)
        self.errors: deque[ErrorRecord] = deque(maxlen=kept)
        self.connections: deque[ConnectionRecord] = deque(maxlen=kept)


def payload(message: Message | None) -> str:
    """Return a payload as one line of protobuf JSON; empty for none."""
    return "" if message is None else MessageToJson(message, indent=None, ensure_ascii=False)


def latest(events: Sequence[Event]) -> str:
    """Return the ordinal and the name of the last event; empty if there is none."""
    return f"{events[-1].ordinal} {events[-1].name}" if events else ""


def event_table(id: str, title: str, events: Iterable[Event], empty: str) -> Table:  # noqa: A002 - as the attribute is called
    """Return backend events as a table."""
    rows = tuple((event.ordinal, event.name, event.event_id, payload(event.payload)) for event in events)
    return Table(id, title, ("Ordinal", "Event", "Event id", "Payload"), rows, empty)


def entity_table(id: str, title: str, entities: Iterable[TimelineEntity], empty: str) -> Table:  # noqa: A002
    """Return timeline entities as a table."""
    rows = tuple(
        (entity.kind, entity.id, entity.created_ordinal, entity.last_event_ordinal, _state(entity))
        for entity in entities
    )
    return Table(id, title, ("Kind", "Id", "Created", "Last event", "Payload"), rows, empty)


def ui_table(id: str, title: str, live: Iterable[tuple[int, UIEvent]], empty: str) -> Table:  # noqa: A002
    """Return live UI events, each with the ordinal of its backend event, as a table."""
    rows = tuple((ordinal, event.name, payload(event.payload)) for ordinal, event in live)
    return Table(id, title, ("Ordinal", "UI event", "Payload"), rows, empty)


def error_table(id: str, title: str, errors: Iterable[ErrorRecord], empty: str) -> Table:  # noqa: A002
    """Return error records as a table."""
    rows = tuple((e.kind, e.session_id, e.ordinal, e.event_name, e.error) for e in errors)
    return Table(id, title, ("Kind", "Session", "Ordinal", "Event", "Error"), rows, empty)


def stage_table(id: str, title: str, records: Iterable[ConnectionRecord], empty: str) -> Table:  # noqa: A002
    """Return the stages of connections as a table."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (r.stage, r.connection_id, r.session_id, r.ordinal, r.frames, r.queue_depth, r.code or r.error) for r in records
    )
    columns = ("Stage", "Connection", "Session", "Ordinal", "Frames", "Queued", "Code")
    return Table(id, title, columns, rows, empty)


def _state(entity: TimelineEntity) -> str:
    return "deleted" if entity.tombstone else payload(entity.payload)
