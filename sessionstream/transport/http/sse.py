"""Server-sent events: ``GET /sessions/{id}/events`` with the frames of the WebSocket, for ``EventSource``."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import ClassVar, Final, TypeAlias
from urllib.parse import parse_qs
from weakref import WeakValueDictionary

from sessionstream.fanout import LiveSessions
from sessionstream.logs import BoundedLog
from sessionstream.ordinals import MAX_ORDINAL
from sessionstream.transport import frame_json
from sessionstream.transport.access import AuthenticateHook, AuthorizeHook, Scope, header
from sessionstream.transport.clock import Clock, MonotonicClock
from sessionstream.transport.http.endpoint import Endpoint, Request
from sessionstream.transport.http.guard import Guard
from sessionstream.transport.http.limits import StreamLimits
from sessionstream.transport.http.problems import RETRY_AFTER, SHUTTING_DOWN, Answer, Problem
from sessionstream.transport.http.streams import CONTENT_TYPE, Stream, Streams, block
from sessionstream.transport.snapshot_json import SnapshotJson, SnapshotJsonCache
from sessionstream.types import LiveEvents, Snapshot, TimelineEntity

_Update: TypeAlias = Snapshot | LiveEvents
_Watch: TypeAlias = AbstractAsyncContextManager[AsyncIterator[_Update]]
_Report: TypeAlias = Callable[[str, Sequence[TimelineEntity]], Awaitable[None]]

_POSITION: Final = re.compile(r"([0-9]{1,16}):([0-9]{1,20})")
_AT_ONCE: Final = 65_536
"""Bytes of a snapshot that are sent as one part of the body; larger ones are sent in pieces."""

_KEPT_BYTES: Final = 16_777_216
"""Memory for the bytes of the last UI events, which are the same for all clients."""


def sse_endpoint(
    sessions: LiveSessions,
    *,
    authenticate: AuthenticateHook | None = None,
    authorize: AuthorizeHook | None = None,
    allowed_origins: Collection[str] | None = None,
    limits: StreamLimits = StreamLimits(),  # noqa: B008 - frozen
    clock: Clock | None = None,
) -> SSEEndpoint:
    """Return an ASGI application that streams sessions as server-sent events. (Reference: HTTP endpoints.)

    ``GET /sessions/{id}/events`` is answered with a snapshot, and then every UI event after it, as in the WebSocket.
    The data of each server-sent event is a ``ServerFrame`` as protobuf JSON: ``snapshot``, ``uiEvent`` or ``error``.
    It mounts in any ASGI framework::

        app = Starlette(routes=[Mount("/api", sse_endpoint(hub))])

    The id of a server-sent event is a position, ``EPOCH:ORDINAL``. A client that comes back with it, as the header
    ``Last-Event-ID`` or as ``?last_event_id=``, gets the entities that changed since, if that is possible: a snapshot
    with ``since``.

    Args:
        sessions: the sessions to watch; usually a Hub.
        authenticate: ``authenticate(scope)``, plain or async, gets the ASGI scope of a request and returns the
            principal, or ``Admitted(principal, until=…)``; at that time the stream ends. As in WebSocketServer. None,
            False, "" or an exception refuses: with 403 for a PermissionError, otherwise with 401.
        authorize: ``authorize(principal, session_id)``, plain or async. Only True allows.
        allowed_origins: which pages may watch; as in WebSocketServer. Pages of other origins that are allowed get the
            CORS headers that they need; with ``["*"]``, browsers send no cookies.
        limits: bounds on what clients may use.
        clock: replaces the clock in tests.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an entry of ``allowed_origins`` is not a valid origin.
    """
    if not callable(getattr(sessions, "watch", None)):
        raise TypeError(f"sessions must have a method watch, as a Hub has; got {sessions!r}")
    if not isinstance(limits, StreamLimits):
        raise TypeError(f"limits must be a StreamLimits, not {limits!r}")
    clock = clock or MonotonicClock()
    log = BoundedLog(clock.now)
    guard = Guard(allowed_origins, authenticate, authorize, limits.timeout_seconds, log)
    return SSEEndpoint(sessions, guard, limits, clock, log)


class SSEEndpoint(Endpoint):
    """The result of ``sse_endpoint``: an ASGI application, which belongs to one event loop."""

    _routes: ClassVar = {"sessions/*/events": "GET"}
    _usage = "watch a session with GET /sessions/{id}/events"

    def __init__(
        self, sessions: LiveSessions, guard: Guard, limits: StreamLimits, clock: Clock, log: BoundedLog
    ) -> None:
        super().__init__(guard)
        self._sessions = sessions
        self._limits = limits
        self._clock = clock
        self._log = log
        self._streams = Streams(limits, clock, log)
        self._loading = asyncio.Semaphore(limits.concurrent_loads)
        self._snapshots = SnapshotJsonCache(limits.snapshot_cache_bytes)
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._blocks = EventBlocks(log)
        self._report: _Report | None = getattr(sessions, "report_unreadable", None)
        self._retry_seconds = limits.retry_seconds

    # -- for clients -------------------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> Answer | None:
        scope, (session_id,) = request.scope, request.parts
        with self._streams.entering() as entering:
            admitted = await self._guard.admit(scope)
            await self._guard.allow(admitted.principal, session_id, self._sessions)
            entering.check(admitted.principal, session_id)
        epoch, since = _position(scope)
        watch = self._sessions.watch(
            session_id, since=since, epoch=epoch, limit=self._limits.buffered_events, shared=True
        )
        with self._streams.stream(admitted, session_id, request.receive, request.send) as stream:
            await stream.respond(request.cors, partial(self._write, watch=watch), self._last_part)
        return None

    async def _write(self, stream: Stream, *, watch: _Watch) -> None:
        await stream.write(_retry(self._retry_seconds) + b"\n")
        async with watch as updates:
            async with self._loading:
                update = await anext(updates, None)
            epoch = 0
            while update is not None:
                if isinstance(update, Snapshot):
                    epoch = update.epoch
                    await self._write_snapshot(stream, update)
                else:
                    await stream.write(self._blocks.of(stream.session_id, epoch, update))
                update = await anext(updates, None)

    async def _write_snapshot(self, stream: Stream, snapshot: Snapshot) -> None:
        json = await self._snapshot_json(snapshot)
        before, after = frame_json.around_entities(
            snapshot.session_id,
            snapshot.snapshot_ordinal,
            has_entities=bool(json.pieces),
            epoch=snapshot.epoch,
            since=snapshot.since or 0,
        )
        head, tail = f"id: {snapshot.epoch}:{snapshot.snapshot_ordinal}\ndata: {before}", f"{after}\n\n"
        if json.size <= _AT_ONCE:
            await stream.write(f"{head}{','.join(json.pieces)}{tail}".encode())
        else:
            await stream.write(head.encode(), whole=False)
            for number, piece in enumerate(json.pieces):
                await stream.write(f",{piece}".encode() if number else piece.encode(), whole=False)
            await stream.write(tail.encode())
        if json.unreadable and self._report is not None:
            await self._report(snapshot.session_id, json.unreadable)

    async def _snapshot_json(self, snapshot: Snapshot) -> SnapshotJson:
        """Return the JSON of a snapshot; of a session, one at a time, so that clients share what is encoded."""
        session_id = snapshot.session_id
        lock = self._writing.get(session_id)
        if lock is None:
            lock = self._writing[session_id] = asyncio.Lock()
        async with lock:
            return await self._snapshots.write(session_id, snapshot.entities, full=snapshot.since is None)

    def _last_part(self, stream: Stream) -> bytes:
        match stream.ending:
            case "revoked":
                reason = stream.reason or "you may no longer watch this session"
                return _error("unauthorized", reason, stream.session_id)
            case "failed":
                return _error("snapshot_failed", "the session could not be read; it is tried again", stream.session_id)
            case "shutdown":
                return _retry(self._retry_seconds) + b"\n"
        return b""

    def _problem_answer(self, scope: Scope, problem: Problem) -> Answer:
        """Return the answer to a request that cannot be served.

        ``EventSource`` gives up at any status but 200. If it may come back, it gets a stream that ends at once.
        """
        hears = any(CONTENT_TYPE.decode() in value for value in header(scope, b"accept"))
        if problem.status != 503 or not hears:
            return problem.answer()
        again = _retry(self._retry_seconds if problem.code == SHUTTING_DOWN else RETRY_AFTER)
        return Answer(200, again + _error(problem.code, problem.message, ""), content_type=CONTENT_TYPE)

    # -- for operators -----------------------------------------------------------------------------------------

    @property
    def streams(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    async def revoke(self, principal: object, session_id: str | None = None, *, reason: str = "") -> int:
        """End the streams of a principal, which may no longer watch; return how many were ended.

        The client gets an ``error`` with the code ``unauthorized``. It comes back by itself, and ``authenticate`` and
        ``authorize`` are called again, so change their answers before this call. A request that they are just asked
        about is refused.

        Args:
            principal: as ``authenticate`` returned it; None for everybody, where there is no ``authenticate``.
            session_id: the session; None for all sessions.
            reason: sent to the client; if empty, a default message is sent.

        Raises:
            InvalidIdError: the session id is not valid.
            TypeError: the principal is not hashable.
        """
        return self._streams.revoke(principal, session_id, reason)

    async def shutdown(self, retry_after: float | None = None) -> None:
        """Refuse new streams, end the open ones, and return when they have ended.

        Args:
            retry_after: seconds after which clients come back; they are told a random time up to twice as long. None:
                ``limits.retry_seconds``.

        It may be called more than once, also after it was cancelled.

        Raises:
            ValueError: ``retry_after`` is not above 0, or infinite.
        """
        if retry_after is not None:
            if not 0 < retry_after < float("inf"):
                raise ValueError(f"retry_after must be a finite number of seconds above 0, not {retry_after!r}")
            self._retry_seconds = retry_after
        await self._streams.shutdown()


class EventBlocks:
    """The bytes of UI events, which are encoded once for all clients.

    They are known by the identity of their LiveEvents, which all watches of a session share. The oldest are dropped.
    """

    __slots__ = ("_kept", "_log", "_size")

    def __init__(self, log: BoundedLog) -> None:
        self._log = log
        self._kept: OrderedDict[tuple[int, int], tuple[LiveEvents, bytes]] = OrderedDict()
        self._size = 0

    def of(self, session_id: str, epoch: int, live: LiveEvents) -> bytes:
        """Return the UI events of one backend event as blocks; the last has the position as its id."""
        key = id(live), epoch
        known = self._kept.get(key)
        if known is not None:
            return known[1]
        written = [self._frame(session_id, live.ordinal, number, live) for number in range(len(live.events))]
        *others, last = written
        data = b"".join([*map(block, others), block(last, position=f"{epoch}:{live.ordinal}")])
        self._kept[key] = live, data
        self._size += len(data)
        while self._size > _KEPT_BYTES:
            self._size -= len(self._kept.popitem(last=False)[1][1])
        return data

    def _frame(self, session_id: str, ordinal: int, number: int, live: LiveEvents) -> str:
        text, failure = frame_json.ui_event(session_id, ordinal, live.events[number])
        if failure is not None:
            line = f"session {session_id!r}, ordinal {ordinal}: {failure}; clients get an UnreadablePayload"
            kind = "UI events that cannot be shown"
            self._log.log(kind, line, error=failure, level=logging.ERROR, session_id=session_id, ordinal=ordinal)
        return text


def _retry(seconds: float) -> bytes:
    """Return the line that tells a client when to come back: after a random time, up to twice as long."""
    return f"retry: {round(1000 * seconds * (1 + random.random()))}\n".encode()  # noqa: S311 - no secret


def _error(code: str, message: str, session_id: str) -> bytes:
    return block(frame_json.error(code, message, session_id))


def _position(scope: Scope) -> tuple[int, int]:
    """Return epoch and ordinal of the timeline that the client holds; zeros if it holds none."""
    told = header(scope, b"last-event-id")
    if not told:
        query: bytes = scope.get("query_string", b"")
        told = parse_qs(query.decode("latin-1")).get("last_event_id", [])
    found = _POSITION.fullmatch(told[-1]) if told else None
    if found is None:
        return 0, 0
    epoch, ordinal = int(found[1]), int(found[2])
    return (epoch, ordinal) if ordinal <= MAX_ORDINAL else (0, 0)
