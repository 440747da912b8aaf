"""Loads snapshots. Subscribers that wait for the same session share a load and its frames."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

from sessionstream.callables import refuse_unasked
from sessionstream.errors import error_text
from sessionstream.fanout import SnapshotSource
from sessionstream.logs import SessionLog
from sessionstream.subscription import Basis
from sessionstream.transport import frame_json
from sessionstream.transport.snapshot_json import SnapshotJson, SnapshotJsonCache
from sessionstream.transport.ws.server.effects import Hydration
from sessionstream.transport.ws.server.frames import Frame
from sessionstream.types import Snapshot, TimelineEntity

_Report: TypeAlias = Callable[[str, Sequence[TimelineEntity]], Awaitable[None]]

_log = SessionLog()


class SnapshotRequest:
    """The request of one subscriber for a snapshot.

    Args:
        basis: what the subscriber holds; None if it wants no delta.
        epochs: whether the snapshot frame contains its epoch.
        deliver: called once, with the snapshot or the error.
    """

    __slots__ = ("basis", "deliver", "done", "epochs", "session_id")

    def __init__(
        self,
        session_id: str,
        basis: Basis | None,
        epochs: bool,
        deliver: Callable[[Hydration | Exception], None],
    ) -> None:
        self.session_id: str = session_id
        self.basis: Basis | None = basis
        self.epochs: bool = epochs
        self.deliver: Callable[[Hydration | Exception], None] = deliver
        self.done: bool = False

    def settle(self, result: Hydration | Exception) -> None:
        """Deliver the result, unless the request was cancelled or answered before."""
        if not self.done:
            self.done = True
            self.deliver(result)


class SnapshotLoader:
    """Loads snapshots, at most ``concurrency`` sessions at a time.

    A request is answered by a load that begins after it. A load that is running may have read the timeline before
    events that the subscriber did not receive.

    Args:
        cache_bytes: limit of the cache of JSON. Only entities of a source with ``states`` are cached; others may
            change.
    """

    def __init__(self, source: SnapshotSource, *, concurrency: int, timeout_seconds: float, cache_bytes: int) -> None:
        self._snapshot: Callable[..., Awaitable[Snapshot]] = getattr(source, "states", source.snapshot)
        self._cache = SnapshotJsonCache(cache_bytes if hasattr(source, "states") else 0)
        self._report: _Report = getattr(source, "report_unreadable", _log_unreadable)
        self._concurrency = concurrency
        self._timeout = timeout_seconds
        self._waiting: dict[str, list[SnapshotRequest]] = {}
        self._next: deque[str] = deque()  # sessions with requests and without a running load
        self._running: dict[str, asyncio.Task[None] | None] = {}  # None: an eager task in its first step

    def request(self, request: SnapshotRequest) -> None:
        """Enqueue a request."""
        requests = self._waiting.setdefault(request.session_id, [])
        requests.append(request)
        if len(requests) == 1 and request.session_id not in self._running:
            self._next.append(request.session_id)
            self._start()

    async def close(self) -> None:
        """Cancel the running loads. Open requests are never answered."""
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
        requests = [request for request in self._waiting.pop(session_id, ()) if not request.done]
        try:
            async with asyncio.timeout(self._timeout):
                unreadable = await self._serve(session_id, requests)
        except Exception as error:  # noqa: BLE001 - delivered to every request
            _log.warning(
                "the snapshot of session %r could not be loaded: %s",
                session_id,
                error_text(error),
                exc_info=error,
                session_id=session_id,
            )
            for request in requests:
                request.settle(error)
        else:
            if unreadable:
                await self._report_unreadable(session_id, unreadable)

    async def _report_unreadable(self, session_id: str, entities: Sequence[TimelineEntity]) -> None:
        try:
            await self._report(session_id, entities)
        except Exception:  # noqa: BLE001 - logged; the snapshot was delivered
            what = "the source of snapshots failed to report what of session %r is unreadable"
            _log.exception(what, session_id, session_id=session_id)

    async def _serve(self, session_id: str, requests: list[SnapshotRequest]) -> list[TimelineEntity]:
        """Answer the requests; return the entities that were sent with an UnreadablePayload."""
        holders = [request for request in requests if request.basis is not None]
        delta = await self._delta(session_id, holders) if holders else None
        full = None if delta is not None and delta.suffices(requests) else await self._full(session_id, requests)
        for request in requests:
            candidates = [
                await found.hydration(request) for found in (full, delta) if found is not None and found.fits(request)
            ]
            if candidates:
                request.settle(min(candidates, key=lambda hydration: hydration.frame.size))
        return [entity for found in (full, delta) if found is not None for entity in found.json.unreadable]

    async def _delta(self, session_id: str, holders: list[SnapshotRequest]) -> _Loaded | None:
        """Load the changes since the oldest basis; they are also correct for a newer basis. None if that fails."""
        since = min(request.basis.ordinal for request in holders if request.basis is not None)
        try:
            return await self._write(self._snapshot(session_id, since=since), since)
        except Exception as error:  # noqa: BLE001 - pruned, or no such ordinal; load a full snapshot instead
            _log.info(
                "no delta of session %r since %d: %s", session_id, since, error_text(error), session_id=session_id
            )
            return None

    async def _full(self, session_id: str, requests: list[SnapshotRequest]) -> _Loaded | None:
        return await self._write(self._snapshot(session_id), 0) if requests else None

    async def _write(self, loading: Awaitable[Snapshot], since: int) -> _Loaded:
        snapshot = await _given(loading)
        return _Loaded(snapshot, since, await self._cache.write(snapshot.session_id, snapshot.entities, full=not since))


class _Loaded:
    """A snapshot and the JSON of its entities; makes each frame that the requests need once."""

    def __init__(self, snapshot: Snapshot, since: int, json: SnapshotJson) -> None:
        self._snapshot = snapshot
        self._since = since
        self.json = json
        self._made: dict[bool, Hydration] = {}

    def fits(self, request: SnapshotRequest) -> bool:
        """Whether this snapshot or delta can answer a request."""
        if not self._since:
            return True
        basis, snapshot = request.basis, self._snapshot
        return (
            basis is not None
            and basis.epoch == snapshot.epoch
            and self._since <= basis.ordinal <= snapshot.snapshot_ordinal
        )

    def suffices(self, requests: list[SnapshotRequest]) -> bool:
        """Whether it can answer all requests."""
        return all(map(self.fits, requests))

    async def hydration(self, request: SnapshotRequest) -> Hydration:
        """Return the snapshot in the form that a request asks for; others run meanwhile."""
        made = self._made.get(request.epochs)
        if made is None:
            snapshot, frame = self._snapshot, await self._frame(with_epoch=request.epochs)
            made = self._made[request.epochs] = Hydration(
                frame, snapshot.snapshot_ordinal, snapshot.epoch, len(self.json.entities), delta=self._since > 0
            )
        return made

    async def _frame(self, *, with_epoch: bool) -> Frame:
        snapshot, pieces = self._snapshot, self.json.pieces
        before, after = frame_json.around_entities(
            snapshot.session_id,
            snapshot.snapshot_ordinal,
            has_entities=bool(pieces),
            epoch=snapshot.epoch if with_epoch else 0,
            since=self._since,
        )
        # CPython extends a string in place if nothing else refers to it. One join of all would block the event loop
        # until the system has provided the memory: for 19 MB, 10 ms or more.
        text = before
        for number, piece in enumerate(pieces):
            if number:
                text += ","
                await asyncio.sleep(0)
            text += piece
        text += after
        return Frame(text, len(before.encode()) + self.json.size + len(after.encode()), "snapshot", snapshot.session_id)


async def _given(snapshot: Awaitable[Snapshot]) -> Snapshot:
    try:
        return await snapshot
    except asyncio.CancelledError as error:
        refuse_unasked(error, "the source of snapshots waited for something that was cancelled")
        raise


async def _log_unreadable(session_id: str, entities: Sequence[TimelineEntity]) -> None:
    _log.error("%d entities of session %r cannot be shown", len(entities), session_id, session_id=session_id)
