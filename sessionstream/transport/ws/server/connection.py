"""One connection: performs the effects of its conversation on the socket, the loader and the application's hooks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sessionstream.errors import error_text
from sessionstream.logs import BoundedLog, SessionLog
from sessionstream.transport.access import AuthorizeHook, Message, Receive, Refused, SendMessage, authorize
from sessionstream.transport.clock import Clock
from sessionstream.transport.ws.server.conversation import Conversation
from sessionstream.transport.ws.server.effects import (
    Authorize,
    Close,
    Effects,
    Hydration,
    Join,
    Leave,
    Load,
    Note,
    Send,
)
from sessionstream.transport.ws.server.frames import Batch, Frame
from sessionstream.transport.ws.server.limits import Limits
from sessionstream.transport.ws.server.loading import SnapshotLoader, SnapshotRequest
from sessionstream.transport.ws.server.observing import Reporter
from sessionstream.transport.ws.server.outbox import Flusher, Outbox, Writer
from sessionstream.transport.ws.server.slow_consumers import SlowConsumerPolicy, conflate
from sessionstream.transport.ws.wire.codes import INTERNAL, POLICY, RESTART, TOO_BIG, TRY_AGAIN, CloseCode

LOADS_AT_ONCE: Final = 4
"""Snapshots that one connection may load at the same time; the others wait for these, and for room in the outbox."""

LONGEST_SLEEP: Final = 86_400.0
"""Longest sleep in seconds: event loops do not accept arbitrarily long timers."""

_log = SessionLog()


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """The state of one open connection at the moment of the call.

    Attributes:
        principal: what ``authenticate`` returned; None without it.
        subscriptions: sorted session ids, including those whose snapshot is still loading. Empty once the server is
            closing the connection.
        queue_depth: number of frames that wait to be sent.
        queue_bytes: their UTF-8 bytes.
        lag: seconds for which events of other processes, of one of these sessions, may have been waiting to be read; 0
            if there are none.
    """

    connection_id: str
    principal: object
    subscriptions: tuple[str, ...]
    queue_depth: int
    queue_bytes: int
    lag: float = 0.0


class Routes:
    """The connections that receive the events of each session.

    Args:
        joined: called for each session with its first connection.
        left: called for each session without its last connection.
    """

    __slots__ = ("_connections", "_joined", "_left")

    def __init__(self, joined: Callable[[str], object], left: Callable[[str], object]) -> None:
        self._connections: dict[str, dict[Connection, None]] = {}
        self._joined = joined
        self._left = left

    def of(self, session_id: str) -> tuple[Connection, ...]:
        """Return the connections of a session, in the order in which they joined."""
        return tuple(self._connections.get(session_id, ()))

    def has(self, session_id: str) -> bool:
        """Whether a session has any connection; may be called from any thread."""
        return session_id in self._connections

    def join(self, session_id: str, connection: Connection) -> None:
        """Add a connection."""
        if session_id not in self._connections:
            self._connections[session_id] = {}
            self._joined(session_id)
        self._connections[session_id][connection] = None

    def leave(self, session_id: str, connection: Connection) -> None:
        """Remove a connection, and the session if this was its last one."""
        connections = self._connections.get(session_id, {})
        if connection in connections:
            del connections[connection]
            if not connections:
                del self._connections[session_id]
                self._left(session_id)

    def __len__(self) -> int:
        return len(self._connections)


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What all connections of one server share."""

    limits: Limits
    routes: Routes
    flusher: Flusher
    loader: SnapshotLoader
    clock: Clock
    reporter: Reporter
    log: BoundedLog
    authorize: AuthorizeHook | None
    slow_consumers: SlowConsumerPolicy


