"""Decodes server frames and encodes client frames. Pure.

Unknown frames and fields are ignored, because a newer server may send them. Known fields must have their type.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sessionstream.transport.ws.client.updates import JsonEntity
from sessionstream.transport.ws.wire.budget import Budget
from sessionstream.transport.ws.wire.fields import Fields, read_fields
from sessionstream.types import in_snapshot_order
from sessionstream.v1.transport_pb2 import ServerFrame


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame of a connection."""

    connection_id: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """A snapshot; with ``since``, a delta of the changes after that ordinal, with tombstones for deletions."""

    session_id: str
    ordinal: int
    epoch: int
    since: int
    entities: tuple[JsonEntity, ...]


@dataclass(frozen=True, slots=True)
class UIEventFrame:
    """A UI event."""

    session_id: str
    ordinal: int
    name: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The end of the answer to a subscribe; ``budget`` is None if the server announces none."""

    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The answer to an unsubscribe."""

    session_id: str


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """An error frame."""

    code: str
    message: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong with the same nonce."""

    nonce: str


ServerMessage: TypeAlias = Hello | SnapshotFrame | UIEventFrame | Subscribed | Unsubscribed | ErrorFrame | Ping


def read(text: str) -> ServerMessage | None:
    """Decode one server frame; None if a client does not act on it.

    Raises:
        ValueError: the text is not a server frame.
    """
    members = read_fields(text, ServerFrame.DESCRIPTOR, "the frame", skip_unknown=True)
    if len(members) > 1:
        raise ValueError(f"a frame has one member, not {' and '.join(members)}")
    for name, fields in members.items():
        reader = _READERS.get(name)
        return None if reader is None else reader(fields)
    return None


def subscribe(session_id: str, *, delta: bool, since: int = 0, epoch: int = 0) -> str:
    """Return a subscribe frame; ``since`` and ``epoch`` are those of the timeline that the client holds."""
    fields: dict[str, object] = {"sessionId": session_id}
    if since:
        fields["sinceSnapshotOrdinal"] = str(since)
    if delta:
        fields["delta"] = True
    if epoch:
        fields["epoch"] = str(epoch)
    return _dumps({"subscribe": fields})


def unsubscribe(session_id: str) -> str:
    """Return an unsubscribe frame."""
    return _dumps({"unsubscribe": {"sessionId": session_id}})


def ping(nonce: str) -> str:
    """Return a ping."""
    return _dumps({"ping": {"nonce": nonce}})


def pong(nonce: str) -> str:
    """Return the answer to a ping."""
    return _dumps({"pong": {"nonce": nonce} if nonce else {}})


def _hydrated(fields: Fields) -> ServerMessage:
    entities = in_snapshot_order(map(_entity, fields.get("entities", ())))
    return SnapshotFrame(
        _session_id("a snapshot", fields),
        fields.get("snapshot_ordinal", 0),
        fields.get("epoch", 0),
        fields.get("since", 0),
        tuple(entities),
    )


def _entity(fields: Fields) -> JsonEntity:
    tombstone = fields.get("tombstone", False)
    return JsonEntity(
        fields.get("kind", ""),
        fields.get("id", ""),
        None if tombstone else fields.get("payload", {}),
        fields.get("created_ordinal", 0),
        fields.get("last_event_ordinal", 0),
        tombstone,
    )


def _happened(fields: Fields) -> ServerMessage:
    session_id = _session_id("a UI event", fields)
    return UIEventFrame(session_id, fields.get("event_ordinal", 0), fields.get("name", ""), fields.get("payload", {}))


def _subscribed(fields: Fields) -> ServerMessage:
    """Return the end of an answer to subscribe, with a valid budget or none."""
    told = fields.get("budget", {})
    burst, rate = told.get("frames_burst", 0), told.get("frames_per_second", 0.0)
    if burst > 0 and rate > 0:
        return Subscribed(Budget(burst, rate, told.get("subscriptions") or None))
    return Subscribed()


_READERS: Final[dict[str, Callable[[Fields], ServerMessage]]] = {
    "hello": lambda fields: Hello(fields.get("connection_id", "")),
    "snapshot": _hydrated,
    "ui_event": _happened,
    "subscribed": _subscribed,
    "unsubscribed": lambda fields: Unsubscribed(_session_id("unsubscribed", fields)),
    "error": lambda fields: ErrorFrame(fields.get("code", ""), fields.get("message", ""), fields.get("session_id", "")),
    "ping": lambda fields: Ping(fields.get("nonce", "")),
}


def _session_id(what: str, fields: Fields) -> str:
    """Return the session id of a frame; raise ValueError if it is missing."""
    session_id: str = fields.get("session_id", "")
    if not session_id:
        raise ValueError(f"{what} is missing its session id")
    return session_id


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
