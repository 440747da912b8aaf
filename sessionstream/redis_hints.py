"""Hints over Redis or Valkey, by publish and subscribe. Needs the extra ``redis``."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError as _error:
    raise ImportError(
        f"RedisHints needs the package redis, 6 or newer ({_error}): pip install 'sessionstream[redis]'",
        name=_error.name,
    ) from _error

from sessionstream.logs import SessionLog

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

_log = SessionLog()


class RedisHints:
    """Hints over Redis or Valkey, for a PostgresStore; needs the extra ``redis``. (Reference: Hints.)

    Every process passes it to its store, which closes it: ``PostgresStore.connect(…, hints=RedisHints(url))``. It then
    takes the place of PostgreSQL's LISTEN and NOTIFY. While the server is away, events of other processes arrive up to
    a second later, and nothing is lost.

    Args:
        url: as ``redis.asyncio.Redis.from_url`` takes it: ``redis://user:password@host:6379``, ``rediss://`` over TLS
            with options such as ``?ssl_ca_certs=ca.pem``, or ``unix:///path``. The user needs the right to publish to
            channels ``sessionstream_*`` and to subscribe to them. The number of a database is allowed and means
            nothing, because channels belong to the whole server.

    Raises:
        ValueError: ``url`` is not the URL of a Redis server, or has an unknown option.
    """

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        is_unix = place.scheme == "unix"
        if place.scheme not in ("redis", "rediss", "unix") or not (place.path if is_unix else place.hostname):
            raise ValueError("url is an URL such as 'redis://user@host:6379', 'rediss://…' or 'unix:///path'")
        self._server = unquote(place.path) if is_unix else f"{place.hostname}:{place.port or 6379}"
        self._url = url
        self._channel = ""
        self._heard: Heard | None = None
        self._works = False
        self._waiting: set[str] | None = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: set[str] = set()
        try:
            self._client().connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError) as error:
            raise ValueError(f"url has an option that redis-py does not know: {error}") from None

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
        tasks, self._tasks = set(self._tasks), []
        while tasks:  # redis-py loses a cancellation that meets one of its time limits
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=FIRST_PAUSE)

    def _wait(self, session_ids: Collection[str] | None) -> None:
        """Add ids to those that wait; None for those of every session."""
        if self._waiting is None or session_ids is None:
            self._waiting = None
            return
        self._waiting.update(session_ids)
        if len(self._waiting) > LIMIT:
            self._waiting = None

    def _client(self) -> Redis:
        """Return a client that connects when it is used, and reports every failure instead of trying again."""
        return Redis.from_url(
            self._url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    @asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[Any]:
        async with self._client() as client, client.pubsub() as channel:
            await channel.subscribe(self._channel)
            yield channel

    async def _publish(self) -> None:
        """Publish what waits, whenever something does."""
        async with self._client() as client:
            while True:
                await self._until_something_waits()
                waiting, self._waiting = self._waiting, set()
                message = json.dumps(None if waiting is None else list(waiting), separators=(",", ":"))
                try:
                    await client.publish(self._channel, message)
                except BaseException:
                    self._wait(waiting)
                    raise
                self._succeeds("sent")

    async def _until_something_waits(self) -> None:
        while self._waiting == set():
            self._wake.clear()
            await self._wake.wait()

    async def _listen(self) -> None:
        """Subscribe, and pass on what comes."""
        asked = False  # whether the server was asked if it is there, and has said nothing since
        async with self._subscribed() as channel:
            try:
                while True:
                    message = await channel.get_message(timeout=ANSWER_SECONDS)
                    if message is None and asked:
                        raise TimeoutError
                    asked = message is None
                    match message:
                        case None:
                            await channel.ping()
                        case {"type": "subscribe"}:
                            self._works = True
                            self._succeeds("heard")
                            self._tell(None)  # what happened before this connection
                        case {"type": "message", "data": data}:
                            self._read(data)
            finally:
                self._works = False

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
            except (OSError, RedisError) as error:
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
