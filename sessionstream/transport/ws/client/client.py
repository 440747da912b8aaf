"""The client: sessions watched over a WebSocket that is made again whenever it breaks."""

from __future__ import annotations

import asyncio
import itertools
import logging
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
except ImportError as error:
    raise ImportError(
        f"the WebSocket client needs the package websockets, 13 or newer ({error}): pip install 'sessionstream[ws]'",
        name=error.name,
    ) from error

from sessionstream.callables import asked_of, told_of
from sessionstream.errors import TransportError, words
from sessionstream.ids import check_id
from sessionstream.schema import SchemaRegistry
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
from sessionstream.transport.ws.wire.checks import check_above_zero
from sessionstream.transport.ws.wire.clock import Clock, MonotonicClock

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_log = logging.getLogger("sessionstream")


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
    """Return a client of the server at ``url``, to be used as ``async with``. (Reference: WebSocket client.)

    It connects by itself, and again whenever the connection breaks; that the server is not there yet is no error::

        async with connect("wss://app.example/ws", schemas=registry) as client:
            async for update in client.subscribe("session-1"):
                match update:
                    case Snapshot(snapshot_ordinal=ordinal, entities=entities): ...   # replaces what was there
                    case LiveEvent(ordinal, name, payload): ...

    ``url``, ``headers`` and ``subprotocols`` may be functions, plain or async: they are asked before each attempt, and
    so can bring a token that has been renewed. One that raises, or has no answer within ``open_timeout_seconds``, makes
    a failed attempt; one that raises ``HandshakeRefused(status)`` a refused one.

    Args:
        url: ``ws://…`` or ``wss://…``.
        schemas: the UI events and timeline entities that are known, so that payloads are messages; without it they
            are the JSON of the wire. A name that it does not have comes as JSON too.
        headers: of the handshake, such as ``{"Authorization": …}``.
        subprotocols: to offer, as ``["sessionstream.v1", "token.…"]``; None offers none.
        ssl_context: for ``wss``, where the default one does not do.
        on_state: is told each ``ConnectionState`` that ``Client.state`` takes after the first. It runs in the event
            loop; what it raises is logged.
        refusal: decides about a refused handshake, by its HTTP status and how many there were in a row, from 1: True
            tries again after a wait, False ends the client with ``HandshakeRefused``. By default every status passes,
            but for 401 and 403 where neither ``url`` nor ``headers`` nor ``subprotocols`` is a function; so it is
            where ``refusal`` itself raises, which is logged.
        backoff: how long to wait before coming back.
        frame_bytes: the longest message to accept, a snapshot for example; beyond it the client ends with
            ``ConnectionEnded`` (1009).
        buffered_updates: how many updates may wait for one who watches. When so many wait, nothing more is read from
            the connection, for no session, until some are taken. A server that cannot get rid of its frames closes in
            the end, and the client comes back for a snapshot.
        heartbeat_seconds: after so much silence the server is sent a ping; None sends none.
        patience_seconds: after so much more silence the connection is given up.
        hurry_patience_seconds: the same, after ``Client.reconnect``.
        open_timeout_seconds: time for one attempt, and for the functions before it.
        close_timeout_seconds: time for the server to agree to a close.
        clock: the time, for tests.
        draw: returns a number from 0 to 1, by lot; for tests.

    Raises:
        ValueError: the URL is none, or not one for the ssl_context; a header or a sub-protocol cannot be sent; or a
            number is not above 0.
        TypeError: an argument is of another type; ``on_state`` or ``refusal`` is async.
    """
    if schemas is not None and not isinstance(schemas, SchemaRegistry):
        raise TypeError(f"schemas is a SchemaRegistry, not {schemas!r}")
    if not isinstance(backoff, Backoff):
        raise TypeError(f"backoff is a Backoff, not {backoff!r}")
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
    told = told_of("on_state", "(state)", on_state) if on_state is not None else None
    return Client(conversation, dial, clock or MonotonicClock(), buffered_updates, told)


