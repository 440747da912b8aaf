"""Retry, rebuild and prune, the only commands that open a file for writing; and backup, which makes a new one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sessionstream.admin.app import AppSchemas, Factory, Replay, carry_out, hub_on
from sessionstream.admin.file import look, one_session
from sessionstream.admin.outcome import Refused
from sessionstream.errors import StoreError
from sessionstream.hydration.sqlite import SQLiteFile, SQLiteStore

if TYPE_CHECKING:
    from sessionstream.hub import ReplayReport

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
class Backup:
    """A copy that was made.

    Attributes:
        sessions: number of sessions in it.
        size: of the file, in bytes.
    """

    file: str
    copy: str
    sessions: int
    size: int


def back_up(path: str, copy: str) -> Backup:
    """Copy a file to a new one.

    Raises:
        Refused: the file cannot be used.
        StoreError: there is something at ``copy``, or it cannot be written.
    """
    look(path, lambda file: file.version)
    SQLiteStore.back_up(path, copy)
    return Backup(path, copy, look(copy, lambda file: len(file.sessions())), Path(copy).stat().st_size)


async def replay(path: str, session_id: str, factory: Factory, which: Replay) -> ReplayReport:
    """Retry or rebuild a session of the file with the app's hub, and return the report.

    Raises:
        Refused: the file or the app cannot be used, or the app's hub is on another store.
        Failed: the file has no such session, or another part of the app than a projection failed.
        SessionstreamError: as ``Hub.retry_timeline`` and ``Hub.rebuild_timeline``.
    """
    seen = look(path, lambda file: one_session(file, session_id)).cursors

    async def work(store: SQLiteStore, schemas: AppSchemas) -> ReplayReport:
        hub = await hub_on(store, schemas, factory)
        try:
            return await carry_out(hub, session_id, which, seen.event)
        finally:
            await hub.shutdown()

    return await _with_store(path, work)


def plan_pruning(path: str, session_id: str, before: int | None, keep_events: int | None) -> Pruning:
    """Return what pruning would forget: what is below an ordinal, or all but the last so many events.

    Held events always stay.

    Raises:
        Refused: the file cannot be used.
        Failed: the file has no such session.
    """

    def question(file: SQLiteFile) -> Pruning:
        cursors = one_session(file, session_id).cursors
        wanted = file.ordinal_from_end(session_id, keep_events or 0) if before is None else before
        floor = max(min(wanted, cursors.timeline), cursors.floor)
        return Pruning(session_id, cursors.floor, floor, file.count_events(session_id, below=floor))

    return look(path, question)


async def prune(path: str, plan: Pruning) -> None:
    """Carry out a plan.

    Raises:
        Refused: the file cannot be opened for writing.
        StoreError: the store failed; the plan may have been carried out.
    """

    async def work(store: SQLiteStore, _schemas: AppSchemas) -> None:
        await store.prune(plan.session_id, before=plan.new_floor)

    if plan.new_floor > plan.floor:
        await _with_store(path, work)


async def _with_store(path: str, work: Callable[[SQLiteStore, AppSchemas], Awaitable[T]]) -> T:
    schemas = AppSchemas()
    try:
        store = await SQLiteStore.open(path, schemas)
    except StoreError as error:
        raise Refused(str(error)) from error
    try:
        return await work(store, schemas)
    finally:
        await store.close()