class Connection:
    """Performs the effects of one conversation. Its methods must be called in the event loop of the server."""

    __slots__ = (
        "_aborted", "_asking", "_closed", "_congested", "_conversation", "_ends_at", "_full_in", "_idle_loads",
        "_joined", "_loads", "_outbox", "_reader", "_sent", "_sent_at", "_shared", "_writer", "principal",
    )  # fmt: skip

    def __init__(
        self, connection_id: str, principal: object, shared: ServerContext, ends_at: float | None = None
    ) -> None:
        limits, now = shared.limits, shared.clock.now()
        observed = shared.reporter.enabled
        self.principal: object = principal
        self._ends_at = ends_at
        self._shared = shared
        self._conversation = Conversation(connection_id, limits, now, observed=observed)
        self._outbox = Outbox(limits.outbox_frames, limits.outbox_bytes)
        self._writer = Writer(
            self._outbox,
            shared.flusher,
            on_empty=self._caught_up,
            on_written=self._note_written if observed else None,
        )
        self._joined: set[str] = set()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._idle_loads: dict[str, Load] = {}
        self._loads: dict[str, SnapshotRequest] = {}
        self._reader: asyncio.Task[None] | None = None  # an eager task reads before this is set
        self._congested = False
        self._full_in: int | None = None  # iteration of the loop in which half of the outbox was first full
        self._closed = False
        self._aborted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sent, self._sent_at = 0, now

    @property
    def id(self) -> str:
        """The connection id, as sent in the hello frame."""
        return self._conversation.connection_id

    def info(self, behind: Mapping[str, float]) -> ConnectionInfo:
        """Return the current state of the connection.

        Args:
            behind: sessions that other processes may have moved, with the seconds since that was heard.
        """
        subscriptions = () if self._closed else tuple(self._conversation.subscriptions)
        lag = max((behind.get(session_id, 0.0) for session_id in subscriptions), default=0.0)
        return ConnectionInfo(self.id, self.principal, subscriptions, len(self._outbox), self._outbox.size, lag)

    # -- the connection ----------------------------------------------------------------------------------------

    async def serve(self, receive: Receive, send: SendMessage) -> None:
        """Serve an accepted connection until either side ends it."""
        self._perform(self._conversation.open())
        writer = self._writer.start(send, f"{self.id}: writer")
        reader = self._reader = asyncio.create_task(self._read(receive), name=f"{self.id}: reader")
        tasks = {reader, writer}
        if self._ends_at is not None:
            tasks.add(asyncio.create_task(self._end_at(self._ends_at), name=f"{self.id}: end"))
        try:
            await asyncio.wait({reader, writer, self._aborted}, return_when=asyncio.FIRST_COMPLETED)
            if self._closed:  # the writer ends when it has sent the close message
                await asyncio.wait({writer, self._aborted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._let_go()
            tasks.update(self._asking.values())
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        error = None if writer.cancelled() else writer.exception()
        if error is not None:  # the client is gone; each server library raises something else
            self._shared.reporter.report("write_error", self.id, error=error_text(error))
        if not reader.cancelled():
            reader.result()  # exceptions of the server library go back to it

    async def _read(self, receive: Receive) -> None:
        """Read until the client is gone. No reference to a message is kept while waiting for the next."""
        while not self._closed:
            if not self._receive(await receive()):
                return

    def _receive(self, message: Message) -> bool:
        """Handle one ASGI message; return whether the client is still connected.

        An internal error closes this connection with 1011, and no other.
        """
        if message["type"] == "websocket.disconnect":
            return False
        now = self._shared.clock.now()
        try:
            text = message.get("text")
            if text is None:
                self._perform(self._conversation.binary(len(message.get("bytes") or b""), now))
            else:
                self._perform(self._conversation.text(text, now))
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception("connection %s: a message could not be handled", self.id)
            self.close(INTERNAL, "")
        return True

    async def _end_at(self, moment: float) -> None:
        """Close with 1012 when the admission expires, so that the client reconnects with new credentials."""
        clock = self._shared.clock
        while (left := moment - clock.now()) > 0:
            await clock.sleep(min(left, LONGEST_SLEEP))
        if not self._closed:
            self._shared.reporter.report("closing", self.id, code=str(RESTART.code), error="the admission has expired")
            self.close(RESTART, "retry-after=0")

    def revoke(self, session_id: str | None, reason: str) -> int:
        """End the subscription to a session, or all of them, and drop their frames; return how many were ended."""
        if self._closed:
            return 0
        watched = self._conversation.subscriptions
        revoked = watched if session_id is None else [each for each in watched if each == session_id]
        self._outbox.drop(frozenset(revoked))
        for each in revoked:
            self._perform(self._conversation.revoke(each, reason))
        return len(revoked)

    def close(self, code: CloseCode, reason: str, *, flush: bool = False) -> None:
        """Stop reading and send the close message, after the waiting frames (``flush``) or instead of them.

        The reader is cancelled because some servers (granian) do not send the close while a ``receive`` is pending.
        """
        self._let_go()
        if self._reader is not None:
            self._reader.cancel()
        self._outbox.close(code.code, reason, flush=flush)
        self._writer.wake()

    def abort(self) -> None:
        """End the connection without a close message."""
        self._let_go()
        if not self._aborted.done():
            self._aborted.set_result(None)

    def _let_go(self) -> None:
        """Leave all sessions and ignore results that are still to come."""
        self._closed = True
        for session_id in self._joined:
            self._shared.routes.leave(session_id, self)
        self._joined.clear()
        self._idle_loads.clear()
        for request in self._loads.values():
            request.done = True
        self._loads.clear()

    # -- events and time ---------------------------------------------------------------------------------------

    def events(self, batch: Batch) -> None:
        """Send the UI events of a session, if its subscription is live."""
        effects = self._conversation.events(batch)
        if batch in effects and not self._closed:  # the common case, without the overhead of _perform
            self._send(batch.frames)
        else:
            self._perform(effects)

    def resync(self, session_id: str, ordinal: int | None, epoch: int | None) -> None:
        """Send a new snapshot of a session, if the client has less than this ordinal of this epoch."""
        self._perform(self._conversation.resync(session_id, ordinal, epoch))

    def tick(self, now: float) -> None:
        """Send due pings, and abort if a send or a pong takes too long."""
        if not self._writer.sending or self._writer.sent != self._sent:
            self._sent, self._sent_at = self._writer.sent, now
        elif now - self._sent_at >= self._shared.limits.send_timeout_seconds:
            self._shared.reporter.report("write_error", self.id, error="the client takes nothing")
            self.abort()
        if not self._closed:
            self._perform(self._conversation.tick(now))

    # -- performing effects ------------------------------------------------------------------------------------

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Batch(frames=frames) | Send(frames) if not self._closed:
                    self._send(frames)
                case Note(record):
                    self._shared.reporter.record(record)
                case _ if self._closed:
                    pass  # an earlier effect of the same list may have closed it: Send disconnects a slow client
                case Authorize():
                    self._authorize(effect)
                case Join(session_id):
                    self._joined.add(session_id)
                    self._shared.routes.join(session_id, self)
                case Leave(session_id):
                    self._leave(session_id)
                case Load(session_id):
                    self._withdraw(session_id)
                    self._idle_loads[session_id] = effect
                    self._start_loads()
                case Close(code, reason):
                    if code in (POLICY, TOO_BIG):
                        line = f"connection {self.id} was closed with {code.code}: {reason}"
                        self._shared.log.log(f"connections closed with {code.code}", line)
                    self.close(code, reason)

    def _send(self, frames: tuple[Frame, ...]) -> None:
        outbox, reporter = self._outbox, self._shared.reporter
        dropped: frozenset[str] = frozenset()
        if outbox.has_room:
            self._full_in = None
        elif self._full_in is None:
            self._full_in = self._shared.flusher.iteration()
        for frame in frames:
            if dropped and frame.kind == "ui" and frame.session_id in dropped:
                continue
            if not outbox.offer(frame) and not (self._unread and outbox.offer(frame, burst=True)):
                dropped |= self._make_room(frame)
                if self._closed:
                    return
            if reporter.enabled:
                reporter.report("frame_queued", self.id, frame.session_id, size=frame.size, queue_depth=len(outbox))
        self._writer.wake()

    @property
    def _unread(self) -> bool:
        """Whether the outbox became half full in this iteration of the loop, so that nothing could be sent since."""
        return self._full_in is None or self._full_in == self._shared.flusher.iteration()

    def _make_room(self, frame: Frame) -> frozenset[str]:
        """Make room for a frame as the policy says; close the connection if that is not enough.

        Returns the sessions whose UI events were dropped, perhaps that of this frame. A client that had no chance to
        read is not slow, so its events are conflated whatever the policy is.
        """
        self._congested = True
        overflow = self._outbox.overflow(frame)
        depth, size = overflow.frames, overflow.size
        self._shared.reporter.report("queue_full", self.id, frame.session_id, queue_depth=depth, size=size)
        policy = conflate if self._unread else self._shared.slow_consumers
        try:
            sessions = sorted(frozenset(policy(overflow)))
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception(
                "the policy for slow consumers failed: the client is disconnected", session_id=frame.session_id
            )
            sessions = []
        dropped = frozenset(sessions)
        self._outbox.drop_ui(dropped)
        goes_too = frame.kind == "ui" and frame.session_id in dropped
        if not goes_too and not self._outbox.offer(frame):
            self.close(TRY_AGAIN, "this client reads too slowly")
        for session_id in sessions:
            self._perform(self._conversation.resync(session_id))
        return dropped

    def _authorize(self, question: Authorize) -> None:
        session_id, hook = question.session_id, self._shared.authorize
        earlier = self._asking.pop(session_id, None)
        if earlier is not None:
            earlier.cancel()
        if hook is None:
            self._perform(self._conversation.authorized(session_id, question.token, True))
            return
        task = asyncio.create_task(self._ask(hook, question), name=f"{self.id}: authorize {session_id}")
        self._asking[session_id] = task
        task.add_done_callback(partial(self._asked, session_id))

    async def _ask(self, hook: AuthorizeHook, question: Authorize) -> None:
        session_id, token = question.session_id, question.token
        try:
            await authorize(hook, self.principal, session_id, self._shared.limits.handshake_timeout_seconds)
        except Refused as refused:
            if refused.reason == "busy":  # not a refusal: the client may subscribe again
                self._shared.log.log("slow calls of authorize", refused.why, session_id=session_id)
                self._perform(self._conversation.load_failed(session_id, token, "authorize took too long"))
                return
            if refused.__cause__ is not None:
                kind, cause = "failures of authorize", refused.__cause__
                self._shared.log.log(kind, refused.why, error=cause, level=logging.ERROR, session_id=session_id)
            else:
                line = f"a subscription was refused: {refused.why}"
                self._shared.log.log("subscriptions refused by authorize", line, session_id=session_id)
            self._perform(self._conversation.authorized(session_id, token, False))
        else:
            self._perform(self._conversation.authorized(session_id, token, True))

    def _asked(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._asking.get(session_id) is task:
            del self._asking[session_id]

    def _leave(self, session_id: str) -> None:
        self._withdraw(session_id)
        asking = self._asking.pop(session_id, None)
        if asking is not None:
            asking.cancel()
        self._joined.discard(session_id)
        self._shared.routes.leave(session_id, self)

    def _withdraw(self, session_id: str) -> None:
        self._idle_loads.pop(session_id, None)
        request = self._loads.pop(session_id, None)
        if request is not None:
            request.done = True

    def _caught_up(self) -> None:
        """All frames were sent."""
        self._congested = False
        if self._idle_loads:
            self._start_loads()

    def _start_loads(self) -> None:
        """Start loading the next snapshots, if there is room in the outbox.

        After an overflow, nothing is loaded until all frames were sent, so that a stuck client causes no work.
        """
        while self._idle_loads and len(self._loads) < LOADS_AT_ONCE and not self._congested and self._outbox.has_room:
            session_id, load = next(iter(self._idle_loads.items()))
            del self._idle_loads[session_id]
            request = SnapshotRequest(session_id, load.basis, load.epochs, partial(self._loaded, load))
            self._loads[session_id] = request
            self._conversation.load_began(session_id, load.token)
            self._shared.loader.request(request)

    def _loaded(self, load: Load, result: Hydration | Exception) -> None:
        del self._loads[load.session_id]
        if isinstance(result, Hydration):
            self._perform(self._conversation.loaded(load.session_id, load.token, result))
        else:
            self._perform(self._conversation.load_failed(load.session_id, load.token, error_text(result)))
        self._start_loads()

    def _note_written(self, frame: Frame) -> None:
        reporter, depth = self._shared.reporter, len(self._outbox)
        reporter.report("written", self.id, frame.session_id, size=frame.size, queue_depth=depth)
