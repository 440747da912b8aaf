"""The client: sessions watched over a WebSocket that is made again whenever it breaks."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from inspect import isawaitable
from types import TracebackType
from typing import Final, TypeAlias

try:
    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.client import connect as open_socket
    from websockets.exceptions import InvalidStatus, WebSocketException
    from websockets.uri import parse_uri
except ImportError as error:
    raise ImportError(
        f"the WebSocket client needs the package websockets, 13 or newer ({error}): pip install 'sessionstream[ws]'",
        name=error.name,
    ) from error

from sessionstream.errors import TransportError, words
from sessionstream.schema import SchemaRegistry
from sessionstream.transport.ws.backoff import Backoff, told_seconds
from sessionstream.transport.ws.client_effects import Connect, Effects, End, Give, HangUp, Remind, Say
from sessionstream.transport.ws.client_errors import AlreadySubscribed, ClientClosed
from sessionstream.transport.ws.client_session import ClientSession
from sessionstream.transport.ws.client_updates import Update
from sessionstream.transport.ws.clock import Clock, MonotonicClock
from sessionstream.transport.ws.feed import Feed
from sessionstream.transport.ws.limits import check_above_zero
from sessionstream.transport.ws.line import Line
from sessionstream.types import check_id

TICKS: Final = 4
"""How often the time is looked after, in the shorter of the periods that have to be kept."""

Headers: TypeAlias = Mapping[str, str]
HeadersSource: TypeAlias = Headers | Callable[[], Headers | Awaitable[Headers]]
"""Headers of the handshake, or a function, plain or async, that returns them and is asked before each attempt."""

_log = logging.getLogger("sessionstream")


def connect(
    url: str,
    *,
    schemas: SchemaRegistry | None = None,
    headers: HeadersSource | None = None,
    ssl_context: ssl.SSLContext | None = None,
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    frame_bytes: int = 16_777_216,
    buffered_updates: int = 256,
    heartbeat_seconds: float | None = 20.0,
    patience_seconds: float = 20.0,
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

    Args:
        url: ``ws://…`` or ``wss://…``.
        schemas: the UI events and timeline entities that are known, so that payloads are messages; without it they
            are the JSON of the wire. A name that it does not have comes as JSON too.
        headers: of the handshake, such as ``{"Authorization": …}``; a function is asked anew for each attempt.
        ssl_context: for ``wss``, where the default one does not do.
        backoff: how long to wait before coming back.
        frame_bytes: the longest message to accept, a snapshot for example; beyond it the client ends with
            ``ConnectionEnded`` (1009).
        buffered_updates: how many updates of a session may wait to be taken. When so many wait, nothing more is read
            from the connection, for no session, until some are taken. A server that cannot get rid of its frames
            closes in the end, and the client comes back for a snapshot.
        heartbeat_seconds: after so much silence the server is sent a ping; None sends none.
        patience_seconds: after so much more silence the connection is given up.
        open_timeout_seconds: time for one attempt, and for the headers before it.
        close_timeout_seconds: time for the server to agree to a close.
        clock: the time, for tests.
        draw: returns a number from 0 to 1, by lot; for tests.

    Raises:
        ValueError: the URL is none, or not one for the ssl_context, or a number is not above 0.
        TypeError: an argument is of another type.
    """
    _check_types(url=url, schemas=schemas, headers=headers, backoff=backoff)
    try:
        secure = parse_uri(url).secure
    except WebSocketException as error:
        raise ValueError(f"{url!r} is no WebSocket URL: {error}") from error
    if ssl_context is not None and not secure:
        raise ValueError(f"{url!r} is not encrypted: leave ssl_context out, or write wss")
    check_above_zero("frame_bytes", frame_bytes, whole=True)
    check_above_zero("buffered_updates", buffered_updates, whole=True)
    if heartbeat_seconds is not None:
        check_above_zero("heartbeat_seconds", heartbeat_seconds)
    check_above_zero("patience_seconds", patience_seconds)
    check_above_zero("open_timeout_seconds", open_timeout_seconds)
    check_above_zero("close_timeout_seconds", close_timeout_seconds)
    session = ClientSession(
        schemas=schemas,
        backoff=backoff,
        heartbeat_seconds=heartbeat_seconds,
        patience_seconds=patience_seconds,
        draw=draw,
    )

    async def open_once() -> ClientConnection:
        return await open_socket(
            url,
            additional_headers=await _given(headers, open_timeout_seconds),
            ssl=ssl_context,
            compression=None,
            max_size=frame_bytes,
            open_timeout=open_timeout_seconds,
            close_timeout=close_timeout_seconds,
            ping_interval=None,  # the session has a heartbeat of its own, which any server understands
        )

    pause = min(heartbeat_seconds, patience_seconds) / TICKS if heartbeat_seconds is not None else None
    return Client(session, open_once, clock or MonotonicClock(), buffered_updates, pause)


