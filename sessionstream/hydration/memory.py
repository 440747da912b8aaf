"""MemoryStore: keeps sessions in memory. The default store, and the reference model for durable ones."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from sessionstream.codec import copy_message
from sessionstream.digests import payload_digest
from sessionstream.errors import (
    EventConflict,
    SchemaError,
    UnknownSchemaError,
    Unstorable,
)
from sessionstream.hydration.checked import CheckedStore
from sessionstream.hydration.positions import numbers_of, position
from sessionstream.hydration.rules import (
    check_clock,
    check_expected,
    check_floor,
    check_instance,
    conflict,
    known_since,
    new_epoch,
    time_of_day,
)
from sessionstream.hydration.slices import all_in_order, each_of
from sessionstream.ordinals import MAX_ORDINAL
from sessionstream.schema import Family, SchemaRegistry
from sessionstream.store import (
    Change,
    ClaimState,
    CommandClaim,
    Commit,
    Cursors,
    LoggedEvent,
    StoredTimeline,
    TimelineReplacement,
    UnreadableEntity,
)
from sessionstream.types import Event, Snapshot, TimelineEntity, new_entity

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.observe import ErrorRecord

_History: TypeAlias = defaultdict[tuple[str, str], list[TimelineEntity]]
"""All states of each entity, the present one last."""

_event_ordinal: Final = attrgetter("ordinal")
_changed_at: Final = attrgetter("last_event_ordinal")


class Claim(NamedTuple):
    """An idempotency key that was claimed."""

    digest: bytes
    claimed_at: datetime
    state: ClaimState = "running"


class _Session:
    """What is kept of one session, except its keys and errors."""

    __slots__ = ("changed", "commit_id", "epoch", "event", "floor", "history", "ids", "log", "timeline", "times")

    def __init__(self, epoch: int, ordinal: int = 0) -> None:
        self.event = ordinal
        self.timeline = ordinal
        self.epoch = epoch
        self.floor = 0
        self.commit_id = ""
        self.changed = 0
        self.log: list[Event] = []
        self.times: list[datetime] = []
        self.ids: dict[str, Event | LoggedEvent] = {}
        self.history: _History = defaultdict(list)

    def is_empty(self) -> bool:
        return not self.ids and not self.history

    def cursors(self) -> Cursors:
        return Cursors(self.event, self.timeline, self.epoch, self.floor)

    def commit(self, commit: Commit, now: datetime) -> None:
        event, times = commit.event, self.times
        before = commit.expected_ordinal if commit.expected_timeline is None else commit.expected_timeline
        if (
            commit.expected_ordinal != self.event
            or before != self.timeline
            or (commit.expected_epoch is not None and commit.expected_epoch != self.epoch)
            or (commit.expected_commit_id and commit.expected_commit_id != self.commit_id)
        ):
            raise conflict(commit, self.cursors())
        if event is not None:
            if event.ordinal > MAX_ORDINAL:
                raise Unstorable(f"ordinal {event.ordinal} of {commit.session_id!r} is beyond 64 bits")
            known = self.ids.setdefault(event.event_id, event)
            if known is not event:
                logged = _logged(known)
                raise EventConflict(commit.session_id, event.event_id, logged.ordinal, logged.digest)
            self.log.append(event)
            times.append(times[-1] if times and times[-1] > now else now)
            self.event = event.ordinal
        self.timeline, self.commit_id = commit.timeline_cursor, commit.commit_id
        for entity in commit.entities:
            self.history[entity.kind, entity.id].append(entity)

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
            # The state at the floor is still needed, unless it is a tombstone.
            first = max(bisect_right(states, floor, key=_changed_at) - 1, 0)
            if states[first].tombstone and states[first].last_event_ordinal <= floor:
                first += 1
            del states[:first]
            if not states:
                del self.history[key]


def _logged(event: Event | LoggedEvent) -> LoggedEvent:
    if isinstance(event, LoggedEvent):
        return event
    return LoggedEvent(event.ordinal, payload_digest(event.name, event.payload))


class MemoryStore(CheckedStore):
    """The default store of a hub. Nothing survives the process.

    Every state of every entity stays in memory as a message until it is pruned, so a text that is streamed in many
    pieces takes memory in proportion to the square of its length. SQLiteStore needs a small part of that.

    Use it in one event loop at a time; it may be created before the loop. A commit takes effect within the call.
    """

    def __init__(self, registry: SchemaRegistry, *, clock: Callable[[], datetime] = time_of_day) -> None:
        """Make an empty store.

        Args:
            clock: returns the time of day with a time zone; for tests. By default it is the machine's.

        Raises:
            TypeError: ``registry`` is not a SchemaRegistry, or ``clock`` is not a function.
        """
        check_instance("registry", SchemaRegistry, registry)
        check_clock(clock)
        super().__init__("the memory store")
        self._registry = registry
        self._clock = clock
        self._readable: set[type[Message]] = set()
        self._first_epoch = new_epoch()
        self._by_id: OrderedDict[str, _Session] = OrderedDict()
        """Sessions that were used, in the order of their last changes."""
        self._changed = 0
        """The number of changes."""
        self._claims: dict[str, dict[str, Claim]] = {}
        self._errors: list[ErrorRecord] = []
        self._recorded: dict[str, datetime] = {}
        """Time of the last error record of each session."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Future[None]
        """The outcome of every commit that succeeds in this event loop."""

    @property
    def registry(self) -> SchemaRegistry:
        """What payloads are decoded with."""
        return self._registry

    @property
    def max_ordinal(self) -> int:
        """The highest ordinal there is."""
        return MAX_ORDINAL

    def _commit(self, commit: Commit) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._done = loop.create_future()
            self._done.set_result(None)
        session = self._by_id.get(commit.session_id) or _Session(self._first_epoch)
        session.commit(commit, self._clock())
        self._keep(commit.session_id, session)
        return self._done

    async def _snapshot(self, session_id: str, as_of: int | None, since: int | None) -> Snapshot:
        session = self._look(session_id)
        check_floor(session_id, session.floor, as_of, since)
        ordinal = session.timeline if as_of is None else min(as_of, session.timeline)
        found = session.timeline_at(ordinal) if since is None else session.changes(since)
        epoch = session.epoch
        entities = await each_of(await all_in_order(found), self._copy_entity)
        return Snapshot(session_id, ordinal, tuple(entities), epoch, since)

    async def _events(self, session_id: str, after: int, limit: int | None) -> list[Event]:
        log = self._look(session_id).log
        start = bisect_right(log, after, key=_event_ordinal)
        stop = None if limit is None else start + limit
        events = []
        for event, logged_at in zip(log[start:stop], self._look(session_id).times[start:stop], strict=True):
            try:
                payload = self._copy("event", event.name, event.payload)
                events.append(replace(event, payload=payload, recorded_at=logged_at.astimezone(UTC)))
            except SchemaError as error:
                error.ordinal = event.ordinal
                raise
        return events

    async def _find_event(self, session_id: str, event_id: str) -> LoggedEvent | None:
        event = self._look(session_id).ids.get(event_id)
        return None if event is None else _logged(event)

    async def _timeline(self, session_id: str, known: Cursors | None) -> StoredTimeline:
        session = self._look(session_id)
        cursors = session.cursors()
        since = known_since(known, cursors)
        found = session.timeline_at(session.timeline) if since is None else session.changes(since)
        unreadable: list[UnreadableEntity] = []

        def shared(entity: TimelineEntity) -> TimelineEntity | None:
            payload = entity.payload
            if payload is None or (payload.__class__ in self._readable and not entity.tombstone):
                return entity
            try:
                return self._copy_entity(entity)
            except UnknownSchemaError as error:
                outside = (entity.kind, entity.id, entity.created_ordinal, entity.last_event_ordinal)
                unreadable.append(UnreadableEntity(*outside, error.payload_type))
                return None

        entities = [entity for entity in await each_of(found, shared) if entity is not None]
        return StoredTimeline(cursors, entities, unreadable, since)

    async def _cursors(self, session_id: str) -> Cursors:
        return self._look(session_id).cursors()

    async def _replace_timeline(self, replacement: TimelineReplacement) -> Cursors:
        session = self._look(replacement.session_id)
        check_expected(replacement.session_id, replacement.expected, session.cursors())
        session.history.clear()
        for entity in replacement.versions:
            session.history[entity.kind, entity.id].append(entity)
        session.timeline = replacement.timeline_cursor
        session.epoch = new_epoch(session.epoch)
        self._keep(replacement.session_id, session)
        return session.cursors()

    async def _claim_command(self, session_id: str, key: str, digest: bytes) -> CommandClaim | None:
        claims = self._claims.setdefault(session_id, {})
        earlier = claims.get(key)
        if earlier is not None:
            return CommandClaim(earlier.digest, earlier.state)
        last = next(reversed(claims.values()), None)
        claims[key] = Claim(digest, self._time(session_id, None if last is None else last.claimed_at))
        return None

    async def _end_command(self, session_id: str, key: str, finished: bool) -> None:
        claims = self._claims.get(session_id, {})
        if key in claims:
            claims[key] = claims[key]._replace(state="finished" if finished else "unfinished")

    async def _release_command(self, session_id: str, key: str) -> None:
        claims = self._claims.get(session_id, {})
        claims.pop(key, None)
        if not claims:
            self._claims.pop(session_id, None)

    async def _check_writable(self) -> None:
        """Do nothing: memory can always be written."""

    async def _record_error(self, record: ErrorRecord) -> None:
        recorded_at = self._time(record.session_id, self._recorded.get(record.session_id))
        self._recorded[record.session_id] = recorded_at
        self._errors.append(replace(record, metadata=dict(record.metadata), recorded_at=recorded_at))

    async def _error_records(self, session_id: str | None, limit: int | None) -> list[ErrorRecord]:
        records = [
            replace(record, metadata=dict(record.metadata))
            for record in self._errors
            if session_id is None or record.session_id == session_id
        ]
        return records if limit is None else records[max(len(records) - limit, 0) :]

    async def _sessions(self, after: str, limit: int | None) -> list[str]:
        held = {session_id for session_id, session in self._by_id.items() if not session.is_empty()}
        held.update(self._claims, (record.session_id for record in self._errors))
        return sorted(session_id for session_id in held if session_id > after)[:limit]

    async def _changes(self, after: str, limit: int | None) -> list[Change]:
        (known,) = numbers_of(after, self._first_epoch, (self._changed,))
        later = takewhile(lambda item: item[1].changed > known, reversed(self._by_id.items()))
        return [
            Change(session_id, position(self._first_epoch, session.changed), deleted=session.is_empty())
            for session_id, session in list(later)[::-1][:limit]
        ]

    async def _prune(self, session_id: str, before: int) -> None:
        session = self._look(session_id)
        floor = min(before, session.timeline)
        if floor > session.floor:
            session.forget_below(floor)

    async def _ordinal_before(self, session_id: str, moment: datetime) -> int:
        session = self._look(session_id)
        older = bisect_left(session.times, moment)
        return session.log[older - 1].ordinal if older else 0

    async def _ordinal_from_end(self, session_id: str, count: int) -> int:
        session = self._look(session_id)
        if count == 0:
            return session.event + 1
        return session.log[-count].ordinal if count <= len(session.log) else 0

    async def _forget_errors(self, session_id: str, moment: datetime) -> int:
        before = len(self._errors)
        self._errors = [
            record
            for record in self._errors
            if record.session_id != session_id or record.recorded_at is None or record.recorded_at >= moment
        ]
        if self._recorded.get(session_id, moment) < moment:
            del self._recorded[session_id]
        return before - len(self._errors)

    async def _forget_claims(self, session_id: str, moment: datetime) -> int:
        claims = self._claims.pop(session_id, {})
        kept = {key: claim for key, claim in claims.items() if claim.claimed_at >= moment}
        if kept:
            self._claims[session_id] = kept
        return len(claims) - len(kept)

    async def _delete_session(self, session_id: str, expected: Cursors | None) -> None:
        check_expected(session_id, expected, self._look(session_id).cursors())
        self._claims.pop(session_id, None)
        self._errors = [record for record in self._errors if record.session_id != session_id]
        self._recorded.pop(session_id, None)
        session = self._by_id.get(session_id)
        if session is not None:
            self._keep(session_id, _Session(new_epoch(session.epoch), session.event))

    async def _close(self) -> None:
        self._by_id.clear()
        self._claims, self._errors, self._recorded = {}, [], {}

    def _time(self, session_id: str, latest: datetime | None) -> datetime:
        """Return the present time, or that of the ``latest`` of its kind or of the session's last event, if later."""
        session = self._by_id.get(session_id)
        known = [self._clock()] if session is None else [self._clock(), *session.times[-1:]]
        return max(known if latest is None else [*known, latest])

    def _keep(self, session_id: str, session: _Session) -> None:
        """Keep a session that has changed, as the last one."""
        self._changed += 1
        session.changed = self._changed
        self._by_id[session_id] = session
        self._by_id.move_to_end(session_id)

    def _look(self, session_id: str) -> _Session:
        """Return the session, or a new one that is not kept."""
        return self._by_id.get(session_id) or _Session(self._first_epoch)

    def _copy_entity(self, entity: TimelineEntity) -> TimelineEntity:
        payload = None
        if not entity.tombstone and entity.payload is not None:
            payload = self._copy("timeline entity", entity.kind, entity.payload)
        created, changed = entity.created_ordinal, entity.last_event_ordinal
        return new_entity(entity.kind, entity.id, payload, created, changed, entity.tombstone)

    def _copy(self, family: Family, name: str, payload: Message) -> Message:
        """Copy a payload; as in a durable store, a message that is not registered is an error."""
        cls = payload.__class__
        if cls in self._readable:
            return copy_message(payload)
        copy = self._registry.decode(family, name, payload.DESCRIPTOR.full_name, payload.SerializePartialToString())
        if copy.__class__ is cls:
            self._readable.add(cls)
        return copy
