"""The values that the inspector shows of sessions, from any source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sessionstream import Cursors
from sessionstream.hydration.payload_json import Payload


@dataclass(frozen=True, slots=True)
class SeenSession:
    """A session with its cursors."""

    id: str
    cursors: Cursors


@dataclass(frozen=True, slots=True)
class SeenEntity:
    """A live entity."""

    kind: str
    id: str
    created_ordinal: int
    last_event_ordinal: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class SeenTimeline:
    """A timeline right after an event, in snapshot order."""

    ordinal: int
    epoch: int
    entities: Sequence[SeenEntity]


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event of the log; ``recorded_at`` is None if unknown."""

    ordinal: int
    event_id: str
    name: str
    recorded_at: datetime | None
    payload: Payload
    metadata: Mapping[str, str]
