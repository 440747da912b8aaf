"""A store that lives as long as its process: the default, and the model for the durable ones."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from sessionstream.codec import copy_message
from sessionstream.digests import payload_digest
from sessionstream.errors import (
    EventConflict,
    InvalidIdError,
    SchemaError,
    StoreClosed,
    StoreError,
    UnknownSchemaError,
)
from sessionstream.hydration.rules import (
    check_claim,
    check_clock,
    check_commit,
    check_deletion,
    check_error_records,
    check_events,
    check_expected,
    check_floor,
    check_from_end,
    check_known,
    check_moment,
    check_prune,
    check_record,
    check_registry,
    check_replacement,
    check_sessions,
    check_snapshot,
    check_text,
    conflict,
    known_since,
    new_epoch,
    time_of_day,
)
from sessionstream.hydration.slices import all_in_order, each_of
from sessionstream.ordinals import MAX_ORDINAL
from sessionstream.schema import Family, SchemaRegistry
from sessionstream.store import (
    Commit,
    Cursors,
    LoggedEvent,
    StoredTimeline,
    TimelineReplacement,
    UnreadableEntity,
)
from sessionstream.types import Event, Snapshot, TimelineEntity

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.observe import ErrorRecord

_History: TypeAlias = dict[tuple[str, str], list[TimelineEntity]]
"""Every state of every entity, the present one last."""

_event_ordinal: Final = attrgetter("ordinal")
_changed_at: Final = attrgetter("last_event_ordinal")


class Claim(NamedTuple):
    """An idempotency key that was claimed."""

    digest: bytes
    claimed_at: datetime


class _Session:
    """All that is kept of one session, apart from its keys and errors."""

    __slots__ = ("epoch", "event", "floor", "history", "ids", "log", "timeline", "times")

    def __init__(self, epoch: int, ordinal: int = 0) -> None:
        self.event = ordinal
        self.timeline = ordinal
        self.epoch = epoch
        self.floor = 0
        self.log: list[Event] = []
        self.times: list[datetime] = []
        self.ids: dict[str, Event | LoggedEvent] = {}
        self.history: _History = {}

    def cursors(self) -> Cursors:
        return Cursors(self.event, self.timeline, self.epoch, self.floor)

    def check(self, commit: Commit) -> None:
        event, log = commit.event, self.log
        before = commit.expected_ordinal if commit.expected_timeline is None else commit.expected_timeline
        if (
            commit.expected_ordinal != self.event
            or before != self.timeline
            or (commit.expected_epoch is not None and commit.expected_epoch != self.epoch)
            or (commit.expected_event_id and (not log or log[-1].event_id != commit.expected_event_id))
        ):
            raise conflict(commit, self.cursors())
        if event is not None:
            if event.event_id in self.ids:
                raise EventConflict(commit.session_id, event.event_id, self.ids[event.event_id].ordinal)
            if event.ordinal > MAX_ORDINAL:
                raise StoreError(f"ordinal {event.ordinal} of {commit.session_id!r} is beyond 64 bits")

    def apply(self, commit: Commit, now: datetime) -> None:
        event, times = commit.event, self.times
        if event is not None:
            self.log.append(event)
            times.append(times[-1] if times and times[-1] > now else now)
            self.ids[event.event_id] = event
            self.event = event.ordinal
        self.timeline = commit.timeline_cursor
        if commit.entities:
            _remember(self.history, commit.entities)

    def changes(self, since: int) -> list[TimelineEntity]:
        return [states[-1] for states in self.history.values() if states[-1].last_event_ordinal > since]

    def timeline_at(self, ordinal: int) -> list[TimelineEntity]:
        if ordinal >= self.timeline:
            return [states[-1] for states in self.history.values() if not states[-1].tombstone]
        found = []
        for states in self.history.values():
            known = bisect_right(states, ordinal, key=_changed_at)
            if known and not states[known - 1].tombstone:
                found.append(states[known - 1])
        return found

    def forget_below(self, floor: int) -> None:
        self.floor = floor
        kept = bisect_left(self.log, floor, key=_event_ordinal)
        for event in self.log[:kept]:
            self.ids[event.event_id] = _logged(event)
        del self.log[:kept], self.times[:kept]
        for key, states in list(self.history.items()):
            # The state at the floor is still asked for, unless it is that there is none.
            first = max(bisect_right(states, floor, key=_changed_at) - 1, 0)
            if states[first].tombstone and states[first].last_event_ordinal <= floor:
                first += 1
            del states[:first]
            if not states:
                del self.history[key]


def _remember(history: _History, entities: Iterable[TimelineEntity]) -> None:
    for entity in entities:
        try:
            history[entity.kind, entity.id].append(entity)
        except KeyError:
            history[entity.kind, entity.id] = [entity]


def _logged(event: Event | LoggedEvent) -> LoggedEvent:
    if isinstance(event, LoggedEvent):
        return event
    return LoggedEvent(event.ordinal, payload_digest(event.name, event.payload))


class MemoryStore:
    """The HydrationStore that a hub uses when it is given none. Nothing survives the process.

    Every state of every entity stays in memory as a message until it is pruned: an answer that is streamed in many
    pieces takes the square of its length. SQLiteStore takes a small part of that.

    It belongs to one event loop at a time, and may be created before there is one. A commit takes effect
    within the call.
    """

    def __init__(self, registry: SchemaRegistry, *, clock: Callable[[], datetime] = time_of_day) -> None:
        """Make an empty store.

        Args:
            clock: returns the time of day with a time zone; for tests. By default it is the machine's.

        Raises:
            TypeError: ``registry`` is no SchemaRegistry, or ``clock`` no function.
        """
        check_registry(registry)
        check_clock(clock)
        self._registry = registry
        self._clock = clock
        self._readable: set[type[Message]] = set()
        self._first_epoch = new_epoch()
        self._sessions: dict[str, _Session] = {}
        self._claims: dict[str, dict[str, Claim]] = {}
        self._errors: list[ErrorRecord] = []
        self._recorded: dict[str, datetime] = {}
        """When the last of each session's error records was."""
        self._closed = False

    @property
    def registry(self) -> SchemaRegistry:
        """What payloads are decoded with."""
        return self._registry

    @property
    def max_ordinal(self) -> int:
        """The highest ordinal there is."""
        return MAX_ORDINAL

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        """Make a step true before returning; what stands in its way is raised where the future is awaited."""
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            check_commit(commit)
            self._check_open()
            session = self._sessions.get(commit.session_id) or _Session(self._first_epoch)
            session.check(commit)
        except (TypeError, InvalidIdError, StoreError) as error:
            outcome.set_exception(error)
        else:
            session.apply(commit, self._clock())
            self._sessions[commit.session_id] = session
            outcome.set_result(None)
        return outcome

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return the timeline now, as of an ordinal, or what changed since one."""
        check_snapshot(session_id, as_of, since)
        session = self._look(session_id)
        check_floor(session_id, session.floor, as_of, since)
        ordinal = session.timeline if as_of is None else min(as_of, session.timeline)
        found = session.timeline_at(ordinal) if since is None else session.changes(since)
        epoch = session.epoch
        entities = await each_of(await all_in_order(found), self._copy_entity)
        return Snapshot(session_id, ordinal, tuple(entities), epoch)

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return logged events above ``after``, in order."""
        check_events(session_id, after, limit)
        log = self._look(session_id).log
        start = bisect_right(log, after, key=_event_ordinal)
        stop = None if limit is None else start + limit
        events = []
        for event in log[start:stop]:
            try:
                events.append(replace(event, payload=self._copy("event", event.name, event.payload)))
            except SchemaError as error:
                error.ordinal = event.ordinal
                raise
        return events

    async def find_event(self, session_id: str, event_id: str, /) -> LoggedEvent | None:
        """Return what is known of the event with this id, or None."""
        check_text("session_id", session_id)
        check_text("event_id", event_id)
        event = self._look(session_id).ids.get(event_id)
        return None if event is None else _logged(event)

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        """Return the timeline, or what changed in it, as one commit left it; vanished types raise nothing here."""
        check_known(session_id, known)
        session = self._look(session_id)
        cursors = session.cursors()
        since = known_since(known, cursors)
        found = session.timeline_at(session.timeline) if since is None else session.changes(since)
        unreadable: list[UnreadableEntity] = []

        def copied(entity: TimelineEntity) -> TimelineEntity | None:
            try:
                return self._copy_entity(entity)
            except UnknownSchemaError as error:
                outside = (entity.kind, entity.id, entity.created_ordinal, entity.last_event_ordinal)
                unreadable.append(UnreadableEntity(*outside, error.payload_type))
                return None

        entities = [entity for entity in await each_of(found, copied) if entity is not None]
        return StoredTimeline(cursors, entities, unreadable, since)

    async def cursors(self, session_id: str, /) -> Cursors:
        """Return where the session stands."""
        check_text("session_id", session_id)
        return self._look(session_id).cursors()

    async def replace_timeline(self, replacement: TimelineReplacement, /) -> Cursors:
        """Swap a rebuilt timeline in, under a new epoch."""
        check_replacement(replacement)
        session = self._look(replacement.session_id)
        check_expected(replacement.session_id, replacement.expected, session.cursors())
        session.history = {}
        _remember(session.history, replacement.versions)
        session.timeline = replacement.timeline_cursor
        session.epoch = new_epoch(session.epoch)
        self._sessions[replacement.session_id] = session
        return session.cursors()

    async def claim_command(self, session_id: str, key: str, digest: bytes, /) -> bytes | None:
        """Claim an idempotency key; return None, or the digest of the earlier claim."""
        check_claim(session_id, key, digest)
        self._check_open()
        claims = self._claims.setdefault(session_id, {})
        earlier = claims.get(key)
        if earlier is not None:
            return earlier.digest
        last = next(reversed(claims.values()), None)
        claims[key] = Claim(digest, self._time(session_id, None if last is None else last.claimed_at))
        return None

    async def release_command(self, session_id: str, key: str, /) -> None:
        """Give a claim back."""
        check_claim(session_id, key)
        self._check_open()
        claims = self._claims.get(session_id, {})
        claims.pop(key, None)
        if not claims:
            self._claims.pop(session_id, None)

    async def record_error(self, record: ErrorRecord, /) -> None:
        """Keep an error record, with the present time."""
        check_record(record)
        self._check_open()
        recorded_at = self._time(record.session_id, self._recorded.get(record.session_id))
        self._recorded[record.session_id] = recorded_at
        self._errors.append(replace(record, metadata=dict(record.metadata), recorded_at=recorded_at))

    async def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last ``limit`` error records of one session, or of all, in the order they came."""
        check_error_records(session_id, limit)
        self._check_open()
        records = [
            replace(record, metadata=dict(record.metadata))
            for record in self._errors
            if session_id is None or record.session_id == session_id
        ]
        return records if limit is None else records[max(len(records) - limit, 0) :]

    async def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold events, keys or errors, sorted."""
        check_sessions(after, limit)
        self._check_open()
        held = {session_id for session_id, session in self._sessions.items() if session.ids or session.history}
        held.update(self._claims, (record.session_id for record in self._errors))
        return sorted(session_id for session_id in held if session_id > after)[:limit]

    async def prune(self, session_id: str, *, before: int) -> None:
        """Forget what only questions below ordinal ``before`` need."""
        check_prune(session_id, before)
        session = self._look(session_id)
        floor = min(before, session.timeline)
        if floor > session.floor:
            session.forget_below(floor)

    async def ordinal_before(self, session_id: str, moment: datetime, /) -> int:
        """Return the highest ordinal that was logged before a moment, 0 where there is none."""
        check_moment(session_id, moment)
        session = self._look(session_id)
        older = bisect_left(session.times, moment)
        return session.log[older - 1].ordinal if older else 0

    async def ordinal_from_end(self, session_id: str, count: int, /) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer."""
        check_from_end(session_id, count)
        session = self._look(session_id)
        if count == 0:
            return session.event + 1
        return session.log[-count].ordinal if count <= len(session.log) else 0

    async def forget_errors(self, session_id: str, moment: datetime, /) -> int:
        """Forget the error records of a session, or of none, that are older than a moment; return how many."""
        check_moment(session_id, moment)
        self._check_open()
        before = len(self._errors)
        self._errors = [
            record
            for record in self._errors
            if record.session_id != session_id or record.recorded_at is None or record.recorded_at >= moment
        ]
        if self._recorded.get(session_id, moment) < moment:
            del self._recorded[session_id]
        return before - len(self._errors)

    async def forget_claims(self, session_id: str, moment: datetime, /) -> int:
        """Forget the idempotency keys of a session that were claimed before a moment; return how many."""
        check_moment(session_id, moment)
        self._check_open()
        claims = self._claims.pop(session_id, {})
        kept = {key: claim for key, claim in claims.items() if claim.claimed_at >= moment}
        if kept:
            self._claims[session_id] = kept
        return len(claims) - len(kept)

    async def delete_session(self, session_id: str, /, *, expected: Cursors | None = None) -> None:
        """Forget all of a session but its event cursor."""
        check_deletion(session_id, expected)
        check_expected(session_id, expected, self._look(session_id).cursors())
        self._claims.pop(session_id, None)
        self._errors = [record for record in self._errors if record.session_id != session_id]
        self._recorded.pop(session_id, None)
        session = self._sessions.get(session_id)
        if session is not None:
            self._sessions[session_id] = _Session(new_epoch(session.epoch), session.event)

    async def close(self) -> None:
        """Forget everything. Closing twice is allowed."""
        self._closed = True
        self._sessions, self._claims, self._errors, self._recorded = {}, {}, [], {}

    def _time(self, session_id: str, latest: datetime | None) -> datetime:
        """Return when something of a session is: now, or with the latest of its kind or the last event, if later."""
        session = self._sessions.get(session_id)
        known = [self._clock()] if session is None else [self._clock(), *session.times[-1:]]
        return max(known if latest is None else [*known, latest])

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the memory store")

    def _look(self, session_id: str) -> _Session:
        """Return the session, or a blank one that leaves no trace."""
        self._check_open()
        return self._sessions.get(session_id) or _Session(self._first_epoch)

    def _copy_entity(self, entity: TimelineEntity) -> TimelineEntity:
        payload = None
        if not entity.tombstone and entity.payload is not None:
            payload = self._copy("timeline entity", entity.kind, entity.payload)
        return TimelineEntity(
            entity.kind,
            entity.id,
            payload,
            entity.created_ordinal,
            entity.last_event_ordinal,
            entity.tombstone,
        )

    def _copy(self, family: Family, name: str, payload: Message) -> Message:
        """Copy a payload; like a durable store, fail for a message that the registry does not know."""
        cls = payload.__class__
        if cls in self._readable:
            return copy_message(payload)
        copy = self._registry.decode(family, name, payload.DESCRIPTOR.full_name, payload.SerializePartialToString())
        if copy.__class__ is cls:
            self._readable.add(cls)
        return copy
