"""Retry, rebuild, prune and delete: the commands that change sessions of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sessionstream.admin.app import AppSchemas, Factory, Replay, carry_out, hub_on
from sessionstream.admin.looking import look, one_session
from sessionstream.admin.outcome import Refused
from sessionstream.admin.progress import ProgressFunction
from sessionstream.errors import SessionstreamError, StoreError
from sessionstream.hydration import stores
from sessionstream.hydration.stored import StoredSession, StoredState

if TYPE_CHECKING:
    from sessionstream.hub import ReplayReport
    from sessionstream.store import Cursors, HydrationStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a prune does.

    Attributes:
        floor: the session's floor before it.
        new_floor: the floor after it; the same if there is nothing to forget.
        events: number of events that are forgotten.
    """

    session_id: str
    floor: int
    new_floor: int
    events: int


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a held session.

    Attributes:
        report: None if it is still held.
        error: why it is.
    """

    session_id: str
    report: ReplayReport | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion removes.

    Attributes:
        events: number of its events that the log holds.
        entities: number of its live entities.
    """

    session_id: str
    events: int
    entities: int
    cursors: Cursors


async def replay(
    location: str, session_id: str, factory: Factory, which: Replay, progress: Callable[[int], object] | None
) -> ReplayReport:
    """Retry or rebuild a session of the store with the app's hub, and return the report.

    Args:
        progress: called from time to time with the number of events that are applied.

    Raises:
        Refused: the store or the app cannot be used, or the app's hub is on another store.
        Failed: the store has no such session, or another part of the app than a projection failed.
        SessionstreamError: as ``Hub.retry_timeline`` and ``Hub.rebuild_timeline``.
    """
    seen = (await asyncio.to_thread(look, location, lambda state: one_session(state, session_id))).cursors

    async def work(store: HydrationStore, schemas: AppSchemas) -> ReplayReport:
        hub = await hub_on(store, schemas, factory)
        try:
            return await carry_out(hub, session_id, which, seen.event, progress)
        finally:
            await hub.shutdown()

    return await _with_store(location, work)


def count_events(state: StoredState, session_id: str, which: Replay) -> int:
    """Return how many events a retry or a rebuild of a session applies.

    Raises:
        Failed: the store has no such session.
    """
    session = one_session(state, session_id)
    return session.waiting if which == "retry" else state.count_events(session_id)


async def retry_held(
    location: str, held: Sequence[StoredSession], factory: Factory, progress: ProgressFunction | None
) -> list[Retried]:
    """Retry sessions of the store that are held, one after the other; return what became of each.

    Args:
        progress: called after each session, with the number of those that are done and of all.

    Raises:
        Refused: the store or the app cannot be used, or the app's hub is on another store.
        Failed: another part of the app than a projection failed.
        StoreError: the store failed.
    """
    found: list[Retried] = []

    async def work(store: HydrationStore, schemas: AppSchemas) -> None:
        hub = await hub_on(store, schemas, factory)
        try:
            for session in held:
                try:
                    report = await carry_out(hub, session.id, "retry", session.cursors.event)
                except StoreError:
                    raise
                except SessionstreamError as error:
                    found.append(Retried(session.id, error=error))
                else:
                    found.append(Retried(session.id, report))
                if progress is not None:
                    progress(len(found), len(held))
        finally:
            await hub.shutdown()

    if held:
        await _with_store(location, work)
    return found


def plan_deletion(location: str, session_id: str) -> Deletion:
    """Return what deleting a session would remove.

    Raises:
        Refused: the store cannot be used.
        Failed: the store has no such session.
    """

    def question(state: StoredState) -> Deletion:
        session = one_session(state, session_id)
        return Deletion(session_id, state.count_events(session_id), session.entities, session.cursors)

    return look(location, question)


async def delete(location: str, plan: Deletion) -> None:
    """Delete a session.

    Raises:
        Refused: the store cannot be opened for writing.
        OrdinalConflict: the session has changed since the plan was made; nothing was deleted.
        StoreError: the store failed; the session may have been deleted.
    """

    async def work(store: HydrationStore, _schemas: AppSchemas) -> None:
        await store.delete_session(plan.session_id, expected=plan.cursors)

    await _with_store(location, work)


def plan_pruning(location: str, session_id: str, before: int | None, keep_events: int | None) -> Pruning:
    """Return what pruning would forget: what is below an ordinal, or all but the last so many events.

    Held events always stay.

    Raises:
        Refused: the store cannot be used.
        Failed: the store has no such session.
    """

    def question(state: StoredState) -> Pruning:
        cursors = one_session(state, session_id).cursors
        wanted = state.ordinal_from_end(session_id, keep_events or 0) if before is None else before
        floor = max(min(wanted, cursors.timeline), cursors.floor)
        events = state.count_events(session_id, below=floor)
        return Pruning(session_id, cursors.floor, floor if events else cursors.floor, events)

    return look(location, question)


async def prune(location: str, plan: Pruning) -> None:
    """Carry out a plan.

    Raises:
        Refused: the store cannot be opened for writing.
        StoreError: the store failed; the plan may have been carried out.
    """

    async def work(store: HydrationStore, _schemas: AppSchemas) -> None:
        await store.prune(plan.session_id, before=plan.new_floor)

    if plan.new_floor > plan.floor:
        await _with_store(location, work)


async def _with_store(location: str, work: Callable[[HydrationStore, AppSchemas], Awaitable[T]]) -> T:
    schemas = AppSchemas()
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(stores.open(location, schemas))
        except StoreError as error:
            raise Refused(str(error)) from error
        return await work(store, schemas)
