"""Encodes the UI events of a commit, for other processes that share the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from sessionstream.errors import SchemaError
from sessionstream.types import UIEvent
from sessionstream.v1.feed_pb2 import RecordedUIEvent, RecordedUIEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from sessionstream.codec import Codec
    from sessionstream.schema import SchemaRegistry


def encode_ui_events(events: Sequence[UIEvent], codec_of: Callable[[type[Message]], Codec]) -> bytes:
    """Return UI events as bytes; empty if there are none."""
    recorded = RecordedUIEvents()
    for event in events:
        codec = codec_of(type(event.payload))
        recorded.events.append(
            RecordedUIEvent(name=event.name, type=codec.full_name, payload=codec.encode(event.payload))
        )
    return recorded.SerializeToString()


def decode_ui_events(data: bytes, registry: SchemaRegistry) -> tuple[UIEvent, ...] | None:
    """Return recorded UI events; None if one of them is not registered here, or not readable."""
    try:
        return tuple(
            UIEvent(each.name, registry.decode("ui event", each.name, each.type, each.payload))
            for each in RecordedUIEvents.FromString(data).events
        )
    except (SchemaError, DecodeError):
        return None
