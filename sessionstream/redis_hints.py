"""Hints over Redis or Valkey, by publish and subscribe.

Two connections that ask four questions need no driver: each is opened, given up and closed here, within times that are
known.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from sessionstream.hints import Heard

LIMIT: Final = 1_000
"""Ids that wait to be sent; of more than these, other processes are told that every session may have moved."""

ANSWER_SECONDS: Final = 2.0
"""How long the server may take to answer, and for how long it may be silent before it is asked whether it is there."""

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds before the second attempt to connect, and at most before a later one."""

Reply: TypeAlias = "bytes | int | list[Reply] | None"

_log = logging.getLogger("sessionstream")


class RedisRefusal(Exception):  # internal: never leaves this module
    """The server has answered with an error, or is no Redis server."""


class RedisConnection:
    """One connection, in RESP2, the protocol that every version of Redis and Valkey speaks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def has_ended(self) -> bool:
        """Whether the server has closed it."""
        return self._reader.at_eof()

    def send(self, *words: str) -> None:
        """Send a command."""
        parts = [word.encode() for word in words]
        self._writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in parts))

    async def reply(self) -> Reply:
        """Read the next reply, or message of a channel. After a cancellation the connection is of no use.

        Raises:
            RedisRefusal: the server refuses the command, or this is no reply.
            EOFError: the server has closed the connection.
            OSError: the connection is broken.
        """
        try:
            line = await self._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as error:
            raise RedisRefusal("this is not a Redis server") from error
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisRefusal(rest.decode(errors="replace"))
        if kind not in (b":", b"$", b"*") or not rest.removeprefix(b"-").isdigit():
            raise RedisRefusal("this is not a Redis server")
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"$":
            return (await self._reader.readexactly(number + 2))[:-2]
        return [await self.reply() for _ in range(number)]

    async def ask(self, *words: str) -> None:
        """Send a command, and wait until the server confirms it. Raises what ``reply`` does."""
        self.send(*words)
        await self.reply()

    async def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


class RedisHints:
    """Hints over Redis or Valkey, for a PostgresStore. (Reference: Hints.)

    Every process passes it to its store, which closes it: ``PostgresStore.connect(…, hints=RedisHints(url))``. It then
    takes the place of PostgreSQL's LISTEN and NOTIFY. While the server is away, events of other processes arrive up to
    a second later, and nothing is lost.

    Args:
        url: ``redis://user:password@host:6379``, with ``rediss://`` over TLS, or ``unix:///path``. The user needs the
            right to publish to channels ``sessionstream_*`` and to subscribe to them. The number of a database is
            allowed and means nothing, because channels belong to the whole server.
        tls: how a server with ``rediss://`` is verified; by default against the system's certificate authorities.

    Raises:
        ValueError: ``url`` is not the URL of a Redis server.
    """

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None) -> None:
        place = urlsplit(url)
        is_unix = place.scheme == "unix"
        if place.scheme not in ("redis", "rediss", "unix") or not (place.path if is_unix else place.hostname):
            raise ValueError("url is an URL such as 'redis://user@host:6379', 'rediss://…' or 'unix:///path'")
        if place.query or place.fragment:
            raise ValueError("url has options, of which RedisHints knows none: leave out what follows the '?' or '#'")
        self._path = unquote(place.path) if is_unix else ""
        self._host, self._port = place.hostname or "", place.port or 6379
        self._tls = tls or ssl.create_default_context() if place.scheme == "rediss" else None
        self._login = [unquote(each) for each in (place.username, place.password) if each]
        self._server = self._path or f"{self._host}:{self._port}"
        self._channel = ""
        self._heard: Heard | None = None
        self._works = False
        self._waiting: set[str] | None = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: set[str] = set()

    def __repr__(self) -> str:
        return f"RedisHints({self._server!r})"

    @property
    def works(self) -> bool:
        """Whether the server has confirmed the subscription, and has answered since."""
        return self._works

    async def start(self, channel: str, heard: Heard, /) -> None:
        """Begin to listen."""
        self._channel, self._heard = channel, heard
        self._tasks = [
            asyncio.create_task(self._repeat("heard", self._listen), name="sessionstream listener"),
            asyncio.create_task(self._repeat("sent", self._publish), name="sessionstream notifier"),
        ]

    def send(self, session_ids: Collection[str], /) -> None:
        """Tell the other processes that sessions have moved.

        While there is no connection the ids are kept; of too many, the others are told that every session has moved.
        """
        self._wait(session_ids)
        self._wake.set()

    async def close(self) -> None:
        """Stop listening and sending."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wait(self, session_ids: Collection[str] | None) -> None:
        """Add ids to those that wait; None for those of every session."""
        if self._waiting is None or session_ids is None:
            self._waiting = None
            return
        self._waiting.update(session_ids)
        if len(self._waiting) > LIMIT:
            self._waiting = None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[RedisConnection]:
        """Connect, and close the connection in the end. Connecting takes at most ``ANSWER_SECONDS``."""
        async with asyncio.timeout(ANSWER_SECONDS):
            if self._path:
                streams = await asyncio.open_unix_connection(self._path)
            else:
                streams = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        connection = RedisConnection(*streams)
        try:
            if self._login:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.ask("AUTH", *self._login)
            yield connection
        finally:
            await connection.close()

    async def _publish(self) -> None:
        """Publish what waits, whenever something does, until the server closes the connection."""
        await self._until_something_waits()
        async with self._connected() as connection:
            while True:
                waiting, self._waiting = self._waiting, set()
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        message = None if waiting is None else list(waiting)
                        await connection.ask("PUBLISH", self._channel, json.dumps(message, separators=(",", ":")))
                except BaseException:
                    self._wait(waiting)
                    raise
                self._succeeds("sent")
                await self._until_something_waits()
                if connection.has_ended:  # idle connections are closed by some servers
                    return

    async def _until_something_waits(self) -> None:
        while self._waiting == set():
            self._wake.clear()
            await self._wake.wait()

    async def _listen(self) -> None:
        """Subscribe, and pass on what comes."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle
        async with self._connected() as connection, asyncio.timeout(ANSWER_SECONDS) as limit:

            def ping() -> None:
                nonlocal timer
                connection.send("PING")
                timer = loop.call_later(ANSWER_SECONDS, ping)

            connection.send("SUBSCRIBE", self._channel)
            timer = loop.call_later(ANSWER_SECONDS, ping)
            try:
                while True:
                    match await connection.reply():
                        case [b"subscribe", *_]:
                            self._works = True
                            self._succeeds("heard")
                            self._tell(None)  # what happened before this connection
                        case [b"message", _, bytes(message)]:
                            self._read(message)
                    limit.reschedule(loop.time() + 2 * ANSWER_SECONDS)
            finally:
                self._works = False
                timer.cancel()

    def _read(self, data: bytes) -> None:
        try:
            session_ids = json.loads(data)
        except ValueError:  # somebody else's
            return
        match session_ids:
            case [*_] if all(isinstance(each, str) for each in session_ids):
                self._tell(session_ids)
            case _:  # every session; or from a later version, so that something may have moved
                self._tell(None)

    def _tell(self, session_ids: Collection[str] | None) -> None:
        if self._heard is not None:
            self._heard(session_ids)

    async def _repeat(self, what: str, attempt: Callable[[], Awaitable[None]]) -> None:
        """Begin again whenever an attempt ends, after longer and longer pauses while none succeeds."""
        pause = FIRST_PAUSE
        while True:
            try:
                await attempt()
                continue
            except (OSError, EOFError, RedisRefusal) as error:
                if what not in self._failing:
                    pause = FIRST_PAUSE
                self._fails(what, error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(2 * pause, LONGEST_PAUSE)

    def _fails(self, what: str, error: Exception) -> None:
        if not self._failing:
            _log.warning(
                "hints cannot be %s over Redis at %s: %s; trying again; events of other processes come later meanwhile",
                what,
                self._server,
                str(error) or "no answer",
            )
        self._failing.add(what)

    def _succeeds(self, what: str) -> None:
        if what in self._failing:
            self._failing.remove(what)
            if not self._failing:
                _log.info("hints work over Redis at %s again", self._server)
