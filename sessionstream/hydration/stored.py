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
class PrunedEvent:
    """What a store still knows of an event that was pruned.

    Attributes:
        recorded_at: None if the store has not kept it.
        type: of its payload; without a name if the store has forgotten it.
        digest: as ``LoggedEvent.digest``.
    """

    ordinal: int
    event_id: str
    recorded_at: datetime | None
    type: PayloadType
    digest: bytes


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A state that an entity has or had.

    Attributes:
        superseded_ordinal: the event that brought the next state; None for the present one.
        payload: None for a deletion.
        encoding: of the payload's bytes: ``versions.FULL``, or ``versions.DELTA`` against the next state.
    """

    kind: str
    id: str
    created_ordinal: int
    last_event_ordinal: int
    superseded_ordinal: int | None
    payload: StoredPayload | None
    encoding: int


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """An idempotency key that is claimed.

    Attributes:
        finished: whether its command has; if not, it may still run.
        claimed_at: None if the store has not kept it: a SQLite file of schema 1 or 2.
    """

    key: str
    digest: bytes
    finished: bool
    claimed_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredError:
    """An error record, and its number, which rises in the order in which the records of a store came."""

    number: int
    record: ErrorRecord


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


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a store that does not hold; ``session_id`` is empty if it is of no session."""

    session_id: str
    what: str


class StoredState(Protocol):
    """One state of a store, which a question reads. It can be used only within that question.

    Payloads are the stored bytes, each with the schema it was written with. Arguments are checked like those of a
    store: a TypeError, a ValueError or an InvalidIdError, whose message begins with the argument's name.
    """

    @property
    def version(self) -> int:
        """The schema version of the store's tables, which may be an older one."""
        ...

    @property
    def first_epoch(self) -> int:
        """The epoch of sessions that nobody has used."""
        ...

    def processes(self) -> int:
        """Return how many processes have the store open, as far as is known. Some of them may have been killed."""
        ...

    def damages(self) -> list[str]:
        """Return what the database itself finds damaged when it checks its pages and indices, at most ten findings.

        SQLite reads the whole file. PostgreSQL does not check itself: there are none.
        """
        ...

    def problems(self) -> list[Problem]:
        """Return what is wrong with the tables, and between them: what no single session shows.

        Tables, columns and indexes that its schema version has and the store has not; then events, entities and earlier
        states that belong to no session, sessions that have the same timeline, and digests of events that no store has
        written. It reads an index of each table, and the events. If a table or a column is missing, no rows are read.
        """
        ...

    def used_sessions(self) -> list[str]:
        """Return the ids of all sessions that were ever used, deleted ones too, in the order of their last changes.

        Those that only have keys or error records are not among them.
        """
        ...

    def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted, above ``after``, at most ``limit``."""
        ...

    def held_sessions(self) -> list[str]:
        """Return the ids of the sessions that are held, sorted; without reading those that are not."""
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

    def pruned_events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[PrunedEvent]:
        """Return events above ``after`` that were pruned, in order, at most ``limit``."""
        ...

    def versions(
        self, session_id: str, *, after: tuple[str, str, int] = ("", "", 0), limit: int | None = None
    ) -> list[StoredVersion]:
        """Return the states from which the store answers questions about the timeline, at most ``limit``.

        They are sorted by kind, id and ordinal, and above ``after``, which is the kind, id and ordinal of one of them.
        States that only questions below the floor need are not among them.
        """
        ...

    def claims(self, session_id: str, *, after: str = "", limit: int | None = None) -> list[StoredClaim]:
        """Return the keys that are claimed in a session, sorted, above ``after``, at most ``limit``."""
        ...

    def numbered_errors(
        self, session_id: str, *, after: int | None = None, limit: int | None = None
    ) -> list[StoredError]:
        """Return the error records of a session in the order they came, after the one with a number, at most ``limit``.

        The session id ``""`` stands for the records without a session.
        """
        ...