def _policy(given: Callable[[int, int], bool] | None, *, asks_anew: bool) -> Callable[[int, int], bool]:
    policy = asked_of("refusal", "(status, attempt)", given) if given is not None else None

    def decide(status: int, attempt: int) -> bool:
        if policy is not None:
            try:
                return bool(policy(status, attempt))
            except Exception:  # noqa: BLE001 - logged with its traceback
                _log.exception("refusal%r raised; it is decided without", (status, attempt))
        return after_refusal(status, attempt, asks_anew=asks_anew)

    return decide


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # a thread that has none
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
        self._wanted = asyncio.Event()  # a connection is, or the end
        self._attempt: asyncio.Timeout | None = None
        self._connection: Connection | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf
        self._running: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    # -- for users ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Client:
        """Begin to connect, and return at once.

        Raises:
            TransportError: the client was entered before.
        """
        if self._running is not None:
            raise TransportError("a client is entered once: call connect(…) again")
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._running = asyncio.create_task(self._run(), name="sessionstream: WebSocket client")
        self._perform(self._conversation.start(self._clock.now()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Say goodbye, end every subscription without an error, and leave nothing running.

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
        """How the connection is at this moment."""
        return self._state

    def reconnect(self) -> None:
        """Connect now instead of later; call it when the network may have come back, or the user is tired of waiting.

        A wait for the next attempt is over, and the waits begin anew. A connection that was silent for more than a
        second is sent a ping, and given up if nothing is heard for ``hurry_patience_seconds``; an attempt that is under
        way has as much time. Calling it again meanwhile changes nothing, and on a closed client it does nothing.

        Raises:
            ClientClosed: the client was never entered.
            TransportError: it belongs to another event loop. From a thread:
                ``loop.call_soon_threadsafe(client.reconnect)``.
        """
        self._check_loop()
        self._perform(self._conversation.hurry(self._clock.now()))

    def subscribe(self, session_id: str) -> Updates:
        """Watch a session: a ``Snapshot`` first, then each ``LiveEvent``, until the iterator is closed.

        After a reconnect, or when the server thinks it right, there is another ``Snapshot``; it replaces whatever was
        known before, and holds what happened meanwhile. Events that a snapshot covers are not given again.

        A session may be watched by any number of iterators. They share one subscription, and each has everything for
        itself: whoever comes later begins with a snapshot of what the client holds.

        Leaving the loop ends it, as do ``aclose`` and ``async with``. It begins when the first update is waited for.

        Raises:
            InvalidIdError: no session can have this id.

        Waiting for an update raises:
            SubscriptionEnded: the server refuses the session, or refuses it by now.
            UnexpectedPayload: a payload is not the message that the registry has for its name.
            HandshakeRefused: the server does not let this client in, and ``refusal`` says not to try again.
            ConnectionEnded: the server says not to come back.
            ClientClosed: the client was never opened, or is closed.
            TransportError: the client belongs to another event loop.
        """
        return Updates(check_id("session id", session_id), self._watch, self._leave)

    # -- for the iterators -------------------------------------------------------------------------------------

    def _check_loop(self) -> asyncio.Task[None]:
        """Return the task that carries the client on, if it was begun, and not in another loop."""
        if self._running is None:
            raise ClientClosed
        if _running_loop() is not self._loop and not self._running.done():
            raise TransportError(
                "this client was entered in another event loop, and belongs to that one: make one for each loop, or "
                "hand the call over with asyncio.run_coroutine_threadsafe, or loop.call_soon_threadsafe"
            )
        return self._running

    def _watch(self, session_id: str) -> tuple[int, Feed]:
        self._check_loop()
        watcher = next(self._numbers)
        feed = self._feeds[watcher] = Feed(self._buffered)
        self._perform(self._conversation.subscribe(session_id, watcher, self._clock.now()))
        return watcher, feed

    def _leave(self, session_id: str, watcher: int, feed: Feed) -> None:
        """Stop watching; from another thread too, where an iterator may be collected."""
        if threading.get_ident() != self._thread:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._leave, session_id, watcher, feed)
            return
        feed.end(drop=True)
        if self._feeds.pop(watcher, None) is not None:
            self._perform(self._conversation.unsubscribe(session_id, watcher, self._clock.now()))

    # -- what the session wants --------------------------------------------------------------------------------

    def _perform(self, effects: Effects) -> None:
        """Do what is to be done, in order: what ``on_state`` asks for meanwhile comes after what was there before."""
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
        match effect:
            case Deliver(watcher, update):
                if watcher in self._feeds:  # it may have left meanwhile
                    self._feeds[watcher].put(update)
            case End(watcher, error):
                if watcher in self._feeds:
                    self._feeds.pop(watcher).end(error)
            case Connect():
                self._wanted.set()
            case Send(text) if self._connection is not None:  # else it is being closed already
                self._connection.send(text)
            case Disconnect(why):
                self._hang_up(why)
            case StateChanged(state):
                self._became(state)

    def _hang_up(self, why: str) -> None:
        if self._connection is not None:
            _log.warning("a connection is given up: %s", why)
            self._connection.abort()
        elif self._attempt is not None:
            _log.warning("an attempt to connect is given up: %s", why)
            self._attempt.reschedule(0.0)

    def _became(self, state: ConnectionState) -> None:
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
        for feed in list(self._feeds.values()):
            await feed.room()

    # -- time --------------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """Be awake when the session is due. An alarm that is early does no harm; it is set anew."""
        deadline = self._conversation.deadline
        if deadline < self._alarm_at and self._loop is not None:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = deadline
            name = "sessionstream: time of a WebSocket client"
            self._alarm = self._loop.create_task(self._ring(deadline - self._clock.now()), name=name)

    async def _ring(self, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
            now = max(self._clock.now(), self._alarm_at)  # it was that moment, whatever the clock rounds it to
            self._alarm, self._alarm_at = None, math.inf
            if self._connection is not None and self._connection.blocked:
                self._conversation.occupied(now)
            self._perform(self._conversation.tick(now))
        except Exception as failure:  # noqa: BLE001 - logged with its traceback, and told to whoever waits
            self._fail(failure)

    # -- one connection after the other ------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                if self._state.name == "closed":
                    return
                await self._connect()
        except Exception as failure:  # noqa: BLE001 - logged with its traceback, and told to whoever waits
            self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        _log.error("the WebSocket client cannot go on", exc_info=failure)
        self._perform(self._conversation.fail(words(failure)))

    async def _connect(self) -> None:
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
            _log.warning("the server cannot be reached: %s", words(made))
            self._perform(self._conversation.unreachable(words(made), self._clock.now()))

    async def _open(self) -> ClientConnection | Exception:
        """Return a connection, or what has come instead: that is no exception for whoever is told of it."""
        try:
            async with asyncio.timeout(None) as self._attempt:  # until the session gives it up
                return await self._dial()
        except (InvalidStatus, HandshakeRefused, OSError, ValueError, WebSocketException) as failure:
            return failure
        finally:
            self._attempt = None

    def _refused(self, status: int, reason: str, told: float = 0.0) -> None:
        _log.warning("the handshake is refused with HTTP status %d %s", status, reason)
        self._perform(self._conversation.refused(status, self._clock.now(), reason=reason, told=told))

    async def _talk(self, socket: ClientConnection) -> None:
        connection = self._connection = Connection(socket, self._conversation, self._clock, self._perform, self._room)
        try:
            self._perform(self._conversation.opened(self._clock.now()))
            await connection.run()
        finally:
            if self._connection is connection:  # else somebody closes it with a word
                self._connection = None
                connection.abort()
