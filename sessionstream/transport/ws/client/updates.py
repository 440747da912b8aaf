"""The values that a client gives to its user: snapshots, live events and connection states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sessionstream.types import Snapshot, TimelineEntity


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One live UI event. (Reference: WebSocket client.)

    Attributes:
        ordinal: ordinal of its backend event; several UI events may share it.
        name: the UI event's name.
        payload: a message, if the client's registry has the name; otherwise its JSON as a dict, including ``"@type"``.
    """

    ordinal: int
    name: str
    payload: Any


@dataclass(frozen=True, slots=True)
class JsonEntity(TimelineEntity):
    """An entity whose payload is JSON: a dict, including ``"@type"``."""

    payload: Any


@dataclass(frozen=True, slots=True)
class JsonSnapshot(Snapshot):
    """A snapshot whose entities are all ``JsonEntity``; given by a client without a registry."""

    entities: tuple[JsonEntity, ...]


Update: TypeAlias = Snapshot | LiveEvent
"""What iterating yields: a ``Snapshot`` at first and after each reconnect, otherwise a ``LiveEvent``."""


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """The state of a client's connection. (Reference: WebSocket client.)

    Attributes:
        name: ``"connecting"``: the first attempt. ``"live"``: the server has sent hello. ``"reconnecting"``: the
            connection was lost or could not be made. ``"refused"``: the server, or a function for credentials, refused
            the handshake. ``"closed"``: the client has ended.
        status: the HTTP status of a refusal.
        code: the WebSocket close code, if there was one.
        reason: the reason from the server or the network.
        retry_in: seconds from this change to the next attempt; None if none is planned.
    """

    name: Literal["connecting", "live", "reconnecting", "refused", "closed"]
    status: int | None = None
    code: int | None = None
    reason: str = ""
    retry_in: float | None = None
