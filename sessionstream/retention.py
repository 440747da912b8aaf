"""RetentionPolicy: how long the history of sessions is kept. An application applies it as often as it likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final

from sessionstream.errors import OrdinalConflict
from sessionstream.hydration.rules import check_number, check_text, check_time
from sessionstream.store import Cursors, HydrationStore

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class RetentionStep:
    """What a policy did to one session.

    Attributes:
        floor: the floor of its history, pruned or not; None if the session was deleted.
        errors: number of error records that were forgotten; 0 if the session was deleted.
        keys: number of idempotency keys that were forgotten; 0 if the session was deleted.
    """

    session_id: str
    floor: int | None
    errors: int = 0
    keys: int = 0

    @property
    def deleted(self) -> bool:
        """Whether the session was deleted."""
        return self.floor is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What is kept of each session. Applying the policy forgets what none of its rules keeps.

    The present timeline is always kept, with the last event that it reflects and the events that wait; so are event
    ids. Only ``delete_idle`` deletes sessions.

    Attributes:
        keep_events: number of events to keep, the last ones of each session; 0 keeps the last one that the timeline
            reflects.
        keep_for: age up to which events are kept. With ``keep_events``, an event is kept if either rule keeps it.
        delete_idle: age of the last event after which the whole session is deleted. A session without events, and the
            records without a session (``""``), are deleted when their last error record is that old; idempotency keys
            go with them. A session that has only keys stays until ``keep_keys`` has forgotten them.
        keep_errors: age up to which error records are kept, also those without a session (``""``).
        keep_keys: age up to which idempotency keys are kept. A command whose key is forgotten runs again if repeated.

    Raises:
        ValueError: nothing is given, or something negative.
        TypeError: something is of another type.
    """

    keep_events: int | None = None
    keep_for: timedelta | None = None
    delete_idle: timedelta | None = None
    keep_errors: timedelta | None = None
    keep_keys: timedelta | None = None

    def __post_init__(self) -> None:
        check_number("keep_events", self.keep_events, optional=True)
        for name in ("keep_for", "delete_idle", "keep_errors", "keep_keys"):
            _check_duration(name, getattr(self, name))
        names = [field.name for field in fields(self)]
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"a policy with none of {', '.join(names)} would forget nothing")

    async def apply(
        self, store: HydrationStore, session_ids: Iterable[str] | None = None, *, now: datetime | None = None
    ) -> AsyncIterator[RetentionStep]:
        """Apply the policy to these sessions, or to all, and yield a step for each session that changed.

        The work continues when the next step is requested, so the caller sets the pace and may stop at any step. A
        session that is used while it is about to be deleted stays.

        Raises:
            TypeError: a session id is not a string, ``store`` is not a store, or ``now`` is not a datetime.
            ValueError: ``now`` has no time zone.
            StoreError: the store failed; the steps that were yielded are done.
        """
        if not callable(getattr(store, "prune", None)):
            raise TypeError(f"store is an open store, not {store!r}")
        moment = datetime.now(UTC) if now is None else now
        check_time("now", moment)
        if isinstance(session_ids, str):
            raise TypeError(f"session_ids are several ids: give [{session_ids!r}]")
        async for session_id in _given(session_ids) if session_ids is not None else _all(store):
            step = await self._apply_to(store, session_id, moment)
            if step is not None:
                yield step

    async def _apply_to(self, store: HydrationStore, session_id: str, now: datetime) -> RetentionStep | None:
        """Apply the policy to one session; return None if nothing changed."""
        cursors = await store.cursors(session_id)
        if self.delete_idle is not None:
            idle = await _idle(store, session_id, cursors, _ago(now, self.delete_idle))
            if idle and await _deleted(store, session_id, cursors):
                return RetentionStep(session_id, None)
        errors = await _forgotten(store.forget_errors, session_id, now, self.keep_errors)
        keys = await _forgotten(store.forget_claims, session_id, now, self.keep_keys)
        floor = cursors.floor
        if cursors.event:
            first_kept = min(await self._first_kept(store, session_id, cursors, now), cursors.timeline)
            if first_kept > max(floor, 1):  # ordinal 1 is the first
                floor = first_kept
                await store.prune(session_id, before=floor)
        if floor == cursors.floor and not errors and not keys:
            return None
        return RetentionStep(session_id, floor, errors, keys)

    async def _first_kept(self, store: HydrationStore, session_id: str, cursors: Cursors, now: datetime) -> int:
        """Return the lowest ordinal that one of the rules keeps."""
        kept = []
        if self.keep_events is not None:
            kept.append(await store.ordinal_from_end(session_id, self.keep_events + 1) + 1)
        if self.keep_for is not None:
            kept.append(await store.ordinal_before(session_id, _ago(now, self.keep_for)) + 1)
        return min(kept, default=0)


async def _forgotten(
    forget: Callable[[str, datetime], Awaitable[int]], session_id: str, now: datetime, kept_for: timedelta | None
) -> int:
    """Forget old records or keys; return their number."""
    return 0 if kept_for is None else await forget(session_id, _ago(now, kept_for))


def _check_duration(name: str, value: object) -> None:
    """Check that a duration is None or a timedelta of at least 0."""
    if value is None:
        return
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} is a timedelta or None, not {value!r}")
    if value < timedelta(0):
        raise ValueError(f"{name} is never negative: {value}")


def _ago(now: datetime, duration: timedelta) -> datetime:
    """Return the time before ``now``, or the earliest time."""
    try:
        return now - duration
    except OverflowError:  # before there were clocks
        return datetime.min.replace(tzinfo=UTC)


async def _given(session_ids: Iterable[str]) -> AsyncIterator[str]:
    """Yield the given session ids."""
    for session_id in session_ids:
        check_text("session_id", session_id)
        yield session_id


async def _all(store: HydrationStore) -> AsyncIterator[str]:
    """Yield the ids of all sessions, and "" for the records without one."""
    yield ""  # records without a session are not listed
    page = await store.sessions(limit=_PAGE)
    while page:
        for session_id in page:
            yield session_id
        page = await store.sessions(after=page[-1], limit=_PAGE)


async def _idle(store: HydrationStore, session_id: str, cursors: Cursors, moment: datetime) -> bool:
    """Whether nothing was logged since a moment; of a session without events, nothing recorded."""
    if await store.ordinal_from_end(session_id, 1):
        return await store.ordinal_before(session_id, moment) == cursors.event
    records = await store.error_records(session_id, limit=_PAGE)  # more than the last: clocks were turned back
    times = [record.recorded_at for record in records if record.recorded_at is not None]
    return bool(times) and max(times) < moment


async def _deleted(store: HydrationStore, session_id: str, cursors: Cursors) -> bool:
    """Delete a session if its cursors are unchanged; return whether it was deleted."""
    try:
        await store.delete_session(session_id, expected=cursors)
    except OrdinalConflict:  # it is no longer idle
        return False
    return True