def _check_types(*, url: object, schemas: object, headers: object, backoff: object) -> None:
    if not isinstance(url, str):
        raise TypeError(f"url is a text, such as 'wss://app.example/ws', not {url!r}")
    if schemas is not None and not isinstance(schemas, SchemaRegistry):
        raise TypeError(f"schemas is a SchemaRegistry, not {schemas!r}")
    if headers is not None and not isinstance(headers, Mapping) and not callable(headers):
        raise TypeError(f"headers is a mapping, or a function that returns one, not {headers!r}")
    if not isinstance(backoff, Backoff):
        raise TypeError(f"backoff is a Backoff, not {backoff!r}")


async def _given(headers: HeadersSource | None, timeout_seconds: float) -> Headers | None:
    if not callable(headers):
        return headers
    try:
        async with asyncio.timeout(timeout_seconds):
            given = headers()
            return await given if isawaitable(given) else given
    except Exception as failure:  # a token service that is down, say: as passing as a server that is
        raise ConnectionError(f"the headers cannot be had: {words(failure)}") from failure


class Client:
    """Watches sessions of one server. Made by ``connect``; belongs to the event loop that enters it."""

    __slots__ = (
        "_buffered", "_clock", "_connects_after", "_feeds", "_line", "_loop", "_open", "_pause", "_running", "_session",
        "_thread",
    )  # fmt: skip

    def __init__(
        self,
        session: ClientSession,
        open_once: Callable[[], Awaitable[ClientConnection]],
        clock: Clock,
        buffered_updates: int,
        pause: float | None,
    ) -> None:
        self._session = session
        self._open = open_once
        self._clock = clock
        self._buffered = buffered_updates
        self._pause = pause
        self._feeds: dict[str, Feed] = {}
        self._connects_after: float | None = None
        self._line: Line | None = None
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
        self._perform(self._session.start())
        self._running = asyncio.create_task(self._run(), name="sessionstream: WebSocket client")
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
        line, self._line = self._line, None
        self._perform(self._session.close())
        running.cancel()
        try:
            await asyncio.wait({running})
            if line is not None:
                await line.close()
        finally:
            if line is not None:
                line.cut()

    def subscribe(self, session_id: str) -> Updates:
        """Watch a session: a ``Snapshot`` first, then each ``LiveEvent``, until the iterator is closed.

        After a reconnect, or when the server thinks it right, there is another ``Snapshot``; it replaces whatever was
        known before, and holds what happened meanwhile. Events that a snapshot covers are not given again.

        Leaving the loop ends the subscription, as do ``aclose`` and ``async with``. It begins when the first update is
        waited for.

        Raises:
            InvalidIdError: no session can have this id.

        Waiting for an update raises:
            SubscriptionEnded: the server refuses the session, or refuses it by now.
            UnreadablePayload: a payload is not the message that the registry has for its name.
            HandshakeRefused: the server does not let this client in.
            ConnectionEnded: the server says not to come back.
            AlreadySubscribed: this client watches the session already.
            ClientClosed: the client was never opened, or is closed.
            TransportError: the client belongs to another event loop.
        """
        return Updates(check_id("session id", session_id), self._watch, self._leave)

    # -- for the iterators -------------------------------------------------------------------------------------

    def _check_loop(self) -> asyncio.Task[None]:
        """Return the task that carries the client on, if it was begun, and not in another loop."""
        if self._running is None:
            raise ClientClosed
        if asyncio.get_running_loop() is not self._loop and not self._running.done():
            raise TransportError(
                "this client was entered in another event loop, and belongs to that one: make one for each loop, or "
                "hand the call over with asyncio.run_coroutine_threadsafe"
            )
        return self._running

    def _watch(self, session_id: str) -> Feed:
        self._check_loop()
        if session_id in self._feeds:
            raise AlreadySubscribed(session_id)
        feed = self._feeds[session_id] = Feed(self._buffered)
        self._perform(self._session.subscribe(session_id))
        return feed

    def _leave(self, session_id: str, feed: Feed) -> None:
        """Stop watching; from another thread too, where an iterator may be collected."""
        if threading.get_ident() != self._thread:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._leave, session_id, feed)
            return
        feed.end(drop=True)
        if self._feeds.get(session_id) is feed:
            del self._feeds[session_id]
            self._perform(self._session.unsubscribe(session_id))

    # -- what the session wants --------------------------------------------------------------------------------

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Give(session_id, update):
                    self._feeds[session_id].put(update)
                case End(session_id, error):
                    self._feeds.pop(session_id).end(error)
                case Connect(after):
                    self._connects_after = after
                case Say(text) if self._line is not None:
                    self._line.say(text)
                case Remind(token, after) if self._line is not None:
                    self._line.remind(token, after)
                case HangUp(why) if self._line is not None:
                    _log.warning("a connection is given up: %s", why)
                    self._line.cut()
                case Say() | Remind() | HangUp():
                    pass  # the line is being closed already

    async def _room(self) -> None:
        for feed in list(self._feeds.values()):
            await feed.room()

    # -- one connection after the other ------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while self._connects_after is not None:
                after, self._connects_after = self._connects_after, None
                if after:
                    _log.info("connecting again in %.1f seconds", after)
                    await self._clock.sleep(after)
                await self._connect()
        except Exception as failure:  # noqa: BLE001 - logged with its traceback, and told to whoever waits
            _log.exception("the WebSocket client cannot go on")
            self._perform(self._session.fail(words(failure)))

    async def _connect(self) -> None:
        try:
            socket = await self._open()
        except InvalidStatus as error:
            response = error.response
            _log.warning("the server refuses the handshake with HTTP status %d", response.status_code)
            told = told_seconds(response.headers.get("Retry-After", ""))
            self._perform(self._session.refused(response.status_code, told))
        except (OSError, WebSocketException) as error:
            _log.warning("the server cannot be reached: %s", words(error))
            self._perform(self._session.unreachable())
        else:
            line = self._line = Line(socket, self._session, self._clock, self._pause, self._perform, self._room)
            self._perform(self._session.opened(self._clock.now()))
            try:
                await line.run()
            finally:
                if self._line is line:  # else somebody closes it with a word
                    self._line = None
                    line.cut()


class Updates(AsyncIterator[Update]):
    """What ``Client.subscribe`` returns: an async iterator over the updates of a session, which may be closed."""

    __slots__ = ("_done", "_feed", "_leave", "_session_id", "_watch")

    def __init__(self, session_id: str, watch: Callable[[str], Feed], leave: Callable[[str, Feed], None]) -> None:
        self._session_id = session_id
        self._watch = watch
        self._leave = leave
        self._feed: Feed | None = None
        self._done = False

    async def __anext__(self) -> Update:
        if self._done:
            raise StopAsyncIteration
        try:
            if self._feed is None:
                self._feed = self._watch(self._session_id)
            update = await self._feed.take()
        except TransportError:
            self._done = True
            raise
        if update is None:
            self._done = True
            raise StopAsyncIteration
        return update

    async def aclose(self) -> None:
        """End the subscription. Whoever waits for an update waits no longer; it may be called again."""
        self._close()

    async def __aenter__(self) -> Updates:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the subscription."""
        self._close()

    def _close(self) -> None:
        self._done = True
        if self._feed is not None:
            self._leave(self._session_id, self._feed)

    def __del__(self) -> None:
        self._close()  # a loop that was left by break
