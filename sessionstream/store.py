"""The HydrationStore port: one write that moves a session, and the reads.

A store keeps, per session: the event log, the timeline with its earlier versions, the cursors, the ids and keys
that make things happen once, and error records. Everything a commit says becomes true together or not at all.
A store of your own derives from ``sessionstream.CheckedStore``, and passes ``sessionstream.testing.StoreContract``,
which is this page as a test suite.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from sessionstream.fast_init import fast_init, unchecked
from sessionstream.types import NO_METADATA

if TYPE_CHECKING:
    from sessionstream.observe import ErrorRecord
    from sessionstream.types import Event, Snapshot, TimelineEntity, UIEvent


@fast_init()
@dataclass(frozen=True, slots=True)
class Cursors:
    """Where a session stands.

    Attributes:
        event: highest ordinal in the event log.
        timeline: highest ordinal the timeline reflects. Lower than ``event`` while the session is held.
        epoch: identifies the timeline; never 0 in a store. All unused sessions of a store have the same epoch, and keep
            it for their first events; a rebuild or a deletion begins another.
        floor: lowest ordinal that ``as_of`` and ``since`` may ask for; 0 while the history is complete.
    """

    event: int
    timeline: int
    epoch: int
    floor: int = 0

    @property
    def held(self) -> bool:
        """Whether events wait in the log that the timeline does not reflect."""
        return self.timeline < self.event


new_cursors: Final = unchecked(Cursors)
"""Makes cursors in less time, for each commit."""


@dataclass(frozen=True, slots=True)
class UnreadableEntity:
    """A live entity whose payload cannot be read, because its message is no longer registered.

    Attributes:
        clash: how a registered message of that name differs from the stored one, which it cannot read; empty where
            none is registered.
    """

    kind: str
    id: str
    created_ordinal: int
    last_event_ordinal: int
    payload_type: str
    clash: str = ""


@dataclass(frozen=True, slots=True)
class StoredTimeline:
    """A session as a hub loads it, or what changed in it: cursors and timeline of one instant.

    Attributes:
        entities: live entities, and with ``since`` also tombstones; in any order.
        unreadable: live entities whose message is no longer registered; an error only for a caller who reads one.
        since: None for the whole timeline; else only the entities that changed after this ordinal are here.
    """

    cursors: Cursors
    entities: Sequence[TimelineEntity]
    unreadable: Sequence[UnreadableEntity] = ()
    since: int | None = None


@fast_init()
@dataclass(frozen=True, slots=True)
class Commit:
    """One step of one session. Its payloads are no longer changed, so a store may keep them as they are.

    ===================================  ==================  =========================================
    step                                 ``event``           ``timeline_cursor``
    ===================================  ==================  =========================================
    an event and what it means           the event           its ordinal
    an event that waits (session held)   the event           ``expected_timeline``, so it does not move
    a waiting event is applied           None                its ordinal
    ===================================  ==================  =========================================

    Attributes:
        event: to be logged; it has its ordinal and its id.
        entities: as they are after the event, deletions as tombstones without payload, each ``(kind, id)``
            once, ``last_event_ordinal`` equal to ``timeline_cursor``.
        expected_ordinal: event cursor the writer has seen.
        timeline_cursor: timeline cursor after the commit.
        expected_timeline: timeline cursor the writer has seen; None means the same as ``expected_ordinal``.
        expected_epoch: epoch the writer has seen; None means any.
        commit_id: names this commit among all that were ever handed over; empty if no other commit refers to it.
        expected_commit_id: that of the session's last commit; empty means any. A writer that hands over a commit before
            it knows the outcome of the last one names that one: ordinal and event id of a commit that was refused may
            have become those of another writer's.
        ui_events: those of the event if the commit moves the timeline, in order. A store with a ``feed`` reads them
            during the call; afterwards the fan-out may change them.
        metadata: of the event that ``ui_events`` are of, also if it was logged before; a store with a ``feed`` passes
            it on with them.

    Raises:
        ValueError: the parts contradict each other.
    """

    session_id: str
    event: Event | None
    entities: tuple[TimelineEntity, ...]
    expected_ordinal: int
    timeline_cursor: int
    expected_timeline: int | None = None
    expected_epoch: int | None = None
    commit_id: str = ""
    expected_commit_id: str = ""
    ui_events: tuple[UIEvent, ...] = ()
    metadata: Mapping[str, str] = NO_METADATA

    @property
    def event_cursor(self) -> int:
        """The event cursor after the commit."""
        return self.expected_ordinal if self.event is None else self.event.ordinal

    @property
    def timeline_before(self) -> int:
        """The timeline cursor that the writer has seen."""
        return self.expected_ordinal if self.expected_timeline is None else self.expected_timeline

    def __post_init__(self) -> None:
        event, cursor, logged = self.event, self.timeline_cursor, self.expected_ordinal
        before = logged if self.expected_timeline is None else self.expected_timeline
        if event is None:
            after = logged
        elif event.session_id == self.session_id and event.ordinal > logged and event.event_id:
            after = event.ordinal
        else:
            raise ValueError(
                f"a commit for session {self.session_id!r} after ordinal {self.expected_ordinal} cannot "
                f"log {event!r}: it needs that session, a higher ordinal and an event id"
            )
        if not before <= cursor <= after or (event is None and cursor == before):
            raise ValueError(
                f"a commit cannot move the timeline of session {self.session_id!r} from {before} to "
                f"{cursor} with the log at {after}"
            )
        for entity in self.entities:
            if entity.last_event_ordinal != cursor or cursor == before:
                raise ValueError(
                    f"entity {entity.kind!r} {entity.id!r} has last_event_ordinal "
                    f"{entity.last_event_ordinal} in a commit that moves the timeline from {before} to {cursor}"
                )


new_commit: Final = unchecked(Commit)
"""Makes a commit whose parts do not contradict each other."""


@dataclass(frozen=True, slots=True)
class TimelineReplacement:
    """A timeline rebuilt from the events, to be swapped in for the present one.

    Attributes:
        versions: every state every entity went through, in ordinal order, deletions as tombstones: at most
            one state for each ``(kind, id)`` and ordinal. Their payloads are no longer changed.
        timeline_cursor: ordinal of the last event it reflects; not above ``expected.event``.
        expected: the cursors the rebuild is based on.
    """

    session_id: str
    versions: Sequence[TimelineEntity]
    timeline_cursor: int
    expected: Cursors


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """What a store still knows of an event by its id, even after the event itself was pruned.

    Attributes:
        digest: ``payload_digest(event.name, event.payload)``. A hub compares it with that of an event that comes again;
            a store that has only bytes left makes it with ``stored_digest``.
        descriptors: serialized FileDescriptorSet that the event was stored with, if the store keeps it: a hub whose own
            class of the message lacks a field, because a newer process wrote the event, finds it there.
    """

    ordinal: int
    digest: bytes
    descriptors: bytes = field(default=b"", compare=False, repr=False)


ClaimState: TypeAlias = Literal["running", "finished", "unfinished"]
"""Whether the command of a claim runs, has finished, or has ended before that. If a store does not know whether a
process lives, its commands count as running."""


@dataclass(frozen=True, slots=True)
class CommandClaim:
    """An idempotency key that is claimed already.

    Attributes:
        digest: what the key was claimed with.
    """

    digest: bytes
    state: ClaimState = "running"


@dataclass(frozen=True, slots=True)
class Change:
    """A session that has changed.

    Attributes:
        position: of its last change. Only the store can read it: keep it, and pass it on as ``after``.
        deleted: whether the session has neither events nor entities now.
    """

    session_id: str
    position: str
    deleted: bool = False


class HydrationStore(Protocol):
    """Keeps sessions. One store may serve several hubs, of several processes.

    A store that decodes with a schema registry has it as its attribute ``registry``: a hub refuses a store whose
    registry cannot read what the hub's own registry has. A store that several processes share may have a ``Feed`` as
    its attribute ``feed``: a hub then passes the UI events of the other processes on to its fan-out. A store in which
    changes wait may have the number of those that have no outcome yet as its attribute ``pending``, for
    ``Hub.statistics``; any thread may read it.

    Returned payloads are the caller's own copies. Reads see whole commits only, and every commit that was
    acknowledged before. Reading an unused session returns an empty one and stores nothing.
    Every method raises StoreClosed once the store is closed, and another StoreError where the medium fails. Wrong
    arguments are refused first: a TypeError or a ValueError whose message begins with the argument's name, or an
    InvalidIdError for an id that is not valid Unicode or holds a NUL character. A first event, a key or a timeline
    that would begin a session is refused with InvalidIdError if the session's id has more than 1,024 bytes of UTF-8; so
    is such a key. Sessions that have events under a longer id, from before this limit, are read and written as others.
    """

    @property
    def max_ordinal(self) -> int:
        """The highest ordinal it can hold, at least 2**63 - 1; never changes."""
        ...

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        """Make a step true, all of it or nothing.

        A hub carries what this returns to its end, even when its publisher is cancelled: a coroutine (an
        ``async def`` will do) in a task of its own; an ``asyncio.Future`` spares it the task, and then the call
        itself has handed the commit over. Of two reasons to refuse, OrdinalConflict comes first.

        Raises:
            OrdinalConflict: cursors, epoch or last commit are not what the commit expects. A store that has
                forgotten the id of the last commit refuses as well.
            EventConflict: the session has an event of that id already; it has the digest of that one.
            Unstorable: the store can never hold it, such as an ordinal beyond ``max_ordinal`` or too large a payload.
            CommitUnknown: the medium did not answer in time; the outcome of a commit comes always.
            StoreError: the medium failed.
        """
        ...

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline: now, as it stood right after event ``as_of``, or what changed after ``since``.

        A full snapshot has no tombstones. One ``since`` an ordinal has each entity that changed later as it is
        now, deletions as tombstones, and says so in its ``since``. ``as_of`` beyond the cursor means the cursor.

        Raises:
            ValueError: both are given, or one is negative.
            TypeError: one is not an int, or the session id is not a string.
            HistoryPruned: one is below the session's floor.
            UnknownSchemaError: a payload's message is no longer registered.
        """
        ...

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events with a higher ordinal than ``after``, in order, at most ``limit``.

        Each has the metadata that it was logged with, and as ``recorded_at`` the time of that, by the store's clock.

        Raises:
            ValueError: a number is negative.
            TypeError: one is not an int, or the session id is not a string.
            UnknownSchemaError: a payload's message is no longer registered; its ``ordinal`` says of which event.
        """
        ...

    async def find_event(self, session_id: str, event_id: str, /) -> LoggedEvent | None:
        """Return what is known of the event with this id, pruned or not, or None."""
        ...

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        """Return the cursors and the timeline as one commit left them; unregistered types raise nothing here.

        With ``known``, the cursors of a timeline that the caller has, return only what changed after them; return the
        whole timeline if they are of another epoch, above the present cursor, or below the floor.
        The entities may be those that the store itself keeps: the caller must not change them.
        """
        ...

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return where the session stands."""
        ...

    async def replace_timeline(self, replacement: TimelineReplacement, /) -> Cursors:
        """Swap a rebuilt timeline in, under a new epoch, and return the new cursors. Readers see old or new.

        Raises:
            OrdinalConflict: the session is not where the rebuild was based.
        """
        ...

    async def claim_command(self, session_id: str, key: str, digest: bytes, /) -> CommandClaim | None:
        """Claim an idempotency key durably, for a command that begins to run. Return None, or the claim that there is.

        It is claimed at the present time, not earlier than the session's other keys and its last event.

        Raises:
            TypeError: the session id or the key is not a string, or the digest is not bytes.
        """
        ...

    async def end_command(self, session_id: str, key: str, /, *, finished: bool) -> None:
        """Note that the command of a claim runs no more: whether it has finished, or has ended before that.

        A key that is not claimed stays free.

        Raises:
            TypeError: the session id or the key is not a string, or ``finished`` is not a bool.
        """
        ...

    async def release_command(self, session_id: str, key: str, /) -> None:
        """Give a claim back, so that the key can be claimed again.

        Raises:
            TypeError: the session id or the key is not a string.
        """
        ...

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Keep an error record with the present time, which is not earlier than the session's last record and event.

        In its texts NUL and halves of surrogate pairs are spelled out, as ``\\x00`` and ``\\ud800``.

        Raises:
            TypeError: it is not an ErrorRecord, or a text in it is not a string.
        """
        ...

    async def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last ``limit`` error records of one session, or of all, in the order they came.

        Raises:
            ValueError: ``limit`` is negative.
            TypeError: ``limit`` is not an int, or the session id is not a string.
        """
        ...

    async def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted, above ``after``, at most ``limit``.

        Raises:
            ValueError: ``limit`` is negative.
            TypeError: ``limit`` is not an int, or ``after`` is not a string.
        """
        ...

    async def changes(self, *, after: str = "", limit: int | None = None) -> list[Change]:
        """Return the sessions that changed after a position, each once, in the order of their last changes.

        A session changes when an event is logged, when its timeline moves or is replaced, and when it is deleted. Every
        change that is later than a position is found above that position at least once. A store that several processes
        share may find it again, or some moments after it was acknowledged, never not at all. The order is that of a
        list of sessions: it says nothing of their events.

        Args:
            after: the position of the last change that is known; empty for all sessions that were ever used.
            limit: how many at most.

        Raises:
            ValueError: ``limit`` is negative; ``after`` is not a position, or one of another store or of a state that
                this store has no more. The caller then begins anew with an empty one.
            TypeError: ``limit`` is not an int, or ``after`` is not a string.
        """
        ...

    async def prune(self, session_id: str, *, before: int) -> None:
        """Forget event payloads, versions and tombstones that only questions below ordinal ``before`` need.

        The floor rises to ``before``, at most to the timeline cursor, so that held events stay. Every snapshot
        at or above the floor stays what it was; event ids stay known.

        Raises:
            ValueError: ``before`` is negative.
            TypeError: ``before`` is not an int, or the session id is not a string.
        """
        ...

    async def ordinal_before(self, session_id: str, moment: datetime, /) -> int:
        """Return the highest ordinal that was logged before a moment, by the clock of this store; else 0.

        Pruned events do not count. Every event up to that ordinal was logged before the moment: the time of an event is
        never earlier than that of the event before it, whatever the clock says.

        Raises:
            TypeError: ``moment`` is not a datetime, or the session id is not a string.
            ValueError: ``moment`` has no time zone.
        """
        ...

    async def ordinal_from_end(self, session_id: str, count: int, /) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer; pruned ones do not count.

        Raises:
            TypeError: the count is not an integer, or the session id is not a string.
            ValueError: the count is negative. (The 0-th last is the next event: the cursor + 1.)
        """
        ...

    async def forget_errors(self, session_id: str, moment: datetime, /) -> int:
        """Forget the error records of a session that are older than a moment; return how many.

        The session id ``""`` stands for the records without a session.

        Raises:
            TypeError: ``moment`` is not a datetime, or the session id is not a string.
            ValueError: ``moment`` has no time zone.
        """
        ...

    async def forget_claims(self, session_id: str, moment: datetime, /) -> int:
        """Forget the idempotency keys of a session that were claimed before a moment; return how many.

        A command whose key is forgotten runs when it comes again.

        Raises:
            TypeError: ``moment`` is not a datetime, or the session id is not a string.
            ValueError: ``moment`` has no time zone.
        """
        ...

    async def delete_session(self, session_id: str, /, *, expected: Cursors | None = None) -> None:
        """Forget a session's events, timeline, ids, keys and errors. Its ordinals are not given out again.

        If the id is used again, it continues above its old ordinals, in a new epoch with a complete history (floor 0)
        that is empty up to them. A session without a commit or a replaced timeline loses its keys and errors, and keeps
        the epoch of unused sessions.

        Raises:
            TypeError: the session id is not a string.
            OrdinalConflict: the session is not where it is ``expected``; nothing is forgotten.
        """
        ...

    async def check_writable(self) -> None:
        """Write something that no session shows, as durably as a commit: for readiness checks.

        Raises:
            StoreError: the store cannot write now, for example because the disk is full or the server is down.
        """
        ...

    async def close(self) -> None:
        """Finish what was handed over and release the medium. Closing twice is allowed."""
        ...
