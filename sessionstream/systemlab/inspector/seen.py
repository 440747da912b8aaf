"""The values that the inspector shows of sessions, from any source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sessionstream.hydration.payload_json import Payload
from sessionstream.hydration.stored import StoredSession

_SPACES: Final = re.compile("^ | $| (?= )")
"""Spaces that a page does not show."""


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some sessions by id, and the ``total`` of those that were asked for."""

    sessions: Sequence[StoredSession]
    total: int


@dataclass(frozen=True, slots=True)
class Position:
    """A position of the inspector's slider: before the first event that the log has, or right after one of its events.

    Attributes:
        index: 0 before the first event, ``count`` after the last.
        count: number of events in the log that the timeline reflects.
        ordinal: of the event; at index 0 that of the floor, the lowest that can be read.
        event: the name of the event; empty at index 0.
    """

    index: int
    count: int
    ordinal: int
    event: str


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


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events of a log, the newest first.

    Attributes:
        session: where the session stands, in the same state of its store.
        total: number of events that the log has.
        newer: number of those that are newer than the first of these.
    """

    session: StoredSession
    events: Sequence[SeenEvent]
    total: int
    newer: int


def matching(session_ids: Iterable[str], search: str) -> list[str]:
    """Return the ids that contain a text, in upper or lower case, as they are or as the page shows them."""
    folded = search.casefold()
    if not folded:
        return list(session_ids)
    return [each for each in session_ids if folded in each.casefold() or folded in _shown(each).casefold()]


def visible(text: str) -> str:
    """Return a text with the characters that are not printable escaped."""
    return "".join(each if each.isprintable() else escaped(each) for each in text)


def escaped(char: str) -> str:
    """Return a character as an escape sequence."""
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _shown(session_id: str) -> str:
    """Return an id with what nobody sees escaped, as ``shownId`` of ``core.js`` does, and some characters more."""
    if session_id.isprintable() and not _SPACES.search(session_id):
        return session_id
    return _SPACES.sub(r"\\u0020", visible(session_id))
