"""The values of the pipeline: commands, events, UI events, timeline entities, snapshots, sessions.

They are frozen and slotted. A ``payload`` is a protobuf message, which is mutable; the hub therefore copies payloads
that it receives from, or passes to, other code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from sessionstream.fast_init import fast_init

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message


@fast_init()
@dataclass(frozen=True, slots=True)
class Command:
    """A request to a session. (Reference: Core types, CommandHandler.)"""

    name: str
    payload: Message
    session_id: str


@fast_init()
@dataclass(frozen=True, slots=True)
class Event:
    """A backend event: the stored record from which UI events and entities are derived. (Reference: Event.)

    Attributes:
        ordinal: position of the event in its session, from 1, unsigned 64-bit. The hub assigns it; 0 before that.
        event_id: unique within the session. If it is empty, the hub assigns a UUID.
    """

    name: str
    payload: Message
    session_id: str
    ordinal: int = 0
    event_id: str = ""


@fast_init()
@dataclass(frozen=True, slots=True)
class UIEvent:
    """A live event for clients, derived from a backend event. (Reference: UIEvent.)"""

    name: str
    payload: Message


@fast_init(check_if="payload is None")
@dataclass(frozen=True, slots=True)
class TimelineEntity:
    """One durable entity of a session's timeline, identified by ``(kind, id)``. (Reference: TimelineEntity.)

    A projection returns it with a payload to create or update, or with ``tombstone=True`` to delete; the
    pipeline sets both ordinals.

    Attributes:
        created_ordinal: ordinal of the event that created it; updates keep it, a re-creation gets a new one.
        last_event_ordinal: ordinal of the event that changed it last.

    Raises:
        ValueError: it has no payload and is not a tombstone.
    """

    kind: str
    id: str
    payload: Message | None
    created_ordinal: int = 0
    last_event_ordinal: int = 0
    tombstone: bool = False

    def __post_init__(self) -> None:
        if self.payload is None and not self.tombstone:
            raise ValueError(f"timeline entity {self.kind!r} {self.id!r} has no payload: only a tombstone may lack one")


@fast_init()
@dataclass(frozen=True, slots=True)
class Snapshot:
    """The timeline of one session at one ordinal. (Reference: Ordinal semantics.)

    Attributes:
        snapshot_ordinal: highest event ordinal the timeline reflects; 0 for a session without events.
        entities: sorted by ``(created_ordinal, last_event_ordinal, kind, id)``. Tombstones occur only in
            snapshots ``since`` an ordinal.
        epoch: identifies the history that the ordinals belong to; rebuilding or deleting a session starts a new
            epoch. It does not describe the contents, so comparisons ignore it.
    """

    session_id: str
    snapshot_ordinal: int
    entities: tuple[TimelineEntity, ...]
    epoch: int = field(default=0, compare=False)


@fast_init()
@dataclass(frozen=True, slots=True)
class Session:
    """A session as handlers and projections see it.

    Attributes:
        metadata: what ``session_metadata(session_id)`` returned; the application's own, never persisted.
    """

    id: str
    metadata: object


E = TypeVar("E", bound=TimelineEntity)

snapshot_order = attrgetter("created_ordinal", "last_event_ordinal", "kind", "id")
"""The sort key of the entities in a snapshot and in the result of ``view.list``."""


def in_snapshot_order(entities: Iterable[E]) -> list[E]:
    """Return entities in the order of snapshots and of ``view.list``."""
    return sorted(entities, key=snapshot_order)
