"""The values that travel through the pipeline: frozen, slotted, without behaviour.

A value never changes after it was made, except that its ``payload`` is a protobuf message, which is mutable by
nature. The hub therefore copies payloads wherever they cross a boundary.
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
    """What somebody asks a session to do. (Reference: Core types, CommandHandler.)"""

    name: str
    payload: Message
    session_id: str


@fast_init()
@dataclass(frozen=True, slots=True)
class Event:
    """What happened: the canonical record that everything else is derived from. (Reference: Event.)

    Attributes:
        ordinal: place of the event in its session, 1 upwards, unsigned 64-bit. The hub gives it; 0 before that.
        event_id: unique within the session. The hub gives a UUID where it is empty.
    """

    name: str
    payload: Message
    session_id: str
    ordinal: int = 0
    event_id: str = ""


@fast_init()
@dataclass(frozen=True, slots=True)
class UIEvent:
    """What live clients are told about an event. (Reference: UIEvent.)"""

    name: str
    payload: Message


@fast_init(check_if="payload is None")
@dataclass(frozen=True, slots=True)
class TimelineEntity:
    """One durable thing on a session's timeline, known by ``(kind, id)``. (Reference: TimelineEntity.)

    A projection returns it with a payload to create or update, or with ``tombstone=True`` to delete; the
    pipeline sets both ordinals.

    Attributes:
        created_ordinal: ordinal of the event that created it; updates keep it, a re-creation gets a new one.
        last_event_ordinal: ordinal of the event that changed it last.

    Raises:
        ValueError: there is neither a payload nor a tombstone.
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
        entities: sorted by ``(created_ordinal, last_event_ordinal, kind, id)``. Tombstones occur only in an
            answer to ``since``.
        epoch: which run of history the ordinals belong to; rebuilding or deleting a session starts another.
            Says nothing about the contents, so it takes no part in comparisons.
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
"""The key that puts entities into the order in which every snapshot and every ``view.list`` shows them."""


def in_snapshot_order(entities: Iterable[E]) -> list[E]:
    """Sort entities the way every snapshot and every ``view.list`` shows them."""
    return sorted(entities, key=snapshot_order)
