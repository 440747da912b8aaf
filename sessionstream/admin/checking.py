"""Checks a store: that each session is in order, whole and readable, and its timeline what the app computes.

The checks follow from invariants 1 to 5 of ARCHITECTURE.md. They read the store session by session, each from one state
of it, so the store may be in use. They change nothing.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Final

from sessionstream.admin.app import Factory
from sessionstream.admin.looking import explained, look, one_session
from sessionstream.admin.outcome import Failed, Refused
from sessionstream.admin.progress import ProgressFunction
from sessionstream.admin.rehearsal import Stage, stage
from sessionstream.errors import SessionstreamError, StoreError
from sessionstream.hydration import stores, versions
from sessionstream.hydration.contents import contents, session_ids
from sessionstream.hydration.payload_json import Payloads, UndecodablePayload
from sessionstream.hydration.stored import (
    Problem,
    PrunedEvent,
    StoredEvent,
    StoredPayload,
    StoredState,
    StoredVersion,
)
from sessionstream.store import Cursors

_AT_ONCE: Final = (1_000, 1)
"""How many ids are read at once from a damaged file; the last few before a page that cannot be read, one by one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        sessions: number of sessions that were checked.
        deleted: how many of them are deleted: they have cursors, and nothing else.
        events: number of events that were read.
        compared: number of timelines that were compared with what the app computes.
        uncompared: number of those that were not, because the session is held or damaged, or its first events are no
            longer there; None if there was no app to compare with.
        readable: the sessions in which nothing is wrong, if the file itself is damaged; else None.
    """

    sessions: int
    deleted: int
    events: int
    compared: int
    uncompared: int | None
    problems: Sequence[Problem]
    readable: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class _Session:
    """What was found in one session."""

    events: int = 0
    deleted: bool = False
    problems: Sequence[str] = ()


async def check(location: str, factory: Factory | None, progress: ProgressFunction | None) -> Checked:
    """Check every session of a store, in the order of their ids.

    Args:
        factory: called once. If given, each timeline is also compared with what the app's projections compute from the
            log. Sessions that are held, deleted or damaged, or whose first events were pruned, are not compared, nor
            those of a damaged file.
        progress: called after each session, with the number of those that are done and of all.

    Raises:
        Refused: the store or the app cannot be used.
        StoreError: the store failed meanwhile.
    """
    damages, ids = await to_thread(_sessions, location)
    between = await to_thread(_between, location, damages)
    problems = [*(Problem("", each) for each in damages), *between]
    contradicted = {each.session_id for each in between}
    events = compared = deleted = 0
    async with AsyncExitStack() as stack:
        app = None if factory is None else await stack.enter_async_context(stage(factory))
        for number, session_id in enumerate(ids, 1):
            try:
                read = await to_thread(stores.look, location, partial(_session, session_id=session_id))
            except StoreError as error:
                if not stores.is_damage(error):
                    raise
                read = _Session(problems=[str(error)])
            events += read.events
            deleted += read.deleted
            found = read.problems
            whole = not found and not damages and session_id not in contradicted
            if app is not None and whole and await to_thread(look, location, _comparable(session_id)):
                found = await _compare(location, session_id, app)
                compared += 1
            problems += [Problem(session_id, each) for each in found]
            if progress is not None:
                progress(number, len(ids))
    sessions = len(ids) - ("" in ids)  # error records without a session
    uncompared = None if factory is None else sessions - compared
    problems.sort(key=attrgetter("session_id"))
    wrong = {each.session_id for each in problems if each.session_id}
    readable = [each for each in ids if each not in wrong] if damages else None
    return Checked(sessions, deleted, events, compared, uncompared, problems, readable)


def _sessions(location: str) -> tuple[list[str], list[str]]:
    """Return what is damaged in the store as a whole, and the ids of the sessions that can be found, sorted.

    Raises:
        Refused: the store cannot be used.
    """
    damages: list[str] = []
    ids: list[str] = []
    try:
        damages = stores.look(location, lambda state: state.damages())
        return damages, sorted(stores.look(location, session_ids))
    except StoreError as error:
        if not stores.is_damage(error):
            raise Refused(str(error)) from error
        damages.append(f"not all sessions can be found: {explained(location, error)}")
    with suppress(StoreError):  # it is among the damages
        return damages, sorted(stores.look(location, lambda state: state.used_sessions()))
    for limit in _AT_ONCE:  # as far as the ids can be read, in their order
        with suppress(StoreError):
            while found := stores.look(location, _following(ids[-1] if ids else "", limit)):
                ids += found
    return damages, ids


def _between(location: str, damages: Sequence[str]) -> list[Problem]:
    """Return what is wrong between the tables of a store, as far as they can be read.

    Raises:
        Refused: the store cannot be used.
    """
    try:
        return stores.look(location, lambda state: state.problems())
    except StoreError as error:
        if not stores.is_damage(error):
            raise Refused(str(error)) from error
        return [] if damages else [Problem("", explained(location, error))]


def _following(after: str, limit: int) -> Callable[[StoredState], list[str]]:
    return lambda state: state.sessions(after=after, limit=limit)


def _session(state: StoredState, session_id: str) -> _Session:
    """Return how many events a session has, whether it is deleted, and what is wrong with it."""
    problems: list[str] = []
    payloads, cursors, events = Payloads(), Cursors(0, 0, 0), 0
    kinds: set[type] = set()
    logged: set[int] = set()
    changes: dict[int, str] = {}  # an entity for each ordinal at which one changed
    entity: list[StoredVersion] = []
    for part in contents(state, session_id):
        kinds.add(type(part))
        match part:
            case Cursors():
                cursors = part
                problems += _of_cursors(part)
            case PrunedEvent():
                logged.add(part.ordinal)
            case StoredEvent():
                events += 1
                logged.add(part.ordinal)
                problems += _unreadable(payloads, part.payload, f"event {part.ordinal}, {part.name}")
            case StoredVersion():
                changes.setdefault(part.last_event_ordinal, f"{part.kind} {part.id!r}")
                if entity and (entity[0].kind, entity[0].id) != (part.kind, part.id):
                    problems += _of_entity(payloads, entity, cursors)
                    entity = []
                entity.append(part)
    problems += _of_entity(payloads, entity, cursors)
    problems += [
        f"event {each} is above the event cursor, {cursors.event}" for each in sorted(logged) if each > cursors.event
    ]
    problems += [
        f"event {each}, which changed {changes[each]}, is not in the log" for each in sorted(changes.keys() - logged)
    ]
    if logged and max(logged) < cursors.event:
        problems.append(f"the log ends at event {max(logged)}, and the event cursor is {cursors.event}")
    return _Session(events, kinds == {Cursors}, problems)


def _of_cursors(cursors: Cursors) -> Iterator[str]:
    if cursors.timeline > cursors.event:
        yield f"the timeline cursor, {cursors.timeline}, is above the event cursor, {cursors.event}"
    if cursors.floor > cursors.timeline:
        yield f"the floor, {cursors.floor}, is above the timeline cursor, {cursors.timeline}"


def _of_entity(payloads: Payloads, states: Sequence[StoredVersion], cursors: Cursors) -> Iterator[str]:
    """Yield what is wrong with the states of an entity, which are in order.

    The latest come first: earlier ones are deltas against them.
    """
    if states and states[-1].superseded_ordinal is not None:
        yield f"{_name(states[-1])} was superseded at {states[-1].superseded_ordinal}, and there is no later state"
    for before, after in pairwise(states):
        if before.superseded_ordinal != after.last_event_ordinal:
            yield (
                f"{_name(after)} follows a state that ends at {before.superseded_ordinal}, not at "
                f"{after.last_event_ordinal}"
            )
    for number, state in reversed(list(enumerate(states))):
        if not 0 < state.created_ordinal <= state.last_event_ordinal <= cursors.timeline:
            yield f"{_name(state)}: created at {state.created_ordinal}, while the timeline is at {cursors.timeline}"
        payload = state.payload
        if payload is None:
            continue
        if state.encoding == versions.DELTA:
            later = map(states.__getitem__, range(number + 1, len(states)))  # only the next few are read
            try:
                payload = StoredPayload(payload.type, versions.restored(payload.data, map(_kept, later)))
            except ValueError as error:
                yield f"{_name(state)} cannot be restored: {error}"
                continue
        yield from _unreadable(payloads, payload, _name(state))


def _kept(state: StoredVersion) -> tuple[int, bytes | None]:
    """Return the encoding and the bytes of a state."""
    return state.encoding, None if state.payload is None else state.payload.data


def _unreadable(payloads: Payloads, payload: StoredPayload, what: str) -> Iterator[str]:
    try:
        payloads.message(payload)
    except UndecodablePayload as error:
        yield f"{what}: its payload cannot be decoded with the schema that the store keeps for it: {error}"


def _name(state: StoredVersion) -> str:
    return f"{state.kind} {state.id!r} as of {state.last_event_ordinal}"


def _comparable(session_id: str) -> Callable[[StoredState], bool]:
    def question(state: StoredState) -> bool:
        cursors = one_session(state, session_id).cursors
        return cursors.event == cursors.timeline and not cursors.floor and state.count_events(session_id) > 0

    return question


async def _compare(location: str, session_id: str, app: Stage) -> list[str]:
    """Return in what a timeline differs from what the app computes from the log."""
    try:
        found = await app.rehearse(location, session_id, "rebuild")
    except Refused:
        raise
    except (Failed, SessionstreamError) as error:
        return [f"the app cannot compute its timeline: {error}"]
    return [
        f"{each.kind} {each.id!r} is not what the app computes from the log: it would be {each.change}"
        for each in found.differences
    ]
