"""What a client gives out: snapshots and live events. Values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from sessionstream.types import Snapshot, TimelineEntity


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One UI event, as it happens. (Reference: WebSocket client.)

    Attributes:
        ordinal: of the backend event that it was projected from; several UI events may share it.
        name: the UI event's name.
        payload: the message that the client's registry has for the name; without one, the JSON of the wire as a
            dictionary, ``"@type"`` included.
    """

    ordinal: int
    name: str
    payload: Any


@dataclass(frozen=True, slots=True)
class JsonEntity(TimelineEntity):
    """An entity whose payload is the JSON of the wire: a dictionary, ``"@type"`` included."""

    payload: Any


@dataclass(frozen=True, slots=True)
class JsonSnapshot(Snapshot):
    """What a client without a registry gives out: a snapshot whose entities are all ``JsonEntity``."""

    entities: tuple[JsonEntity, ...]


Update: TypeAlias = Snapshot | LiveEvent
"""What ``async for`` gets: a ``Snapshot`` first, and again after each reconnect; a ``LiveEvent`` otherwise."""
