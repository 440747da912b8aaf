"""Values to rows: everything is encoded where the store is called, so that the writer only executes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from sessionstream.errors import Unstorable
from sessionstream.hydration.recorded import encode_ui_events
from sessionstream.hydration.sqlite.columns import MAX_STORED, Query, Row, shortly
from sessionstream.hydration.versions import EntityRow
from sessionstream.observe import ErrorRecord
from sessionstream.store import Commit
from sessionstream.types import NO_METADATA, Metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from sessionstream.codec import Codec
    from sessionstream.types import TimelineEntity

MAX_PAYLOAD: Final = 999_000_000
"""Bytes of a payload; SQLite keeps rows of 1,000,000,000."""

ERROR: Final = "seq, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at"
"""The columns that ``error_record`` takes."""

CodecOf: TypeAlias = "Callable[[type[Message]], Codec]"
"""Returns the codec of a message class, as ``SchemaRegistry.codec_of``."""

ErrorRow: TypeAlias = tuple[str, str, str, str, str, bytes, str]

_WHERE: Final = "sessionstream_where"
_TRACEBACK: Final = "sessionstream_traceback"
"""Names beside those of an error record's metadata, under which the file keeps what has no column."""

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EventRow(NamedTuple):
    """An event with its payload encoded."""

    ordinal: int
    event_id: str
    name: str
    message: type[Message]
    payload: bytes
    metadata: str


def check_ordinal(session_id: str, ordinal: int) -> None:
    """Refuse an ordinal that SQLite cannot hold.

    Raises:
        Unstorable: it is above 2**63 - 1.
    """
    if ordinal > MAX_STORED:
        raise Unstorable(
            f"ordinal {ordinal} of session {session_id!r} is beyond {MAX_STORED}, the highest that SQLite holds"
        )


def bounded(ordinal: int) -> int:
    """Return the ordinal, or the highest that SQLite holds if that is lower: no event lies between them."""
    return min(ordinal, MAX_STORED)


def microseconds(moment: datetime) -> int:
    """Return a moment as the file keeps it: microseconds since 1970."""
    return (moment - _START) // timedelta(microseconds=1)


def moment(recorded_at: int) -> datetime:
    """Return a moment that the file keeps, in UTC."""
    return _START + timedelta(microseconds=recorded_at)


def _encoded(what: str, name: str, payload: Message, codec_of: CodecOf) -> bytes:
    data = codec_of(payload.__class__).encode(payload)
    if len(data) > MAX_PAYLOAD:
        raise Unstorable(
            f"{what} {name!r} has a payload of {len(data)} bytes, and SQLite holds no more than {MAX_PAYLOAD}: keep it "
            f"elsewhere, and its place in the {what}"
        )
    return data


class CommitRows(NamedTuple):
    """A commit with its event, its entities and its UI events encoded.

    ``ui_events`` is None if no other process hears of them.
    """

    step: Commit
    event: EventRow | None
    entities: Sequence[EntityRow]
    ui_events: bytes | None


def commit_rows(commit: Commit, codec_of: CodecOf, *, is_heard: bool) -> CommitRows:
    """Return what a commit writes; ``is_heard``: other processes hear of its UI events.

    Raises:
        Unstorable: SQLite cannot hold its ordinal, or a payload.
    """
    check_ordinal(commit.session_id, commit.event_cursor)
    ui_events = encode_ui_events(commit.ui_events, codec_of) if is_heard else None
    return CommitRows(commit, _event_row(commit, codec_of), entity_rows(commit.entities, codec_of), ui_events)


def _event_row(commit: Commit, codec_of: CodecOf) -> EventRow | None:
    event = commit.event
    if event is None:
        return None
    payload = event.payload
    data = _encoded("event", event.name, payload, codec_of)
    metadata = "" if event.metadata is NO_METADATA else json.dumps(dict(event.metadata))
    return EventRow(event.ordinal, event.event_id, event.name, payload.__class__, data, metadata)


def entity_rows(entities: Iterable[TimelineEntity], codec_of: CodecOf) -> list[EntityRow]:
    """Return the rows of entities."""
    rows = []
    for entity in entities:
        payload = None if entity.tombstone else entity.payload
        rows.append(
            EntityRow(
                entity.kind,
                entity.id,
                entity.created_ordinal,
                entity.last_event_ordinal,
                None if payload is None else payload.__class__,
                None if payload is None else _encoded("timeline entity", entity.kind, payload, codec_of),
            )
        )
    return rows


def error_row(record: ErrorRecord) -> ErrorRow:
    """Return the row of an error record, but for its time."""
    return (
        record.session_id,
        record.kind,
        str(record.ordinal),  # as text: an ordinal that no integer column holds may be what went wrong
        record.event_name,
        record.error,
        bytes(record.raw_message),
        json.dumps({**record.metadata, _WHERE: record.where, _TRACEBACK: record.traceback}),
    )


def event_metadata(query: Query, row: Row, metadata: str) -> Mapping[str, str]:
    """Return the metadata of an event, whose row a query has returned.

    Raises:
        Damage: it is none: something else has written there.
    """
    if not metadata:
        return NO_METADATA
    try:
        return Metadata(_texts(query, row, metadata))
    except ValueError as error:
        query.damaged(row, "metadata", str(error))


def _texts(query: Query, row: Row, metadata: str) -> dict[str, str]:
    try:
        facts = json.loads(metadata)
        if not isinstance(facts, dict) or not all(isinstance(each, str) for each in facts.values()):
            raise ValueError(metadata)
    except (ValueError, RecursionError):
        query.damaged(row, "metadata", f"{shortly(metadata)}, not a JSON object of texts")
    return facts


def error_record(query: Query, row: Row) -> ErrorRecord:
    """Return the error record of a row that a query for the columns ``ERROR`` has returned.

    Raises:
        Damage: it is none: something else has written there.
    """
    _, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at = row
    try:
        number = int(ordinal)
    except ValueError:
        query.damaged(row, "ordinal", f"{shortly(ordinal)}, not an ordinal")
    facts = _texts(query, row, metadata)
    place, text = facts.pop(_WHERE, ""), facts.pop(_TRACEBACK, "")
    time = moment(recorded_at)
    return ErrorRecord(kind, session_id, number, event_name, error, raw_message, facts, time, place, text)
