"""Encodes the UI events of a commit, for other processes that share the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from sessionstream.changes import UI_EVENTS
from sessionstream.errors import SchemaError
from sessionstream.feed import Move
from sessionstream.types import NO_METADATA, UIEvent
from sessionstream.v1.feed_pb2 import RecordedUIEvent, RecordedUIEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.message import Message

    from sessionstream.codec import Codec
    from sessionstream.schema import SchemaRegistry


def encode_ui_events(
    events: Sequence[UIEvent], metadata: Mapping[str, str], codec_of: Callable[[type[Message]], Codec]
) -> bytes:
    """Return UI events and the metadata of their event as bytes; empty if there are no UI events."""
    recorded = RecordedUIEvents(metadata=metadata if events else None)
    for event in events:
        codec = codec_of(type(event.payload))
        recorded.events.append(
            RecordedUIEvent(name=event.name, type=codec.full_name, payload=codec.encode(event.payload))
        )
    return recorded.SerializeToString()


def recorded_move(before: int, ordinal: int, epoch: int, data: bytes | None, registry: SchemaRegistry) -> Move:
    """Return a move with its recorded UI events; None if one of them is not registered here, or not readable.

    Those of ``entity_changes`` need no registration: a hub adds them to its registry, and a store may have another.
    """
    try:
        recorded = RecordedUIEvents.FromString(data or b"")
        ui_events = tuple(UIEvent(each.name, _decode(each, registry)) for each in recorded.events)
        return Move(before, ordinal, epoch, ui_events, dict(recorded.metadata) or NO_METADATA)
    except (SchemaError, DecodeError):
        return Move(before, ordinal, epoch, None)


def _decode(recorded: RecordedUIEvent, registry: SchemaRegistry) -> Message:
    own = UI_EVENTS.get(recorded.name)
    if own is not None and own.DESCRIPTOR.full_name == recorded.type:
        return own.FromString(recorded.payload)
    return registry.decode("ui event", recorded.name, recorded.type, recorded.payload)
