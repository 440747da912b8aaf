"""Loading snapshots: shared by those who wait for the same session, bounded, and written as frames once for all."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

from sessionstream.callables import refuse_unasked
from sessionstream.errors import error_text
from sessionstream.fanout import SnapshotSource
from sessionstream.transport.ws.server import frames
from sessionstream.transport.ws.server.effects import Basis, Hydration
from sessionstream.transport.ws.server.snapshot_json import SnapshotJson, SnapshotJsonCache
from sessionstream.types import Snapshot, TimelineEntity

_Report: TypeAlias = Callable[[str, Sequence[TimelineEntity]], Awaitable[None]]

_log = logging.getLogger("sessionstream")


class Ticket:
    """One subscriber that waits for a snapshot.

    Args:
        basis: what it holds, if a delta is welcome.
        epochs: whether its snapshot is to say its epoch.
        deliver: is called once, with the snapshot or with what went wrong.
    """

    __slots__ = ("basis", "deliver", "epochs", "session_id", "void")

    def __init__(
        self,
        session_id: str,
        basis: Basis | None,
        epochs: bool,
        deliver: Callable[[Hydration | Exception], None],
    ) -> None:
        self.session_id = session_id
        self.basis = basis
        self.epochs = epochs
        self.deliver = deliver
        self.void = False

    def settle(self, result: Hydration | Exception) -> None:
        """Hand over the result, unless nobody waits for it any more."""
        if not self.void:
            self.void = True
            self.deliver(result)


class SnapshotLoader:
    """Loads snapshots for tickets, at most ``concurrency`` sessions at a time.

    A ticket is served by a load that begins after it was handed in. One that is running may have read the timeline
    already, before events of which the subscriber was not told.

    Args:
        cache_bytes: for the JSON of entities that a source with ``states`` returns. Those of another source may change.
    """

    def __init__(self, source: SnapshotSource, *, concurrency: int, timeout_seconds: float, cache_bytes: int) -> None:
        self._snapshot: Callable[..., Awaitable[Snapshot]] = getattr(source, "states", source.snapshot)
        self._cache = SnapshotJsonCache(cache_bytes if hasattr(source, "states") else 0)
        self._report: _Report = getattr(source, "report_unreadable", _log_unreadable)
        self._concurrency = concurrency
        self._timeout = timeout_seconds
        self._waiting: dict[str, list[Ticket]] = {}
        self._next: deque[str] = deque()  # sessions that have tickets and no load running
        self._running: dict[str, asyncio.Task[None] | None] = {}  # None: an eager task, in its first step

    def request(self, ticket: Ticket) -> None:
        """Have a ticket served."""
        tickets = self._waiting.setdefault(ticket.session_id, [])
        tickets.append(ticket)
        if len(tickets) == 1 and ticket.session_id not in self._running:
            self._next.append(ticket.session_id)
            self._start()

    async def close(self) -> None:
        """Stop what is running. Tickets that are left are never served."""
        self._waiting.clear()
        self._next.clear()
        tasks = [task for task in self._running.values() if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _start(self) -> None:
        while self._next and len(self._running) < self._concurrency:
            session_id = self._next.popleft()
            self._running[session_id] = None
            task = asyncio.create_task(self._load(session_id), name=f"snapshot of {session_id}")
            self._running[session_id] = task
            task.add_done_callback(partial(self._ended, session_id))

    def _ended(self, session_id: str, _: object) -> None:
        del self._running[session_id]
        if session_id in self._waiting:
            self._next.append(session_id)
        self._start()

    async def _load(self, session_id: str) -> None:
        tickets = [ticket for ticket in self._waiting.pop(session_id, ()) if not ticket.void]
        try:
            async with asyncio.timeout(self._timeout):
                unreadable = await self._serve(session_id, tickets)
        except Exception as error:  # noqa: BLE001 - whatever a source raises, those who wait are told
            _log.warning(
                "the snapshot of session %r could not be loaded: %s", session_id, error_text(error), exc_info=error
            )
            for ticket in tickets:
                ticket.settle(error)
        else:
            if unreadable:
                await self._report_unreadable(session_id, unreadable)

    async def _report_unreadable(self, session_id: str, entities: Sequence[TimelineEntity]) -> None:
        try:
            await self._report(session_id, entities)
        except Exception:  # noqa: BLE001 - logged; those who waited have their snapshot
            _log.exception("the source of snapshots failed to report what of session %r is unreadable", session_id)

    async def _serve(self, session_id: str, tickets: list[Ticket]) -> list[TimelineEntity]:
        """Settle the tickets; return the entities that were shown with an UnreadablePayload."""
        holders = [ticket for ticket in tickets if ticket.basis is not None]
        delta = await self._delta(session_id, holders) if holders else None
        full = None if delta is not None and delta.suffices(tickets) else await self._full(session_id, tickets)
        for ticket in tickets:
            candidates = [
                found.hydration(ticket) for found in (full, delta) if found is not None and found.fits(ticket)
            ]
            if candidates:
                ticket.settle(min(candidates, key=lambda hydration: hydration.frame.size))
        return [entity for found in (full, delta) if found is not None for entity in found.json.unreadable]

    async def _delta(self, session_id: str, holders: list[Ticket]) -> _Loaded | None:
        """Load what changed since the oldest basis. Put over a timeline that is newer than that, it is as right."""
        since = min(ticket.basis.ordinal for ticket in holders if ticket.basis is not None)
        try:
            return await self._write(self._snapshot(session_id, since=since), since)
        except Exception as error:  # noqa: BLE001 - pruned, or no such ordinal: a full snapshot is always right
            _log.info("no delta of session %r since %d: %s", session_id, since, error_text(error))
            return None

    async def _full(self, session_id: str, tickets: list[Ticket]) -> _Loaded | None:
        return await self._write(self._snapshot(session_id), 0) if tickets else None

    async def _write(self, loading: Awaitable[Snapshot], since: int) -> _Loaded:
        snapshot = await _given(loading)
        return _Loaded(snapshot, since, await self._cache.write(snapshot.session_id, snapshot.entities, full=not since))


class _Loaded:
    """A snapshot and the JSON of its entities; makes the frames that its tickets want, each once."""

    def __init__(self, snapshot: Snapshot, since: int, json: SnapshotJson) -> None:
        self._snapshot = snapshot
        self._since = since
        self.json = json
        self._made: dict[bool, Hydration] = {}

    def fits(self, ticket: Ticket) -> bool:
        """Whether this is right for what the ticket's subscriber holds."""
        if not self._since:
            return True
        basis, snapshot = ticket.basis, self._snapshot
        return (
            basis is not None
            and basis.epoch == snapshot.epoch
            and self._since <= basis.ordinal <= snapshot.snapshot_ordinal
        )

    def suffices(self, tickets: list[Ticket]) -> bool:
        """Whether no ticket needs anything else."""
        return all(map(self.fits, tickets))

    def hydration(self, ticket: Ticket) -> Hydration:
        """Return the snapshot as the ticket's subscriber understands it."""
        made = self._made.get(ticket.epochs)
        if made is None:
            snapshot = self._snapshot
            epoch = snapshot.epoch if ticket.epochs else 0
            frame = frames.snapshot(
                snapshot.session_id,
                snapshot.snapshot_ordinal,
                self.json.pieces,
                self.json.size,
                epoch=epoch,
                since=self._since,
            )
            made = self._made[ticket.epochs] = Hydration(
                frame, snapshot.snapshot_ordinal, snapshot.epoch, len(self.json.entities), delta=self._since > 0
            )
        return made


async def _given(snapshot: Awaitable[Snapshot]) -> Snapshot:
    try:
        return await snapshot
    except asyncio.CancelledError as error:
        refuse_unasked(error, "the source of snapshots waited for something that was cancelled")
        raise


async def _log_unreadable(session_id: str, entities: Sequence[TimelineEntity]) -> None:
    _log.error("%d entities of session %r cannot be shown", len(entities), session_id)
