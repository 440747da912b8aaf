"""What operators' tools read of a store: its sessions without the app's schemas, as one state of the store has them.

Both durable stores have a ``StoredState``; ``stores.look`` finds the one for a location.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sessionstream.observe import ErrorRecord
from sessionstream.store import Cursors


@dataclass(frozen=True, slots=True)
class PayloadType:
    """A message schema that something was written with.

    Attributes:
        number: its key in the store. A message that got another field has two, one for each schema.
        name: full name of the message; empty if its row is missing.
        descriptors: a serialized FileDescriptorSet: the message's file and all it imports, dependencies first.
    """

    number: int
    name: str
    descriptors: bytes


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload as it is stored: protobuf binary, and its type."""

    type: PayloadType
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """A live entity."""

    kind: str
    id: str
    created_ordinal: int
    last_event_ordinal: int
    payload: StoredPayload


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A timeline as it was right after an event, in snapshot order."""

    ordinal: int
    epoch: int
    entities: tuple[StoredEntity, ...]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event; ``recorded_at`` is None if the store has not kept it: a SQLite file of schema 1."""

    ordinal: int
    event_id: str
    name: str
    recorded_at: datetime | None
    payload: StoredPayload
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredSession:
    """Where a session stands.

    Attributes:
        waiting: number of events in the log that the timeline does not reflect.
        entities: number of live entities in the timeline.
    """

    id: str
    cursors: Cursors
    waiting: int
    entities: int
    last_error: ErrorRecord | None


class StoredState(Protocol):
    """One state of a store, which a question reads. It can be used only within that question.

    Payloads are the stored bytes, each with the schema it was written with. Arguments are checked like those of a
    store: a TypeError, a ValueError or an InvalidIdError, whose message begins with the argument's name.
    """

    @property
    def version(self) -> int:
        """The schema version of the store's tables, which may be an older one."""
        ...

    def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted, above ``after``, at most ``limit``."""
        ...

    def session(self, session_id: str) -> StoredSession | None:
        """Return where a session stands, None if the store does not know it."""
        ...

    def timeline(self, session_id: str, *, as_of: int | None = None) -> StoredSnapshot:
        """Return the timeline now, or right after an ordinal; beyond the cursor that means the cursor.

        Raises:
            HistoryPruned: the ordinal is below the floor.
        """
        ...

    def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Return logged events above ``after`` that were not pruned, in order, at most ``limit``."""
        ...

    def count_events(self, session_id: str, *, after: int = 0, below: int | None = None) -> int:
        """Return how many events there are above ``after``, and below an ordinal, that were not pruned."""
        ...

    def ordinal_from_end(self, session_id: str, count: int) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer; pruned ones do not count."""
        ...

    def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last ``limit`` error records of one session, or of all, in the order they came."""
        ...
