"""The WebSocket server: an ASGI application for clients, and a UI fan-out for the hub."""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from contextvars import Context
from typing import Any, Final

from sessionstream.callables import plain_function
from sessionstream.errors import TransportError
from sessionstream.fanout import SnapshotSource
from sessionstream.ids import check_id
from sessionstream.logs import BoundedLog, SessionLog
from sessionstream.observe import FollowerStatus
from sessionstream.transport.access import (
    Admitted,
    AuthenticateHook,
    AuthorizeHook,
    Origins,
    Receive,
    Refused,
    Scope,
    SendMessage,
    authenticate,
    check_hooks,
    seconds_left,
)
from sessionstream.transport.clock import Clock, MonotonicClock
from sessionstream.transport.lifespan import serve_lifespan
from sessionstream.transport.ws.server import frames
from sessionstream.transport.ws.server.admission import Admission
from sessionstream.transport.ws.server.connection import Connection, ConnectionInfo, Routes, ServerContext
from sessionstream.transport.ws.server.frames import Batch
from sessionstream.transport.ws.server.handshake import Subprotocols, accept, ask_to_upgrade, refuse, status_of
from sessionstream.transport.ws.server.limits import Limits
from sessionstream.transport.ws.server.loading import SnapshotLoader
from sessionstream.transport.ws.server.observing import Reporter
from sessionstream.transport.ws.server.outbox import Flusher
from sessionstream.transport.ws.server.records import ConnectionObserver
from sessionstream.transport.ws.server.slow_consumers import SlowConsumerPolicy, disconnect
from sessionstream.transport.ws.wire.codes import GOING_AWAY, POLICY, RESTART
from sessionstream.transport.ws.wire.subprotocol import SUBPROTOCOL
from sessionstream.types import UIEvent

RETRY_AFTER: Final = 5.0
"""Default ``Retry-After`` of a handshake that is refused with 503, in seconds."""

REASON_BYTES: Final = 123
"""Longest reason of a close frame, in UTF-8 bytes."""

TICKS: Final = 4
"""How often timeouts are checked within the shortest of the configured periods."""

_log = SessionLog()


def _ignore(session_id: str) -> None:
    """The source does not follow sessions."""


