"""The values of the pipeline: commands, events, UI events, timeline entities, snapshots, sessions.

They are frozen and slotted. A ``payload`` is a protobuf message, which is mutable; the hub therefore copies payloads
that it receives from, or passes to, other code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sessionstream.fast_init import fast_init, unchecked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from google.protobuf.message import Message


@fast_init()
@dataclass(frozen=True, slots=True)
class Command:
    """A request to a session. (Reference: Core types, CommandHandler.)"""

    name: str
    payload: Message
    session_id: str


MAX_METADATA: Final = 64
"""Entries that the metadata of an event may have."""

MAX_METADATA_BYTES: Final = 8192
"""Bytes that keys and values of an event's metadata may have together, in UTF-8."""


class Metadata(Mapping[str, str]):
    """The metadata of an event: a checked copy that does not change."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, str]) -> None:
        """Copy and check the entries.

        Raises:
            TypeError: it is not a mapping, or a key or a value is not a string.
            ValueError: a key or a value is not valid Unicode, or there are too many or too large ones.
        """
        if not isinstance(entries, Mapping):
            raise TypeError(f"the metadata of an event is a mapping of strings, not {entries!r}")
        self._entries = dict(entries)
        if len(self._entries) > MAX_METADATA:
            raise ValueError(f"the metadata of an event has {len(self._entries)} entries, and at most {MAX_METADATA}")
        size = 0
        for key, value in self._entries.items():
            for what, text in (("key", key), ("value", value)):
                if not isinstance(text, str):
                    raise TypeError(f"metadata {key!r} has the {what} {text!r}: keys and values are strings")
                try:
                    size += len(text.encode())
                except UnicodeEncodeError as error:
                    raise ValueError(
                        f"metadata {key!r} has a {what} that is no valid Unicode: {error.reason}"
                    ) from None
            if size > MAX_METADATA_BYTES:
                raise ValueError(
                    f"metadata {key!r} brings the keys and values of an event to {size} bytes or more, and the limit "
                    f"is {MAX_METADATA_BYTES}: put what is large into the payload"
                )

    def __getitem__(self, key: str) -> str:
        """Return the value of a key."""
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        """Return the keys, in the order in which they were given."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._entries)

    def __hash__(self) -> int:
        """Return the hash of the entries."""
        return hash(frozenset(self._entries.items()))

    def __repr__(self) -> str:
        """Return it as a dict."""
        return repr(self._entries)


NO_METADATA: Final[Mapping[str, str]] = Metadata({})
"""The metadata of every event that was given none."""


@fast_init(check_if="metadata is not default_metadata")
@dataclass(frozen=True, slots=True)
class Event:
    """A backend event: the stored record from which UI events and entities are derived. (Reference: Event.)

    Attributes:
        ordinal: position of the event in its session, from 1, unsigned 64-bit. The hub assigns it; 0 before that.
        event_id: unique within the session. If it is empty, the hub assigns a UUID.
        metadata: small facts about the event that are not its meaning, such as a trace id: at most 64 entries of at
            most 8,192 bytes of UTF-8 together. It is stored with the event. Comparisons ignore it, and so does the hub
            when it decides whether an event is a repeat.
        recorded_at: the time in UTC when the store logged it, in what ``HydrationStore.events`` returns; else None,
            also in projections, so that they give the same result when they run again. Comparisons ignore it.

    Raises:
        TypeError: the metadata is not a mapping of strings to strings.
        ValueError: the metadata is too large, or not valid Unicode.
    """

    name: str
    payload: Message
    session_id: str
    ordinal: int = 0
    event_id: str = ""
    metadata: Mapping[str, str] = field(default=NO_METADATA, compare=False)
    recorded_at: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if type(self.metadata) is not Metadata:
            object.__setattr__(self, "metadata", Metadata(self.metadata) or NO_METADATA)


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
        since: None for the whole timeline; otherwise these are the entities that changed after this ordinal.
    """

    session_id: str
    snapshot_ordinal: int
    entities: tuple[TimelineEntity, ...]
    epoch: int = field(default=0, compare=False)
    since: int | None = None


@fast_init()
@dataclass(frozen=True, slots=True)
class LiveEvents:
    """All UI events of one backend event, which share its ordinal."""

    ordinal: int
    events: tuple[UIEvent, ...]


@fast_init()
@dataclass(frozen=True, slots=True)
class Session:
    """A session as handlers and projections see it.

    Attributes:
        metadata: what ``session_metadata(session_id)`` returned; the application's own, never persisted.
    """

    id: str
    metadata: object


new_event: Final = unchecked(Event)
new_ui_event: Final = unchecked(UIEvent)
new_entity: Final = unchecked(TimelineEntity)
"""Make values whose parts are checked already."""

E = TypeVar("E", bound=TimelineEntity)

snapshot_order: Callable[[Any], tuple[Any, ...]] = attrgetter("created_ordinal", "last_event_ordinal", "kind", "id")
"""The sort key of the entities in a snapshot and in the result of ``view.list``."""


def in_snapshot_order(entities: Iterable[E]) -> list[E]:
    """Return entities in the order of snapshots and of ``view.list``."""
    return sorted(entities, key=snapshot_order)
