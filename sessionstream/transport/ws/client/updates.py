"""What a client gives out: snapshots, live events, and how its connection is. Values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

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


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """How the connection of a client is. (Reference: WebSocket client.)

    Attributes:
        name: ``"connecting"``: for the first time. ``"live"``: the server has said hello. ``"reconnecting"``: the
            connection was lost or could not be made, as when one is offline. ``"refused"``: the server, or a function
            that was asked for credentials, does not let this client in: signed out, say. ``"closed"``: for good.
        status: the HTTP status of a refusal.
        code: the WebSocket close code, where there was one.
        reason: the server's words, or the network's.
        retry_in: seconds until the next attempt, from the moment of the change; None if there is none to wait for.
    """

    name: Literal["connecting", "live", "reconnecting", "refused", "closed"]
    status: int | None = None
    code: int | None = None
    reason: str = ""
    retry_in: float | None = None
