"""The public client: watches sessions over a WebSocket, and reconnects whenever it is lost."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

try:
    from websockets.exceptions import InvalidStatus, WebSocketException

    from sessionstream.transport.ws.client.dialing import Dialer, Source
except ImportError as _error:
    raise ImportError(
        f"the WebSocket client needs the package websockets, 13 or newer ({_error}): pip install 'sessionstream[ws]'",
        name=_error.name,
    ) from _error

from sessionstream.callables import plain_callback, plain_function
from sessionstream.errors import TransportError, error_text
from sessionstream.ids import check_id
from sessionstream.logs import SessionLog
from sessionstream.schema import SchemaRegistry
from sessionstream.transport.checks import check_above_zero
from sessionstream.transport.clock import Clock, MonotonicClock
from sessionstream.transport.ws.client.backoff import Backoff, after_refusal, told_seconds
from sessionstream.transport.ws.client.connection import Connection
from sessionstream.transport.ws.client.conversation import Conversation
from sessionstream.transport.ws.client.effects import (
    Connect,
    Deliver,
    Disconnect,
    Effect,
    Effects,
    End,
    Send,
    StateChanged,
)
from sessionstream.transport.ws.client.errors import ClientClosed, HandshakeRefused
from sessionstream.transport.ws.client.feed import Feed, Updates
from sessionstream.transport.ws.client.updates import ConnectionState

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_log = SessionLog()


def connect(
    url: Source[str],
    *,
    schemas: SchemaRegistry | None = None,
    headers: Source[Mapping[str, str]] | None = None,
    subprotocols: Source[Sequence[str]] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    on_state: Callable[[ConnectionState], None] | None = None,
    refusal: Callable[[int, int], bool] | None = None,
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    frame_bytes: int = 16_777_216,
    buffered_updates: int = 256,
    heartbeat_seconds: float | None = 20.0,
    patience_seconds: float = 20.0,
    hurry_patience_seconds: float = 5.0,
    open_timeout_seconds: float = 10.0,
    close_timeout_seconds: float = 5.0,
    clock: Clock | None = None,
    draw: Callable[[], float] = random.random,
) -> Client:
    """Return a client for the server at ``url``; use it as ``async with``. (Reference: WebSocket client.)

    It connects by itself, and reconnects whenever the connection is lost or the server is not up yet::

        async with connect("wss://app.example/ws", schemas=registry) as client:
            async for update in client.subscribe("session-1"):
                match update:
                    case Snapshot(snapshot_ordinal=ordinal, entities=entities): ...   # replaces all earlier state
                    case LiveEvent(ordinal, name, payload): ...

    ``url``, ``headers`` and ``subprotocols`` may be functions, plain or async. They are called before each attempt, and
    so can return a renewed token. If one raises, or takes longer than ``open_timeout_seconds``, the attempt has failed;
    if one raises ``HandshakeRefused(status)``, the attempt was refused.

    Args:
        url: ``ws://…`` or ``wss://…``.
        schemas: the known UI events and timeline entities, whose payloads are given as messages. Payloads of other
            names, and all payloads without ``schemas``, are given as JSON (dicts).
        headers: headers of the handshake, such as ``{"Authorization": …}``.
        subprotocols: sub-protocols to offer, as ``["sessionstream.v1", "token.…"]``; None offers none.
        ssl_context: for ``wss``; None uses the default context.
        on_state: called in the event loop with each new ``Client.state``, a ``ConnectionState``, after the first. Its
            exceptions are logged.
        refusal: ``refusal(status, attempt)`` decides about a refused handshake, by its HTTP status and the number of
            refusals in a row, from 1: True tries again after a wait, False ends the client with ``HandshakeRefused``.
            The default tries again, except after 401 and 403 if none of ``url``, ``headers`` and ``subprotocols`` is a
            function. The default also applies if ``refusal`` raises; the exception is logged.
        backoff: the waits before reconnecting.
        frame_bytes: longest message to accept, usually a snapshot; after a longer one the client ends with
            ``ConnectionEnded`` (1009).
        buffered_updates: updates that may wait for one iterator. When so many wait, the client stops reading from the
            connection, for all sessions, until some are taken. A server that cannot send its frames closes in the end,
            and the client reconnects for a snapshot.
        heartbeat_seconds: a server that was silent for this long gets a ping; None: no pings.
        patience_seconds: a connection that stays silent for this long after a ping is given up.
        hurry_patience_seconds: as ``patience_seconds``, after ``Client.reconnect``.
        open_timeout_seconds: time limit of one attempt, and of the functions before it.
        close_timeout_seconds: time limit for the server to answer a close.
        clock: replaces the clock in tests.
        draw: returns a random number from 0 to 1; replaced in tests.

    Raises:
        ValueError: the URL is not valid, or not ``wss`` although there is an ``ssl_context``; a header or a
            sub-protocol has invalid characters; or a number is not above 0.
        TypeError: an argument has the wrong type; ``on_state`` or ``refusal`` is async.
    """
    if schemas is not None and not isinstance(schemas, SchemaRegistry):
        raise TypeError(f"schemas must be a SchemaRegistry, not {schemas!r}")
    if not isinstance(backoff, Backoff):
        raise TypeError(f"backoff must be a Backoff, not {backoff!r}")
    check_above_zero("frame_bytes", frame_bytes, whole=True)
    check_above_zero("buffered_updates", buffered_updates, whole=True)
    if heartbeat_seconds is not None:
        check_above_zero("heartbeat_seconds", heartbeat_seconds)
    check_above_zero("patience_seconds", patience_seconds)
    check_above_zero("hurry_patience_seconds", hurry_patience_seconds)
    check_above_zero("open_timeout_seconds", open_timeout_seconds)
    check_above_zero("close_timeout_seconds", close_timeout_seconds)
    dial = Dialer(
        url,
        headers,
        subprotocols,
        ssl_context=ssl_context,
        frame_bytes=frame_bytes,
        open_timeout=open_timeout_seconds,
        close_timeout=close_timeout_seconds,
    )
    conversation = Conversation(
        schemas=schemas,
        backoff=backoff,
        heartbeat_seconds=heartbeat_seconds,
        patience_seconds=patience_seconds,
        hurry_patience_seconds=hurry_patience_seconds,
        refusal=_policy(refusal, asks_anew=dial.asks_anew),
        draw=draw,
    )
    told = plain_callback("on_state", "(state)", on_state) if on_state is not None else None
    return Client(conversation, dial, clock or MonotonicClock(), buffered_updates, told)


def _policy(given: Callable[[int, int], bool] | None, *, asks_anew: bool) -> Callable[[int, int], bool]:
    """Return the function that decides about refused handshakes: the given one, or else the default."""
    policy = plain_function("refusal", "(status, attempt)", given) if given is not None else None

    def decide(status: int, attempt: int) -> bool:
        if policy is not None:
            try:
                return bool(policy(status, attempt))
            except Exception:  # noqa: BLE001 - logged with its traceback
                _log.exception("refusal%r raised; the default applies", (status, attempt))
        return after_refusal(status, attempt, asks_anew=asks_anew)

    return decide


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop of this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # this thread has no running loop
        return None


class Client:
    """Watches sessions of one server. Made by ``connect``; belongs to the event loop that enters it."""

    __slots__ = (
        "_alarm", "_alarm_at", "_attempt", "_buffered", "_clock", "_connection", "_conversation", "_dial", "_effects",
        "_feeds", "_loop", "_numbers", "_on_state", "_performing", "_running", "_state", "_thread", "_wanted",
    )  # fmt: skip

    def __init__(
        self,
        conversation: Conversation,
        dial: Callable[[], Awaitable[ClientConnection]],
        clock: Clock,
        buffered_updates: int,
        on_state: Callable[[ConnectionState], None] | None,
    ) -> None:
        self._conversation = conversation
        self._dial = dial
        self._clock = clock
        self._buffered = buffered_updates
        self._on_state = on_state
        self._state = ConnectionState("connecting")
        self._feeds: dict[int, Feed] = {}
        self._numbers = itertools.count()
        self._effects: deque[Effect] = deque()
        self._performing = False
        self._wanted = asyncio.Event()  # a connection is to be made, or the client ends
        self._attempt: asyncio.Timeout | None = None
        self._connection: Connection | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf
        self._running: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    # -- for users ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Client:
        """Start connecting, and return at once.

        Raises:
            TransportError: the client was already entered.
        """
        if self._running is not None:
            raise TransportError("a client can be entered only once: call connect(…) again")
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._running = asyncio.create_task(self._run(), name="sessionstream: WebSocket client")
        self._perform(self._conversation.start(self._clock.now()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection, end every subscription without an error, and stop every task.

        Raises:
            ClientClosed: the client was never entered.
            TransportError: it belongs to another event loop.
        """
        running = self._check_loop()
        connection, self._connection = self._connection, None
        self._perform(self._conversation.close())
        tasks = {running} if self._alarm is None else {running, self._alarm}
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks)
            if connection is not None:
                await connection.close()
        finally:
            if connection is not None:
                connection.abort()

    @property
    def state(self) -> ConnectionState:
        """The current state of the connection."""
        return self._state

    def reconnect(self) -> None:
        """Connect now; call it when the network may have returned, or the user asks for it.

        It ends a wait for the next attempt, and resets the back-off. A connection that was silent for more than a
        second gets a ping, and is given up after ``hurry_patience_seconds`` of silence; an attempt in progress has as
        much time. Further calls meanwhile, and calls on a closed client, have no effect.

        Raises:
            ClientClosed: the client was never entered.
            TransportError: the client belongs to another event loop. From another thread, call
                ``loop.call_soon_threadsafe(client.reconnect)``.
        """
        self._check_loop()
        self._perform(self._conversation.hurry(self._clock.now()))

    def subscribe(self, session_id: str) -> Updates:
        """Watch a session: yields a ``Snapshot``, then each ``LiveEvent``, until the iterator is closed.

        After a reconnect, or when the server sends one, there is another ``Snapshot``. It replaces all earlier state,
        and events that it covers are not yielded again.

        Any number of iterators may watch a session. They share one subscription, but no payloads; a later one starts
        with a snapshot of what the client holds.

        The subscription begins with the first ``__anext__``, and ends when the loop is left, or by ``aclose`` or
        ``async with``.

        Raises:
            InvalidIdError: the session id is not valid.

        ``__anext__`` raises:
            SubscriptionEnded: the server refused or ended the subscription.
            UnexpectedPayload: a payload is not the message that the registry has for its name.
            HandshakeRefused: the server refused the handshake, and ``refusal`` said not to try again.
            ConnectionEnded: the server closed with a code that says not to reconnect.
            ClientClosed: the client was never entered, or is closed.
            TransportError: the client belongs to another event loop.
        """
        return Updates(check_id("session id", session_id), self._watch, self._leave)

    # -- for the iterators -------------------------------------------------------------------------------------

    def _check_loop(self) -> asyncio.Task[None]:
        """Return the client's task; raise if the client was not entered, or in another loop."""
        if self._running is None:
            raise ClientClosed
        if _running_loop() is not self._loop and not self._running.done():
            raise TransportError(
                "this client belongs to another event loop, in which it was entered: make one client for each loop, "
                "or hand the call over with asyncio.run_coroutine_threadsafe, or loop.call_soon_threadsafe"
            )
        return self._running

    def _watch(self, session_id: str) -> tuple[int, Feed]:
        """Start to watch a session; return the number of the watcher, and its queue."""
        self._check_loop()
        watcher = next(self._numbers)
        feed = self._feeds[watcher] = Feed(self._buffered)
        self._perform(self._conversation.subscribe(session_id, watcher, self._clock.now()))
        return watcher, feed

    def _leave(self, session_id: str, watcher: int, feed: Feed) -> None:
        """Stop watching. May be called from another thread, in which an iterator is garbage-collected."""
        if threading.get_ident() != self._thread:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._leave, session_id, watcher, feed)
            return
        feed.end(drop=True)
        if self._feeds.pop(watcher, None) is not None:
            self._perform(self._conversation.unsubscribe(session_id, watcher, self._clock.now()))

    # -- performing effects ------------------------------------------------------------------------------------

    def _perform(self, effects: Effects) -> None:
        """Perform effects in order. Effects of calls that ``on_state`` makes are performed after these."""
        self._effects.extend(effects)
        if self._performing:
            return
        self._performing = True
        try:
            while self._effects:
                self._do(self._effects.popleft())
        finally:
            self._performing = False
        self._set_alarm()

    def _do(self, effect: Effect) -> None:
        """Perform one effect."""
        match effect:
            case Deliver(watcher, update):
                if watcher in self._feeds:  # the iterator may be closed by now
                    self._feeds[watcher].put(update)
            case End(watcher, error):
                if watcher in self._feeds:
                    self._feeds.pop(watcher).end(error)
            case Connect():
                self._wanted.set()
            case Send(text) if self._connection is not None:  # without one, it is being closed
                self._connection.send(text)
            case Disconnect(why):
                self._hang_up(why)
            case StateChanged(state):
                self._became(state)

    def _hang_up(self, why: str) -> None:
        """End the connection, or the attempt to make one."""
        if self._connection is not None:
            _log.warning("a connection is given up: %s", why)
            self._connection.abort()
        elif self._attempt is not None:
            _log.warning("an attempt to connect is given up: %s", why)
            self._attempt.reschedule(0.0)

    def _became(self, state: ConnectionState) -> None:
        """Set the new state, and report it to ``on_state``."""
        self._state = state
        if state.retry_in is not None:
            _log.info("connecting again in %.1f seconds", state.retry_in)
        if state.name == "closed":
            self._wanted.set()
        if self._on_state is not None:
            try:
                self._on_state(state)
            except Exception:  # noqa: BLE001 - logged with its traceback
                _log.exception("on_state raised at %r", state)

    async def _room(self) -> None:
        """Return when no queue is full."""
        for feed in list(self._feeds.values()):
            await feed.room()

    # -- time --------------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """Sleep until the deadline of the conversation. An alarm that is too early is harmless, and set again."""
        deadline = self._conversation.deadline
        if deadline < self._alarm_at and self._loop is not None:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = deadline
            name = "sessionstream: time of a WebSocket client"
            self._alarm = self._loop.create_task(self._ring(deadline), name=name)

    async def _ring(self, deadline: float) -> None:
        """Sleep until a time, and then perform the actions of the conversation that are due."""
        try:
            await self._clock.sleep(max(0.0, deadline - self._clock.now()))  # however late this task begins
            now = max(self._clock.now(), self._alarm_at)  # not before it, however the clock rounds
            self._alarm, self._alarm_at = None, math.inf
            if self._connection is not None and self._connection.blocked:
                self._conversation.occupied(now)
            self._perform(self._conversation.tick(now))
        except Exception as failure:  # noqa: BLE001 - logged with its traceback, and raised in every iterator
            self._fail(failure)

    # -- connections -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Make one connection after the other until the client ends."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                if self._state.name == "closed":
                    return
                await self._connect()
        except Exception as failure:  # noqa: BLE001 - logged with its traceback, and raised in every iterator
            self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        """End the client because of an internal failure."""
        _log.error("the WebSocket client cannot go on", exc_info=failure)
        self._perform(self._conversation.fail(error_text(failure)))

    async def _connect(self) -> None:
        """Make one attempt to connect, and serve the connection until it is closed."""
        made = await self._open()
        if not isinstance(made, Exception):
            await self._talk(made)
        elif isinstance(made, InvalidStatus):
            response = made.response
            told = told_seconds(response.headers.get("Retry-After", ""))
            self._refused(response.status_code, response.reason_phrase, told)
        elif isinstance(made, HandshakeRefused):
            self._refused(made.status, made.reason)
        else:
            _log.warning("the server cannot be reached: %s", error_text(made))
            self._perform(self._conversation.unreachable(error_text(made), self._clock.now()))

    async def _open(self) -> ClientConnection | Exception:
        """Return a socket, or the exception of the failed attempt."""
        try:
            async with asyncio.timeout(None) as self._attempt:  # until the conversation gives it up
                return await self._dial()
        except (InvalidStatus, HandshakeRefused, OSError, ValueError, WebSocketException) as failure:
            return failure
        finally:
            self._attempt = None

    def _refused(self, status: int, reason: str, told: float = 0.0) -> None:
        """Report a refused handshake to the conversation."""
        _log.warning("the handshake is refused with HTTP status %d %s", status, reason)
        self._perform(self._conversation.refused(status, self._clock.now(), reason=reason, told=told))

    async def _talk(self, socket: ClientConnection) -> None:
        """Serve a connection until it is closed."""
        connection = self._connection = Connection(socket, self._conversation, self._clock, self._perform, self._room)
        try:
            self._perform(self._conversation.opened(self._clock.now()))
            await connection.run()
        finally:
            if self._connection is connection:  # otherwise __aexit__ closes it
                self._connection = None
                connection.abort()