class WebSocketServer:
    """Serves sessions to browsers: a snapshot, then every live UI event after it. (Reference: WebSocket transport.)

    It is a ``UIFanout`` and a plain ASGI application, which any ASGI framework can mount and any ASGI server can run::

        server = WebSocketServer(hub)
        hub.set_fanout(server)
        app = Starlette(routes=[WebSocketRoute("/ws", server)])

    Args:
        source: loads the snapshots; usually the hub.
        allowed_origins: which pages may connect, ``["https://app.example"]``, or ``["*"]`` for any. None: only pages
            that come from the host they connect to. A client without an Origin header is not a browser, and may
            connect.
        authenticate: ``authenticate(scope)``, plain or async, gets the ASGI scope of a handshake and returns the
            principal, any hashable value, or ``Admitted(principal, until=…)``. None, False, "" or an exception refuses
            the handshake. Without this hook everybody may connect.
        authorize: ``authorize(principal, session_id)``, plain or async, is called for every subscribe, also those
            after a reconnect. Only True allows. Without this hook every client may watch every session.
        subprotocols: the supported sub-protocols, preferred ones first; the first that a client offers is selected. A
            client that offers ``sessionstream.v1`` learns that its credentials are refused by close code 4401 or 4403,
            because browsers hide the HTTP status of a handshake.
        limits: bounds on what clients may use.
        slow_consumers: decides about a client that reads too slowly: ``disconnect``, ``conflate``, or another
            ``SlowConsumerPolicy``.
        observer: called with a ``ConnectionRecord`` for every stage of every connection.
        clock: replaces the clock in tests.

    Raises:
        TypeError: an argument has the wrong type, or the observer or the policy is async.
        ValueError: an entry of ``allowed_origins`` is not a valid origin, or a sub-protocol is not a valid name.

    One server belongs to one event loop, that of its connections. ``publish_ui`` and ``resync`` may be called from any
    thread, and take effect in the order of the calls; all other methods must be called in that loop.
    """

    def __init__(
        self,
        source: SnapshotSource,
        *,
        allowed_origins: Collection[str] | None = None,
        authenticate: AuthenticateHook | None = None,
        authorize: AuthorizeHook | None = None,
        subprotocols: Collection[str] = (SUBPROTOCOL,),
        limits: Limits = Limits(),  # noqa: B008 - frozen
        slow_consumers: SlowConsumerPolicy = disconnect,
        observer: ConnectionObserver | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._check_arguments(source, authenticate, authorize, limits, slow_consumers)
        self._source = source
        self._origins = Origins(allowed_origins)
        self._subprotocols = Subprotocols(subprotocols)
        self._authenticate = authenticate
        self._limits = limits
        self._clock = clock = clock or MonotonicClock()
        self._reporter = Reporter(observer)
        self._log = BoundedLog(clock.now)
        self._routes = Routes(getattr(source, "joined", _ignore), getattr(source, "left", _ignore))
        self._loader = SnapshotLoader(
            source,
            concurrency=limits.concurrent_loads,
            timeout_seconds=limits.load_timeout_seconds,
            cache_bytes=limits.snapshot_cache_bytes,
        )
        self._shared = ServerContext(
            limits, self._routes, Flusher(), self._loader, clock, self._reporter, self._log, authorize, slow_consumers
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._connections: dict[Connection, asyncio.Event] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._admission = Admission(limits)
        self._retry_after = RETRY_AFTER

    @staticmethod
    def _check_arguments(source: object, *others: object) -> None:
        authenticate, authorize, limits, slow_consumers = others
        if not callable(getattr(source, "snapshot", None)):
            raise TypeError(f"source must have a method snapshot, as a Hub has; got {source!r}")
        check_hooks(authenticate, authorize)
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be a Limits, not {limits!r}")
        plain_function("slow_consumers", "(overflow)", slow_consumers)

    # -- for the hub -------------------------------------------------------------------------------------------

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Send the UI events of one backend event to all subscribers of the session; enqueues and returns.

        May be called from any thread. The ordinals of a session must rise from call to call.

        Raises:
            TransportError: an event has no JSON form; clients receive an ``UnreadablePayload`` in its place.
        """
        reporter = self._reporter
        if reporter.enabled:
            reporter.report("fanout_started", session_id=session_id, ordinal=ordinal, frames=len(events))
        if not self._routes.has(session_id):  # a later subscriber loads a later snapshot
            reporter.report("fanout_no_targets", session_id=session_id, ordinal=ordinal)
            return
        written, failures = [], []
        for event in events:
            frame, failure = frames.ui_event(session_id, ordinal, event)
            written.append(frame)
            if failure is not None:
                failures.append(failure)
        self._in_loop(self._fan_out, Batch(session_id, ordinal, tuple(written)))
        if failures:
            raise failures[0]

    def resync(self, session_id: str, ordinal: int | None = None, epoch: int | None = None, /) -> None:
        """Send a new snapshot to every subscriber that has less than this ordinal of this epoch.

        The hub calls it. Without an ordinal, every subscriber gets a snapshot. May be called from any thread; takes
        effect in order with the calls of ``publish_ui``.
        """
        self._in_loop(self._resync, (session_id, ordinal, epoch))

    def _in_loop(self, call: Callable[[Any], None], argument: object) -> None:
        if self._loop is None:
            return  # no client has connected yet
        if threading.get_ident() == self._thread:
            call(argument)
            return
        try:
            self._loop.call_soon_threadsafe(call, argument)
        except RuntimeError as error:  # the loop is closed, and so is every connection
            _log.debug("no connection to fan out to: %s", error)

    def _fan_out(self, batch: Batch) -> None:
        targets = self._routes.of(batch.session_id)
        for connection in targets:
            connection.events(batch)
        if self._reporter.enabled:
            self._reporter.report(
                "fanout_completed", session_id=batch.session_id, ordinal=batch.ordinal, frames=len(targets)
            )

    def _resync(self, where: tuple[str, int | None, int | None]) -> None:
        for connection in self._routes.of(where[0]):
            connection.resync(*where)

    # -- for clients -------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI scope: a WebSocket; HTTP, answered with 426; or a lifespan, whose end calls ``shutdown``.

        Raises:
            ValueError: the scope has another type.
        """
        match scope["type"]:
            case "websocket":
                await self._websocket(scope, receive, send)
            case "http":
                await ask_to_upgrade(send)
            case "lifespan":
                await serve_lifespan(receive, send, self.shutdown)
            case other:
                raise ValueError(f"a WebSocketServer serves websocket, http and lifespan, not {other!r}")

    async def _websocket(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        self._take_loop()
        peer = self._admission.enter()
        try:
            self._origins.check(scope)
            self._admission.check()
            admitted = await authenticate(self._authenticate, scope, self._limits.handshake_timeout_seconds)
            ends_at = self._deadline(admitted)
            self._admission.admit(peer, admitted.principal)
            await send(accept(self._subprotocols.chosen(scope)))
            if peer.close_with is None:
                await self._serve(admitted.principal, ends_at, receive, send)
            else:
                code, reason = peer.close_with
                await send({"type": "websocket.close", "code": code.code, "reason": reason})
        except Refused as refused:
            await self._refuse(scope, send, refused)
        finally:
            self._admission.leave(peer)

    async def _refuse(self, scope: Scope, send: SendMessage, refused: Refused) -> None:
        status, close = status_of(refused), self._subprotocols.close_code(scope, refused)
        told = status if close is None else close.code
        line = f"a handshake was refused with {told}: {refused.why}"
        self._log.log(f"handshakes refused with {told}", line, error=refused.__cause__)
        self._reporter.report("refused", code=str(told), error=refused.why)
        if close is None:
            await refuse(scope, send, refused, self._retry_after)
        else:
            await send(accept(self._subprotocols.chosen(scope)))
            await send({"type": "websocket.close", "code": close.code, "reason": close.name})

    def _deadline(self, admitted: Admitted) -> float | None:
        """Return when the admission ends, by the monotonic clock, which setting the machine's clock does not change."""
        left = seconds_left(admitted)
        return None if left is None else self._clock.now() + left

    async def _serve(self, principal: object, ends_at: float | None, receive: Receive, send: SendMessage) -> None:
        connection = Connection(secrets.token_urlsafe(9), principal, self._shared, ends_at)
        gone = self._connections[connection] = asyncio.Event()
        if self._ticker is None:
            # The task outlives this request, so it must not run in the request's context.
            self._ticker = asyncio.create_task(self._tick(), name="sessionstream: heartbeat", context=Context())
        self._reporter.report("connected", connection.id)
        try:
            await connection.serve(receive, send)
        finally:
            del self._connections[connection]
            gone.set()
            self._reporter.report("disconnected", connection.id)
            if not self._connections and self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None

    async def _tick(self) -> None:
        limits = self._limits
        periods = (limits.heartbeat_seconds, limits.pong_timeout_seconds, limits.send_timeout_seconds)
        pause = min(period for period in periods if period is not None) / TICKS
        while True:
            await self._clock.sleep(pause)
            self._look_after_all()

    def _look_after_all(self) -> None:
        now = self._clock.now()
        self._log.flush()
        for connection in list(self._connections):
            connection.tick(now)

    def _take_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if len(self._admission):
                raise TransportError(
                    "this WebSocketServer has connections in another event loop: make one for each loop"
                )
            self._loop, self._thread = loop, threading.get_ident()

    # -- for operators -----------------------------------------------------------------------------------------

    def connections(self) -> list[ConnectionInfo]:
        """Return the open connections, oldest first."""
        follower: FollowerStatus | None = getattr(self._source, "follower", None)
        behind = {} if follower is None else follower.behind
        return [connection.info(behind) for connection in self._connections]

    async def revoke(self, principal: object, session_id: str | None = None, *, reason: str = "") -> int:
        """End subscriptions of one principal, which may no longer watch; return how many were ended.

        Its connections and its other subscriptions stay. The client gets the error ``unauthorized``, and frames of the
        session that still wait to be sent are dropped. Subscriptions whose snapshot is still loading are ended too. A
        new subscribe calls ``authorize`` again, so change its answer before this call.

        Args:
            principal: as ``authenticate`` returned it; None for everybody, where there is no ``authenticate``.
            session_id: the session; None for all sessions.
            reason: sent to the client; if empty, a default message is sent.

        Raises:
            InvalidIdError: the session id is not valid.
            TypeError: the principal is not hashable.
        """
        hash(principal)
        if session_id is not None:
            check_id("session id", session_id)
        theirs = [connection for connection in self._connections if connection.principal == principal]
        return sum([connection.revoke(session_id, reason) for connection in theirs])

    async def close_connections(self, principal: object, *, reason: str = "") -> int:
        """Close the connections of one principal, which may no longer connect; return how many were closed.

        They are closed with 1008, after which clients do not reconnect by themselves. Frames that wait to be sent are
        dropped, and a handshake in progress is refused. A new connection calls ``authenticate`` again, and a new
        subscribe ``authorize``, so change their answers before this call. Returns when the connections have ended; one
        that takes no message is cut off after ``send_timeout_seconds``.

        Args:
            principal: as ``authenticate`` returned it; None for everybody, where there is no ``authenticate``.
            reason: the reason in the close frame, at most 123 bytes of UTF-8.

        Raises:
            ValueError: the reason is longer than that.
            TypeError: the principal is not hashable.
        """
        hash(principal)
        if len(reason.encode()) > REASON_BYTES:
            raise ValueError(
                f"reason must be at most {REASON_BYTES} bytes long in a close frame, not {len(reason.encode())}"
            )
        closing = {
            connection: gone for connection, gone in self._connections.items() if connection.principal == principal
        }
        self._admission.reject(principal, POLICY, reason)
        for connection in closing:
            connection.close(POLICY, reason)
        await asyncio.gather(*(gone.wait() for gone in closing.values()))
        return len(closing)

    async def shutdown(self, retry_after: float | None = None) -> None:
        """Refuse new connections, send all waiting frames, close every connection, and stop every task.

        Args:
            retry_after: seconds after which clients may reconnect; they are closed with 1012 and the reason
                ``retry-after=SECONDS``. None: with 1001.

        Clients that do not take their frames within ``send_timeout_seconds`` are cut off. May be called more than once,
        also after it was cancelled.

        Raises:
            ValueError: ``retry_after`` is negative or infinite.
        """
        if retry_after is not None and not 0 <= retry_after < math.inf:
            raise ValueError(f"retry_after must be a finite number of seconds, 0 or more, not {retry_after!r}")
        self._retry_after = RETRY_AFTER if retry_after is None else retry_after
        code, reason = (GOING_AWAY, "") if retry_after is None else (RESTART, f"retry-after={retry_after:g}")
        self._admission.stop(code, reason)
        for connection in self._connections:
            connection.close(code, reason, flush=True)
        await asyncio.gather(*(gone.wait() for gone in self._connections.values()))
        await self._loader.close()
        self._log.flush(now=True)
