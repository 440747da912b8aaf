"""The output of a chat process for the demo, as lines of JSON: UI events while they stream, and snapshots.

Payloads are sent as protobuf bytes, so that two snapshots can be compared byte by byte.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import Any

from sessionstream import Snapshot, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate


@dataclass(frozen=True, slots=True)
class LiveUpdate:
    """One live UI event. ``payload`` is a ChatMessageUpdate, in base64."""

    ordinal: int
    name: str
    payload: str

    @property
    def message(self) -> ChatMessageUpdate:
        """The payload."""
        return ChatMessageUpdate.FromString(b64decode(self.payload))


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """One entity of a snapshot. ``payload`` is a ChatMessageEntity, in base64."""

    kind: str
    id: str
    created_ordinal: int
    last_event_ordinal: int
    payload: str

    @property
    def message(self) -> ChatMessageEntity:
        """The payload."""
        return ChatMessageEntity.FromString(b64decode(self.payload))


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A session's timeline at an ordinal."""

    ordinal: int
    epoch: int
    entities: tuple[StoredEntity, ...]


def update_of(ordinal: int, event: UIEvent) -> LiveUpdate:
    """Return the record of a UI event."""
    return LiveUpdate(ordinal, event.name, _bytes(event.payload.SerializeToString(deterministic=True)))


def snapshot_of(snapshot: Snapshot) -> StoredSnapshot:
    """Return the record of a snapshot."""
    return StoredSnapshot(
        snapshot.snapshot_ordinal,
        snapshot.epoch,
        tuple(
            StoredEntity(
                entity.kind,
                entity.id,
                entity.created_ordinal,
                entity.last_event_ordinal,
                _bytes(entity.payload.SerializeToString(deterministic=True) if entity.payload is not None else b""),
            )
            for entity in snapshot.entities
        ),
    )


def to_line(record: LiveUpdate | StoredSnapshot) -> str:
    """Return a record as one line of ASCII, without the line's end."""
    return json.dumps({"record": type(record).__name__, **asdict(record)})


def from_line(line: str | bytes) -> LiveUpdate | StoredSnapshot:
    """Return the record that ``to_line`` wrote.

    Raises:
        ValueError: it is no such line.
    """
    try:
        fields: dict[str, Any] = json.loads(line)
        match fields.pop("record"):
            case "LiveUpdate":
                return LiveUpdate(**fields)
            case "StoredSnapshot":
                entities = tuple(StoredEntity(**entity) for entity in fields.pop("entities"))
                return StoredSnapshot(entities=entities, **fields)
            case other:
                raise ValueError(f"no such record: {other!r}")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a record: {line!r}") from error


def _bytes(data: bytes) -> str:
    return b64encode(data).decode("ascii")
