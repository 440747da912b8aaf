"""Values to bytes and texts, for every durable store: encoded where the store is called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from sessionstream.errors import Unstorable
from sessionstream.hydration.recorded import encode_ui_events
from sessionstream.hydration.versions import EntityRow
from sessionstream.store import Commit
from sessionstream.types import NO_METADATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from sessionstream.codec import Codec
    from sessionstream.observe import ErrorRecord
    from sessionstream.types import TimelineEntity

MAX_STORED: Final = 2**63 - 1
"""The highest integer that SQLite and PostgreSQL keep."""

MAX_PAYLOAD: Final = 999_000_000
"""Bytes of a payload; rows have at most 1,000,000,000."""

CodecOf: TypeAlias = "Callable[[type[Message]], Codec]"
"""Returns the codec of a message class, as ``SchemaRegistry.codec_of``."""

ErrorRow: TypeAlias = tuple[str, str, str, str, str, bytes, str]
"""Session id, kind, ordinal, event name, error, raw message, and the rest as JSON."""

_WHERE: Final = "sessionstream_where"
_TRACEBACK: Final = "sessionstream_traceback"
"""Names beside those of an error record's metadata, under which stores keep what has no column."""


class EventRow(NamedTuple):
    """An event with its payload encoded; ``metadata`` is JSON, empty if there is none."""

    ordinal: int
    event_id: str
    name: str
    message: type[Message]
    payload: bytes
    metadata: str


def check_ordinal(session_id: str, ordinal: int) -> None:
    """Refuse an ordinal that no durable store can hold.

    Raises:
        Unstorable: it is above 2**63 - 1.
    """
    if ordinal > MAX_STORED:
        raise Unstorable(
            f"ordinal {ordinal} of session {session_id!r} is beyond {MAX_STORED}, the highest that it can have"
        )


def bounded(ordinal: int) -> int:
    """Return the ordinal, or the highest that a store holds if that is lower: no event lies between them."""
    return min(ordinal, MAX_STORED)


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
        Unstorable: its ordinal or a payload is too large.
    """
    event, row = commit.event, None
    check_ordinal(commit.session_id, commit.expected_ordinal if event is None else event.ordinal)
    ui_events = encode_ui_events(commit.ui_events, commit.metadata, codec_of) if is_heard else None
    if event is not None:
        message = event.payload.__class__
        payload = codec_of(message).encode(event.payload)
        if len(payload) > MAX_PAYLOAD:
            raise _too_large("event", event.name, payload)
        metadata = "" if event.metadata is NO_METADATA else json.dumps(dict(event.metadata))
        row = EventRow(event.ordinal, event.event_id, event.name, message, payload, metadata)
    return CommitRows(commit, row, entity_rows(commit.entities, codec_of), ui_events)


def entity_rows(entities: Iterable[TimelineEntity], codec_of: CodecOf) -> list[EntityRow]:
    """Return the rows of entities.

    Raises:
        Unstorable: a payload is too large.
    """
    rows = []
    for entity in entities:
        message = data = None
        if entity.payload is not None and not entity.tombstone:
            message = entity.payload.__class__
            data = codec_of(message).encode(entity.payload)
            if len(data) > MAX_PAYLOAD:
                raise _too_large("timeline entity", entity.kind, data)
        created, changed = entity.created_ordinal, entity.last_event_ordinal
        rows.append(EntityRow(entity.kind, entity.id, created, changed, message, data))
    return rows


def _too_large(what: str, name: str, data: bytes) -> Unstorable:
    return Unstorable(
        f"{what} {name!r} has a payload of {len(data)} bytes, and at most {MAX_PAYLOAD} fit: keep it "
        f"elsewhere, and its place in the {what}"
    )


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


def error_facts(metadata: str) -> tuple[dict[str, str], str, str]:
    """Return metadata, place and traceback of an error record from the JSON of its row.

    Raises:
        ValueError: it is not a JSON object of texts.
    """
    facts = texts(metadata)
    return facts, facts.pop(_WHERE, ""), facts.pop(_TRACEBACK, "")


def texts(metadata: str) -> dict[str, str]:
    """Return a JSON object of texts.

    Raises:
        ValueError: it is none.
    """
    try:
        facts = json.loads(metadata)
    except RecursionError as error:
        raise ValueError(metadata) from error
    if not isinstance(facts, dict) or not all(isinstance(each, str) for each in facts.values()):
        raise ValueError(metadata)
    return facts
